"""No direction, only size: bands as wide as a linear model of |z| says, from what is known at the snapshot."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timegpt_assets.core.forecasts.local.answers import Learnt, Outlook
from timegpt_assets.core.forecasts.local.evidence import PAST, Floats, Known, Lessons

_ONE_MINUTE = PAST.index("past_1m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Median 0, bands = volatility x scale x the quantiles of z / scale near the time of day, alike on both sides.

    scale: what a ridge makes of |PAST| and of the usual volatility of the minutes ahead, each symbol by itself; never
    less than ``least_scale`` of the symbol's mean |z|. ``ridge``: its penalty as a share of each predictor's own
    variance. ``window_min``: minutes around the snapshot's time of day; ``min_residuals``: the fewest z within them.
    """

    word: ClassVar[str] = "size"
    ridge: float
    least_scale: float
    window_min: int
    min_residuals: int

    def learnt(self, lessons: Lessons) -> Learnt:
        """Return the outlook by the lines through |z| that the lessons give."""
        usual, of_others = _usual(lessons)
        z = lessons.z
        x = np.concatenate([np.abs(lessons.past), (of_others / lessons.sigma)[..., None]], axis=-1)
        lines = [_line(*one, self.ridge) for one in zip(x, np.abs(z), strict=True)]
        errors = np.array([own / line.at(at, self.least_scale) for own, line, at in zip(z, lines, x, strict=True)])
        errors = errors.reshape(z.shape)

        def outlook(known: Known) -> Outlook:
            ahead = known.near(usual[:, None], 0) / known.sigma[:, None]
            now = np.hstack([np.abs(known.past), ahead])
            scales = [lines[row].at(own, self.least_scale) for row, own in zip(known.rows, now, strict=True)]
            near = known.near(errors, self.window_min)
            return Outlook(
                centre=np.zeros(len(scales)),
                # mirrored: twice the sample for each quantile, and a median of exactly 0
                errors=np.hstack([near, -near]),
                unit=known.sigma * np.array(scales),
                least=2 * self.min_residuals,
                counted="residuals near this time, each with its mirror image",
            )

        return outlook


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """mean + (x - middle) slope; NaN where nothing was learnt."""

    middle: Floats
    slope: Floats
    mean: float

    def at(self, x: Floats, least: float) -> Floats:
        """Return the line's values, what is not known of x taken for its mean, and never less than that of the mean."""
        away = x - self.middle
        rise = np.einsum("...i,i->...", np.where(np.isfinite(away), away, 0.0), self.slope)
        found: Floats = np.maximum(self.mean + rise, least * self.mean)
        return found


def _line(x: Floats, size: Floats, ridge: float) -> _Line:
    usable = np.isfinite(x).all(axis=-1) & np.isfinite(size)
    if not size[usable].any():  # none, or one that never moved
        return _Line(middle=np.zeros(x.shape[-1]), slope=np.zeros(x.shape[-1]), mean=np.nan)
    middle, mean = x[usable].mean(axis=0), float(size[usable].mean())
    away, above = x[usable] - middle, size[usable] - mean
    # einsum, not BLAS, and lstsq, not solve: see ridge.py
    gram = np.einsum("ni,nj->ij", away, away)
    penalised = gram + ridge * np.diag(np.diag(gram))
    slope = np.linalg.lstsq(penalised, np.einsum("ni,n->i", away, above), rcond=None)[0]
    return _Line(middle=middle, slope=slope, mean=mean)


def _usual(lessons: Lessons) -> tuple[Floats, Floats]:
    """Return the volatility that the horizon ahead of each minute usually has: [symbol, minute], log return.

    From the squared one-minute returns of all earlier days; and [symbol, day, minute], of all of them but that day
    itself: a lesson must not know how it ended.
    """
    squares = np.nan_to_num((lessons.past[..., _ONE_MINUTE] * lessons.sigma) ** 2).cumsum(axis=-1)
    horizon = lessons.horizon_min
    ahead = np.full_like(squares, np.nan)
    ahead[..., :-horizon] = squares[..., horizon:] - squares[..., :-horizon]
    seen = np.isfinite(lessons.came)
    ahead = np.where(seen, ahead, 0.0)
    total, days = ahead.sum(axis=1), seen.sum(axis=1)
    # a difference of sums can fall a hair below zero
    others = _root_mean(np.maximum(total[:, None] - ahead, 0.0), days[:, None] - seen)
    return _root_mean(total, days), others


def _root_mean(total: Floats, days: Floats) -> Floats:
    """Return sqrt(total / days), NaN without a day."""
    found: Floats = np.sqrt(np.divide(total, days, out=np.full_like(total, np.nan), where=days > 0))
    return found
