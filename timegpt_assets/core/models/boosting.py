"""The one door to LightGBM: a booster as text, learnt from a matrix, and what it says of another one.

Belongs here: the library's parameters and nothing of what is learnt. The library is imported when it is first needed:
it is an extra, and takes a third of a second.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_BINS = 63
"""Cuts a feature is looked at by: with noise this loud more of them only cost time."""


class LibraryAbsent(ImportError):
    """Raised where LightGBM is not installed; says how to install it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosting:
    """How boosters learn: ``rounds`` trees of ``leaves`` leaves with ``min_rows`` rows each, at most a 20th of all.

    ``learning_rate``: share of each tree that is taken; ``l2``: rows of the mean that each leaf is shrunk by. The same
    rows in the same order give the same bytes on any number of ``threads``.
    """

    rounds: int
    leaves: int
    learning_rate: float
    min_rows: int
    l2: float
    seed: int
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Booster:
    """LightGBM's own text of a model, less the parameters it was learnt with."""

    text: str

    def predicted(self, x: Floats) -> Floats:
        """Return [row]: what it says of each row of ``x`` [row, feature], NaN standing for what is not known."""
        if not len(x):
            return np.zeros(0)
        found: Floats = _parsed(self.text).predict(x, num_threads=1)
        return found

    def contributions(self, x: Floats) -> Floats:
        """Return [row, feature and, last, what it says of nobody]: they add up to ``predicted`` (Lundberg 2017)."""
        found: Floats = _parsed(self.text).predict(x, pred_contrib=True, num_threads=1)
        return found


def trained(
    x: Floats, target: Floats, names: Sequence[str], how: Boosting, *, quantile: float | None = None
) -> Booster:
    """Return the booster of the rows whose target is a number: of their mean (squared error), or of a quantile."""
    lightgbm, known = _library(), np.isfinite(target)
    asked: Mapping[str, Any] = {
        "objective": "regression" if quantile is None else "quantile",
        "alpha": 0.5 if quantile is None else quantile,
        "num_leaves": how.leaves,
        "learning_rate": how.learning_rate,
        "min_data_in_leaf": max(min(how.min_rows, int(known.sum()) // 20), 1),
        "lambda_l2": how.l2,
        "max_bin": _BINS,
        "seed": how.seed,
        "num_threads": how.threads,
        "deterministic": True,
        "force_row_wise": True,
        "feature_pre_filter": False,
        "verbose": -1,
    }
    # LightGBM reads blanks and brackets of a name as its own
    data = lightgbm.Dataset(x[known], target[known], feature_name=[re.sub(r"\W", "_", name) for name in names])
    text = lightgbm.train(dict(asked), data, num_boost_round=how.rounds).model_to_string()
    # the parameters name the number of threads, and nothing reads them
    return Booster(text.split("\nparameters:")[0] + "\n")


def library() -> str:
    """Return the library's name and version."""
    return f"lightgbm {version('lightgbm')}"


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    return _library().Booster(model_str=text)


def _library() -> ModuleType:
    try:
        import lightgbm
    except ImportError as error:
        raise LibraryAbsent(
            "lightgbm is not installed: the seat lightgbm learns and answers with it. Install the extra "
            "timegpt-assets[models] (make setup does), or take the ladder's words out of forecast.challengers."
        ) from error
    found: ModuleType = lightgbm
    return found
