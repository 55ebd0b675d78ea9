"""The backtest one can read: bar by bar, one symbol and one session at a time, nothing carried over.

Belongs here: joining forecasts with what was known at the snapshot, and stepping through the bars until the exit.
Every faster road must give the same trades as this one.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.rules import Rules, TradingError, TradingSpec
from timegpt_assets.core.events import EventCalendar, no_trade_windows, skip_days
from timegpt_assets.core.tables.backtest import TRADES
from timegpt_assets.core.tables.columns import SOURCE_KEY
from timegpt_assets.core.tables.gates import INSUFFICIENT

MINUTE = timedelta(minutes=1)
HALTED = "halted"
"""The reason of an entry that met no print, and of an exit that waited for one in vain."""
EXITS = {
    "stop": "s_stop sigma against the entry price was touched; a bar that touches both levels counts as the stop",
    "take": "s_take sigma in favour of the entry price was touched",
    "forecast_ts": "the forecast's own target_ts, where exit_at_forecast_ts holds",
    "time_stop": "time_stop_et, or early_close_margin_min before an early close",
    HALTED: "no print until the close: valued at the last one",
}
"""exit_reason -> what it means."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One minute of the grid, USD; NaN before the session's first print, where ``is_filled`` holds."""

    ts: datetime
    open: float
    high: float
    low: float
    close: float
    is_filled: bool


@dataclass(frozen=True, slots=True)
class Exit:
    """How a position ended; ``ts`` is when the price is known, one minute after the exit bar's start."""

    ts: datetime
    price: float
    reason: str


def trades(
    forecasts: pl.DataFrame,
    bars: pl.DataFrame,
    symbol_gates: pl.DataFrame,
    spec: TradingSpec,
    *,
    events: EventCalendar,
    illiquid: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return TRADES: one row per entry, and one of quantity 0 per entry that met a minute without a print.

    Nothing is entered on the days of ``spec.skip_events``, within ``spec.no_trade_buffer_min`` of a timed event, nor on
    the rows (day, symbol, snapshot_ts) of ``illiquid`` (backtest/liquidity.py).
    Each (day, symbol) stands alone: position, daily cap and cooldown begin anew. Raises TradingError for bars that
    end before an exit and for a symbol without a spread, UnknownEvent for an event without days.
    """
    entries = _clear_of(_signals(forecasts, bars, symbol_gates, spec), events, spec)
    if illiquid is not None:
        entries = entries.join(illiquid, on=["day", "symbol", "snapshot_ts"], how="anti", maintain_order="left")
    grids = bars.sort("day", "symbol", "ts").partition_by("day", "symbol", as_dict=True)
    rows = [
        row
        for key, own in sorted(entries.partition_by("day", "symbol", as_dict=True).items())
        for row in _session_trades(own, _Tape.of(grids[key]), spec)
    ]
    return TRADES.conformed(pl.DataFrame(rows, schema=TRADES.schema, orient="row"))


def _signals(
    forecasts: pl.DataFrame, bars: pl.DataFrame, symbol_gates: pl.DataFrame, spec: TradingSpec
) -> pl.DataFrame:
    """Return the forecasts that ask for an entry, with side, size, ev, entry_ts and eligibility.

    The cost is judged at the last price known at the snapshot: the close of the bar that ends then.
    """
    rules = spec.rules
    known = bars.select("day", "symbol", pl.col("ts") + MINUTE, pl.col("close").alias("last_price"))
    frame = forecasts.join(known, left_on=["day", "symbol", "snapshot_ts"], right_on=["day", "symbol", "ts"])
    frame = frame.filter(pl.col("last_price").is_not_null())
    prices = frame.select("symbol", "last_price").iter_rows()
    round_trip = pl.Series("round_trip", [spec.costs.round_trip(*row) for row in prices], dtype=pl.Float64)
    frame = frame.with_columns(round_trip).with_columns(side=trading.side(rules), size=trading.size(rules))
    frame = frame.with_columns(
        ev=trading.expected_value(rules), entry_ts=pl.col("snapshot_ts") + rules.entry_lag_bars * MINUTE
    ).filter(trading.is_traded(rules))
    return _eligible(frame, symbol_gates, spec.bootstrap).sort("day", "symbol", "snapshot_ts")


def _eligible(frame: pl.DataFrame, symbol_gates: pl.DataFrame, bootstrap: str) -> pl.DataFrame:
    """Return the rows whose own source triple may trade, each with the verdict that lets it."""
    by = ["day", "symbol", *SOURCE_KEY]
    verdicts = symbol_gates.filter(pl.col("criterion") == "eligibility").select(
        *by, pl.col("verdict").alias("eligibility"), "bootstrap"
    )
    joined = frame.join(verdicts, on=by, how="left").with_columns(
        pl.col("eligibility").fill_null(INSUFFICIENT), pl.col("bootstrap").fill_null(bootstrap)
    )
    unseen_may_trade = (pl.col("eligibility") == INSUFFICIENT) & (pl.col("bootstrap") == "trade")
    return joined.filter((pl.col("eligibility") == "eligible") | unseen_may_trade)


def _clear_of(entries: pl.DataFrame, events: EventCalendar, spec: TradingSpec) -> pl.DataFrame:
    """Return the entries on no skipped day and near no timed event."""
    spans = no_trade_windows(events, buffer_min=spec.no_trade_buffer_min).select("start", "end").rows()
    # The literal stands where no event is timed: any_horizontal needs a column.
    near = pl.any_horizontal(pl.lit(False), *(pl.col("entry_ts").is_between(*span) for span in spans))
    return entries.filter(~pl.col("day").is_in(skip_days(events, spec.skip_events)) & ~near)


@dataclass(frozen=True, slots=True)
class _Tape:
    """The minutes of one symbol's session, in order."""

    name: str
    close: datetime
    bars: Sequence[Bar]
    positions: Mapping[datetime, int]

    @classmethod
    def of(cls, grid: pl.DataFrame) -> "_Tape":
        # NaN, so that prices are plain floats; such minutes are is_filled and nothing is traded at them.
        prices = pl.col("open", "high", "low", "close").fill_null(math.nan)
        bars = [Bar(*row) for row in grid.select("ts", prices, "is_filled").iter_rows()]
        day, symbol = grid.select("day", "symbol").row(0)
        close = calendar.session(day).close
        return cls(f"{symbol} {day}", close, bars, {bar.ts: i for i, bar in enumerate(bars)})

    def since(self, ts: datetime) -> Iterator[Bar]:
        """Yield the bars from the one that starts at ``ts`` on. Raises TradingError when they run out."""
        yield from self.bars[self.positions.get(ts, len(self.bars)) :]
        raise TradingError(
            f"bars of {self.name} end before the trade entered at {ts:%H:%M} UTC has left. Materialise bars again."
        )


def _session_trades(entries: pl.DataFrame, tape: _Tape, spec: TradingSpec) -> Iterator[dict[str, Any]]:
    """Yield the trades of one symbol and session, oldest first."""
    session, rules = calendar.session(entries["day"][0]), spec.rules
    stop_at = trading.time_stop(rules, session)
    free_from = session.open
    filled = 0
    for entry in entries.iter_rows(named=True):
        deadline = min(stop_at, entry["target_ts"]) if rules.exit_at_forecast_ts else stop_at
        if filled == rules.daily_trade_cap or not free_from <= entry["entry_ts"] < deadline:
            continue
        first = next(tape.since(entry["entry_ts"]))
        if first.is_filled:
            yield _unfilled(entry)
            continue
        left = _exit(entry, first.open, tape, deadline=deadline, rules=rules)
        filled += 1
        free_from = left.ts + rules.cooldown_bars * MINUTE
        yield _filled(entry, first.open, left, spec)


def _exit(entry: Mapping[str, Any], entry_price: float, tape: _Tape, *, deadline: datetime, rules: Rules) -> Exit:
    """Return how the position opened at the entry bar's open ends, judged bar by bar in order.

    An open beyond a level fills there. Inside a bar nobody knows what came first: both touched is the stop. A minute
    without a print fills nothing: what fell due in it leaves at the open of the next print, and a position whose symbol
    never prints again that session is valued at the last print (``halted``).
    """
    side = entry["side"]
    exits = trading.exit_prices(rules, side=side, entry_price=entry_price, sigma=entry["sigma"])
    at_forecast = rules.exit_at_forecast_ts and entry["target_ts"] == deadline
    due = "forecast_ts" if at_forecast else "time_stop"
    bars = tape.since(entry["entry_ts"])
    while True:
        bar = next(bars)
        known = bar.ts + MINUTE
        if bar.is_filled:  # its prices are copies of the last print's: nobody could have traded at them
            if known == tape.close:
                return Exit(known, bar.close, HALTED)
            continue
        if bar.ts >= deadline:  # due during a halt, before any level could be touched: first in line at the reopening
            return Exit(known, bar.open, due)
        worst, best = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
        if side * bar.open <= side * exits.stop:
            return Exit(known, bar.open, "stop")
        if side * bar.open >= side * exits.take:
            return Exit(known, bar.open, "take")
        if side * worst <= side * exits.stop:
            return Exit(known, exits.stop, "stop")
        if side * best >= side * exits.take:
            return Exit(known, exits.take, "take")
        if known >= deadline:
            return Exit(known, bar.close, due)


def _filled(entry: Mapping[str, Any], entry_price: float, left: Exit, spec: TradingSpec) -> dict[str, Any]:
    """Return the row of a trade: quantity is signed by side, P&L in USD."""
    quantity = entry["side"] * entry["size"] * spec.capital / entry_price
    gross = quantity * (left.price - entry_price)
    paid = spec.costs.paid(entry["symbol"], quantity=quantity, entry_price=entry_price, exit_price=left.price)
    return _unfilled(entry) | {
        "entry_price": entry_price,
        "exit_ts": left.ts,
        "exit_price": left.price,
        "quantity": quantity,
        "gross_pnl": gross,
        "cost": paid,
        "net_pnl": gross - paid,
        "entry_reason": spec.rules.rule_set,
        "exit_reason": left.reason,
    }


def _unfilled(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an entry that met a minute without a print: no price, no quantity, no P&L."""
    copied = ("day", "symbol", "snapshot_ts", "target_ts", "entry_ts", "side", "size", "ev", "sigma", "eligibility")
    money = dict.fromkeys(("quantity", "gross_pnl", "cost", "net_pnl"), 0.0)
    prices = dict.fromkeys(("entry_price", "exit_ts", "exit_price"))
    reasons = {"entry_reason": HALTED, "exit_reason": ""}
    return {name: entry[name] for name in (*copied, *SOURCE_KEY)} | money | prices | reasons
