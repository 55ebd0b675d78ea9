"""What moved a day's forecasts, by the artifacts that gave them: of the rows that answered, and of no others."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.models.attributed import attributed
from timegpt_assets.core.models.blend import stood_in
from timegpt_assets_tests.adapters.models import rungs
from timegpt_assets_tests.adapters.models.artifacts import signer
from timegpt_assets_tests.adapters.models.rungs import DAY, LEVELS, House, frames, market


def models() -> pl.DataFrame:
    """Return what is believed of the house's tree and blend."""
    return pl.concat([rungs.stated("lightgbm", rungs.of_tree().digest), rungs.stated("blend", rungs.of_blend().digest)])


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Return a house with a tree and a blend that takes all of it."""
    found = House(folder=tmp_path)
    for made in (rungs.of_tree(), rungs.of_blend()):
        found.publish(made, signer())
    return found


def answers(house: House) -> pl.DataFrame:
    base = house.answers(models().filter(forecaster="lightgbm"), shown=frames(symbols=("AAA",))).rows
    return pl.concat([base, house.ladder.blended(base, models(), day=DAY).rows])


def explained(house: House, rows: pl.DataFrame, *, top: int = 2) -> tuple[pl.DataFrame, dict[str, str]]:
    return attributed(house.ladder, rows, models(), market(), day=DAY, levels=LEVELS, top=top)


def test_every_forecast_of_a_rung_is_explained_by_the_artifact_that_gave_it(house: House) -> None:
    rows = answers(house)
    told, silent = explained(house, rows)
    assert silent == {}
    asked = rows.filter(pl.col("forecaster").is_in(["lightgbm", "blend"])).select("forecaster", "snapshot_ts", "symbol")
    assert told.select(asked.columns).unique().sort(asked.columns).rows() == asked.sort(asked.columns).rows()
    about = told.select("forecaster", "policy", "digest").unique().sort("forecaster").rows()
    assert about == [
        ("blend", "tabular_only", rungs.of_blend().digest),
        ("lightgbm", None, rungs.of_tree().digest),
    ]
    assert told["rank"].max() == 3
    centre = told.filter(part="centre", rank=1, forecaster="lightgbm").join(rows, on=["forecaster", "snapshot_ts"])
    said = centre["mean"] * centre["target_scale"] / centre["sigma"]
    assert centre["forecast"].to_list() == pytest.approx(said.to_list())


def test_what_the_control_arm_said_in_a_rungs_place_is_not_explained(house: House) -> None:
    rows = answers(house)
    fallen = stood_in(rows.filter(forecaster="lightgbm"))
    told, silent = explained(house, pl.concat([rows.filter(forecaster="lightgbm"), fallen]))
    assert set(told["forecaster"]) == {"lightgbm"}
    assert silent == {}


def test_an_artifact_that_is_no_longer_believed_explains_nothing_and_says_so(house: House) -> None:
    rows = answers(house)
    told, silent = explained(replace(house, keys={}, demand=True), rows)
    assert told.is_empty()
    assert set(silent) == {"lightgbm", "blend"}
    assert "is refused" in silent["lightgbm"]


def test_a_day_on_which_nobody_answered_has_no_rows(house: House) -> None:
    told, silent = explained(house, answers(house).clear())
    assert told.is_empty()
    assert silent == {}
