"""Promotion, and what holds of every gate: references, counts, and nothing that was never seen."""

from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.gates import promotion
from timegpt_assets.core.tables.columns import REFERENCES
from timegpt_assets.core.tables.evaluation import (
    COMPARISON,
    COST_SENSITIVITY,
    FORECAST_DIAGNOSTICS,
    OOS_SUMMARY,
    TRADING_SCORES,
)
from timegpt_assets.core.tables.gates import GATES
from timegpt_assets_tests.core.gates.made import (
    MONTH,
    SEATED,
    compared,
    diagnostics,
    everyones,
    failures,
    figures,
    forecast_rows,
    judged,
    of_references,
    scores,
    sessions,
    trading_rows,
    verdicts,
)


def promoted(forecast: pl.DataFrame, trading: pl.DataFrame) -> dict[str, bool]:
    frame = promotion.promotion(forecast, trading, **MONTH, champion="timegpt")  # type: ignore[arg-type]
    return dict(frame.select("symbol", "passed").iter_rows())


def test_promotion_needs_the_account_and_the_symbol() -> None:
    good = forecast_rows(diagnostics("AAA", "BBB", "*"))
    assert promoted(good, trading_rows()) == {"*": True, "AAA": True, "BBB": True}
    weak = forecast_rows(pl.concat([diagnostics("AAA", "*"), diagnostics("BBB", rrmse=0.98)]))
    assert promoted(weak, trading_rows()) == {"*": True, "AAA": True, "BBB": False}
    poor = trading_rows(figures(TRADING_SCORES, hit_rate=0.47))
    assert promoted(good, poor) == {"*": False, "AAA": False, "BBB": False}
    withheld = promotion.promotion(good, good, **MONTH, champion="timegpt", withheld="not here")  # type: ignore[arg-type]
    assert not withheld["passed"].any(), "whatever passed"
    assert set(withheld["reason"]) == {"not here"}
    reason = promotion.promotion(good, poor, **MONTH, champion="timegpt")["reason"]  # type: ignore[arg-type]
    assert set(reason) == {"not passed: trading_gate.hit_rate"}


def test_nothing_measured_promotes_nothing() -> None:
    empty = forecast_rows(FORECAST_DIAGNOSTICS.empty(), beside=COMPARISON.empty())
    nothing = trading_rows(TRADING_SCORES.empty(), COST_SENSITIVITY.empty(), OOS_SUMMARY.empty(), runs=0)
    assert not empty["passed"].any()
    assert promoted(empty, nothing) == {"*": False, "AAA": False, "BBB": False}
    assert promoted(GATES.empty(), GATES.empty()) == {"*": False}


def test_a_verdict_counts_what_passed_of_all() -> None:
    frame = judged(scores(sessions(60), skill=0.0)).filter(symbol="AAA")
    of_criteria, verdict = frame.filter(pl.col("criterion") != "eligibility"), frame.filter(criterion="eligibility")
    assert verdict.select("value", "threshold", "n").row(0) == (of_criteria["passed"].sum(), 7.0, 300)
    assert 0 < of_criteria["passed"].sum() < 7
    asked: Any = {**MONTH, "champion": "timegpt"}
    of_symbol = promotion.promotion(forecast_rows(diagnostics("AAA", "*")), trading_rows(), **asked)
    account, seen = of_symbol.filter(symbol="*").row(0, named=True), of_symbol.filter(symbol="AAA").row(0, named=True)
    failed = len(failures(forecast_rows(diagnostics("AAA", "*"), ("AAA",)))) + 2  # both medians
    assert (account["threshold"], account["value"]) == (account["n"], account["n"] - failed)
    assert (seen["n"] - account["n"], seen["value"] - account["value"]) == (3, 3)


def test_what_was_never_seen_counts_nothing() -> None:
    unseen = judged(scores(sessions(60)), symbols=("ZZZ",)).row(0, named=True)
    assert (unseen["n"], unseen["threshold"]) == (0, 200.0)
    nothing = trading_rows(TRADING_SCORES.empty(), COST_SENSITIVITY.empty(), OOS_SUMMARY.empty())
    assert set(nothing.filter(pl.col("criterion") != "completed_runs")["n"]) == {0}
    medians = pl.col("criterion").str.starts_with("median_")
    assert set(forecast_rows(diagnostics("AAA", "*")).filter(medians)["n"]) == {0}, "BBB is the one seen least"
    assert set(forecast_rows(diagnostics("*"), ()).filter(medians)["n"]) == {0}
    nobody = forecast_rows(FORECAST_DIAGNOSTICS.empty(), beside=COMPARISON.empty())
    assert set(nobody["n"]) == {0, 2}, "two symbols are asked of"


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_that_is_not_seated_is_named_with_the_remedy_and_never_passed(reference: str) -> None:
    seated = [name for name in SEATED if name != reference]
    said = f"insufficient_observation: {reference} is not seated: add it to forecast.challengers"
    month = forecast_rows(diagnostics("AAA", "BBB", "*"), seated=seated)
    missed = month.filter(pl.col("criterion").str.contains(f"_{reference}"))
    assert missed.height == 4
    assert set(missed["reason"]) == {said}
    assert not missed["passed"].any()
    assert failures(month) == set(missed.select("gate", "symbol", "criterion").iter_rows())
    day = judged(scores(sessions(60)), seated=seated)
    assert verdicts(day) == {("AAA", "baseline"): "insufficient_observation"}
    assert set(day.filter(pl.col("criterion").str.ends_with(f"_{reference}"))["reason"]) == {said}
    assert failures(day.with_columns(gate=pl.lit("day"))) == {
        ("day", "AAA", name) for name in (f"rmae_{reference}", f"rpinball_{reference}", "eligibility")
    }


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_does_not_beat_itself_and_is_promoted_by_nobody(reference: str) -> None:
    said = f"{reference} is what must be beaten: it does not beat itself"
    other = next(name for name in REFERENCES if name != reference)
    good = diagnostics("AAA", "BBB", "*").with_columns(forecaster=pl.lit(reference))
    month = forecast_rows(good, beside=compared(reference, against=[other]), seated=REFERENCES, own=reference)
    own = month.filter(pl.col("criterion").str.contains(f"_{reference}"))
    assert set(own["reason"]) == {said}
    assert own.height == 4
    assert not own["passed"].any()
    assert failures(month) == set(own.select("gate", "symbol", "criterion").iter_rows())
    asked: Any = {**MONTH, "champion": reference}
    assert not promotion.promotion(month, month, **asked)["passed"].any()
    frame = scores(sessions(60))
    day = everyones(pl.concat([frame, of_references(frame)])).filter(forecaster=reference)
    assert set(day["verdict"]) == {"ineligible"}
    assert set(day.filter(pl.col("criterion").str.ends_with(f"_{reference}"))["reason"]) == {said}
