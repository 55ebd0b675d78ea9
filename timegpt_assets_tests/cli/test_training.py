"""The verb that trains: what it brings along and leaves alone, what it prints, and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.assets import previews
from timegpt_assets.cli.app import app
from timegpt_assets_tests.ladder_house import SEATED, SETTINGS
from timegpt_assets_tests.roads import TINY

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *SETTINGS, SEATED, *places]))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(previews, "verdict_map", lambda *_: {})  # nothing is drawn: half the time
    monkeypatch.setattr(previews, "day_charts", lambda *_: {})
    return tmp_path / "storage_root"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--profile", "demo"])


def found(*words: str) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


@pytest.mark.whole
def test_a_month_is_trained_with_the_sessions_it_learns_from_and_a_day_of_it_then_makes_neither(house):
    first = found("train", "--month", "2025-02")
    (tree,) = [row for row in first["models"] if row["forecaster"] == "lightgbm"]
    assert (tree["reason"], tree["first_day"], tree["last_day"]) == ("", "2025-01-21", "2025-01-30"), (
        "an embargo of one"
    )
    assert tree["digest"]
    assert tree["pinball_ratio"] > 0
    assert {path.parent.name for path in house.glob("*/*/2025-02-*.parquet")} == set(), "no session of its own month"
    assert not (house / "forecasts").exists(), "nobody is asked"
    assert first["untaught"] == {}
    again = run("train", "--month", "2025-02").stdout
    assert f"{tree['pinball_ratio']:.3f}" in again
    assert tree["digest"][:12] in again
    assert "0 partitions made in 0 runs" in again
    files = {path: path.stat().st_mtime_ns for path in [*house.glob("models/*/*.parquet")]}
    day = found("backfill", "--start", "2025-02-03", "--end", "2025-02-03", "--assets", "raw_forecasts")
    assert day["partitions_made"] > 0
    assert day["untaught"] == {}
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_month_without_history_says_so_of_each_rung_and_is_no_failure(house):
    told = found("train", "--month", "2025-01")
    assert [row["digest"] for row in told["models"]] == [None] * len(told["models"])
    assert all("insufficient_history" in row["reason"] for row in told["models"])


def test_a_month_off_the_grid_is_refused_before_anything_is_opened(house):
    result = run("train", "--month", "2024-12")
    assert result.exit_code == 1
    assert "2024-12 lies outside the grid, which runs from 2025-01-21 to 2025-03-04. Move" in result.stderr
    assert not house.exists()
