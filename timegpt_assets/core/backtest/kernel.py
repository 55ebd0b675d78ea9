"""The event loop, compiled: arrays in and out, all symbols and sessions in one call, trade for trade the readable loop.

Belongs here: what numba compiles. It is imported where it is called, as numba takes its time. The order of decisions is
told in event_loop.py, and every expression keeps the order of operations of the function it stands for: same bits.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from timegpt_assets.core.backtest.costs import BASIS_POINT, BORROW_DAYS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MINUTE = 60_000_000
"""Microseconds, as all times here."""
NEVER = 1 << 14
"""More than twice the minutes of any session."""
ENTERED, TOO_LATE, DAILY_CAP, POSITION_OPEN, COOLDOWN, NO_PRINT, TURNED_AWAY = range(7)
STOP, TRAIL, TAKE, DUE, VALUED, RAN_OUT = range(6)
"""How a position ended: DUE at its deadline, VALUED at the last print, RAN_OUT of bars before it could."""
QUANTITY, GROSS, FEES, SPREAD, SLIPPAGE, IMPACT, BORROW, COST, NET = range(9)


class Tape(NamedTuple):
    """The minutes of every session, one (day, symbol) after the other."""

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    filled: Flags


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
    """Costs by symbol, and by symbol and New York hour."""

    fees: Floats
    half_spread_ticks: Floats
    slippage_ticks: Floats
    slippage_bps: Floats
    borrow: Floats
    tick_size: float
    multiplier: float


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


@njit(cache=True)
def rows_at(ts: Ints, start: Ints, end: Ints, wanted: Ints) -> Ints:
    """Return the row of each ``wanted`` time in its block of ``ts``, -1 where it has none."""
    found = np.full(wanted.size, -1, np.int64)
    for i in range(wanted.size):
        if start[i] >= end[i]:
            continue
        guess = start[i] + (wanted[i] - ts[start[i]]) // MINUTE
        if not (start[i] <= guess < end[i] and ts[guess] == wanted[i]):  # a block with gaps
            guess = start[i] + np.searchsorted(ts[start[i] : end[i]], wanted[i])
        if guess < end[i] and ts[guess] == wanted[i]:
            found[i] = guess
    return found


@njit(cache=True)
def running_means(values: Floats, start: Ints, end: Ints) -> Floats:
    """Return the mean of each block until each of its rows; NaN where the row has none."""
    means = np.full(values.size, np.nan)
    for block in range(start.size):
        total, count = 0.0, 0
        for i in range(start[block], end[block]):
            if not math.isnan(values[i]):
                total += values[i]
                count += 1
                means[i] = total / count
    return means


@njit(cache=True)
def _hour(ts: int, offset: int) -> int:
    return (ts + offset) // (60 * MINUTE) % 24


@njit(cache=True)
def _paid(out: Floats, quantity: float, entry: float, left: float, multiplier: float, impact: float, fees: float,
          half_spread: float, tick: float, ticks_in: float, bps_in: float, ticks_out: float, bps_out: float,
          borrow: float) -> None:  # fmt: skip
    """Fill ``out`` with quantity, P&L and costs of one trade: event_loop._filled and Costs.paid.

    Plain numbers, as tuples of arrays cost more to hand over than all of this to compute.
    """
    shares, both = multiplier * abs(quantity), entry + left
    slip_in = ticks_in * tick + bps_in * BASIS_POINT * entry
    slip_out = ticks_out * tick + bps_out * BASIS_POINT * left
    out[QUANTITY] = quantity
    out[GROSS] = quantity * (left - entry)
    out[FEES] = shares * BASIS_POINT * fees * both
    out[SPREAD] = shares * 2 * half_spread * tick
    out[SLIPPAGE] = shares * (slip_in + slip_out)
    out[IMPACT] = shares * impact * both
    out[BORROW] = abs(quantity) * entry * (multiplier * BASIS_POINT * borrow / BORROW_DAYS) if quantity < 0 else 0.0
    out[COST] = out[FEES] + out[SPREAD] + out[SLIPPAGE] + out[IMPACT] + out[BORROW]
    out[NET] = out[GROSS] - out[COST]


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
def follow(tape: Tape, asked: Asked, sides: Ints, barred: Flags, impact: Floats, rates: Rates, limits: Limits,
           ledger: Ledger) -> bool:  # fmt: skip
    """Write what becomes of every signal (``sides`` not 0) into the ledger; False: bars ran out before an exit."""
    group, taken = -1, 0
    taken_sides, taken_exits = np.empty(sides.size, np.int64), np.empty(sides.size, np.int64)
    for i in range(sides.size):
        side = sides[i]
        if asked.group[i] != group:
            group, taken = asked.group[i], 0
        if side == 0:
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
        ledger.entered[i] = why
        if why != ENTERED:
            continue
        ts, price, left, low, high = _left(tape, asked, i, side, deadline, limits)
        if left == RAN_OUT:
            return False
        taken_sides[taken], taken_exits[taken] = side, ts
        taken += 1
        entry, low, high = tape.open[first], min(low, price), max(high, price)
        ledger.exit_ts[i], ledger.left[i] = ts, left
        down, up = _log_return(side, low, entry), _log_return(side, high, entry)
        ledger.levels[i, 0], ledger.levels[i, 1] = entry, price
        ledger.levels[i, 2], ledger.levels[i, 3] = min(down, up), max(down, up)
        at, then = asked.symbol[i], _hour(asked.entry_ts[i], asked.offset[i])
        until = _hour(ts - MINUTE, asked.offset[i])
        quantity = side * min(asked.ratio[i], limits.cap_per_trade) * limits.capital / entry
        _paid(
            ledger.money[i], quantity, entry, price, rates.multiplier, impact[i], rates.fees[at],
            rates.half_spread_ticks[at], rates.tick_size, rates.slippage_ticks[at, then], rates.slippage_bps[at, then],
            rates.slippage_ticks[at, until], rates.slippage_bps[at, until], rates.borrow[at],
        )  # fmt: skip
    return True


@njit(cache=True)
def add_up(place: Ints, ledger: Ledger, counts: Ints, sums: Floats) -> None:
    """Add the ledger's trades and hits to ``counts``, gross, cost and net to ``sums``, each at its place."""
    for i in range(place.size):
        if ledger.entered[i] == ENTERED:
            _add(place[i], ledger.money[i], counts, sums)


@njit(cache=True)
def _add(place: int, money: Floats, counts: Ints, sums: Floats) -> None:
    if money[QUANTITY] == 0:
        return
    counts[place, 0] += 1
    counts[place, 1] += money[NET] > 0
    sums[place, 0] += money[GROSS]
    sums[place, 1] += money[COST]
    sums[place, 2] += money[NET]


class Passages(NamedTuple):
    """For each (forecast, side): bars until each level is met, times two, plus one where the bar opens beyond it."""

    stop: NDArray[np.int16]
    take: NDArray[np.int16]
    due: NDArray[np.int16]
    """Bars until the position is left whatever the levels."""
    due_price: Floats


@njit(cache=True)
def passages(tape: Tape, asked: Asked, rows: Ints, sides: Ints, at_forecast: bool, stops: Floats,
             takes: Floats) -> Passages:  # fmt: skip
    """Return when a position of each of ``rows`` meets every level of stops and takes (multiples of sigma, rising).

    Walked until all stops or all takes are met: by then every combination has left.
    """
    n = rows.size
    stop_at = np.full((n, stops.size), NEVER, np.int16)
    take_at = np.full((n, takes.size), NEVER, np.int16)
    due, due_price = np.full(n, NEVER, np.int16), np.full(n, np.nan)
    below, above = np.empty(stops.size), np.empty(takes.size)
    for k in range(n):
        i, side = rows[k], sides[k]
        first = asked.first[i]
        if first < 0 or tape.filled[first] or tape.open[first] <= 0:
            continue
        entry = tape.open[first]
        for j in range(stops.size):
            below[j] = entry * math.exp(-side * stops[j] * asked.sigma[i])
        for j in range(takes.size):
            above[j] = entry * math.exp(side * takes[j] * asked.sigma[i])
        deadline = min(asked.stop_at[i], asked.target_ts[i]) if at_forecast else asked.stop_at[i]
        stopped = taken = 0
        for bar in range(first, asked.end[i]):
            known, ago = tape.ts[bar] + MINUTE, 2 * (bar - first)
            if tape.filled[bar]:
                if known == asked.close_ts[i]:
                    due[k], due_price[k] = ago, tape.close[bar]
                    break
                continue
            if tape.ts[bar] >= deadline:
                due[k], due_price[k] = ago, tape.open[bar]
                break
            worst, best = (tape.low[bar], tape.high[bar]) if side > 0 else (tape.high[bar], tape.low[bar])
            opened = side * tape.open[bar]
            while stopped < stops.size and min(opened, side * worst) <= side * below[stopped]:
                stop_at[k, stopped] = ago + (opened <= side * below[stopped])
                stopped += 1
            while taken < takes.size and max(opened, side * best) >= side * above[taken]:
                take_at[k, taken] = ago + (opened >= side * above[taken])
                taken += 1
            if stopped == stops.size or taken == takes.size:
                break
            if known >= deadline:
                due[k], due_price[k] = ago, tape.close[bar]
                break
    return Passages(stop_at, take_at, due, due_price)


@njit(cache=True)
def scan(tape: Tape, asked: Asked, rows: Ints, sides: Ints, wanted: Ints, met: Passages, stop: int, take: int,
         impact: Floats, rates: Rates, limits: Limits, counts: Ints, sums: Floats) -> bool:  # fmt: skip
    """Add up what ``follow`` would find for one position at a time and no trailing stop; False: bars ran out.

    ``wanted`` are the combination's signals among ``rows``, ``stop`` and ``take`` its levels among those of ``met``.
    """
    group, taken, left_ts = -1, 0, -1
    money = np.empty(NET + 1)
    for k in wanted:
        i = rows[k]
        if asked.group[i] != group:
            group, taken, left_ts = asked.group[i], 0, -limits.rest
        now, first, side = asked.entry_ts[i], asked.first[i], sides[k]
        deadline = min(asked.stop_at[i], asked.target_ts[i]) if limits.at_forecast else asked.stop_at[i]
        if taken == limits.daily_cap or now >= deadline or now < left_ts + limits.rest or now < left_ts:
            continue
        if first < 0:
            return False
        entry = tape.open[first]
        if tape.filled[first] or entry <= 0:
            continue
        stopped, took = met.stop[k, stop], met.take[k, take]
        # In one bar the stop wins, unless the bar opened beyond the take and not beyond the stop.
        at_stop = stopped >> 1 < took >> 1 or (stopped >> 1 == took >> 1 and stopped & 1 >= took & 1)
        hit = stopped if at_stop else took
        if hit == NEVER and met.due[k] == NEVER:
            return False
        if hit == NEVER or hit >> 1 > met.due[k] >> 1:
            bar, price = first + (met.due[k] >> 1), met.due_price[k]
        else:
            bar = first + (hit >> 1)
            reach = -side * limits.s_stop if at_stop else side * limits.s_take
            price = tape.open[bar] if hit & 1 else entry * math.exp(reach * asked.sigma[i])
        left_ts, taken = tape.ts[bar] + MINUTE, taken + 1
        at, then = asked.symbol[i], _hour(asked.entry_ts[i], asked.offset[i])
        until = _hour(left_ts - MINUTE, asked.offset[i])
        quantity = side * min(asked.ratio[i], limits.cap_per_trade) * limits.capital / entry
        _paid(
            money, quantity, entry, price, rates.multiplier, impact[i], rates.fees[at],
            rates.half_spread_ticks[at], rates.tick_size, rates.slippage_ticks[at, then], rates.slippage_bps[at, then],
            rates.slippage_ticks[at, until], rates.slippage_bps[at, until], rates.borrow[at],
        )  # fmt: skip
        _add(asked.place[i], money, counts, sums)
    return True
