"""Eligibility: who may trade today, and what is never enough."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.gates import references
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets_tests.core.gates.made import (
    DAY,
    SMOKE,
    everyones,
    judged,
    of_references,
    scores,
    sessions,
    verdicts,
)


def test_a_forecaster_better_than_every_reference_is_eligible() -> None:
    frame = judged(scores(sessions(60)))
    assert verdicts(frame) == {("AAA", "baseline"): "eligible"}
    assert frame["passed"].all()
    assert set(frame["criterion"]) == {"eligibility", "rmae", "rrmse", "coverage_50", *references.CRITERIA}
    rmae = frame.filter(criterion="rmae").row(0, named=True)
    assert (rmae["n"], rmae["threshold"]) == (300, 1.0)
    assert rmae["low"] < rmae["value"] < rmae["high"] < 1


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"skill": 0.0}, {"rmae_zero", "rpinball_zero"}),
        ({"skill": -0.15}, {"rmae_zero", "rpinball_zero", "rmae_climatology", "rpinball_climatology"}),
        ({"coverage": 0.8}, {"coverage_50"}),
        ({"skill": -1.0}, {"rmae", "rrmse", "rmae_zero", "rmae_climatology", "rpinball_zero", "rpinball_climatology"}),
    ],
)
def test_one_criterion_that_does_not_hold_makes_a_symbol_ineligible(
    changes: dict[str, float], failed: set[str]
) -> None:
    frame = judged(scores(sessions(60), **changes))  # type: ignore[arg-type]
    assert verdicts(frame) == {("AAA", "baseline"): "ineligible"}
    assert failed <= set(frame.filter(~pl.col("passed"))["criterion"]) - {"eligibility"}
    verdict = frame.filter(criterion="eligibility").row(0, named=True)
    assert all(name in verdict["reason"] for name in failed)
    criteria = frame.filter(pl.col("criterion") != "eligibility")
    assert (verdict["value"], verdict["threshold"]) == (criteria["passed"].sum(), criteria.height)


def test_fewer_than_the_minimum_is_insufficient_even_for_a_bad_forecaster() -> None:
    frame = judged(scores(sessions(39), skill=-1.0))
    assert verdicts(frame) == {("AAA", "baseline"): "insufficient_observation"}
    assert frame.filter(criterion="rmae")["reason"].item() == "insufficient_observation: 195 forecasts, 200 needed"
    assert not frame["passed"].any() or set(frame.filter("passed")["criterion"]).isdisjoint({"rmae", "eligibility"})
    assert set(frame["bootstrap"]) == {"trade"}
    assert verdicts(judged(scores(sessions(40)))) == {("AAA", "baseline"): "eligible"}


def test_a_symbol_never_scored_has_one_row_that_says_so() -> None:
    frame = judged(scores(sessions(60)), symbols=("AAA", "ZZZ"))
    assert verdicts(frame) == {("AAA", "baseline"): "eligible", ("ZZZ", "*"): "insufficient_observation"}
    unseen = frame.filter(symbol="ZZZ").row(0, named=True)
    assert (unseen["passed"], unseen["n"], unseen["value"]) == (False, 0, 0.0)


def test_each_source_triple_has_its_own_verdict() -> None:
    mixed = pl.concat([scores(sessions(60)), scores(sessions(60), sources=LIVE, skill=-1.0)])
    assert verdicts(judged(mixed)) == {("AAA", "baseline"): "eligible", ("AAA", "model"): "ineligible"}


def test_rows_in_which_the_control_arm_stood_in_are_no_evidence_for_anybody() -> None:
    stood_in = SMOKE | {"score_source": "fallback"}
    own, others = scores(sessions(60), skill=-1.0), scores(sessions(60), skill=0.9, sources=stood_in)
    assert_frame_equal(judged(pl.concat([own, others])), judged(own))
    assert verdicts(everyones(others)) == {("AAA", "*"): "insufficient_observation"}


def test_scores_of_the_day_itself_or_before_the_window_are_not_read() -> None:
    own = scores(sessions(60))
    poison = scores([DAY, calendar.shifted(DAY, 1), calendar.shifted(DAY, -61)], skill=-9.0)
    assert_frame_equal(judged(pl.concat([own, poison])), judged(own))
    bad_yesterday = scores([calendar.shifted(DAY, -1)], skill=-9.0).with_columns(
        pl.col("snapshot_ts").dt.offset_by("1m")
    )
    assert not judged(pl.concat([own, bad_yesterday])).equals(judged(own))


def test_symbols_together_or_one_by_one_give_the_same_rows() -> None:
    both = pl.concat([scores(sessions(60)), scores(sessions(60), symbol="BBB", skill=0.1)])
    single = pl.concat([judged(both, symbols=(symbol,)) for symbol in ("AAA", "BBB")])
    assert_frame_equal(judged(both.sample(fraction=1, shuffle=True, seed=1), symbols=("BBB", "AAA")), single)


def test_forecasts_that_are_not_aligned_cannot_earn_eligibility() -> None:
    frame = judged(scores(sessions(60)).with_columns(label_aligned=pl.lit(False)))
    assert verdicts(frame) == {("AAA", "*"): "insufficient_observation"}


def test_a_symbol_meets_the_references_on_common_rows_alone() -> None:
    own = scores(sessions(60))
    beside = of_references(own)
    row = judged(own).filter(criterion="rpinball_climatology").row(0, named=True)
    theirs = beside.filter(forecaster="climatology")
    assert (row["n"], row["threshold"]) == (300, 1.0)
    assert row["value"] == pytest.approx(own["pinball"].sum() / theirs["pinball"].sum())
    early = pl.col("day") < sessions(30)[0]
    strange = beside.with_columns(
        calibration=pl.when(early).then(pl.lit("none")).otherwise("calibration"),
        pinball=pl.when(early).then(0.0).otherwise("pinball"),
    )
    frame = everyones(pl.concat([own, strange])).filter(forecaster="timegpt")
    late = pl.concat([own.filter(~early), theirs.filter(~early)])
    reasons = dict(frame.select("criterion", "reason").iter_rows())
    assert reasons["rpinball_climatology"] == "insufficient_observation: 150 common forecasts, 200 needed"
    seen = frame.filter(criterion="rpinball_climatology")["value"].item()
    sums = dict(late.group_by("forecaster").agg(pl.col("pinball").sum()).iter_rows())
    assert seen == pytest.approx(sums["timegpt"] / sums["climatology"])


def test_the_scores_of_another_symbol_or_forecaster_move_no_verdict() -> None:
    own = pl.concat([scores(sessions(60)), of_references(scores(sessions(60)))])
    others = [scores(sessions(60), symbol="BBB", skill=-2.0), scores(sessions(60), skill=0.99)]
    bad = [frame.with_columns(forecaster=pl.lit("size")) for frame in others]
    frame = pl.concat([own, *bad, of_references(others[0])])
    assert_frame_equal(everyones(frame).filter(forecaster="timegpt"), everyones(own).filter(forecaster="timegpt"))
