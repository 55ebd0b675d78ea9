"""The ladder table: each rung against every one below it, on common rows alone, and nobody praised for a stand-in."""

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.evaluation.ladder import Terms, model_report, proven
from timegpt_assets.core.evaluation.trading import Account
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.evaluation import DAY_SCORES
from timegpt_assets.core.tables.models import MODEL
from timegpt_assets_tests.core.evaluation.test_comparison import score, trade
from timegpt_assets_tests.reports.pictures.frames import framed

AS_OF = date(2025, 2, 21)
DAYS = [calendar.shifted(AS_OF, -back) for back in range(9, -1, -1)]
TERMS = Terms(
    control_settings="c0ffee",
    account=Account(capital=100.0, symbols=("AAA", "BBB"), annualization_days=252),
    dm_p_lt=0.05,
)
WAVE = [0.01 * (-1) ** place for place in range(len(DAYS))]


def of(forecaster: str, loss: float, days: list[date] = DAYS, **other: Any) -> list[dict[str, Any]]:
    """Return a score a day, around a loss; its raw one is twice that."""
    return [
        score(forecaster, day, loss=loss + wave, raw_pinball=2 * (loss + wave), raw_abs_error=loss, sigma=2.0)
        | {"score_source": "baseline", "run_source": "prod", "data_regime": "maintenance_replay"}
        | other
        for day, wave in zip(days, WAVE, strict=False)
    ]


def losses(word: str, each: float) -> list[dict[str, Any]]:
    return [
        {"forecaster": word, "day": day, "n": 4, "pinball": each + wave, "abs_error": 2 * each}
        for day, wave in zip(DAYS, WAVE, strict=True)
    ]


def model(word: str, validation: list[dict[str, Any]]) -> pl.DataFrame:
    return framed(MODEL, [{"month": "2025-02", "as_of": AS_OF, "forecaster": word, "validation": validation}])


def report(
    rows: list[dict[str, Any]], trades: list[dict[str, Any]] | None = None, models: pl.DataFrame | None = None
) -> pl.DataFrame:
    return model_report(
        MODEL.empty() if models is None else models,
        framed(DAY_SCORES, rows) if rows else DAY_SCORES.empty(),
        framed(PORTFOLIO, trades) if trades else PORTFOLIO.empty(),
        month="2025-02",
        as_of=AS_OF,
        lookback_sessions=10,
        terms=TERMS,
    )


def one(frame: pl.DataFrame, rung: str, against: str, stage: str = "forward") -> dict[str, Any]:
    return frame.filter(rung=rung, against=against, stage=stage).row(0, named=True)


def test_a_pair_by_pencil() -> None:
    trades = [trade("lightgbm", DAYS[0], -30.0), trade("lightgbm", DAYS[1], 50.0), trade("ridge", DAYS[0], 10.0)]
    trades += [trade("lightgbm", DAYS[2], 99.0, admitted=False)]
    books = [row | {"run_source": "prod"} for row in trades]
    row = one(report([*of("lightgbm", 1.0), *of("ridge", 2.0)], books), "lightgbm", "ridge")
    own, other = np.array([1 + wave for wave in WAVE]) / 2, np.array([2 + wave for wave in WAVE]) / 2
    assert (row["n"], row["sessions"], row["control_settings"]) == (10, 10, "c0ffee")
    assert row["pinball_ratio"] == pytest.approx(own.sum() / other.sum())
    assert row["pinball_ratio_low"] <= row["pinball_ratio"] <= row["pinball_ratio_high"]
    assert row["mae_ratio"] == pytest.approx(0.5)
    assert (row["net_pnl"], row["against_net_pnl"]) == (20.0, 10.0)
    assert row["max_drawdown"] == pytest.approx(30.0 / 200.0)
    assert row["against_max_drawdown"] == 0.0


def test_better_is_lower_and_surely_so() -> None:
    worse = of("ridge", 2.0)
    worse[0] |= {"pinball": 3.0}
    row = one(report([*of("lightgbm", 1.0), *worse]), "lightgbm", "ridge")
    assert row["dm_p"] < 0.05
    assert row["better"]
    assert not one(report([*of("lightgbm", 2.0), *of("ridge", 2.0)]), "lightgbm", "ridge")["better"]
    noisy = of("ridge", 1.0)
    noisy[0] |= {"pinball": 3.0}
    row = one(report([*of("lightgbm", 1.0), *noisy]), "lightgbm", "ridge")
    assert row["pinball_ratio"] < 1
    assert row["dm_p"] > 0.05
    assert not row["better"], "one day is no proof"


def test_every_rung_meets_every_one_below_it_and_nobody_else() -> None:
    words = ("zero", "ridge", "lightgbm", "tsmixer", "blend")
    frame = report([row for word in (*words, "size", "timegpt") for row in of(word, 1.0)]).filter(stage="forward")
    found = frame.select("rung", "against").rows()
    assert sorted(found) == sorted((own, other) for i, own in enumerate(words) for other in words[:i])


def test_rows_that_the_control_arm_stood_in_for_never_count() -> None:
    good = [*of("lightgbm", 1.0, DAYS[:5]), *of("ridge", 2.0)]
    stood_in = of("lightgbm", 0.0, DAYS[5:], score_source="fallback")
    assert_frame_equal(report([*good, *stood_in]), report(good))
    assert one(report([*good, *stood_in]), "lightgbm", "ridge")["sessions"] == 5


def test_calibrated_rows_meet_calibrated_ones_and_as_answered_all_meet() -> None:
    frame = report([*of("lightgbm", 1.0), *of("ridge", 2.0, calibration="none")])
    assert frame.filter(rung="lightgbm", against="ridge")["stage"].to_list() == ["forward_raw"]
    assert one(frame, "lightgbm", "ridge", "forward_raw")["pinball_ratio"] == pytest.approx(0.5, rel=0.02)


def test_sources_stand_apart_and_roads_never_meet() -> None:
    live = {"score_source": "model", "data_regime": "prod_live"}
    frame = report([*of("lightgbm", 1.0, DAYS[:5]), *of("lightgbm", 3.0, DAYS[5:], **live), *of("ridge", 2.0)])
    assert frame.filter(rung="lightgbm", stage="forward")["sessions"].to_list() == [5, 5]
    assert report([*of("lightgbm", 1.0, run_source="smoke"), *of("ridge", 2.0)]).is_empty()


def test_sessions_before_the_window_and_after_its_end_are_not_read() -> None:
    outside = [calendar.shifted(DAYS[0], -1), calendar.shifted(AS_OF, 1)]
    base = [*of("lightgbm", 1.0), *of("ridge", 2.0)]
    assert_frame_equal(report([*base, *of("lightgbm", 9.0, outside), *of("ridge", 0.1, outside)]), report(base))


def test_validation_is_what_the_rungs_own_model_was_validated_by() -> None:
    tree = model("lightgbm", [*losses("lightgbm", 3.0), *losses("ridge", 4.0), *losses("zero", 4.0)])
    net = model("tsmixer", [*losses("tsmixer", 2.0), *losses("lightgbm", 1.0), *losses("ridge", 4.0)])
    frame = report([], models=pl.concat([tree, net]))
    assert set(frame["stage"]) == {"validation"}
    row = one(frame, "lightgbm", "ridge", "validation")
    assert row["pinball_ratio"] == pytest.approx(0.75, rel=0.01)
    assert (row["n"], row["sessions"], row["net_pnl"], row["score_source"]) == (40, 10, None, "*")
    assert one(frame, "tsmixer", "lightgbm", "validation")["pinball_ratio"] == pytest.approx(2.0, rel=0.01)
    assert one(frame, "ridge", "zero", "validation")["pinball_ratio"] == pytest.approx(1.0)
    assert frame.filter(rung="tsmixer", against="zero").is_empty(), "what was not validated is not made up"


def test_proven_is_better_than_the_control_arm_twice_and_than_the_twin_in_validation() -> None:
    forward = [*of("lightgbm", 1.0), *of("ridge", 2.0)]
    forward[-1] |= {"pinball": 3.0}

    def read(twin: float | None) -> pl.DataFrame:
        judges = [*losses("zero", 4.0), *losses("ridge", 4.1)] + ([] if twin is None else losses("unlearnt", twin))
        for place, row in enumerate(judges):
            row["pinball"] += 0.001 * (place % 3)
        return report(forward, models=model("lightgbm", [*losses("lightgbm", 3.0), *judges]))

    assert proven(read(3.5)) == ["lightgbm"]
    assert one(read(3.5), "lightgbm", "unlearnt", "validation")["pinball_ratio"] == pytest.approx(3 / 3.5, rel=0.01)
    assert proven(read(2.9)) == []
    assert proven(read(None)) == [], "who did not meet its twin has shown nothing"


def test_the_p_and_the_ratio_are_those_of_daily_sums_in_volatilities() -> None:
    ridge, tree = of("ridge", 2.0), of("lightgbm", 1.9)
    ridge[3] |= {"pinball": 5.0}
    restless = [4.0 if place == 5 else 2.0 for place in range(len(DAYS))]
    for rows in (ridge, tree):
        for row, sigma in zip(rows, restless, strict=True):
            row["sigma"] = sigma
    row = one(report([*tree, *ridge]), "lightgbm", "ridge")
    own, other = (np.array([each["pinball"] for each in rows]) / np.array(restless) for rows in (tree, ridge))
    assert row["pinball_ratio"] == pytest.approx(own.sum() / other.sum())
    assert row["dm_p"] == pytest.approx(significance.diebold_mariano(own, other))
