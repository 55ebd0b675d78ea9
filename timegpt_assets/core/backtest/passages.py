"""The sweep, compiled: when each position meets each level of stops and takes, found once for all combinations.

Belongs here: going along the bars. What each combination makes of the passages is in earnings.py. Bars begin on whole
minutes (the grid of core/bars). It is imported where it is called, as numba takes its time, and gives the loop's bits.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from timegpt_assets.core.backtest.kernel import Asked
from timegpt_assets.core.backtest.tape import MINUTE, Flags, Floats, Ints, Tape

MADE_OF = "72a74e1694fea95c"
"""Digest of kernel.py and tape.py (as in kernel.py)."""
DUE_OPEN, STOP_OPEN, TAKE_OPEN, STOP, TAKE, DUE_CLOSE = range(6)
"""Ways out of a bar, in the order of the loop's decisions: the first that holds is the exit."""
WAYS = 8
"""What a minute counts beside them."""
NEVER = 1 << 14
"""More than any minute of a session counts."""
WORD = 31
"""Entries that a word tells of."""
FOREVER = 1 << 62
"""A time after all others."""


class Signals(NamedTuple):
    """What anybody enters at whose time stop is alike, in order; each combination's own are some of them."""

    row: Ints
    """Of Asked."""
    side: Ints
    held: NDArray[np.int32]
    """Who enters at each: WORD entries in the bits of a row, as many rows as that takes."""


class Laid(NamedTuple):
    """What of the signals is read again and again, side by side."""

    entry: NDArray[np.float32]
    """Minutes since the first signal of the same (forecaster, day, symbol) is entered."""
    clock: Ints
    """The minute of New York's day."""
    group_end: Ints
    """Place of the first signal of the next (forecaster, day, symbol)."""
    place: Ints
    place_end: Ints
    """Place of the first signal of the next (forecaster, day)."""


class Passages(NamedTuple):
    """When and at what price each signal's position would leave: a row for each stop, then each take, each time due.

    Times are minutes after the entry bar, times WAYS, plus the way: of two, the lower is the exit.
    """

    when: NDArray[np.int16]
    price: Floats


@njit(cache=True)
def _deadline(asked: Asked, i: int, at_forecast: bool) -> int:
    stop_at: int = asked.stop_at[i]
    return min(stop_at, asked.target_ts[i]) if at_forecast else stop_at


@njit(cache=True)
def enterable(tape: Tape, asked: Asked, at_forecast: bool) -> Flags:
    """Return which forecasts are entered if nothing else is in the way: neither too late nor without a print."""
    found = np.empty(asked.first.size, np.bool_)
    for i in range(asked.first.size):
        first = asked.first[i]
        printed = first < 0 or not (tape.filled[first] or tape.open[first] <= 0)
        found[i] = printed and asked.entry_ts[i] < _deadline(asked, i, at_forecast)
    return found


@njit(cache=True)
def lay(asked: Asked, row: Ints) -> Laid:
    """Return what is read again and again of the signals at these rows of ``asked``."""
    n = row.size
    whole = (np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64))
    laid, group_end, place_end = Laid(np.empty(n, np.float32), *whole), n, n
    for k in range(n - 1, -1, -1):
        i = row[k]
        if k + 1 < n:
            group_end = k + 1 if asked.group[i] != asked.group[row[k + 1]] else group_end
            place_end = k + 1 if asked.place[i] != asked.place[row[k + 1]] else place_end
        laid.group_end[k], laid.place[k], laid.place_end[k] = group_end, asked.place[i], place_end
        laid.clock[k] = (asked.entry_ts[i] + asked.offset[i]) // MINUTE % (24 * 60)
    first = 0
    for k in range(n):
        first = k if asked.group[row[k]] != asked.group[row[first]] else first
        laid.entry[k] = (asked.entry_ts[row[k]] - asked.entry_ts[row[first]]) // MINUTE
    return laid


@njit(cache=True)
def _when(ts: int, began: int, way: int) -> int:
    return WAYS * ((ts - began) // MINUTE) + way


@njit(cache=True)
def _turn(ts: Ints, row: int, end: int, close_ts: int, deadline: int) -> int:
    """Return a row before which nothing is due and the session is not over; none later than there has to be."""
    until = min(deadline, close_ts) - MINUTE
    found: int = min(row + max(0, until - ts[row]) // MINUTE, end)
    while found > row and ts[found - 1] >= until:  # minutes without a row
        found -= 1
    return found


@njit(cache=True)
def _reaching(opened: Floats, lows: Floats, highs: Floats, row: int, until: int, low: float, high: float) -> int:
    """Return the first row whose prices are not all between two levels, or ``until``."""
    while row < until and ((opened[row] > low) & (lows[row] > low) & (opened[row] < high) & (highs[row] < high)):
        row += 1
    return row


@njit(cache=True)
def _levels(side: int, entry: float, sigma: float, stops: Floats, takes: Floats, level: Floats) -> None:
    """Find the price of each stop, then of each take; a short's turned round, so that stops lie below the entry."""
    for way in range(stops.size):
        level[way] = side * (entry * math.exp(-side * stops[way] * sigma))
    for way in range(takes.size):
        level[stops.size + way] = side * (entry * math.exp(side * takes[way] * sigma))


@njit(cache=True)
def walk(tape: Tape, asked: Asked, signals: Signals, start: int, end: int, dues: Flags, stops: Floats, takes: Floats,
         met: Passages) -> None:  # fmt: skip
    """Find when the positions of the signals from ``start`` to ``end`` meet every level (multiples of sigma, rising).

    ``dues``: whether due at the forecast's time, the earlier first. Each position is followed until all stops, all
    takes or all times are met: by then every combination has left. Bars in which nothing can happen are passed over.
    """
    met.when[:] = NEVER
    first_take, first_due, n = stops.size, stops.size + takes.size, stops.size + takes.size + dues.size
    level = np.empty(n)
    for k in range(start, end):
        i, side, at = signals.row[k], signals.side[k], k - start
        first, last, close_ts = asked.first[i], asked.end[i], asked.close_ts[i]
        if first < 0:
            continue
        entry, began, bar = tape.open[first], tape.ts[first], first - 1
        _levels(side, entry, asked.sigma[i], stops, takes, level)
        stop, take, due, deadline = 0, first_take, first_due, _deadline(asked, i, dues[0])
        turn = _turn(tape.ts, first, last, close_ts, deadline)
        while True:
            levels = side * level[stop], side * level[take]
            bar = _reaching(tape.open, tape.low, tape.high, bar + 1, turn, min(levels), max(levels))
            if bar == last:
                break
            ts, known, opened = tape.ts[bar], tape.ts[bar] + MINUTE, side * tape.open[bar]
            if tape.filled[bar]:
                if known != close_ts:
                    continue
                met.when[due:, at], met.price[due:, at] = _when(ts, began, DUE_CLOSE), tape.close[bar]
                break
            while ts >= deadline:
                met.when[due, at], met.price[due, at] = _when(ts, began, DUE_OPEN), tape.open[bar]
                due += 1
                deadline = _deadline(asked, i, dues[due - first_due]) if due < n else FOREVER
            if due == n:
                break
            worst, best = (tape.low[bar], tape.high[bar]) if side > 0 else (-tape.high[bar], -tape.low[bar])
            worst, best = min(opened, worst), max(opened, best)
            while stop < first_take and worst <= level[stop]:
                beyond = opened <= level[stop]
                met.when[stop, at] = _when(ts, began, STOP_OPEN if beyond else STOP)
                met.price[stop, at] = side * (opened if beyond else level[stop])
                stop += 1
            while take < first_due and best >= level[take]:
                beyond = opened >= level[take]
                met.when[take, at] = _when(ts, began, TAKE_OPEN if beyond else TAKE)
                met.price[take, at] = side * (opened if beyond else level[take])
                take += 1
            if stop == first_take or take == first_due:
                break
            while known >= deadline:
                met.when[due, at], met.price[due, at] = _when(ts, began, DUE_CLOSE), tape.close[bar]
                due += 1
                deadline = _deadline(asked, i, dues[due - first_due]) if due < n else FOREVER
            if due == n:
                break
            turn = _turn(tape.ts, bar, last, close_ts, deadline) if bar >= turn else turn
