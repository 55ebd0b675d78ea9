"""The sweep, compiled: when each position meets each level of stops and takes, found once for all combinations.

Belongs here: going along the bars. What each combination makes of the passages is in plans.py. Bars begin on whole
minutes (the grid of core/bars). It is imported where it is called, as numba takes its time, and gives the loop's bits.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from timegpt_assets.core.backtest.kernel import Asked
from timegpt_assets.core.backtest.tape import MINUTE, Flags, Floats, Ints, Tape

MADE_OF = "005d090bd3517390"
"""Digest of kernel.py and tape.py (as in kernel.py)."""
NEVER = 1 << 14
"""More than twice the minutes of any session."""


class Signals(NamedTuple):
    """What anybody enters at who is due alike, in order; each combination's own are some of them."""

    row: Ints
    """Of Asked."""
    side: Ints
    own: NDArray[np.int32]
    """Places of the signals of each entries, one entries after the other, each closed by the number of all."""
    begin: Ints
    """Where those of each entries begin in ``own``."""


class Laid(NamedTuple):
    """What of the signals is read again and again, side by side."""

    entry: NDArray[np.int32]
    """The minute; of those since 1970."""
    clock: Ints
    """The minute of New York's day."""
    group_end: NDArray[np.int32]
    """Place of the first signal of the next (forecaster, day, symbol)."""
    place: Ints


class Passages(NamedTuple):
    """When and at what price each signal's position meets each level, and is left whatever the levels.

    Times are minutes after the entry bar, times two, plus one where the bar opens beyond the level.
    """

    stop: NDArray[np.int16]
    stop_price: Floats
    take: NDArray[np.int16]
    take_price: Floats
    due: NDArray[np.int16]
    due_price: Floats


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
    n = row.size
    laid = Laid(np.empty(n, np.int32), np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int64))
    end = n
    for k in range(n - 1, -1, -1):
        i = row[k]
        if k + 1 < n and asked.group[i] != asked.group[row[k + 1]]:
            end = k + 1
        laid.entry[k], laid.group_end[k], laid.place[k] = asked.entry_ts[i] // MINUTE, end, asked.place[i]
        laid.clock[k] = (asked.entry_ts[i] + asked.offset[i]) // MINUTE % (24 * 60)
    return laid


@njit(cache=True)
def walk(tape: Tape, asked: Asked, signals: Signals, start: int, end: int, at_forecast: bool, stops: Floats,
          takes: Floats, met: Passages) -> None:  # fmt: skip
    """Find when the positions of the signals from ``start`` to ``end`` meet every level (multiples of sigma, rising).

    Each is followed until all stops or all takes are met: by then every combination has left.
    """
    met.stop[:], met.take[:], met.due[:] = NEVER, NEVER, NEVER
    below, above = np.empty(stops.size), np.empty(takes.size)
    for k in range(start, end):
        i, side, at = signals.row[k], signals.side[k], k - start
        first = asked.first[i]
        if first < 0:
            continue
        entry, began = tape.open[first], tape.ts[first]
        for j in range(stops.size):
            below[j] = entry * math.exp(-side * stops[j] * asked.sigma[i])
        for j in range(takes.size):
            above[j] = entry * math.exp(side * takes[j] * asked.sigma[i])
        deadline = _deadline(asked, i, at_forecast)
        stopped = taken = 0
        for bar in range(first, asked.end[i]):
            ts = tape.ts[bar]
            known, ago = ts + MINUTE, 2 * ((ts - began) // MINUTE)
            if tape.filled[bar]:
                if known == asked.close_ts[i]:
                    met.due[at], met.due_price[at] = ago, tape.close[bar]
                    break
                continue
            opened = tape.open[bar]
            if ts >= deadline:
                met.due[at], met.due_price[at] = ago, opened
                break
            worst, best = (tape.low[bar], tape.high[bar]) if side > 0 else (tape.high[bar], tape.low[bar])
            while stopped < stops.size and min(side * opened, side * worst) <= side * below[stopped]:
                beyond = side * opened <= side * below[stopped]
                met.stop[stopped, at] = ago + beyond
                met.stop_price[stopped, at] = opened if beyond else below[stopped]
                stopped += 1
            while taken < takes.size and max(side * opened, side * best) >= side * above[taken]:
                beyond = side * opened >= side * above[taken]
                met.take[taken, at] = ago + beyond
                met.take_price[taken, at] = opened if beyond else above[taken]
                taken += 1
            if stopped == stops.size or taken == takes.size:
                break
            if known >= deadline:
                met.due[at], met.due_price[at] = ago, tape.close[bar]
                break
