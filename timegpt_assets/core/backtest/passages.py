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

MADE_OF = "7e35d879ac6a030a"
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
    laid = Laid(np.empty(n, np.float32), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64))
    end = n
    for k in range(n - 1, -1, -1):
        i = row[k]
        if k + 1 < n and asked.group[i] != asked.group[row[k + 1]]:
            end = k + 1
        laid.group_end[k], laid.place[k] = end, asked.place[i]
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
def walk(tape: Tape, asked: Asked, signals: Signals, start: int, end: int, dues: Flags, stops: Floats, takes: Floats,
         met: Passages) -> None:  # fmt: skip
    """Find when the positions of the signals from ``start`` to ``end`` meet every level (multiples of sigma, rising).

    ``dues``: whether due at the forecast's time, the earlier first. Each position is followed until all stops, all
    takes or all times are met: by then every combination has left.
    """
    met.when[:] = NEVER
    first_take, first_due, n = stops.size, stops.size + takes.size, stops.size + takes.size + dues.size
    level = np.empty(n)
    for k in range(start, end):
        i, side, at = signals.row[k], signals.side[k], k - start
        first = asked.first[i]
        if first < 0:
            continue
        entry, began, close_ts = tape.open[first], tape.ts[first], asked.close_ts[i]
        # prices of a short are turned round, so that every stop lies below the entry and every take above
        for way in range(first_take):
            level[way] = side * (entry * math.exp(-side * stops[way] * asked.sigma[i]))
        for way in range(first_take, first_due):
            level[way] = side * (entry * math.exp(side * takes[way - first_take] * asked.sigma[i]))
        stop, take, due = 0, first_take, first_due
        deadline = _deadline(asked, i, dues[0])
        for bar in range(first, asked.end[i]):
            ts = tape.ts[bar]
            known = ts + MINUTE
            if tape.filled[bar]:
                if known != close_ts:
                    continue
                met.when[due:, at], met.price[due:, at] = _when(ts, began, DUE_CLOSE), tape.close[bar]
                break
            opened = side * tape.open[bar]
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
