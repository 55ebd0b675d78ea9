"""The verb explain at the real command line: what it tells of a forecast, on any terminal, and what it refuses."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli import app as cli
from timegpt_assets.core.tables.models import ATTRIBUTION
from timegpt_assets_tests.cli.test_status import STYLING

DAY, DIGEST = "2025-04-02", "ab12cd34" * 8


ABOUT = {
    "day": date(2025, 4, 2),
    "symbol": "AAPL",
    "snapshot_ts": datetime(2025, 4, 2, 14, tzinfo=UTC),
    "forecaster": "lightgbm",
    "part": "centre",
    "missing": False,
    "base": 0.01,
    "forecast": 0.16,
    "method": "contributions",
    "policy": None,
    "digest": DIGEST,
}
BLENDED = ABOUT | {"forecaster": "blend", "policy": "blend_alpha_0.3", "method": "blend"}
OTHERS = {"feature": "*", "value": None}
ROWS: list[dict[str, Any]] = [
    ABOUT | {"rank": 1, "feature": "ret_15m", "value": 0.00123, "contribution": 0.25},
    ABOUT | {"rank": 2, "feature": "volume_percentile", "value": None, "missing": True, "contribution": -0.125},
    ABOUT | OTHERS | {"rank": 3, "contribution": 0.025},
    ABOUT | OTHERS | {"rank": 1, "contribution": 0.0, "part": "size", "base": 0.7, "forecast": 0.7},
    BLENDED | {"rank": 1, "feature": "ret_1m", "value": 0.002, "contribution": 0.15},
    BLENDED | OTHERS | {"rank": 2, "contribution": 0.0},
]


@dataclass(frozen=True)
class House:
    """A folder in which one day's forecasts of AAPL are explained."""

    folder: Path

    def run(self, *words: str, seated: bool = True, **environment: str) -> Result:
        chosen = ["--set", f"data.storage_root={self.folder}"]
        chosen += ["--set", "forecast.challengers=[ridge, lightgbm]"] if seated else []
        shown = {"COLUMNS": "250"} | environment
        return CliRunner().invoke(cli.app, ["explain", "--profile", "demo", *chosen, *words], env=shown)

    def of(self, *words: str, symbol: str = "AAPL", day: str = DAY, **more: Any) -> Result:
        return self.run("--day", day, "--symbol", symbol, *words, **more)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    rows = ATTRIBUTION.conformed(pl.DataFrame(ROWS, schema=ATTRIBUTION.schema))
    ParquetStore(LocalStore(tmp_path)).write("models/attribution", DAY, rows)
    return House(tmp_path)


def test_a_forecast_is_told_with_what_moved_it_how_and_by_which_artifact(house: House) -> None:
    told = house.of()
    assert told.exit_code == 0, told.stderr
    lines = told.stdout.splitlines()
    assert f"# lightgbm: centre, AAPL on {DAY}, in volatilities (artifact {DIGEST[:12]})" in lines
    assert "10:00\tnothing known\t\t+0.0100\t+0.1600" in lines
    assert "\tret_15m\t0.00123\t+0.2500\t" in lines
    assert "\tvolume_percentile\tnot known\t-0.1250\t" in lines
    assert "\tall others\t\t+0.0250\t" in lines
    assert any(line.startswith("# blend, blend_alpha_0.3: centre, AAPL") for line in lines)
    assert any("half the width of the narrowest band" in line for line in lines)


def test_one_forecaster_is_told_alone(house: House) -> None:
    told = house.of("--forecaster", "blend").stdout
    assert "blend_alpha_0.3" in told
    assert "lightgbm" not in told


def test_as_json_it_holds_every_figure(house: House) -> None:
    found = json.loads(house.of("--json").stdout)
    assert (found["day"], found["symbol"]) == (DAY, "AAPL")
    keys = [(one["forecaster"], one["part"]) for one in found["forecasts"]]
    assert keys == [("lightgbm", "centre"), ("lightgbm", "size"), ("blend", "centre")]
    centre = found["forecasts"][0]
    assert (centre["base"], centre["forecast"], centre["digest"], centre["policy"]) == (0.01, 0.16, DIGEST, None)
    assert [moved["feature"] for moved in centre["moved_by"]] == ["ret_15m", "volume_percentile", "*"]
    assert centre["base"] + sum(moved["contribution"] for moved in centre["moved_by"]) == pytest.approx(0.16)
    assert found["forecasts"][2]["policy"] == "blend_alpha_0.3"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_on_a_terminal_of_any_width_nothing_is_cut(house: House, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    piped = house.of().stdout.splitlines()
    monkeypatch.setattr("timegpt_assets.cli.terminal.Terminal.is_screen", True)
    lines = STYLING.sub("", house.of(COLUMNS=str(width)).stdout).splitlines()
    whole = {word for text in piped for word in re.split(r"[\s,]+", text)}
    shown = " ".join(lines)
    assert max(map(len, lines)) <= max(width, 4 + max(map(len, whole)))
    assert [word for word in whole - {"#"} if word not in shown] == []


MAKE = "timegpt-assets backfill --start {0} --end {0} --assets attribution --force --profile demo"


def test_a_day_of_which_nothing_is_stored_is_refused_with_the_command_that_makes_it(house: House) -> None:
    told = house.of(day="2025-04-03")
    assert told.exit_code == 1
    assert "no forecast of 2025-04-03 is explained: nothing is stored of what moved it" in told.stderr
    assert told.stderr.rstrip().endswith(f"Make it: {MAKE.format('2025-04-03')}")
    nobody = house.of(day="2025-04-03", seated=False).stderr
    assert "nobody of the ladder is seated. Add lightgbm to forecast.challengers, then make it: " in nobody


def test_a_forecaster_or_symbol_that_did_not_answer_is_refused_with_who_did(house: House) -> None:
    told = house.of("--forecaster", "tsmixer")
    assert told.exit_code == 1
    assert f"tsmixer did not answer for AAPL on {DAY} by itself: lightgbm, blend did" in told.stderr
    assert told.stderr.rstrip().endswith(MAKE.format(DAY))
    silent = house.of(symbol="MSFT")
    assert f"the ladder did not answer for MSFT on {DAY} by itself: nobody of the ladder did" in silent.stderr


def test_a_symbol_that_is_not_there_is_refused_with_the_nearest(house: House) -> None:
    told = house.of(symbol="AAPLE")
    assert told.exit_code == 1
    assert "Did you mean AAPL?" in told.stderr
