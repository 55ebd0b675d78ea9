"""The compiled engine's door: frames become the kernel's arrays, laid out once for many combinations.

Belongs here: what the kernel reads. What combinations share is in shared.py. It imports numba: import it where called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import kernel
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.costs import Costs, Rates, rate
from timegpt_assets.core.backtest.rules import Rules
from timegpt_assets.core.backtest.signals import TradingSpec
from timegpt_assets.core.schema import TIME

ORDER = ("forecaster", "day", "symbol", "snapshot_ts")
WHOLE = ("group", "place", "symbol", "entry_ts", "target_ts", "stop_at", "close_ts", "offset")
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Market:
    """Bars laid out, and the forecasts made on them, in ORDER, with what was known at their snapshots."""

    tape: kernel.Tape
    known: pl.DataFrame
    start: kernel.Ints
    """Row of the first bar of each forecast's session."""
    end: kernel.Ints


def market(forecasts: pl.DataFrame, bars: pl.DataFrame) -> Market:
    """Return what every combination reads."""
    ordered = bars if _in_order(bars) else bars.sort("day", "symbol", "ts")
    blocks = (
        ordered.select("day", "symbol")
        .with_row_index("start")
        .filter(
            (pl.col("day") != pl.col("day").shift(1)).or_(pl.col("symbol") != pl.col("symbol").shift(1)).fill_null(True)
        )
        .with_columns(end=pl.col("start").shift(-1).fill_null(ordered.height), block=pl.int_range(pl.len()))
    )
    asked = forecasts.sort(ORDER).join(blocks, on=["day", "symbol"], how="left", maintain_order="left")
    start, end = (asked[name].fill_null(0).to_numpy().astype(np.int64) for name in ("start", "end"))
    prices = {name: ordered[name].fill_null(np.nan).to_numpy() for name in PRICES}
    tape = kernel.Tape(_micros(ordered["ts"]), filled=ordered["is_filled"].to_numpy(), **prices)
    edges = [blocks[name].to_numpy().astype(np.int64) for name in ("start", "end")]
    means = kernel.running_means(ordered["volume"].fill_null(np.nan).to_numpy(), *edges)
    last = kernel.rows_at(tape.ts, start, end, _micros(asked["snapshot_ts"]) - kernel.MINUTE)
    found = pl.Series(last, dtype=pl.Int64).replace(-1, None)
    closes = ordered["close"].gather(found)
    known = asked.drop("start", "end", "block").with_columns(
        last_price=closes, volume_per_min=pl.Series(means, nan_to_null=True).gather(found)
    )
    return Market(tape, known, start, end)


def _in_order(bars: pl.DataFrame) -> bool:
    """Return whether bars lie by (day, symbol, ts)."""
    before = [pl.col(name).shift(1) for name in ("day", "symbol", "ts")]
    day, symbol, ts = before
    later = pl.col("ts") > ts
    same_day = (pl.col("symbol") > symbol) | ((pl.col("symbol") == symbol) & later)
    rising = (pl.col("day") > day) | ((pl.col("day") == day) & same_day)
    return bool(bars.select(rising.fill_null(True).all()).item())


def _micros(times: pl.Series) -> kernel.Ints:
    return times.to_physical().to_numpy()


def asked(laid: Market, rules: Rules) -> kernel.Asked:
    """Return the forecasts as arrays, with the bars they enter at and the times that end their day under the rules."""
    known = laid.known
    sessions = {day: calendar.session(day) for day in known["day"].unique()}
    zone = pl.col("open").dt.convert_time_zone(calendar.ZONE)
    rows = [(day, trading.time_stop(rules, s), s.close, s.open) for day, s in sessions.items()]
    days = pl.DataFrame(rows, {"day": pl.Date, "stop_at": TIME, "close_ts": TIME, "open": TIME}, orient="row")
    days = days.with_columns(offset=(zone.dt.base_utc_offset() + zone.dt.dst_offset()).cast(pl.Duration("us")))
    lag = rules.entry_lag_bars * timedelta(minutes=1)
    frame = known.select(
        place=pl.struct("forecaster", "day").rle_id(),
        group=pl.struct("forecaster", "day", "symbol").rle_id(),
        symbol=pl.col("symbol").rank("dense") - 1,
        entry_ts=pl.col("snapshot_ts") + lag,
        target_ts="target_ts",
        day="day",
        sigma=pl.col("sigma").fill_null(np.nan),
        ratio=(pl.col("q50").abs() / pl.col("sigma")).fill_null(np.nan),
    ).join(days, on="day", how="left", maintain_order="left")
    whole = {name: frame[name].to_physical().cast(pl.Int64).to_numpy() for name in WHOLE}
    first = kernel.rows_at(laid.tape.ts, laid.start, laid.end, whole["entry_ts"])
    floats = {name: frame[name].to_numpy() for name in ("sigma", "ratio")}
    return kernel.Asked(**whole, first=first, end=laid.end, **floats)


def rates(costs: Costs, symbols: Sequence[str]) -> kernel.Rates:
    """Return the rates of each symbol, and of each symbol and hour; NaN where a symbol has none."""
    hours = range(24)

    def by(table: Rates, ats: Sequence[int | None]) -> kernel.Floats:
        # NaN for none: whether a symbol that is asked for has one was settled at its snapshots
        found = [[rate(table, symbol, at) for at in ats] for symbol in symbols]
        return np.array(found, dtype=np.float64).reshape(-1, len(ats))

    return kernel.Rates(
        fees=by(costs.fees_bps, [None])[:, 0],
        half_spread_ticks=by(costs.half_spread_ticks, [None])[:, 0],
        slippage_ticks=by(costs.slippage_ticks, hours),
        slippage_bps=by(costs.slippage_bps, hours),
        borrow=by(costs.borrow_bps, [None])[:, 0],
        tick_size=costs.tick_size,
        multiplier=costs.multiplier,
    )


def limits(spec: TradingSpec) -> kernel.Limits:
    """Return what of a combination bites after the snapshot."""
    rules = spec.rules
    return kernel.Limits(
        s_stop=float(rules.s_stop),
        s_take=float(rules.s_take),
        s_trail=np.inf if rules.s_trail is None else float(rules.s_trail),
        cap_per_trade=float(rules.cap_per_trade),
        daily_cap=-1 if rules.daily_trade_cap is None else rules.daily_trade_cap,
        max_open=rules.max_open_per_symbol,
        rest=rules.cooldown_bars * kernel.MINUTE,
        at_forecast=rules.exit_at_forecast_ts,
        capital=float(spec.capital),
    )
