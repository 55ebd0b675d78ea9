"""The road apart: a mean of what sets a symbol apart from the others, and bands by a size, each learnt by itself.

Belongs here: both models, and what is chosen on days they never saw. One shock moves all symbols of a day: whoever is
shown the market learns single days. So the mean predicts z less the market's z (its mean over the symbols of the
snapshot, the symbol's own among them) from the symbol's own features, and no direction is expected of the market.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.models.bands import Bands, learn_bands
from timegpt_assets.core.models.design import Floats, by_moment
from timegpt_assets.core.models.folds import Fold, purged_folds
from timegpt_assets.core.models.part import SHARES, Part, learn_part, shrunk
from timegpt_assets.core.models.tree_spec import TreeSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Apart:
    """mean = centre, in units of sigma; ``bands`` around it."""

    centre: Part
    bands: Bands

    def predicted(self, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
        """Return the answers (core/models/learnt.py) of rows."""
        return self.bands.around(rows, self.centre.at(rows), levels)

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return {"centre": self.centre.saved(), "bands": self.bands.saved()}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Apart":
        """Return the model of ``saved``."""
        return Apart(centre=Part.loaded(saved["centre"]), bands=Bands.loaded(saved["bands"]))


def learn_apart(rows: pl.DataFrame, spec: TreeSpec) -> tuple[Apart, dict[str, Any]]:
    """Return the model of TRAINING_SET rows, sorted by key, and what was chosen on days out of fold.

    The shares, the symbols' factors and the reach come from boosters that never saw the row's block of sessions.
    """
    folds = purged_folds(rows, folds=spec.folds, embargo_days=spec.embargo_days)
    centre, seen = learn_part(rows, folds, spec, spec.centre_design, z_apart, closest)
    said = shrunk(seen, centre.share, centre.level)
    bands, sizes = learn_bands(rows, folds, said, spec)
    report = {
        "shrink": centre.share,
        "size_share": bands.size.share,
        "folds": [judged(fold, rows, said, sizes) for fold in folds],
    }
    return Apart(centre=centre, bands=bands), report


def z_apart(rows: pl.DataFrame) -> Floats:
    """Return z less the market's: the mean of z over all symbols of the snapshot."""
    return by_moment(rows, rows["z"].to_numpy())


def closest(truth: Floats, said: Floats, _z: Floats, level: float) -> float:
    """Return the share with the smallest mean absolute error; the smaller one of equals."""
    return min(SHARES, key=lambda share: float(np.mean(np.abs(truth - shrunk(said, share, level)))))


def judged(fold: Fold, rows: pl.DataFrame, centre: Floats, sizes: Floats) -> dict[str, Any]:
    """Return what a fold found: its sessions, and errors of the centre and of none."""
    inside = rows["day"].is_in(fold.test["day"].unique().implode()).to_numpy()
    z, days = rows["z"].to_numpy()[inside], fold.test["day"]
    return {
        "first_day": str(days.min()),
        "last_day": str(days.max()),
        "train_rows": fold.train.height,
        "test_rows": fold.test.height,
        "mae": float(np.mean(np.abs(z - centre[inside]))),
        "mae_zero": float(np.mean(np.abs(z))),
        "size_correlation": _correlation(sizes[inside], np.abs(z)),
    }


def _correlation(one: Floats, other: Floats) -> float | None:
    return None if np.ptp(one) == 0 or np.ptp(other) == 0 else float(np.corrcoef(one, other)[0, 1])
