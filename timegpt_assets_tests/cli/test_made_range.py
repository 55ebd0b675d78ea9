"""A stage verb without a range takes what was forecast, says so, and where nothing was, names what makes it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from timegpt_assets import runtime
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli import comparing, making
from timegpt_assets.cli.app import app
from timegpt_assets.cli.asked import Asked

OF_MADE = ("calibrate", "backtest", "evaluate", "compare", "report")
MADE = ("2025-01-16", "2025-01-17", "2025-03-03")


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], str]]:
    """Return the function that gives the days a verb would make, and what it says, in a house of its own."""
    (tmp_path / "configs").mkdir()
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    seen: list[Asked] = []
    # what is asked is looked at here; making it is asked elsewhere, of the same verbs
    monkeypatch.setattr(making, "made", lambda asked, **rest: seen.append(asked))
    monkeypatch.setattr(comparing, "forecasters", lambda runtime, days: None)

    def asked(*words: str) -> tuple[list[str], str]:
        seen.clear()
        told = CliRunner().invoke(app, [*words, *(() if words == ("demo",) else ("--profile", "demo"))])
        return [str(day) for one in seen for day in one.days], told.output

    return asked


def forecast(days: tuple[str, ...]) -> None:
    """Store a file of forecasts for each day, as if it had been made."""
    store = ParquetStore(runtime.load_runtime(profile="demo").storage)
    for day in days:
        store.write("forecasts/raw_forecasts", day, pl.DataFrame({"symbol": ["AAPL"]}), keys=["AAPL"])


@pytest.mark.parametrize("verb", OF_MADE)
def test_it_takes_just_the_sessions_that_were_forecast_and_says_which(
    wanted: Callable[..., tuple[list[str], str]], verb: str
) -> None:
    forecast(MADE)
    days, said = wanted(verb)
    assert days == list(MADE), "not the sessions in between, that nobody made"
    assert "what was made: 3 sessions, 2025-01-16 to 2025-03-03; say --start and --end for others" in said
    assert wanted(verb, "--start", "2025-01-17")[0] == list(MADE[1:])
    assert wanted(verb, "--end", "2025-01-31")[0] == list(MADE[:2])
    assert wanted(verb, "--start", "2025-01-21", "--end", "2025-01-22")[0] == ["2025-01-21", "2025-01-22"]


def test_where_nothing_was_made_the_command_that_makes_it_is_named(
    wanted: Callable[..., tuple[list[str], str]],
) -> None:
    days, said = wanted("report")
    assert days == []
    assert (
        "None is there at all. Make some first: timegpt-assets demo, or for a window: timegpt-assets backfill" in said
    )
    assert said.rstrip().endswith("backfill --start DAY --end DAY --profile demo"), "whatever the environment says"
    assert wanted("demo")[0][-1] == "2025-03-14", "the command that is named is one"
    forecast(MADE)
    days, said = wanted("report", "--start", "2025-03-10")
    assert days == []
    assert "Forecasts of 2025-01-16 to 2025-03-03 are there." in said


def test_files_off_the_grid_are_nobody_s_range(wanted: Callable[..., tuple[list[str], str]]) -> None:
    forecast(("2019-01-02", *MADE, "2030-01-02"))
    assert wanted("report")[0] == list(MADE)


def test_a_file_that_is_named_like_no_day_is_nobody_s_session(wanted: Callable[..., tuple[list[str], str]]) -> None:
    forecast(MADE)
    folder = Path(runtime.load_runtime(profile="demo").storage.shown("forecasts/raw_forecasts"))
    (folder / "2025-01-17 (copy).parquet").write_bytes((folder / "2025-01-17.parquet").read_bytes())
    (folder / "notes.txt").write_text("what was changed by hand")
    assert wanted("report")[0] == list(MADE)


def test_what_begins_the_road_still_takes_the_grid(wanted: Callable[..., tuple[list[str], str]]) -> None:
    forecast(MADE)
    settings = runtime.load_runtime(profile="demo").settings.data
    for verb in ("check-data", "build-features", "forecast"):
        days = wanted(verb)[0]
        assert datetime.fromisoformat(days[0]).date() == settings.start_date
        assert datetime.fromisoformat(days[-1]).date() == settings.end_date
