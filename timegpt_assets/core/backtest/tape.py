"""The tape: minutes of every session as arrays, one (day, symbol) after the other, and how they are looked up.

Belongs here: what compiled code reads bars from. It is imported where it is called, as numba takes its time.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Sides = NDArray[np.int8]

MINUTE = 60_000_000
"""Microseconds, as all times here."""


class Tape(NamedTuple):
    """The minutes of every session, one (day, symbol) after the other."""

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    filled: Flags


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
def rise(ts: Ints, start: Ints, end: Ints) -> bool:
    """Return whether times rise in every block."""
    for block in range(start.size):
        for i in range(start[block] + 1, end[block]):
            if ts[i] <= ts[i - 1]:
                return False
    return True


@njit(cache=True)
def running_means(values: Floats, start: Ints, end: Ints, rows: Ints) -> Floats:
    """Return for each of ``rows`` the mean of its block, from ``start`` to ``end``, until then.

    NaN where the row has none, and for -1. Rows of one block that follow one another and rise are gone along once.
    """
    means, at, total, count = np.full(rows.size, np.nan), 0, 0.0, 0
    for k in range(rows.size):
        if k == 0 or start[k] != start[k - 1] or end[k] != end[k - 1] or rows[k] + 1 < at:
            at, total, count = start[k], 0.0, 0
        while at <= rows[k]:
            if not math.isnan(values[at]):
                total += values[at]
                count += 1
            at += 1
        if rows[k] >= 0 and not math.isnan(values[rows[k]]):
            means[k] = total / count
    return means
