"""The control arm: a ridge on past returns, with bands from its residuals of the same time of day."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timegpt_assets.core.forecasts.local.answers import Learnt, Outlook
from timegpt_assets.core.forecasts.local.evidence import Floats, Known, Lessons
from timegpt_assets.core.tables.columns import CONTROL


@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge:
    """mean = volatility x (ridge of what PAST is in volatilities), each symbol by itself.

    ``ridge``: the penalty as a share of each predictor's own variance. ``residual_window_min``: minutes around the
    snapshot's time of day within which residuals make its bands; ``min_residuals``: the fewest of them.
    """

    word: ClassVar[str] = CONTROL
    ridge: float
    residual_window_min: int
    min_residuals: int

    def learnt(self, lessons: Lessons) -> Learnt:
        """Return the outlook by the coefficients that the lessons give."""
        fits = [_fit(x, z, self.ridge) for x, z in zip(lessons.past, lessons.z, strict=True)]
        residuals = np.array([residuals for _, residuals in fits]).reshape(lessons.sigma.shape)

        def outlook(known: Known) -> Outlook:
            # one by one: a product of all at once adds in another order, and the last bits hang on the company
            centre = [np.einsum("i,i->", x, fits[row][0]) for x, row in zip(known.past, known.rows, strict=True)]
            return Outlook(
                centre=np.array(centre),
                errors=known.near(residuals, self.residual_window_min),
                unit=known.sigma,
                least=self.min_residuals,
            )

        return outlook


def _fit(past: Floats, z: Floats, ridge: float) -> tuple[Floats, Floats]:
    """Return the coefficients of one symbol, and its residuals [day, minute]."""
    usable = np.isfinite(past).all(axis=2) & np.isfinite(z)
    # einsum, not BLAS: the same bits whatever the processor's kernels and the number of threads
    x, came, residuals = past[usable], z[usable], np.full_like(z, np.nan)
    gram = np.einsum("ni,nj->ij", x, x)
    penalised = gram + ridge * np.diag(np.diag(gram))
    # lstsq, not solve: a predictor that is zero throughout leaves a singular matrix.
    coefficients: Floats = np.linalg.lstsq(penalised, np.einsum("ni,n->i", x, came), rcond=None)[0]
    residuals[usable] = came - np.einsum("ni,i->n", x, coefficients)
    return coefficients, residuals
