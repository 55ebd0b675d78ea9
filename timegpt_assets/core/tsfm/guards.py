"""What no band may be: outside of [0, 1], crossed, or of a width beyond its bounds; mended by one rule and told.

Belongs here: quantiles of one market's answer to the ones that are served. The same bits come of the same bits, and
what was mended once stays as it is.

How a width is mended. Too narrow: what is missing is put half below and half above, so that the median stays and all
of the old band is within the new one; where that would pass 0 or 1, the band is shifted inside as a whole and keeps its
width. Too wide: both sides are drawn towards the median by the same share, so that their proportion stays. Quantiles
between them keep their place in their side's proportion.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from timegpt_assets.core.tsfm.asked import Floats

WidthFlag = Literal["", "narrow", "wide"]
_SLACK = 1e-12
"""A width is as set if it is within rounding of it, or what was mended once would be mended again."""


@dataclass(frozen=True, slots=True)
class Guards:
    """Least and greatest width of a band, of probabilities."""

    min_width: float
    max_width: float


@dataclass(frozen=True, slots=True, eq=False)
class Guarded:
    """Quantiles as they may be served, how many steps had crossed, and of each step whether its width was mended."""

    values: Floats
    crossed: int
    width_flags: tuple[WidthFlag, ...]


def guarded(values: Floats, quantiles: tuple[float, ...], guards: Guards) -> Guarded:
    """Return an answer (a row a step, a column a quantile) within the guards.

    One quantile alone is no band: its width is left alone. Raises ValueError for other shapes and numbers that are not
    finite, which nobody may serve.
    """
    if values.ndim != 2 or values.shape[1] != len(quantiles):
        raise ValueError(f"{values.shape} are no quantiles {quantiles}. Hand over a row a step, a column a quantile.")
    if not np.isfinite(values).all():
        raise ValueError("An answer holds numbers that are not finite. Refuse it and ask the fallback.")
    crossed = int((np.diff(values, axis=1) < 0).any(axis=1).sum())
    # + 0.0: a zero below zero is another run of bits
    inside = np.sort(np.clip(values, 0.0, 1.0) + 0.0, axis=1)
    if len(quantiles) == 1:
        return Guarded(inside, crossed, tuple(_flag(False, False) for _ in inside))
    median = _median(inside, quantiles)
    lower, upper = inside[:, 0], inside[:, -1]
    is_narrow = upper - lower < guards.min_width - _SLACK
    is_wide = upper - lower > guards.max_width + _SLACK
    ends = np.where(is_narrow[:, None], _widened(lower, upper, guards.min_width), _drawn_in(inside, median, guards))
    mended = _between(inside, median, ends)
    is_mended = is_narrow | is_wide
    flags: tuple[WidthFlag, ...] = tuple(
        _flag(narrow, wide) for narrow, wide in zip(is_narrow.tolist(), is_wide.tolist(), strict=True)
    )
    return Guarded(np.where(is_mended[:, None], mended, inside), crossed, flags)


def _flag(is_narrow: bool, is_wide: bool) -> WidthFlag:
    return "narrow" if is_narrow else "wide" if is_wide else ""


def _median(rows: Floats, quantiles: tuple[float, ...]) -> Floats:
    """Return the quantile .5 of each row, read off a line between its neighbours where it was not asked for."""
    above = int(np.searchsorted(quantiles, 0.5))
    if above == len(quantiles) or above == 0:
        return rows[:, min(above, len(quantiles) - 1)]
    low, high = quantiles[above - 1], quantiles[above]
    share = (0.5 - low) / (high - low)
    return rows[:, above - 1] + share * (rows[:, above] - rows[:, above - 1])


def _widened(lower: Floats, upper: Floats, width: float) -> Floats:
    low = np.clip(lower - (width - (upper - lower)) / 2, 0.0, 1.0 - width)
    return np.stack([low, low + width], axis=1)


def _drawn_in(rows: Floats, median: Floats, guards: Guards) -> Floats:
    width = rows[:, -1] - rows[:, 0]
    share = guards.max_width / np.maximum(width, guards.max_width)
    low = median - (median - rows[:, 0]) * share
    return np.stack([low, low + guards.max_width], axis=1)


def _between(rows: Floats, median: Floats, ends: Floats) -> Floats:
    """Return the rows with their ends at ``ends``, what lies between in its side's proportion, rising."""
    centre = median[:, None]
    old, new = np.stack([rows[:, 0], rows[:, -1]], axis=1) - centre, ends - centre
    is_below = rows < centre
    # a side that had no width has nothing in it to place
    side = np.where(is_below, old[:, :1], old[:, 1:])
    share = np.divide(rows - centre, side, out=np.zeros_like(rows), where=side != 0)
    placed = centre + share * np.where(is_below, new[:, :1], new[:, 1:])
    placed[:, 0], placed[:, -1] = ends[:, 0], ends[:, 1]
    return np.maximum.accumulate(np.clip(placed, ends[:, :1], ends[:, 1:]), axis=1)
