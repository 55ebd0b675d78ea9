"""Promotion, and what holds of every gate: references, counts, and nothing that was never seen."""

from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.gates import promotion
from timegpt_assets.core.gates.counted import status
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
    contract_rows,
    diagnostics,
    everyones,
    failures,
    figures,
    forecast_rows,
    hard_rows,
    judged,
    of_references,
    scores,
    sessions,
    trading_rows,
    verdicts,
)

ASKED: Any = {**MONTH, "champion": "timegpt"}


def promoted(forecast: pl.DataFrame, trading: pl.DataFrame) -> dict[str, bool]:
    frame = promotion.promotion(forecast, trading, hard_rows(), contract_rows(), **ASKED)
    return dict(frame.select("symbol", "passed").iter_rows())


def test_promotion_needs_the_account_and_the_symbol() -> None:
    good = forecast_rows(diagnostics("AAA", "BBB", "*"))
    assert promoted(good, trading_rows()) == {"*": True, "AAA": True, "BBB": True}
    weak = forecast_rows(pl.concat([diagnostics("AAA", "*"), diagnostics("BBB", rrmse=0.98)]))
    assert promoted(weak, trading_rows()) == {"*": True, "AAA": True, "BBB": False}
    poor = trading_rows(figures(TRADING_SCORES, hit_rate=0.47))
    assert promoted(good, poor) == {"*": False, "AAA": False, "BBB": False}
    withheld = promotion.promotion(good, good, **ASKED, withheld="not here")
    assert not withheld["passed"].any(), "whatever passed"
    assert set(withheld["reason"]) == {"not here"}
    reason = promotion.promotion(good, poor, **ASKED)["reason"]
    assert set(reason) == {"not passed: trading_gate.hit_rate"}


def test_nothing_measured_promotes_nothing() -> None:
    empty = forecast_rows(FORECAST_DIAGNOSTICS.empty(), beside=COMPARISON.empty())
    nothing = trading_rows(TRADING_SCORES.empty(), COST_SENSITIVITY.empty(), OOS_SUMMARY.empty())
    assert not empty["passed"].any()
    assert promoted(empty, nothing) == {"*": False, "AAA": False, "BBB": False}
    assert promoted(GATES.empty(), GATES.empty()) == {"*": False}
    assert not promotion.promotion(**ASKED)["passed"].any()


@pytest.mark.parametrize("missing", range(4))
def test_a_gate_that_says_nothing_of_what_is_live_promotes_nobody(missing: int) -> None:
    gates = [forecast_rows(diagnostics("AAA", "BBB", "*")), trading_rows(), hard_rows(), contract_rows()]
    assert promotion.promotion(*gates, **ASKED)["passed"].all()
    replayed = gates[missing].with_columns(run_source=pl.lit("maintenance"), data_regime=pl.lit("maintenance_replay"))
    for silent in (GATES.empty(), replayed):
        frame = promotion.promotion(*gates[:missing], silent, *gates[missing + 1 :], **ASKED)
        assert not frame["passed"].any()
        assert set(frame["reason"]) == {"a gate says nothing of what is live"}


def test_hard_metrics_and_contract_stand_in_the_way_of_a_promotion_by_name() -> None:
    forecast, trading = forecast_rows(diagnostics("AAA", "BBB", "*")), trading_rows()
    risky = hard_rows(figures(TRADING_SCORES, max_drawdown=0.6))
    other = contract_rows({sessions(60)[7]: {"feature_version": "feature_version 0"}})
    frame = promotion.promotion(forecast, trading, risky, other, **ASKED)
    assert not frame["passed"].any()
    assert set(frame["reason"]) == {"not passed: contract.feature_version, hard_metrics.max_drawdown"}


def test_the_status_says_passed_failed_or_too_little_and_the_figures() -> None:
    assert status(GATES.empty())["status"] == "insufficient_observation"
    assert status(hard_rows(figures(TRADING_SCORES, days=13)))["status"] == "insufficient_observation"
    failed = status(hard_rows(figures(TRADING_SCORES, max_drawdown=0.6)))
    assert (failed["status"], failed["passed"], failed["criteria"], failed["max_drawdown"]) == ("failed", 4, 5, 0.6)
    assert status(hard_rows())["status"] == "passed"
    told = status(hard_rows())
    assert (told["as_of"], told["counted"]) == (str(MONTH["as_of"]), "model+prod+prod_live")


def test_a_verdict_counts_what_passed_of_all() -> None:
    frame = judged(scores(sessions(60), skill=0.0)).filter(symbol="AAA")
    of_criteria, verdict = frame.filter(pl.col("criterion") != "eligibility"), frame.filter(criterion="eligibility")
    assert verdict.select("value", "threshold", "n").row(0) == (of_criteria["passed"].sum(), 7.0, 300)
    assert 0 < of_criteria["passed"].sum() < 7
    of_symbol = promotion.promotion(forecast_rows(diagnostics("AAA", "*")), trading_rows(), **ASKED)
    account, seen = of_symbol.filter(symbol="*").row(0, named=True), of_symbol.filter(symbol="AAA").row(0, named=True)
    failed = len(failures(forecast_rows(diagnostics("AAA", "*"), ("AAA",)))) + 2  # both medians
    assert (account["threshold"], account["value"]) == (account["n"], account["n"] - failed)
    assert (seen["n"] - account["n"], seen["value"] - account["value"]) == (5, 5)


def test_what_was_never_seen_counts_nothing() -> None:
    unseen = judged(scores(sessions(60)), symbols=("ZZZ",)).row(0, named=True)
    assert (unseen["n"], unseen["threshold"]) == (0, 200.0)
    nothing = trading_rows(TRADING_SCORES.empty(), COST_SENSITIVITY.empty(), OOS_SUMMARY.empty())
    assert set(nothing.filter(pl.col("criterion") != "completed_runs")["n"]) == {0}
    medians = pl.col("criterion").str.starts_with("median_")
    assert set(forecast_rows(diagnostics("AAA", "*")).filter(medians)["n"]) == {0}, "BBB is the one seen least"
    assert set(forecast_rows(diagnostics("*"), ()).filter(medians)["n"]) == {0}
    nobody = forecast_rows(FORECAST_DIAGNOSTICS.empty(), beside=COMPARISON.empty())
    assert set(nobody["n"]) == {0}
    assert status(nobody)["status"] == "insufficient_observation", "nobody was seen, so nobody failed"


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
    # zero's errors over persistence's are not below zero's, either
    of_zero = {("forecast_gate", s, r) for s in ("AAA", "BBB") for r in ("rmae", "rrmse")}
    of_zero |= {("forecast_gate", "*", "symbols_passed")}
    themselves = set(own.select("gate", "symbol", "criterion").iter_rows())
    assert failures(month) == themselves | (of_zero if reference == "zero" else set())
    assert not promotion.promotion(month, month, **ASKED | {"champion": reference})["passed"].any()
    frame = scores(sessions(60))
    day = everyones(pl.concat([frame, of_references(frame)])).filter(forecaster=reference)
    assert set(day["verdict"]) == {"ineligible"}
    assert set(day.filter(pl.col("criterion").str.ends_with(f"_{reference}"))["reason"]) == {said}
