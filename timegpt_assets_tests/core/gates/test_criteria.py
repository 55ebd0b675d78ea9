"""One measured value against what is asked of it: each relation at its boundary, and too little evidence."""

from typing import Any

import pytest

from timegpt_assets.core.gates import criteria
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Estimate

ENOUGH = Evidence(n=5, needed=5)


@pytest.mark.parametrize(
    ("relation", "below", "equal", "above"),
    [("<", True, False, False), ("<=", True, True, False), (">", False, False, True), (">=", False, True, True)],
)
def test_a_relation_holds_on_its_side_of_the_threshold(relation: str, below: bool, equal: bool, above: bool) -> None:
    passed = [criteria.judged("x", Estimate(value), relation, 1, ENOUGH)["passed"] for value in (0.5, 1.0, 1.5)]
    assert passed == [below, equal, above]


@pytest.mark.parametrize(
    ("value", "low", "high", "passed"),
    [
        (0.75, None, None, True), (0.25, None, None, True), (0.76, None, None, False), (0.24, None, None, False),
        (0.9, 0.5, 0.95, True), (0.9, 0.51, 0.95, False), (0.1, 0.05, 0.5, True), (0.1, 0.05, 0.49, False),
        (0.9, None, 0.95, False), (0.1, 0.05, None, False),
    ],
)  # fmt: skip
def test_coverage_is_within_the_tolerance_of_a_half_or_has_a_half_in_its_interval(
    value: float, low: float | None, high: float | None, passed: bool
) -> None:
    measured = {"n": 9, "coverage_50": value, "coverage_50_day_low": low, "coverage_50_day_high": high}
    row = criteria.coverage(measured, tolerance=0.25, needed=9, found="")
    assert row["passed"] is passed
    assert row["reason"] == f"{value:.4g} within 0.25 of 0.5 or 0.5 in its interval " + (
        "holds" if passed else "does not hold"
    )


def test_one_observation_too_few_is_insufficient_whatever_the_value() -> None:
    row = criteria.judged("x", Estimate(0.0), "<", 1, Evidence(n=4, needed=5, found=", found others"))
    assert (row["passed"], row["n"], row["value"], row["threshold"]) == (False, 4, 0.0, 1.0)
    assert row["reason"] == "insufficient_observation: 4 forecasts, 5 needed, found others"
    assert criteria.judged("x", Estimate(), "<", 1, ENOUGH)["reason"].startswith("x is undefined")


def test_what_was_not_measured_has_no_observation() -> None:
    rows: list[dict[str, Any]] = [
        criteria.ratio(None, "rmae", below=1.0, needed=1, found=""),
        criteria.coverage(None, tolerance=0.1, needed=1, found=""),
        criteria.figure(None, "net_pnl", criterion="pnl", relation=">", threshold=0.0, needed=1, found=""),
    ]
    assert [(row["n"], row["value"], row["passed"]) for row in rows] == [(0, None, False)] * 3
    assert rows[2]["reason"] == "insufficient_observation: 0 days, 1 needed"


def test_a_count_is_enough_from_what_is_needed_on() -> None:
    enough = criteria.count("days", Evidence(n=3, needed=3, unit="days"))
    assert (enough["passed"], enough["reason"]) == (True, "3 >= 3 holds")
    assert not criteria.count("days", Evidence(n=2, needed=3))["passed"]


@pytest.mark.parametrize(("own", "other"), [(None, 0.6), (0.5, None), (None, None)])
def test_a_reference_of_which_one_side_is_unknown_is_not_beaten(own: float | None, other: float | None) -> None:
    row = criteria.judged("rmae", Estimate(0.5), "<", 0.95, Evidence(n=5, needed=5))
    found = criteria.beating(row, {"rmae_last": own, "against_rmae_last": other}, "zero")
    assert (found["passed"], found["zero"]) == (False, other)
    assert found["reason"].startswith("insufficient_observation: zero answered none")


@pytest.mark.parametrize(("value", "n"), [(0.5, 4), (None, 5)])
def test_what_is_not_judged_by_itself_is_not_judged_against_a_reference(value: float | None, n: int) -> None:
    row = criteria.judged("rmae", Estimate(value), "<", 0.95, Evidence(n=n, needed=5))
    found = criteria.beating(row, {"rmae_last": 0.5, "against_rmae_last": 0.6}, "zero")
    assert found == row | {"zero": 0.6}
