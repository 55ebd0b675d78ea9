"""The road together: boosters that see every feature, one for each quantile, or one mean with conformal bands.

Belongs here: both forms of it. Kept to be compared with the road apart, which part of the report does each month.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from timegpt_assets.core.forecasts.quantiles import nested
from timegpt_assets.core.models.boosting import Booster, trained
from timegpt_assets.core.models.design import Design, Floats, unknown
from timegpt_assets.core.models.folds import purged_folds
from timegpt_assets.core.models.learnt import answers, around
from timegpt_assets.core.models.reach import Reach, reach
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.tree_spec import TreeSpec

Form = Literal["quantile", "conformal"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantiles:
    """A booster for each end of the bands it was learnt for and one for the median, put in order where they cross."""

    design: Design
    boosters: Mapping[str, Booster]

    def predicted(self, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
        """Return the answers of rows. Raises ValueError for a level that was not learnt."""
        names = nested(levels)
        if missing := [name for name in names if name not in self.boosters]:
            raise ValueError(
                f"the model was learnt without {', '.join(missing)}. Ask for the levels it knows (forecast.levels), or "
                "learn anew (timegpt-assets train)."
            )
        x = self.design.matrix(rows)
        ascending = np.sort(np.column_stack([self.boosters[name].predicted(x) for name in names]), axis=1)
        ends = {name: ascending[:, place] for place, name in enumerate(names)}
        return answers(rows, ends.pop("mean"), ends)

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        texts = {name: booster.text for name, booster in sorted(self.boosters.items())}
        return {"design": self.design.saved(), "boosters": texts}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Quantiles":
        """Return the model of ``saved``."""
        boosters = {name: Booster(text) for name, text in saved["boosters"].items()}
        return Quantiles(design=Design.loaded(saved["design"]), boosters=boosters)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conformal:
    """One booster of the mean, and bands that reach as far as its errors out of fold did at that time of day."""

    design: Design
    booster: Booster
    reach: Reach

    def predicted(self, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
        """Return the answers of rows."""
        return around(rows, self.booster.predicted(self.design.matrix(rows)), self.reach.at(rows, levels), levels)

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return {"design": self.design.saved(), "booster": self.booster.text, "reach": self.reach.saved()}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Conformal":
        """Return the model of ``saved``."""
        return Conformal(
            design=Design.loaded(saved["design"]),
            booster=Booster(saved["booster"]),
            reach=Reach.loaded(saved["reach"]),
        )


def learn_quantiles(rows: pl.DataFrame, spec: TreeSpec) -> Quantiles:
    """Return the boosters of TRAINING_SET rows, sorted by key, for the median and each end of the spec's bands."""
    design, z = _kept(rows, spec), rows["z"].to_numpy()
    x, ends = design.matrix(rows), {"mean": 0.5}
    ends |= {
        f"{side}_{level}": (100 + way * level) / 200 for level in spec.levels for side, way in (("lo", -1), ("hi", 1))
    }
    return Quantiles(
        design=design,
        boosters={n: trained(x, z, design.names, spec.boosting, quantile=tail) for n, tail in sorted(ends.items())},
    )


def learn_conformal(rows: pl.DataFrame, spec: TreeSpec) -> Conformal:
    """Return the booster of the mean of TRAINING_SET rows, sorted by key, and the reach of its errors out of fold."""
    design, z = _kept(rows, spec), rows["z"].to_numpy()
    errors = np.abs(z - seen_apart(rows, spec)["mean"].to_numpy())
    booster = trained(design.matrix(rows), z, design.names, spec.boosting)
    return Conformal(design=design, booster=booster, reach=reach(rows, errors, window_min=spec.window_min))


def seen_apart(rows: pl.DataFrame, spec: TreeSpec) -> pl.DataFrame:
    """Return KEY and mean by boosters of every feature that never saw the row's block of sessions."""
    told: list[pl.DataFrame] = []
    for fold in purged_folds(rows, folds=spec.folds, embargo_days=spec.embargo_days):
        design = _kept(fold.train, spec)
        booster = trained(design.matrix(fold.train), fold.train["z"].to_numpy(), design.names, spec.boosting)
        mean: Floats = booster.predicted(design.matrix(fold.test))
        told.append(fold.test.select(KEY).with_columns(mean=pl.Series(mean, dtype=pl.Float64)))
    return pl.concat(told)


def _kept(rows: pl.DataFrame, spec: TreeSpec) -> Design:
    return spec.whole_design.without(unknown(rows, spec.whole_design.names))
