"""What a student is taught: nothing that a block of sessions itself, or those right beside it, would have told."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core.models.folds import purged_folds, sessions
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.teaching import teacher, teachers
from timegpt_assets_tests.core.models.made import rows, tree_spec

SPEC = tree_spec()
SIGNAL = rows(linear=0.2, interaction=0.3)


def disturbed(made: pl.DataFrame, days: list[date]) -> pl.DataFrame:
    """Return the rows with the outcomes of some sessions turned and stretched."""
    changed = pl.col("day").is_in(days)
    return made.with_columns(
        pl.when(changed).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name, factor in (("y", -3.0), ("z", -3.0), ("realised", 5.0))
    )


def test_what_teaches_a_block_never_saw_its_outcomes_nor_those_of_the_embargo_beside_it() -> None:
    taught = teacher(SIGNAL, SPEC)
    assert taught.select(KEY).equals(SIGNAL.select(KEY))
    days = sessions(SIGNAL)
    for fold in purged_folds(SIGNAL, folds=SPEC.folds, embargo_days=SPEC.embargo_days):
        first, last = (days.index(day) for day in (fold.test["day"].min(), fold.test["day"].max()))
        block, around = days[first : last + 1], days[max(first - 1, 0) : last + 2]
        its = pl.col("day").is_in(block)
        for touched in (block, around):
            again = teacher(disturbed(SIGNAL, touched), SPEC)
            assert again.filter(its).equals(taught.filter(its))
        assert not again.filter(~its).equals(taught.filter(~its))


def test_a_teacher_knows_something_where_there_is_something_to_know() -> None:
    told = SIGNAL.join(teacher(SIGNAL, SPEC), on=list(KEY))
    assert told.select(pl.corr("mean", "z")).item() > 0.2


def test_what_teaches_who_is_judged_on_a_fold_never_saw_that_fold_s_outcomes_nor_its_embargo_s() -> None:
    taught, days = teachers(SIGNAL, SPEC), sessions(SIGNAL)
    for fold, told in zip(purged_folds(SIGNAL, folds=SPEC.folds, embargo_days=SPEC.embargo_days), taught, strict=True):
        assert told.select(KEY).equals(fold.train.select(KEY))
    first = purged_folds(SIGNAL, folds=SPEC.folds, embargo_days=SPEC.embargo_days)[0]
    around = days[: days.index(first.test["day"].max()) + 2]
    again = teachers(disturbed(SIGNAL, around), SPEC)
    assert again[0].equals(taught[0])
    assert not again[1].equals(taught[1])


def test_on_the_road_together_the_teacher_sees_everything_but_its_block() -> None:
    spec = replace(SPEC, road="together")
    taught, days = teacher(SIGNAL, spec), sessions(SIGNAL)
    block = purged_folds(SIGNAL, folds=SPEC.folds, embargo_days=SPEC.embargo_days)[1].test["day"]
    around = days[days.index(block.min()) - 1 : days.index(block.max()) + 2]
    its = pl.col("day").is_in(block.unique().implode())
    again = teacher(disturbed(SIGNAL, around), spec)
    assert again.filter(its).equals(taught.filter(its))
    assert not again.filter(~its).equals(taught.filter(~its))


def test_what_a_judged_student_is_taught_of_a_row_does_not_know_how_that_row_came_out() -> None:
    """Beside each fold, the rows of every other block: louder by a hair, lest another share of the tree be believed."""
    strong = rows(12, linear=0.5).sort(KEY)
    folds, usual = purged_folds(strong, folds=SPEC.folds, embargo_days=SPEC.embargo_days), teachers(strong, SPEC)
    for block, fold in enumerate(folds):
        its = pl.col("day").is_in(fold.test["day"].unique().implode())
        changed = teachers(strong.with_columns(z=pl.when(its).then(pl.col("z") * 1.001).otherwise("z")), SPEC)
        assert changed[block].equals(usual[block])
        for other in {*range(len(folds))} - {block}:
            assert changed[other].filter(its).equals(usual[other].filter(its))
            assert not changed[other].equals(usual[other])


def test_on_noise_a_teacher_says_nothing_of_what_it_teaches() -> None:
    """Who had seen the rows would: a tree's answers to what it learnt from follow it, whatever it is."""
    noise = rows(12, seed=8).sort(KEY)
    said, z = teacher(noise, SPEC)["mean"].to_numpy(), noise["z"].to_numpy()
    assert abs(said @ z) <= 0.1 * np.linalg.norm(said) * np.linalg.norm(z)
