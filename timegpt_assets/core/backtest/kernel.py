"""The event loop, compiled: arrays in and out, all symbols and sessions in one call, trade for trade the readable loop.

Belongs here: what numba compiles. It is imported where it is called, as numba takes its time. The order of decisions is
told in event_loop.py, and every expression keeps the order of operations of the function it stands for: same bits.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from timegpt_assets.core.backtest.tape import MINUTE, Flags, Floats, Ints, Sides, Tape

MADE_OF = "7c71f0944200917e"
"""Digest of tape.py. numba compiles a file anew when that file has changed and looks at no other: a test has this
renewed when one that it calls does."""
BASIS_POINT, BORROW_DAYS = 1e-4, 360
"""As in costs.py."""
ENTERED, TOO_LATE, DAILY_CAP, POSITION_OPEN, COOLDOWN, NO_PRINT, TURNED_AWAY = range(7)
STOP, TRAIL, TAKE, DUE, VALUED, RAN_OUT = range(6)
"""How a position ended: DUE at its deadline, VALUED at the last print, RAN_OUT of bars before it could."""
QUANTITY, GROSS, FEES, SPREAD, SLIPPAGE, IMPACT, BORROW, COST, NET = range(9)
SUMS = 4
"""Score, gross, cost and notional: what is added up of trades."""
HIT_BITS = 26
HIT = float(1 << HIT_BITS)
"""What a trade of a net P&L above 0 adds to a score beside the 1 of any trade; one of a quantity of 0 adds nothing."""
Money = tuple[float, float, float, float, float, float, float, float, float]
Charged = tuple[float, float, float, float, float, float]
"""Shares that are charged for, fees a USD, spread, slippage a share of the entry, impact a USD, borrow."""


class Asked(NamedTuple):
    """Forecasts by (forecaster, day, symbol, snapshot_ts): when they enter, and where their bars lie in the tape."""

    group: Ints
    """Counts (forecaster, day, symbol)."""
    place: Ints
    """Counts (forecaster, day)."""
    symbol: Ints
    entry_ts: Ints
    target_ts: Ints
    stop_at: Ints
    close_ts: Ints
    offset: Ints
    """New York less UTC."""
    first: Ints
    """Row of the entry bar; -1: there is none."""
    end: Ints
    """Row after the session's last bar."""
    sigma: Floats
    ratio: Floats
    """abs(q50) / sigma: the size before cap_per_trade."""


class Rates(NamedTuple):
    """A row for each that differs of the costs: by symbol, slippage by symbol and New York hour."""

    fees: Floats
    half_spread_ticks: Floats
    slippage_ticks: Floats
    slippage_bps: Floats
    borrow: Floats
    tick_size: Floats
    multiplier: Floats


class Limits(NamedTuple):
    """Rules of one combination that bite after the snapshot; ``trail`` infinite and ``daily_cap`` -1: none."""

    s_stop: float
    s_take: float
    s_trail: float
    cap_per_trade: float
    daily_cap: int
    max_open: int
    rest: int
    at_forecast: bool
    capital: float
    costs: int
    """Row of the rates."""


@njit(cache=True)
def _hour(ts: int, offset: int) -> int:
    return (ts + offset) // (60 * MINUTE) % 24


@njit(cache=True)
def charged(quantity: float, entry: float, multiplier: float, impact: float, fees: float, half_spread: float,
            tick: float, ticks: float, bps: float, borrow: float) -> Charged:  # fmt: skip
    """Return what of a trade is settled when it is entered: event_loop._filled and Costs.paid, their exit's part aside.

    Of plain numbers, as tuples of arrays cost more to hand over than all of this to compute.
    """
    shares = multiplier * abs(quantity)
    lent = abs(quantity) * entry * (multiplier * BASIS_POINT * borrow / BORROW_DAYS) if quantity < 0 else 0.0
    slipped = ticks * tick + bps * BASIS_POINT * entry
    return shares, shares * BASIS_POINT * fees, shares * 2 * half_spread * tick, slipped, shares * impact, lent


@njit(cache=True)
def paid(at_entry: Charged, quantity: float, entry: float, left: float, tick: float, ticks: float, bps: float) -> Money:
    """Return quantity, P&L and costs of a trade that is left at a price, from QUANTITY to NET."""
    shares, fees, spread, slipped, impact, borrow = at_entry
    both, gross = entry + left, quantity * (left - entry)
    charge, slippage = fees * both, shares * (slipped + (ticks * tick + bps * BASIS_POINT * left))
    moved = impact * both
    cost = charge + spread + slippage + moved + borrow
    return quantity, gross, charge, spread, slippage, moved, borrow, cost, gross - cost


@njit(cache=True)
def notional(quantity: float, entry: float, left: float) -> float:
    """Return the USD that a trade is entered and left with."""
    return abs(quantity * entry) + abs(quantity * left)


@njit(cache=True)
def _left(tape: Tape, asked: Asked, i: int, side: int, deadline: int,
          limits: Limits) -> tuple[int, float, int, float, float]:  # fmt: skip
    """Return when, at what price and why the position leaves, and the lowest and highest price it met."""
    entry = tape.open[asked.first[i]]
    stop = entry * math.exp(-side * limits.s_stop * asked.sigma[i])
    take = entry * math.exp(side * limits.s_take * asked.sigma[i])
    behind = math.exp(-side * (limits.s_trail * asked.sigma[i]))
    low = high = entry
    for bar in range(asked.first[i], asked.end[i]):
        opened, known = tape.open[bar], tape.ts[bar] + MINUTE
        if tape.filled[bar]:
            if known == asked.close_ts[i]:
                return known, tape.close[bar], VALUED, low, high
            continue
        if tape.ts[bar] >= deadline:
            return known, opened, DUE, low, high
        level, why = stop, STOP
        trailing = (high if side > 0 else low) * behind
        if side * trailing > side * stop:
            level, why = trailing, TRAIL
        worst, best = (tape.low[bar], tape.high[bar]) if side > 0 else (tape.high[bar], tape.low[bar])
        if side * opened <= side * level:
            return known, opened, why, low, high
        if side * opened >= side * take:
            return known, opened, TAKE, low, high
        if side * worst <= side * level:
            return known, level, why, low, high
        if side * best >= side * take:
            return known, take, TAKE, low, high
        low, high = min(low, tape.low[bar]), max(high, tape.high[bar])
        if known >= deadline:
            return known, tape.close[bar], DUE, low, high
    return 0, 0.0, RAN_OUT, low, high


@njit(cache=True)
def _log_return(side: int, price: float, entry: float) -> float:
    return side * math.log(price / entry) if price > 0 else -side * math.inf


@njit(cache=True)
def _busy(now: int, deadline: int, side: int, sides: Ints, exits: Ints, taken: int, limits: Limits) -> int:
    """Return why a signal cannot be entered: event_loop._busy."""
    if now >= deadline:
        return TOO_LATE
    if taken == limits.daily_cap:
        return DAILY_CAP
    still_open, other, resting = 0, False, False
    for k in range(taken):
        if exits[k] > now:
            still_open += 1
            other |= sides[k] == -side
        elif now < exits[k] + limits.rest:
            resting = True
    if still_open == limits.max_open or other:
        return POSITION_OPEN
    return COOLDOWN if resting else ENTERED


class Ledger(NamedTuple):
    """A row for each forecast: what became of it; ``levels``: entry_price, exit_price, mae, mfe."""

    entered: Ints
    left: Ints
    exit_ts: Ints
    money: Floats
    levels: Floats


def empty_ledger(rows: int) -> Ledger:
    """Return a ledger in which nothing was entered."""
    whole = (np.full(rows, TURNED_AWAY), np.zeros(rows, np.int64), np.zeros(rows, np.int64))
    return Ledger(*whole, np.zeros((rows, NET + 1)), np.full((rows, 4), np.nan))


@njit(cache=True)
def follow(tape: Tape, asked: Asked, sides: Sides, barred: Flags, impact: Floats, rates: Rates, limits: Limits,
           ledger: Ledger, sums: Floats) -> bool:  # fmt: skip
    """Write what becomes of every signal (``sides`` not 0) into the ledger; False: bars ran out before an exit.

    Score, gross, cost and notional of the trades are added to ``sums``, each at its place. A ledger of one row is
    written over and over: where sums are all that is asked for, whole ones would take longer than the trades.
    """
    group, taken = -1, 0
    taken_sides, taken_exits = np.empty(sides.size, np.int64), np.empty(sides.size, np.int64)
    for i in range(sides.size):
        side, row = sides[i], min(i, ledger.entered.size - 1)
        if asked.group[i] != group:
            group, taken = asked.group[i], 0
        if side == 0:
            ledger.entered[row] = TURNED_AWAY
            continue
        deadline = min(asked.stop_at[i], asked.target_ts[i]) if limits.at_forecast else asked.stop_at[i]
        why = TURNED_AWAY if barred[i] else _busy(
            asked.entry_ts[i], deadline, side, taken_sides, taken_exits, taken, limits
        )  # fmt: skip
        first = asked.first[i]
        if why == ENTERED:
            if first < 0:
                return False
            if tape.filled[first] or tape.open[first] <= 0:
                why = NO_PRINT
        ledger.entered[row] = why
        if why != ENTERED:
            continue
        ts, price, left, low, high = _left(tape, asked, i, side, deadline, limits)
        if left == RAN_OUT:
            return False
        taken_sides[taken], taken_exits[taken] = side, ts
        taken += 1
        entry, low, high = tape.open[first], min(low, price), max(high, price)
        ledger.exit_ts[row], ledger.left[row] = ts, left
        down, up = _log_return(side, low, entry), _log_return(side, high, entry)
        ledger.levels[row, 0], ledger.levels[row, 1] = entry, price
        ledger.levels[row, 2], ledger.levels[row, 3] = min(down, up), max(down, up)
        quantity = side * min(asked.ratio[i], limits.cap_per_trade) * limits.capital / entry
        of, at, tick = limits.costs, asked.symbol[i], rates.tick_size[limits.costs]
        then, until = _hour(asked.entry_ts[i], asked.offset[i]), _hour(ts - MINUTE, asked.offset[i])
        at_entry = charged(
            quantity, entry, rates.multiplier[of], impact[i], rates.fees[of, at], rates.half_spread_ticks[of, at], tick,
            rates.slippage_ticks[of, at, then], rates.slippage_bps[of, at, then], rates.borrow[of, at],
        )  # fmt: skip
        ticks, bps = rates.slippage_ticks[of, at, until], rates.slippage_bps[of, at, until]
        money = paid(at_entry, quantity, entry, price, tick, ticks, bps)
        for part in range(NET + 1):
            ledger.money[row, part] = money[part]
        if quantity != 0:
            to = sums[asked.place[i]]
            to[0] += HIT * (money[NET] > 0) + 1
            to[1] += money[GROSS]
            to[2] += money[COST]
            to[3] += notional(quantity, entry, price)
    return True


def told_apart(sums: Floats) -> list[Any]:
    """Return trades, hits, gross, cost, net and notional: a row each, of SUMS rows."""
    score, gross, cost, notional = sums
    whole = score.astype(np.int64)
    return [whole & ((1 << HIT_BITS) - 1), whole >> HIT_BITS, gross, cost, gross - cost, notional]
