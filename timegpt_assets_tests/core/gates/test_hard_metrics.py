"""Hard metrics: each stands in the way alone, rests on live rows alone, and is insufficient on too few."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.gates.counted import LIVE, Counted
from timegpt_assets.core.gates.hard_metrics import HardMetrics
from timegpt_assets.core.tables.evaluation import BACKTEST_RUNS, TRADING_SCORES
from timegpt_assets_tests.core.gates.made import SMOKE, failures, figures, hard_rows, runs


@pytest.mark.parametrize(
    ("criterion", "changed"),
    [
        ("sharpe_daily", {"sharpe_daily": 0.69}),
        ("max_drawdown", {"max_drawdown": 0.11}),
        ("reject_rate", {"reject_rate": 0.21}),
    ],
)
def test_each_hard_metric_stands_in_the_way_of_a_promotion(criterion: str, changed: dict[str, float]) -> None:
    assert failures(hard_rows(figures(TRADING_SCORES, **changed))) == {("hard_metrics", "*", criterion)}


def test_what_is_at_its_bound_passes() -> None:
    at = figures(TRADING_SCORES, sharpe_daily=0.7, max_drawdown=0.1, reject_rate=0.2, days=14)
    assert failures(hard_rows(at, runs(5))) == set()


def test_hard_metrics_need_their_own_days_of_observation() -> None:
    few = hard_rows(figures(TRADING_SCORES, days=13)).filter(pl.col("criterion") != "completed_runs")
    assert few.height == len(fields(HardMetrics)) - 1
    assert not few["passed"].any()
    assert few["reason"].str.starts_with("insufficient_observation: 13 days, 14 needed").all()


def test_one_observation_day_is_insufficient_whatever_it_earned() -> None:
    one = hard_rows(figures(TRADING_SCORES, days=1, sharpe_daily=9.0, max_drawdown=0.0), runs(1))
    assert not one["passed"].any()
    assert one["reason"].str.starts_with("insufficient_observation: 1 ").all()


def test_a_drawdown_of_sixty_percent_and_a_reject_rate_of_ninety_never_pass() -> None:
    bad = hard_rows(figures(TRADING_SCORES, max_drawdown=0.6, reject_rate=0.9, sharpe_daily=0.6))
    names = {"max_drawdown", "reject_rate", "sharpe_daily"}
    assert {name for _, _, name in failures(bad)} == names


def test_no_variance_has_no_sharpe_and_none_of_no_signals_no_reject_rate() -> None:
    flat = hard_rows(figures(TRADING_SCORES, sharpe_daily=None, vol_floor_applied=True, reject_rate=None))
    assert {name for _, _, name in failures(flat)} == {"sharpe_daily", "reject_rate"}
    assert set(flat.filter(~pl.col("passed"))["reason"].str.contains("is undefined: no variance")) == {True}


@pytest.mark.parametrize("sources", [SMOKE, LIVE | {"data_regime": "maintenance_replay"}])
def test_runs_of_other_sources_complete_nothing(sources: Mapping[str, str]) -> None:
    others = runs(500, sources=sources, regime="mixed")
    frame = hard_rows(made=pl.concat([runs(4, regime="mixed"), others]))
    row = frame.filter(criterion="completed_runs").row(0, named=True)
    assert (row["value"], row["n"], row["passed"]) == (4.0, 4, False)
    assert row["reason"] == "insufficient_observation: 4 completed runs, 5 needed"
    none = hard_rows(figures(TRADING_SCORES, sources=sources), others)
    assert set(none["n"]) == {0}
    assert none["reason"].str.ends_with("none is model+prod+prod_live, found " + "+".join(sources.values())).all()


def test_each_triple_that_is_counted_is_judged_by_itself_and_says_which_it_is() -> None:
    replayed: Any = {"score_source": "model", "run_source": "maintenance", "data_regime": "maintenance_replay"}
    asked = Counted(run_sources=("prod", "maintenance"), data_regimes=("prod_live", "maintenance_replay"))
    scored = pl.concat([figures(TRADING_SCORES), figures(TRADING_SCORES, sources=replayed, max_drawdown=0.3)])
    frame = hard_rows(scored, pl.concat([runs(), runs(7, sources=replayed)]), judged=asked)
    assert frame.select("run_source", "data_regime").unique().sort("run_source", "data_regime").rows() == [
        ("maintenance", "maintenance_replay"), ("prod", "maintenance_replay"), ("prod", "prod_live"),
    ]  # fmt: skip
    assert failures(frame.filter(**LIVE)) == set()
    assert failures(frame.filter(**replayed)) == {("hard_metrics", "*", "max_drawdown")}


def test_nothing_measured_is_nothing_passed() -> None:
    assert not hard_rows(TRADING_SCORES.empty(), BACKTEST_RUNS.empty())["passed"].any()
