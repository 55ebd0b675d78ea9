"""The compiled engine's door: frames become the kernel's arrays, laid out once for many combinations.

Belongs here: what the kernel reads. What combinations share is in shared.py. It imports numba: import it where called.
"""

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import event_loop, kernel, signals
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.costs import PARTS, Costs, rate
from timegpt_assets.core.backtest.rules import NO_SIGNAL, Rules
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec
from timegpt_assets.core.backtest.tape import MINUTE, Floats, Ints, Tape, rise, rows_at, running_means
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.backtest import TRADES
from timegpt_assets.core.tables.columns import ORIGIN_KEY

ORDER = ("forecaster", "day", "symbol", "snapshot_ts")
OWN = ("entry_ts", "target_ts", "stop_at", "close_ts", "offset", "sigma", "ratio")
BLOCK = ("day", "symbol")
READ = (
    *("day", "symbol", "snapshot_ts", "target_ts", "horizon_min", "q25", "q50", "q75", "sigma", "label_aligned"),
    *ORIGIN_KEY,
)
"""Columns of forecasts that trades are made of."""
PRICES = ("open", "high", "low", "close")
MONEY = ("quantity", "gross_pnl", *PARTS, "cost", "net_pnl")
LEVELS = ("entry_price", "exit_price", "mae", "mfe")
NOT_ENTERED = {
    kernel.TOO_LATE: "too_late",
    kernel.DAILY_CAP: "daily_cap",
    kernel.POSITION_OPEN: "position_open",
    kernel.COOLDOWN: "cooldown",
    kernel.NO_PRINT: event_loop.HALTED,
}
LEFT = {kernel.STOP: "stop", kernel.TRAIL: "trail", kernel.TAKE: "take", kernel.VALUED: event_loop.HALTED}


@dataclass(frozen=True, slots=True)
class Market:
    """Bars laid out, and the forecasts made on them, in ORDER, with what was known at their snapshots."""

    tape: Tape
    known: pl.DataFrame
    symbols: list[str]
    """Of the forecasts, rising."""
    symbol: Ints
    """Which of them each forecast is of."""
    place: Ints
    """Counts (forecaster, day)."""
    group: Ints
    """Counts (forecaster, day, symbol)."""
    start: Ints
    """Row of the first bar of each forecast's session."""
    end: Ints

    @property
    def places(self) -> int:
        """Return how many (forecaster, day) there are."""
        return int(self.place[-1]) + 1 if self.place.size else 0


def market(forecasts: pl.DataFrame, bars: pl.DataFrame) -> Market:
    """Return what every combination reads."""
    # in one piece: as arrays, columns of several would be copied one by one
    ordered, blocks = _in_order(bars.select(*BLOCK, "ts", *PRICES, "volume", "is_filled").rechunk())
    symbols = forecasts["symbol"].unique().sort()
    numbered = pl.DataFrame({"symbol": symbols}).with_row_index("number")
    asked = forecasts.select(READ).sort(ORDER)
    groups = runs(asked, ORDER[:3])
    of_groups = (
        groups.join(blocks, on=["day", "symbol"], how="left", maintain_order="left")
        .join(numbered, on="symbol", how="left", maintain_order="left")
        .select(
            pl.col("start_right", "end_right").fill_null(0).name.map(lambda name: name.removesuffix("_right")),
            symbol="number",
            place=pl.struct(ORDER[:2]).rle_id(),
            group=pl.int_range(pl.len()),
        )
        .cast(pl.Int64)
    )
    rows = groups["end"] - groups["start"]
    places = {name: np.repeat(of_groups[name].to_numpy(), rows.to_numpy()) for name in of_groups.columns}
    prices = {name: _numbers(ordered[name]) for name in PRICES}
    tape = Tape(_micros(ordered["ts"]), filled=fixed(ordered["is_filled"]), **prices)
    last = rows_at(tape.ts, places["start"], places["end"], _micros(asked["snapshot_ts"]) - MINUTE)
    means = running_means(_numbers(ordered["volume"]), places["start"], places["end"], last)
    known = asked.with_columns(
        last_price=ordered["close"].gather(pl.Series(last, dtype=pl.Int64).replace(-1, None)),
        volume_per_min=pl.Series(means, nan_to_null=True),
    )
    return Market(tape, known, symbols.to_list(), **places)


def _in_order(bars: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return bars by (day, symbol, ts), sorted where they are not, and where the rows of each (day, symbol) lie."""
    blocks = runs(bars, BLOCK)
    keys = blocks.select(BLOCK)
    if keys.equals(keys.unique().sort(BLOCK)) and rise(_micros(bars["ts"]), *_edges(blocks)):
        return bars, blocks
    ordered = bars.sort(*BLOCK, "ts")
    return ordered, runs(ordered, BLOCK)


def runs(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the names, start and end of each run of rows that have them alike."""
    columns = [frame[name] for name in names]
    turns = functools.reduce(operator.or_, (column[1:].ne_missing(column[:-1]) for column in columns))
    start = np.append(0, turns.arg_true().to_numpy().astype(np.int64) + 1)[: frame.height]
    end = np.append(start[1:], frame.height)[: start.size]
    return frame.select(names)[start].with_columns(start=pl.Series(start), end=pl.Series(end))


def _edges(blocks: pl.DataFrame) -> tuple[Ints, Ints]:
    start, end = (fixed(blocks[name].cast(pl.Int64)) for name in ("start", "end"))
    return start, end


def fixed(values: pl.Series) -> Any:
    """Return the values as an array nobody may write to: numba compiles anew for those that may be written to."""
    array = values.to_physical().to_numpy().view()
    array.flags.writeable = False
    return array


def _numbers(values: pl.Series) -> Floats:
    """Return the values with NaN for null; not copied where there is none."""
    numbers: Floats = fixed((values.fill_null(np.nan) if values.null_count() else values).cast(pl.Float64))
    return numbers


def _micros(times: pl.Series) -> Ints:
    micros: Ints = fixed(times.cast(TIME))
    return micros


def asked(laid: Market, rules: Rules) -> kernel.Asked:
    """Return the forecasts as arrays, with the bars they enter at and the times that end their day under the rules."""
    known = laid.known
    sessions = {day: calendar.session(day) for day in known["day"].unique()}
    zone = pl.col("open").dt.convert_time_zone(calendar.ZONE)
    rows = [(day, trading.time_stop(rules, s), s.close, s.open) for day, s in sessions.items()]
    days = pl.DataFrame(rows, {"day": pl.Date, "stop_at": TIME, "close_ts": TIME, "open": TIME}, orient="row")
    days = days.with_columns(offset=(zone.dt.base_utc_offset() + zone.dt.dst_offset()).cast(pl.Duration("us")))
    frame = known.select(
        "day",
        "target_ts",
        entry_ts=pl.col("snapshot_ts") + rules.entry_lag_bars * timedelta(minutes=1),
        sigma=pl.col("sigma").fill_null(np.nan),
        ratio=(pl.col("q50").abs() / pl.col("sigma")).fill_null(np.nan),
    ).join(days, on="day", how="left", maintain_order="left")
    own = {name: fixed(frame[name]) for name in OWN}
    first = rows_at(laid.tape.ts, laid.start, laid.end, own["entry_ts"])
    return kernel.Asked(group=laid.group, place=laid.place, symbol=laid.symbol, first=first, end=laid.end, **own)


def rates(costs: Sequence[Costs], symbols: Sequence[str]) -> kernel.Rates:
    """Return the rates of each symbol, and of each symbol and hour, under each of the costs; NaN where it has none."""

    def by(name: str, ats: Sequence[int | None]) -> Floats:
        # NaN for none: whether a symbol that is asked for has one was settled at its snapshots
        found = [[[rate(getattr(own, name), symbol, at) for at in ats] for symbol in symbols] for own in costs]
        return np.array(found, dtype=np.float64).reshape(len(costs), len(symbols), len(ats))

    every, hours = [None], range(24)
    return kernel.Rates(
        fees=by("fees_bps", every)[:, :, 0],
        half_spread_ticks=by("half_spread_ticks", every)[:, :, 0],
        slippage_ticks=by("slippage_ticks", hours),
        slippage_bps=by("slippage_bps", hours),
        borrow=by("borrow_bps", every)[:, :, 0],
        tick_size=np.array([own.tick_size for own in costs], np.float64),
        multiplier=np.array([own.multiplier for own in costs], np.float64),
    )


def limits(spec: TradingSpec, costs: int) -> kernel.Limits:
    """Return what of a combination bites after the snapshot; ``costs``: its row of the rates."""
    rules = spec.rules
    return kernel.Limits(
        s_stop=float(rules.s_stop),
        s_take=float(rules.s_take),
        s_trail=np.inf if rules.s_trail is None else float(rules.s_trail),
        cap_per_trade=float(rules.cap_per_trade),
        daily_cap=-1 if rules.daily_trade_cap is None else rules.daily_trade_cap,
        max_open=rules.max_open_per_symbol,
        rest=rules.cooldown_bars * MINUTE,
        at_forecast=rules.exit_at_forecast_ts,
        capital=float(spec.capital),
        costs=costs,
    )


def trades(inputs: Inputs, spec: TradingSpec) -> pl.DataFrame:
    """Return what event_loop.trades returns, bit for bit, and raise what it raises."""
    laid = market(inputs.forecasts, inputs.bars)
    judged = signals.decided(signals.weighed(laid.known, inputs, spec), spec.rules)
    own, ledger = asked(laid, spec.rules), kernel.empty_ledger(judged.height)
    signal = ~pl.col("reason").is_in(list(NO_SIGNAL))
    sides = judged.select(pl.when(signal).then("side").otherwise(0).cast(pl.Int8)).to_series()
    barred, impact = fixed(judged["reason"] != ""), fixed(judged["impact"].fill_null(0.0))
    charged = rates([spec.costs], laid.symbols)
    sums = np.zeros((laid.places, kernel.SUMS))
    if not kernel.follow(laid.tape, own, fixed(sides), barred, impact, charged, limits(spec, 0), ledger, sums):
        # bars ran out: the loop names the trade
        return event_loop.trades(inputs, spec)
    stop_at = pl.Series("stop_at", own.stop_at).cast(TIME)
    return TRADES.conformed(_told(judged.with_columns(stop_at), ledger, spec.rules).filter(signal))


def _told(judged: pl.DataFrame, ledger: kernel.Ledger, rules: Rules) -> pl.DataFrame:
    """Return the forecasts with what became of them, in the loop's words."""
    entered = pl.col("entered") == kernel.ENTERED
    at_forecast = pl.lit(rules.exit_at_forecast_ts) & (pl.col("target_ts") <= pl.col("stop_at"))
    due = pl.when(at_forecast).then(pl.lit("forecast_ts")).otherwise(pl.lit("time_stop"))
    turned = pl.col("entered").replace_strict(NOT_ENTERED, default=pl.col("reason"), return_dtype=pl.String)
    ways = pl.col("left").replace_strict(LEFT, default=due, return_dtype=pl.String)
    told = judged.with_columns(
        pl.Series("entered", ledger.entered),
        pl.Series("left", ledger.left),
        pl.Series("exit_ts", ledger.exit_ts).cast(TIME),
        *(pl.Series(name, ledger.money[:, i]) for i, name in enumerate(MONEY)),
        *(pl.Series(name, ledger.levels[:, i], nan_to_null=True) for i, name in enumerate(LEVELS)),
    ).with_columns(exit_ts=pl.when(entered).then("exit_ts"))
    return told.with_columns(
        holding_min=(pl.col("exit_ts") - pl.col("entry_ts")).dt.total_minutes(),
        entry_reason=pl.when(entered).then(pl.lit(rules.rule_set)).otherwise(turned),
        exit_reason=pl.when(entered).then(ways).otherwise(pl.lit("")),
    )
