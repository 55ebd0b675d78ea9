"""What is held out teaches nothing, every arm is judged on the same rows, and what was served is judged as served."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core.tables.tsfm import BANDS, TSFM_EVALUATION
from timegpt_assets.core.tsfm.conformal import adjusted, fitted
from timegpt_assets.core.tsfm.evaluation import (
    REFITTED,
    EvaluationSpec,
    Judging,
    above_floor,
    held_out,
    refitted,
    served,
    with_and_without_floor,
    with_floor,
)
from timegpt_assets.core.tsfm.guards import Guards, guarded
from timegpt_assets.core.tsfm.holdout import first_held_day, held_events
from timegpt_assets_tests.core.tsfm.outcome_rows import DAY, SPEC, before, outcomes
from timegpt_assets_tests.core.tsfm.test_scoring import SPEC as SCORING

JUDGING = EvaluationSpec(
    time_share=0.2, event_share=0.2, embargo_days=1, min_width=0.02, conformal=SPEC, scoring=SCORING
)
DAYS = 20


def month(seed: int = 0, per_day: int = 60, *, of_day: float = 0.0) -> pl.DataFrame:
    draws = np.random.default_rng(seed)
    return pl.concat(
        outcomes(draws.beta(4, 4, per_day).tolist(), day=before(n), market=f"m{n}", category="SA"[n % 2])
        for n in range(DAYS)
    )


def figure(rows: pl.DataFrame, split: str, arm: str, column: str = "coverage", level: float = 0.9) -> float:
    found = rows.filter(split=split, arm=arm, segment="all", level=level)
    return float(found[column][0])


def test_bands_of_alike_prices_hold_what_they_promise_on_what_was_held_out() -> None:
    found = held_out(month(per_day=200), JUDGING, floor=False)
    assert TSFM_EVALUATION.errors(found) == []
    for split in ("time", "time_rolling", "event"):
        for arm in ("conformal", "baseline_conformal"):
            for level in SPEC.levels:
                assert figure(found, split, arm, level=level) == pytest.approx(level, abs=0.03)
    assert abs(figure(found, "time", "raw") - 0.9) > 0.1


def test_every_arm_is_judged_on_the_same_rows() -> None:
    found = held_out(month(), JUDGING, floor=False)
    counts = found.group_by("split", "segment", "level", "floor").agg(pl.col("samples").n_unique(), pl.len())
    assert counts["samples"].unique().to_list() == [1]
    assert counts["len"].unique().to_list() == [len(REFITTED)]


def test_held_days_and_the_embargo_teach_the_time_split_nothing() -> None:
    rows = month()
    first = first_held_day(rows, 0.2)
    assert first == before(3)
    told = held_out(rows, JUDGING, floor=False).filter(pl.col("split") == "time").drop("as_of")
    # the day of the embargo becomes another one: nothing that is said of the held-out days may change
    spoilt = rows.with_columns(y=pl.when(pl.col("day") == before(4)).then(1.0).otherwise("y"))
    assert held_out(spoilt, JUDGING, floor=False).filter(pl.col("split") == "time").drop("as_of").equals(told)
    within = rows.with_columns(y=pl.when(pl.col("day") == before(5)).then(1.0).otherwise("y"))
    assert not held_out(within, JUDGING, floor=False).filter(pl.col("split") == "time").drop("as_of").equals(told)


def test_held_events_teach_nothing_of_themselves_nor_of_each_other() -> None:
    rows = month()
    held = held_events(rows, 0.2)
    wild = rows.with_columns(
        y=pl.when(pl.col("event_id").is_in(held)).then(1.0).otherwise("y"),
    )
    found = held_out(wild, JUDGING, floor=False)
    others = rows.filter(~pl.col("event_id").is_in(held))
    apart = replace(SPEC, embargo_days=1)
    judged = wild.filter(pl.col("event_id").is_in(held))
    days = judged["made_on"].unique().sort()
    told = pl.concat(fitted(others, day, apart) for day in days)
    assert figure(found, "event", "conformal", "width") == pytest.approx(
        refitted(judged, told, SPEC, 0.9)
        .select(pl.col("tsfm_adjusted_upper") - pl.col("tsfm_adjusted_lower"))
        .mean()
        .item()
    )
    assert figure(found, "event", "conformal") == 0.0


def test_rolling_parameters_follow_and_those_learnt_once_do_not() -> None:
    rows = month(per_day=200).with_columns(y=pl.when(pl.col("day") >= before(3)).then(0.5).otherwise("y"))
    once, rolling = (
        held_out(rows, JUDGING, floor=False).filter(split=name, arm="conformal", segment="all", level=0.9)["width"][0]
        for name in ("time", "time_rolling")
    )
    assert rolling < once


def test_the_floor_is_the_guards_and_is_learnt_with() -> None:
    draws = np.random.default_rng(5)
    bands = np.sort(
        np.concatenate([draws.random((200, 3)), draws.random((200, 1)) + draws.random((200, 3)) / 99]), axis=1
    )
    bands = np.clip(bands, 0, 1)
    lower, median, upper = bands.T
    told = with_floor(outcomes(draws.random(400).tolist(), lower=lower, median=median, upper=upper), 0.02)
    want = guarded(bands, (0.1, 0.5, 0.9), Guards(min_width=0.02, max_width=1.0)).values
    np.testing.assert_allclose(told.select("lower", "upper").to_numpy(), want[:, [0, 2]], atol=1e-15)
    narrow = month().with_columns(lower=0.5, upper=0.5)
    widths = {floor: figure(held_out(narrow, JUDGING, floor=floor), "time", "raw", "width") for floor in (True, False)}
    assert widths == {True: pytest.approx(0.02), False: 0.0}


def test_of_nothing_there_is_no_row() -> None:
    assert held_out(month().clear(), JUDGING, floor=True).is_empty()
    assert served([], "2026-02", DAY, Judging(level=0.9, floor=True, scoring=SCORING)).is_empty()


def test_of_one_event_none_is_held_out_and_its_days_are() -> None:
    found = held_out(month().with_columns(event_id=pl.lit("one")), JUDGING, floor=True)
    assert set(found["split"]) == {"time", "time_rolling"}


def test_bands_that_stand_at_the_floor_say_nothing_of_those_without_it() -> None:
    """What a narrower one was nobody knows; which days and events are held out hangs on all prices."""
    rows = month(per_day=200)
    at_floor = (pl.int_range(pl.len()) % 2 == 1) | (pl.col("day") == before(1))
    narrow = rows.with_columns(lower=pl.when(at_floor).then(0.5).otherwise("lower"),
                               upper=pl.when(at_floor).then(0.52).otherwise("upper"))  # fmt: skip
    assert above_floor(narrow, 0.02).equals(rows.filter(~at_floor))
    assert above_floor(narrow, 0.0).equals(narrow)
    found = with_and_without_floor(narrow, JUDGING)
    assert {floor: figure(found.filter(floor=floor), "time", "raw", "samples") for floor in (True, False)} == {
        True: 4 * 200, False: 3 * 100,
    }  # fmt: skip
    assert set(with_and_without_floor(narrow, replace(JUDGING, min_width=0.0))["floor"]) == {False}


def test_what_was_served_is_judged_by_what_was_stored_then() -> None:
    rows = pl.concat([month(), outcomes([0.5] * 7, day=DAY - timedelta(days=40), market="old")])
    learnt = fitted(rows, before(3), SPEC)
    made = rows.rename({"made_on": "made"}).with_columns(day="made")
    told = adjusted(made, learnt, SPEC, level=0.9).rename({end: f"raw_{end}" for end in ("lower", "median", "upper")})
    bands = BANDS.conformed(
        told.with_columns(
            lower="raw_lower", median="raw_median", upper="raw_upper", band_source=pl.lit("tsfm_raw"),
            reason=pl.lit(None, pl.String), model=pl.lit("mock"),
        ).select(list(BANDS.columns))
    )  # fmt: skip
    own = rows.filter(pl.col("day").is_between(DAY.replace(day=1), before(2)))
    judging = Judging(level=0.9, floor=True, scoring=SCORING)
    found = served(((day, bands) for day in own.partition_by("day")), "2026-02", before(2), judging)
    assert TSFM_EVALUATION.errors(found) == []
    at_once = served([(own, bands)], "2026-02", before(2), judging)
    assert_frame_equal(found, at_once, abs_tol=1e-12)
    assert figure(found, "all", "raw", "samples") == own.height
    assert figure(found, "adjusted", "conformal", "samples") == own.filter(pl.col("day") == before(3)).height == 60
    inside = own.join(bands, on=["market_id", "as_of", "step"], suffix="_b").drop_nulls("adjusted_lower")
    assert figure(found, "adjusted", "conformal") == pytest.approx(
        inside.select(pl.col("y").is_between("adjusted_lower", "adjusted_upper").mean()).item()
    )
    assert set(found["as_of"]) == {before(2)}
    # prices whose bands are not stored (any more) count among all prices, and among no others
    without = served([(own, bands.clear())], "2026-02", before(2), judging)
    assert figure(without, "all", "raw", "samples") == own.height
    assert set(without["split"]) == {"all"}
