"""The pinball loss (Koenker and Bassett 1978): what a quantile costs that lies off what came.

Belongs here: the loss itself, of columns and of arrays. Over which quantiles and rows it is averaged says each measure.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray


def pinball(came: pl.Expr, quantile: pl.Expr, probability: float) -> pl.Expr:
    """Return the loss of each row, in the units of what came."""
    missed = came - quantile
    return pl.max_horizontal(probability * missed, (probability - 1) * missed)


def pinballs(missed: NDArray[np.float64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the losses of ``missed``, what came less each quantile: a row a forecast, a column a probability."""
    return np.maximum(probabilities * missed, (probabilities - 1) * missed)
