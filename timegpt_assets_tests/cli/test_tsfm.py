"""The verb about prediction markets: a replay tells what it made, and what cannot be asked for is refused."""

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.cli.app import app
from timegpt_assets_tests.prediction_markets import written

DAYS = [date(2025, 11, day) for day in (1, 2)]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    slow = ("tsfm.cycle_min=60", "tsfm.model.provider=tollama", "tsfm.tollama.base_url=http://127.0.0.1:9")
    settings = [*written(tmp_path / "markets", DAYS), *places, *slow]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join(settings))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--profile", "demo"])


def test_a_replay_makes_its_days_once_and_tells_what_they_hold(house: Path) -> None:
    result = run("tsfm", "replay", "--start", "2025-11-01", "--end", "2025-11-02", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["partitions_there"] == 0 < found["partitions_made"]
    assert found["rows"]["markets"] == 3 * (17 + 6 + 17), "an event is listed as long as it is priced"
    assert found["rows"]["tsfm_forecasts"] == 12 * found["rows"]["selection"], "one price is enough"
    assert set(found["forecasts"]) == {"too_few_points", "tollama_error:connection", "degradation_baseline_only"}
    again = json.loads(run("tsfm", "replay", "--start", "2025-11-01", "--end", "2025-11-02", "--json").stdout)
    assert (again["partitions_made"], again["partitions_there"]) == (0, found["partitions_made"])
    assert again["rows"] == found["rows"]
    status = run("tsfm").stdout
    assert "market_series" in status
    assert "2025-11-02" in status


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("replay",), 2, "replay needs days"),
        (("replay", "--start", "2025-10-01", "--end", "2025-11-01"), 1, "lies outside the grid of UTC days"),
        (
            ("replay", "--start", "2025-11-20", "--end", "2025-11-21"),
            1,
            "price no market from 2025-11-20 to 2025-11-21: nothing was made. Ask for other days, or name their folder",
        ),
        (
            ("replay", "--start", "2025-11-01", "--end", "2025-11-02", "--set", "tsfm.markets.source=polymarket"),
            1,
            "no cycle looked at the venue from 2025-11-01 to 2025-11-02: nothing was made. Ask for days on which one",
        ),
        (("cycle",), 1, "files, which tell of the past. Replay them"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_what_helps(
    house: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    result = run("tsfm", *words)
    assert result.exit_code == code, result.output
    assert said in result.output.replace("\n", " ")
    assert not list(house.rglob("tsfm/*/*.parquet"))
