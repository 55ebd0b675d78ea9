"""How wide: a size from what is known at the snapshot, a factor of each symbol, and the reach of earlier errors.

Belongs here: the bands of road apart, whoever says their centre. All of them are chosen on days out of fold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.models.design import Floats, sums
from timegpt_assets.core.models.folds import Fold
from timegpt_assets.core.models.learnt import around
from timegpt_assets.core.models.part import SHARES, Part, learn_part, shrunk
from timegpt_assets.core.models.reach import Reach, reach
from timegpt_assets.core.models.tree_spec import TreeSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bands:
    """A band reaches size x the symbol's factor x the reach of its level at that time of day.

    ``size`` as the logarithm of one in units of sigma; a symbol without a factor has that of the mean symbol, 1:
    nothing else of a model knows a symbol.
    """

    size: Part
    factors: Mapping[str, float]
    reach: Reach

    def around(self, rows: pl.DataFrame, centre: Floats, levels: Sequence[int]) -> pl.DataFrame:
        """Return the answers (core/models/learnt.py) of rows, their ``centre`` [row] in units of sigma."""
        size = np.exp(self.size.at(rows)) * _of_symbols(rows, self.factors)
        return around(rows, centre, size[:, None] * self.reach.at(rows, levels), levels)

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        factors = dict(sorted(self.factors.items()))
        return {"size": self.size.saved(), "factors": factors, "reach": self.reach.saved()}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Bands":
        """Return the bands of ``saved``."""
        return Bands(
            size=Part.loaded(saved["size"]),
            factors={symbol: float(factor) for symbol, factor in saved["factors"].items()},
            reach=Reach.loaded(saved["reach"]),
        )


def learn_bands(rows: pl.DataFrame, folds: Sequence[Fold], centre: Floats, spec: TreeSpec) -> tuple[Bands, Floats]:
    """Return the bands of TRAINING_SET rows, sorted by key, and [row] the sizes that boosters out of fold said.

    ``folds``: of these rows; ``centre`` [row]: what was said of each by a model that never saw its block of sessions.
    """
    size, seen = learn_part(rows, folds, spec, spec.size_design, _log_size, likeliest, centred=True)
    sizes = np.exp(shrunk(seen, size.share, size.level))
    errors = np.abs(rows["z"].to_numpy() - centre) / sizes
    factors = _factors(rows, errors, spec.symbol_rows)
    own = reach(rows, errors / _of_symbols(rows, factors), window_min=spec.window_min)
    return Bands(size=size, factors=factors, reach=own), sizes


def _log_size(rows: pl.DataFrame) -> Floats:
    """Return the logarithm of what the minutes of the label moved, in units of sigma; NaN where none did.

    Not |z|: fifteen squared returns tell their size several times as surely as one sum of them.
    """
    share = rows["realised"].cast(pl.Float64).fill_null(float("nan")).to_numpy() / rows["sigma"].to_numpy()
    found: Floats = np.log(share, out=np.full(rows.height, np.nan), where=share > 0)
    return found


def likeliest(_truth: Floats, said: Floats, z: Floats, level: float) -> float:
    """Return the share under which |z| is likeliest: Laplace's density, its scale a multiple of the size."""

    def surprise(share: float) -> float:
        logs = shrunk(said, share, level)
        scale = float(np.mean(np.abs(z) / np.exp(logs)))
        return float(np.log(scale) + np.mean(logs)) if scale > 0 else 0.0

    return min(SHARES, key=surprise)


def _factors(rows: pl.DataFrame, errors: Floats, symbol_rows: int) -> dict[str, float]:
    """Return symbol -> its mean error over that of all, averaged with ``symbol_rows`` rows at the mean."""
    mean = float(np.mean(errors))
    symbols, total, n = sums(rows["symbol"], errors)
    if mean == 0:
        return dict.fromkeys(symbols, 1.0)
    own = (total + symbol_rows * mean) / ((n + symbol_rows) * mean)
    return dict(zip(symbols, own.tolist(), strict=True))


def _of_symbols(rows: pl.DataFrame, factors: Mapping[str, float]) -> Floats:
    return np.array([factors.get(symbol, 1.0) for symbol in rows["symbol"]], dtype=float)
