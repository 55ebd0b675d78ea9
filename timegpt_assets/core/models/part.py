"""A part of a tree: one booster, what it sees, and how much of what it says is believed.

Belongs here: learning it, and choosing that share on days it never saw.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.models.boosting import Booster, trained
from timegpt_assets.core.models.design import Design, Floats, unknown
from timegpt_assets.core.models.folds import Fold
from timegpt_assets.core.models.tree_spec import TreeSpec

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much of what a booster says may be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A booster, what it sees, and the share of it that is believed; without a booster it says ``level``.

    It says level + share x (booster - level).
    """

    booster: Booster | None
    design: Design
    share: float
    level: float

    def at(self, rows: pl.DataFrame) -> Floats:
        """Return [row]."""
        return shrunk(said_by(self.booster, self.design, rows, self.level), self.share, self.level)

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        text = self.booster and self.booster.text
        return {"booster": text, "design": self.design.saved(), "share": self.share, "level": self.level}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Part":
        """Return the part of ``saved``."""
        text = saved["booster"]
        return Part(
            booster=None if text is None else Booster(text),
            design=Design.loaded(saved["design"]),
            share=float(saved["share"]),
            level=float(saved["level"]),
        )


def learn_part(
    rows: pl.DataFrame,
    folds: Sequence[Fold],
    spec: TreeSpec,
    design: Design,
    target: Callable[[pl.DataFrame], Floats],
    choose: Callable[[Floats, Floats, Floats, float], float],
    *,
    centred: bool = False,
) -> tuple[Part, Floats]:
    """Return what is learnt of a target, and [row] what boosters said that never saw the row's block."""
    truth = target(rows)
    known = truth[np.isfinite(truth)]
    level = float(known.mean()) if centred and known.size else 0.0
    seen = np.concatenate([said_by(*learn_booster(f.train, spec, design, target), f.test, level) for f in folds])
    booster, kept = learn_booster(rows, spec, design, target)
    share = choose(truth, seen, rows["z"].to_numpy(), level)
    return Part(booster=booster, design=kept, share=share, level=level), seen


def learn_booster(
    rows: pl.DataFrame, spec: TreeSpec, design: Design, target: Callable[[pl.DataFrame], Floats]
) -> tuple[Booster | None, Design]:
    """Return the booster of a target and the features that any row knows; none where there is nothing to learn."""
    kept, truth = design.without(unknown(rows, design.names)), target(rows)
    known = np.isfinite(truth)
    if not kept.names or not known.any() or np.ptp(truth[known]) == 0.0:
        return None, kept
    return trained(kept.matrix(rows), truth, kept.names, spec.boosting), kept


def said_by(booster: Booster | None, design: Design, rows: pl.DataFrame, level: float) -> Floats:
    """Return [row]: what a booster says, ``level`` where there is none."""
    return np.full(rows.height, level) if booster is None else booster.predicted(design.matrix(rows))


def shrunk(said: Floats, share: float, level: float) -> Floats:
    """Return level + share x (said - level)."""
    return level + share * (said - level)
