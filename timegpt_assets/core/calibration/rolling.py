"""Conformal half-widths of very many days at once: one rolling order statistic instead of a model per day.

Belongs here: the fast path for whole histories, equal to ``models`` row for row where every cell learns from itself.
"""

import math

import numpy as np
import polars as pl

from timegpt_assets.core.calibration.methods import rank
from timegpt_assets.core.calibration.samples import CalibrationError, Floats

_BLOCK = 1 << 20
"""Scores ranked at a time: fresh memory costs more than the arithmetic, so little of it is used."""


def half_widths(scores: Floats, *, level: int, window_days: int, embargo_days: int, min_samples: int) -> Floats:
    """Return for each session and cell the rank-th score of its own window: [sessions, cells], NaN where none may be.

    ``scores``: |y - q50| / unit, one row per session of the calendar, one column per cell, NaN where a session has
    none. Row t looks back on rows t - (window_days + embargo_days) .. t - (1 + embargo_days). NaN below ``min_samples``
    scores and where the rank exceeds them. Raises CalibrationError for an embargo below one session.
    """
    if embargo_days < 1:
        raise CalibrationError(
            f"an embargo of {embargo_days} sessions lets a day learn from itself or the session before it. "
            "Set calibration.embargo_days to 1 or more."
        )
    found = np.full(scores.shape, np.nan)
    whole = ~np.isnan(scores).any(axis=0)
    wait = 1 + embargo_days
    if window_days >= min_samples and rank(window_days, level=level) <= window_days:
        columns: slice | Floats = (
            slice(None) if whole.all() else whole
        )  # picking columns copies: not where all are whole
        found[wait:, columns] = _rolled(scores[:, columns], window_days, level)[:-wait]
    seats = np.array([rank(n, level=level) for n in range(window_days + 1)])
    for t in range(wait, scores.shape[0] if not whole.all() else min(wait + window_days, scores.shape[0])):
        rows = scores[max(t - window_days - embargo_days, 0) : t - embargo_days]
        needed = ~whole if rows.shape[0] == window_days else np.ones(scores.shape[1], dtype=bool)
        if needed.any():
            found[t, needed] = _ranked(rows[:, needed], seats, min_samples)
    return found


def _rolled(scores: Floats, window: int, level: int) -> Floats:
    """Return the rank-th smallest of the ``window`` scores that end with each one, of gapless columns; NaN before."""
    sessions, cells = scores.shape
    found = np.full(scores.shape, np.nan)
    if scores.size == 0 or sessions < window:
        return found
    seat, step = rank(window, level=level), max(_BLOCK // sessions, 1)
    for start in range(0, cells, step):
        part = np.ascontiguousarray(scores[:, start : start + step].T)
        stacked = pl.Series(part.ravel())
        if seat == window:
            rolled = stacked.rolling_max(window_size=window)
        else:
            # a quantile that falls on the rank exactly: "nearest" then cannot take a neighbour, whatever the rounding
            rolled = stacked.rolling_quantile((seat - 1) / (window - 1), interpolation="nearest", window_size=window)
        # the first windows of a cell would reach into the cell before it
        found[window - 1 :, start : start + step] = rolled.to_numpy().reshape(part.shape).T[window - 1 :]
    return found


def _ranked(rows: Floats, table: Floats, min_samples: int) -> Floats:
    """Return the rank-th smallest score of each column, of those it has."""
    ascending = np.sort(rows, axis=0)  # NaN sorts last
    counts = (~np.isnan(rows)).sum(axis=0)
    seats = table[counts]
    possible = (seats <= counts) & (counts >= max(min_samples, 1))
    picked = ascending[np.minimum(np.maximum(seats - 1, 0), rows.shape[0] - 1), np.arange(rows.shape[1])]
    return np.where(possible, picked, math.nan)
