"""What a student is taught: the tree's means of rows, by boosters that never saw the row's block of sessions.

Belongs here: out of fold for the whole of the rows, and for a student that is itself judged on one of the folds: what
it is taught must not know how that fold came out.
"""

from collections.abc import Sequence
from itertools import combinations

import polars as pl

from timegpt_assets.core.models.apart import closest, z_apart
from timegpt_assets.core.models.design import Floats
from timegpt_assets.core.models.folds import Fold, purged_folds
from timegpt_assets.core.models.part import learn_booster, said_by, shrunk
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.together import seen_apart
from timegpt_assets.core.models.tree_spec import TreeSpec

_Seen = pl.DataFrame
"""KEY, truth and said of a block's rows: what came, and what a booster says of it."""


def teacher(rows: pl.DataFrame, spec: TreeSpec) -> pl.DataFrame:
    """Return KEY and mean of TRAINING_SET rows: out of fold, the share that is believed chosen on the other blocks."""
    if spec.road == "together":
        return seen_apart(rows, spec)
    folds = _folds(rows, spec)
    pairs, told = _pairs(folds, spec), list[pl.DataFrame]()
    for own, fold in enumerate(folds):
        booster, design = learn_booster(fold.train, spec, spec.centre_design, z_apart)
        others = [pairs[other, own] for other in range(len(folds)) if other != own]
        told.append(_told(fold.test, said_by(booster, design, fold.test, 0.0), others, [fold]))
    return pl.concat(told).sort(KEY)


def teachers(rows: pl.DataFrame, spec: TreeSpec) -> list[pl.DataFrame]:
    """Return for each fold of the rows what ``teacher`` would say of those it learns from, had it not seen that fold.

    A row's mean comes from a booster that saw neither the row's block of sessions nor the fold's.
    """
    folds = _folds(rows, spec)
    if spec.road == "together":
        return [seen_apart(fold.train.sort(KEY), spec) for fold in folds]
    pairs, found, places = _pairs(folds, spec), list[pl.DataFrame](), range(len(folds))
    for own, fold in enumerate(folds):
        told = [
            _told(
                folds[one].test,
                pairs[one, own]["said"].to_numpy(),
                [pairs[k, own] for k in places if k not in (one, own)],
                [fold, folds[one]],
            )
            for one in places
            if one != own
        ]
        found.append(pl.concat(told).join(fold.train.select(KEY), on=list(KEY), how="semi").sort(KEY))
    return found


def _folds(rows: pl.DataFrame, spec: TreeSpec) -> tuple[Fold, ...]:
    return purged_folds(rows.sort(KEY), folds=spec.folds, embargo_days=spec.embargo_days)


def _pairs(folds: Sequence[Fold], spec: TreeSpec) -> dict[tuple[int, int], _Seen]:
    """Return (block, other block) -> what a booster that saw neither says of the first."""
    found: dict[tuple[int, int], _Seen] = {}
    for (i, one), (j, other) in combinations(enumerate(folds), 2):
        both = one.train.join(other.train.select(KEY), on=list(KEY), how="semi", maintain_order="left")
        booster, design = learn_booster(both, spec, spec.centre_design, z_apart)
        for block, beside in ((i, j), (j, i)):
            test = folds[block].test
            truth, said = z_apart(test), said_by(booster, design, test, 0.0)
            found[block, beside] = test.select(KEY).with_columns(truth=pl.Series(truth), said=pl.Series(said))
    return found


def _told(rows: pl.DataFrame, said: Floats, others: Sequence[_Seen], allowed: Sequence[Fold]) -> pl.DataFrame:
    """Return KEY and mean of a block's rows; nothing is believed where no other block can tell how much to believe.

    Of the other blocks only rows count that every one of ``allowed`` may learn from: the embargo holds here, too.
    """
    tell = pl.concat([*others, rows.select(KEY).clear().with_columns(truth=pl.lit(0.0), said=pl.lit(0.0))])
    for fold in allowed:
        tell = tell.join(fold.train.select(KEY), on=list(KEY), how="semi", maintain_order="left")
    truth, share = tell["truth"].to_numpy(), 0.0
    if not tell.is_empty():
        share = closest(truth, tell["said"].to_numpy(), truth, 0.0)
    return rows.select(KEY).with_columns(mean=pl.Series(shrunk(said, share, 0.0), dtype=pl.Float64))
