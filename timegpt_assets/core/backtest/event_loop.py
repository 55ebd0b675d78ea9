"""The backtest one can read: bar by bar, one symbol and one session at a time, nothing carried over.

Belongs here: stepping through the bars from the entry until the exit. Every faster road must give the same trades.

The order of decisions. A forecast is judged at its snapshot (signals.py), and a signal leaves a row whatever becomes of
it. Signals of a symbol and session are taken in order of their snapshots, each at the start of its entry bar:

1. turned away at the snapshot: its reason is known before any bar is read;
2. ``too_late``: the entry bar starts at or after the deadline, the earlier of target_ts (where exit_at_forecast_ts
   holds) and the time stop;
3. ``daily_cap``: as many entries of the session as allowed were filled;
4. ``position_open``: max_open_per_symbol filled entries have not left by the start of the bar, or one of the other
   side has not;
5. ``cooldown``: one has left, and fewer than cooldown_bars whole bars have passed since;
6. ``halted``: the bar has no print. It uses up neither cap nor cooldown;
7. filled at the bar's open.

From the entry bar on, each bar is asked in this order, and the first that holds is the exit. The stop is the tighter of
the fixed one and, where s_trail is set, the trailing one, which stands s_trail sigma behind the best price printed in
the bars before this one (``trail``; the entry price, in the entry bar):

1. no print: nothing, but for the session's last bar, at whose (copied) price the position is valued: ``halted``;
2. the bar starts at or after the deadline (it fell into a halt): at the open, ``forecast_ts`` or ``time_stop``;
3. the open is at or beyond the stop: at the open, ``stop`` or ``trail``;
4. the open is at or beyond the take: at the open, ``take``;
5. the bar touches the stop: at the stop. Nobody knows what came first inside a bar: it wins over a touched take;
6. the bar touches the take: at the take;
7. the bar ends at the deadline: at its close, ``forecast_ts`` or ``time_stop``.
"""

import functools
import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest import signals
from timegpt_assets.core.backtest.costs import PARTS, Leg
from timegpt_assets.core.backtest.rules import ExitPrices, Rules, TradingError
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec
from timegpt_assets.core.tables.backtest import TRADES
from timegpt_assets.core.tables.columns import ORIGIN_KEY

MINUTE = timedelta(minutes=1)
HALTED = "halted"
"""The reason of an entry that met no print, and of an exit that waited for one in vain."""
NOT_ENTERED = {
    "too_late": "its entry bar starts at or after the deadline of its own exit",
    "daily_cap": "trading.daily_trade_cap entries of the session were filled before it",
    "position_open": "trading.max_open_per_symbol entries of the symbol were open, or one of the other side",
    "cooldown": "fewer than trading.cooldown_bars whole bars had passed since an exit",
    HALTED: "no print in the minute it would have entered at",
}
"""Reason for which a signal that nobody turned away was not entered -> what it means."""
EXITS = {
    "stop": "s_stop sigma against the entry price was touched; a bar that touches both levels counts as the stop",
    "trail": "s_trail sigma behind the best price of the bars before was touched, and that lay nearer than the stop",
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
    """How a position ended; ``ts`` is when the price is known, one minute after the exit bar's start.

    ``whole_bar``: the position was held until the bar's close, so that every price of the bar met it.
    """

    ts: datetime
    price: float
    reason: str
    whole_bar: bool = False


def trades(inputs: Inputs, spec: TradingSpec) -> pl.DataFrame:
    """Return TRADES: one row per signal, of quantity 0 and with the reason where nothing was entered.

    Each (day, symbol, forecaster) stands alone: position, daily cap and cooldown begin anew. Raises TradingError for
    bars that end before an exit and for a symbol without a spread, UnknownEvent for an event without days.
    """
    judged = signals.judged(inputs, spec)
    asked = judged.filter(~pl.col("reason").is_in(list(trading.NO_SIGNAL)))
    traded = inputs.bars.join(asked, on=["day", "symbol"], how="semi").sort("day", "symbol", "ts")
    tapes = {key: _Tape.of(grid) for key, grid in traded.partition_by("day", "symbol", as_dict=True).items()}
    rows = [
        row
        for (day, symbol, _), own in sorted(asked.partition_by("day", "symbol", "forecaster", as_dict=True).items())
        for row in _session_trades(own, tapes[day, symbol], spec)
    ]
    return TRADES.conformed(pl.DataFrame(rows, schema=TRADES.schema, orient="row"))


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


def _session_trades(asked: pl.DataFrame, tape: _Tape, spec: TradingSpec) -> Iterator[dict[str, Any]]:
    """Yield a row for each signal of one symbol and session, oldest first."""
    session, rules = calendar.session(asked["day"][0]), spec.rules
    stop_at = trading.time_stop(rules, session)
    taken: list[tuple[int, Exit]] = []
    for signal in asked.iter_rows(named=True):
        deadline = min(stop_at, signal["target_ts"]) if rules.exit_at_forecast_ts else stop_at
        if reason := signal["reason"] or _busy(signal, deadline, taken, rules):
            yield _unfilled(signal, reason)
            continue
        first = next(tape.since(signal["entry_ts"]))
        if first.is_filled or first.open <= 0:
            yield _unfilled(signal, HALTED)
            continue
        left, seen = _exit(signal, first.open, tape, deadline=deadline, rules=rules)
        taken.append((signal["side"], left))
        yield _filled(signal, first.open, left, spec) | _excursions(signal["side"], first.open, seen)


def _busy(signal: Mapping[str, Any], deadline: datetime, taken: Sequence[tuple[int, Exit]], rules: Rules) -> str:
    """Return why the signal cannot be entered; empty when it can. ``taken``: side and exit of the entries before it."""
    now = signal["entry_ts"]
    still_open = [side for side, left in taken if left.ts > now]
    if now >= deadline:
        return "too_late"
    if len(taken) == rules.daily_trade_cap:
        return "daily_cap"
    if len(still_open) == rules.max_open_per_symbol or -signal["side"] in still_open:
        return "position_open"
    rest = rules.cooldown_bars * MINUTE
    return "cooldown" if any(left.ts <= now < left.ts + rest for _, left in taken) else ""


@dataclass(frozen=True, slots=True)
class _Position:
    """What is open: its side and levels, when it is due and why, when the session closes; ``seen``: prices it met."""

    side: int
    levels: ExitPrices
    deadline: datetime
    due: str
    close: datetime
    seen: list[float]

    def stop(self) -> tuple[float, str]:
        """Return the stop in force, and whether it is the fixed or the trailing one."""
        best = self.side * max(self.side * price for price in self.seen)
        trailing = best * self.levels.trail
        if self.side * trailing > self.side * self.levels.stop:
            return trailing, "trail"
        return self.levels.stop, "stop"


def _exit(
    signal: Mapping[str, Any], entry_price: float, tape: _Tape, *, deadline: datetime, rules: Rules
) -> tuple[Exit, list[float]]:
    """Return how the position opened at the entry bar's open ends, judged bar by bar, and the prices it met."""
    side, bars = signal["side"], tape.since(signal["entry_ts"])
    levels = trading.exit_prices(rules, side=side, entry_price=entry_price, sigma=signal["sigma"])
    at_forecast = rules.exit_at_forecast_ts and signal["target_ts"] == deadline
    due = "forecast_ts" if at_forecast else "time_stop"
    position = _Position(side, levels, deadline, due, tape.close, [entry_price])
    while True:
        bar = next(bars)
        left = _left(bar, position)
        if not bar.is_filled and (left is None or left.whole_bar):
            position.seen.extend((bar.low, bar.high))
        if left is not None:
            return left, [*position.seen, left.price]


def _left(bar: Bar, position: _Position) -> Exit | None:
    """Return the exit in this bar, asked in the order told above; None: the position stays open."""
    known, side, take = bar.ts + MINUTE, position.side, position.levels.take
    if bar.is_filled:  # its prices are copies of the last print's: nobody could have traded at them
        return Exit(known, bar.close, HALTED) if known == position.close else None
    if bar.ts >= position.deadline:  # due during a halt, before any level could be touched: first at the reopening
        return Exit(known, bar.open, position.due)
    stop, why = position.stop()
    worst, best = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
    if side * bar.open <= side * stop:
        return Exit(known, bar.open, why)
    if side * bar.open >= side * take:
        return Exit(known, bar.open, "take")
    if side * worst <= side * stop:
        return Exit(known, stop, why)
    if side * best >= side * take:
        return Exit(known, take, "take")
    return Exit(known, bar.close, position.due, whole_bar=True) if known >= position.deadline else None


def _excursions(side: int, entry_price: float, seen: Sequence[float]) -> dict[str, float]:
    """Return how far the prices a position met went against it (mae <= 0) and its way (mfe >= 0), as log returns."""
    returns = [side * math.log(price / entry_price) if price > 0 else -side * math.inf for price in seen]
    return {"mae": min(returns), "mfe": max(returns)}


def _filled(signal: Mapping[str, Any], entry_price: float, left: Exit, spec: TradingSpec) -> dict[str, Any]:
    """Return the row of a trade: quantity is signed by side, P&L in USD.

    Impact is that of the shares bought, from what was known at the snapshot.
    """
    quantity = signal["side"] * signal["size"] * spec.capital / entry_price
    gross = quantity * (left.price - entry_price)
    entry, exit_ = Leg(entry_price, signal["entry_ts"]), Leg(left.price, left.ts - MINUTE)
    paid = spec.costs.paid(signal["symbol"], entry, exit_, quantity=quantity, impact=signal["impact"])
    cost = functools.reduce(operator.add, paid.values())  # sum compensates where it is of Python 3.12
    return _unfilled(signal, spec.rules.rule_set) | {
        "entry_price": entry_price,
        "exit_ts": left.ts,
        "exit_price": left.price,
        "quantity": quantity,
        "gross_pnl": gross,
        **paid,
        "cost": cost,
        "net_pnl": gross - cost,
        "holding_min": int((left.ts - signal["entry_ts"]) / MINUTE),
        "exit_reason": left.reason,
    }


def _unfilled(signal: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Return the row of a signal that was not entered: no price, no quantity, no P&L."""
    copied = ("day", "symbol", "snapshot_ts", "target_ts", "entry_ts", "side", "size", "ev", "sigma", "sigma_column")
    verdicts = ("capacity", "eligibility", "liquidity")
    money = dict.fromkeys(("quantity", "gross_pnl", *PARTS, "cost", "net_pnl"), 0.0)
    prices = dict.fromkeys(("entry_price", "exit_ts", "exit_price", "holding_min", "mae", "mfe"))
    reasons = {"entry_reason": reason, "exit_reason": ""}
    return {name: signal[name] for name in (*copied, *verdicts, *ORIGIN_KEY)} | money | prices | reasons
