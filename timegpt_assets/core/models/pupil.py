"""A net that has learnt from rows: what it is taught, and what it says of others.

Belongs here: from rows to the arithmetic of mixer.py, which imports torch, an extra: it is imported when a net learns,
is read or answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.models.apart import z_apart
from timegpt_assets.core.models.boosting import LibraryAbsent
from timegpt_assets.core.models.design import Floats
from timegpt_assets.core.models.net_spec import NetSpec
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.sight import Sight, sight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pupil:
    """Weights that have learnt, and how they see rows; without weights, where nothing could be learnt, they say 0."""

    sight: Sight
    hidden: int
    blocks: int
    weights: Mapping[str, Any] | None

    def said(self, rows: pl.DataFrame, *, at_once: int) -> Floats:
        """Return [row], ``at_once`` rows a call."""
        if self.weights is None:
            return np.zeros(rows.height)
        mixer, x = arithmetic(), self.sight.of(rows)
        found: Floats = mixer.said(self.weights, x, self.shape(mixer), at_once=at_once).astype(np.float64)
        return found

    def shape(self, mixer: ModuleType) -> Any:
        """Return the net's size, as mixer.py takes it."""
        size = {"n_tokens": self.sight.n_tokens, "n_channels": len(self.sight.channels)}
        return mixer.Shape(**size, hidden=self.hidden, blocks=self.blocks)


def learn_pupil(rows: pl.DataFrame, teacher: pl.DataFrame, spec: NetSpec) -> Pupil:
    """Return what learns from the rows, taught by ``teacher`` where it tells a mean; both fitted on them alone."""
    rows = rows.sort(KEY)
    own = sight(rows, n_tokens=spec.n_tokens, channels=spec.channels, scaled=spec.scaled)
    truth = target(rows, spec)
    told = rows.select(KEY).join(teacher.select(*KEY, "mean"), on=list(KEY), how="left", maintain_order="left")["mean"]
    found = Pupil(sight=own, hidden=spec.hidden, blocks=spec.blocks, weights=None)
    if not truth.any():  # nothing ever set a symbol apart
        return found
    mixer = arithmetic()
    course = {name: getattr(spec, name) for name in mixer.Course.__slots__}
    taught = told.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    weights = mixer.learnt(own.of(rows), truth, taught, found.shape(mixer), mixer.Course(**course))
    return replace(found, weights=weights)


def target(rows: pl.DataFrame, spec: NetSpec) -> Floats:
    """Return what the mean is learnt from: z, on road apart less the market's."""
    found: Floats = z_apart(rows) if spec.tree.road == "apart" else rows["z"].to_numpy()
    return found


def arithmetic() -> ModuleType:
    """Return mixer.py; LibraryAbsent without torch, saying what helps."""
    try:
        from timegpt_assets.core.models import mixer
    except ModuleNotFoundError as missing:
        if (missing.name or "").split(".")[0] != "torch":
            raise
        raise LibraryAbsent(
            "torch is not installed: the seat tsmixer learns and answers with it. make setup-neural says what it would "
            "fetch and installs it, or pip install 'timegpt-assets[neural]'; or take tsmixer and blend out of "
            "forecast.challengers."
        ) from missing
    return mixer
