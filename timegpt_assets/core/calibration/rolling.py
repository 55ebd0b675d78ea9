"""Conformal half-widths of very many days at once: every window sorted once, for all levels.

Belongs here: the fast path for whole histories, equal to ``models`` row for row where every cell learns from itself.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from timegpt_assets.core.calibration.methods import rank
from timegpt_assets.core.calibration.samples import CalibrationError, Floats

Counts: TypeAlias = npt.NDArray[np.int64]
_CHUNK = 1 << 17
"""Scores sorted at a time: as many as stay near the processor."""


def half_widths(
    scores: Floats, *, levels: Sequence[int], window_days: int, embargo_days: int, min_samples: int
) -> dict[int, Floats]:
    """Return by level, for each session and cell, the rank-th score of its own window: [sessions, cells].

    ``scores``: |y - q50| / unit, one row per session of the calendar, one column per cell, NaN where a session has
    none. Row t looks back on rows t - (window_days + embargo_days) .. t - (1 + embargo_days). NaN below ``min_samples``
    scores and where the rank exceeds them. Raises CalibrationError for an embargo below one session.
    """
    if embargo_days < 1:
        raise CalibrationError(
            f"an embargo of {embargo_days} sessions lets a day learn from itself or the session before it. "
            "Set calibration.embargo_days to 1 or more."
        )
    found = {level: np.empty(scores.shape[::-1]) for level in levels}
    seats = {level: np.array([rank(n, level=level) for n in range(window_days + 1)]) for level in levels}
    for cells, ascending, counts in _sorted_windows(scores, window_days, embargo_days):
        for level in levels:
            seat = seats[level][counts]
            picked = np.take_along_axis(ascending, np.minimum(seat, window_days)[..., None] - 1, axis=2)[..., 0]
            picked[(seat > counts) | (counts < max(min_samples, 1))] = np.nan
            found[level][cells] = picked
    return {level: widths.T for level, widths in found.items()}


def _sorted_windows(scores: Floats, window: int, embargo: int) -> Iterator[tuple[slice, Floats, Counts]]:
    """Give, some cells at a time: which, their windows [cells, sessions, window] sorted, and how many each holds."""
    sessions, cells = scores.shape
    past = np.full((cells, window + embargo + sessions), np.nan)  # before the first session there is nothing
    past[:, window + embargo :] = scores.T
    held = np.zeros((cells, past.shape[1] + 1), dtype=np.int64)
    np.cumsum(~np.isnan(past), axis=1, out=held[:, 1:])
    counts = held[:, window : window + sessions] - held[:, :sessions]
    step = max(_CHUNK // max(sessions * window, 1), 1)
    for start in range(0, cells, step):
        own = slice(start, start + step)
        windows = sliding_window_view(past[own], window, axis=1)[:, :sessions]
        yield own, np.sort(windows, axis=2), counts[own]  # NaN sorts last
