"""What a rung of the ladder must show before it is promoted, and that nobody else is asked for it."""

import polars as pl
import pytest

from timegpt_assets.core.tables.gates import INSUFFICIENT
from timegpt_assets.core.tables.models import MODEL_REPORT
from timegpt_assets_tests.core.gates import made

AGAINST_CONTROL = ["ladder_forward", "ladder_forward_p", "ladder_validation", "ladder_validation_p"]
AGAINST_TWIN = ["unlearnt_validation", "unlearnt_validation_p"]
OF_A_BLEND = ["drawdown_over_ridge", "net_pnl_over_lightgbm", "net_pnl_over_tsmixer"]


def failed(rows: pl.DataFrame) -> list[str]:
    return sorted(rows.filter(~pl.col("passed"))["criterion"])


def test_a_blend_that_shows_everything_passes_and_each_criterion_says_why() -> None:
    rows = made.ladder_rows()
    assert sorted(rows["criterion"]) == sorted([*AGAINST_CONTROL, *OF_A_BLEND, *AGAINST_TWIN])
    assert rows["passed"].all()
    assert rows.select("gate", "symbol", "forecaster").unique().rows() == [("promotion", "*", "blend")]
    assert "0.85 < 1 holds" in rows.filter(criterion="ladder_forward")["reason"][0]


def test_forecasters_that_are_no_rung_are_asked_nothing() -> None:
    assert made.ladder_rows(forecasters=["timegpt", "ridge", "zero", "size"]).is_empty()


def test_a_part_is_asked_to_beat_the_control_arm_and_its_twin_alone() -> None:
    report = made.ladder_report().with_columns(rung=pl.lit("lightgbm"))
    rows = made.ladder_rows(report, forecasters=["lightgbm"])
    assert sorted(rows["criterion"]) == [*AGAINST_CONTROL, *AGAINST_TWIN]
    assert rows["passed"].all()


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        ({"pinball_ratio": 1.0}, ["ladder_forward"]),
        ({"dm_p": 0.05}, ["ladder_forward_p"]),
        ({"dm_p": None}, ["ladder_forward_p"]),
        ({"net_pnl": 40.0}, OF_A_BLEND[1:]),
        ({"max_drawdown": 0.0501}, OF_A_BLEND[:1]),
        ({"sessions": 19}, sorted([*AGAINST_CONTROL[:2], *OF_A_BLEND])),
    ],
)
def test_what_is_not_shown_forward_is_not_passed(change: dict[str, object], fails: list[str]) -> None:
    assert failed(made.ladder_rows(made.ladder_report(**change))) == fails


@pytest.mark.parametrize("stage", ["validation", "forward"])
def test_validation_and_forward_are_both_asked(stage: str) -> None:
    worse = pl.when((pl.col("stage") == stage) & (pl.col("against") != "unlearnt"))
    report = made.ladder_report().with_columns(
        pinball_ratio=worse.then(1.01).otherwise("pinball_ratio"), dm_p=worse.then(0.6).otherwise("dm_p")
    )
    assert failed(made.ladder_rows(report)) == [f"ladder_{stage}", f"ladder_{stage}_p"]


def test_a_rung_that_is_no_better_than_its_bands_without_anything_learnt_is_not_passed() -> None:
    worse = pl.when(pl.col("against") == "unlearnt")
    report = made.ladder_report().with_columns(
        pinball_ratio=worse.then(1.0).otherwise("pinball_ratio"), dm_p=worse.then(0.05).otherwise("dm_p")
    )
    assert failed(made.ladder_rows(report)) == AGAINST_TWIN
    assert failed(made.ladder_rows(made.ladder_report().filter(pl.col("against") != "unlearnt"))) == AGAINST_TWIN


def test_a_report_without_rows_is_insufficient_observation() -> None:
    rows = made.ladder_rows(MODEL_REPORT.empty())
    assert failed(rows) == sorted(rows["criterion"])
    assert rows["reason"].str.starts_with(INSUFFICIENT).all()
    assert rows.filter(criterion="ladder_forward")["reason"][0].endswith("ridge and it have no common row in forward")


def test_as_answered_is_shown_and_decides_nothing() -> None:
    raw = made.ladder_report().filter(stage="forward").with_columns(stage=pl.lit("forward_raw"))
    report = pl.concat([made.ladder_report().filter(stage="validation"), raw])
    assert {*AGAINST_CONTROL[:2], *OF_A_BLEND} == set(failed(made.ladder_rows(report)))


def test_replayed_rows_are_no_live_ones() -> None:
    replayed = pl.when(pl.col("stage") == "forward").then(pl.lit("maintenance_replay")).otherwise("data_regime")
    report = made.ladder_report().with_columns(data_regime=replayed)
    assert "ladder_forward" in failed(made.ladder_rows(report))
