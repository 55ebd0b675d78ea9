"""The command line: exit codes, one JSON object on standard output, and refusals that say what to do instead.

One small house is made by a real process; the other commands then work in it, in the order of the file where they
build on each other, through typer's runner.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets import runtime
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets.cli import app as cli
from timegpt_assets.cli.exit_codes import WAITS
from timegpt_assets.core.lineage import path_to_bars
from timegpt_assets_tests.secret_search import KEY

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

PROFILE = """\
data:
  source: synthetic
  start_date: 2025-01-02
  end_date: 2025-01-31
  synthetic: {predictability: 0.3}
universe:
  tickers: [AAPL, NVDA]
  context: [SPY]
features: {warmup_sessions: 1}
forecast: {backend: baseline, history_days: 4}
gates: {bootstrap: trade}
"""
DAY, NEXT = "2025-01-16", "2025-01-17"
RUN = ("--run-id", "demo")


@dataclass(frozen=True)
class ObjectStore:
    """A folder with configs, and the environment that points there."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"TIMEGPT_ASSETS_CONFIG_DIR": str(self.folder / "configs"), "TIMEGPT_ASSETS_PROFILE": "demo"}

    @property
    def store(self) -> ParquetStore:
        return ParquetStore(LocalStore(self.folder / "data" / "demo"))

    def file(self, asset: str) -> Path:
        return Path(self.store.objects.shown(file_name(asset, NEXT)))

    def bytes(self) -> dict[str, bytes]:
        root = self.folder / "data"
        return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.parquet"))}


def objects(folder: Path) -> ObjectStore:
    (folder / "configs" / "profiles").mkdir(parents=True)
    (folder / "configs" / "profiles" / "demo.yaml").write_text(PROFILE)
    return ObjectStore(folder)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[ObjectStore, subprocess.CompletedProcess[str]]:
    """Return a house in which a real process has made one day, and what that process said."""
    house = objects(tmp_path_factory.mktemp("house"))
    path = {"PATH": "/usr/bin:/bin", "HOME": str(house.folder)}
    command = [sys.executable, "-m", "timegpt_assets.cli.app", "run-day", DAY, "--json"]
    ran = subprocess.run(
        command, capture_output=True, text=True, env=path | house.environment, check=False, cwd=house.folder
    )
    return house, ran


@pytest.fixture
def house(first: tuple[ObjectStore, subprocess.CompletedProcess[str]]) -> ObjectStore:
    return first[0]


@pytest.fixture
def elsewhere(tmp_path: Path) -> ObjectStore:
    """Return a house in which nothing has run."""
    return objects(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Return the function that runs a command of a house in this process."""

    def command(house: ObjectStore, *words: str, **environment: str) -> Result:
        for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "TIMEGPT_ASSETS_SET", "TIMEGPT_ASSETS_REAL_DATA"):
            monkeypatch.setenv(name, "")
            monkeypatch.delenv(name)
        for name, value in (house.environment | environment).items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(cli.app, list(words))

    return command


def figures(result: Result) -> dict[str, Any]:
    """Return the one JSON object a command printed on standard output."""
    assert result.stdout.count("\n") == 1, result.stdout
    return json.loads(result.stdout)


def said(result: Result) -> str:
    """Return the one message of a command that failed as expected."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error ")
    assert "Traceback" not in result.stderr
    return result.stderr.removeprefix("error ").strip()


def test_a_day_is_made_by_a_process_that_prints_one_json_object_and_progress_apart(first):
    house, ran = first
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.splitlines()
    found = json.loads(line)
    assert (found["profile"], found["first_day"], found["days"]) == ("demo", DAY, 1)
    assert found["partitions_made"] > 80
    assert found["verdicts"] == {"ok": 3}
    asked = house.store.read("calibration/forecasts", [DAY]).filter(forecaster="ridge")
    assert sum(found["forecasts"].values()) == asked.height > 0, "every forecast met a fate"
    assert Path(found["report"]).read_text().startswith("<!DOCTYPE html>")
    told = [text for text in ran.stderr.splitlines() if not text.startswith("so far: ")]
    assert [text for text in told if not text.startswith("✓ ")] == [], "no warnings, no log lines"
    assert len(told) == found["runs"]
    assert (house.folder / ".dagster" / "demo" / "dagster.yaml").exists()


def test_gates_that_fail_are_no_error_of_a_day(first):
    found = json.loads(first[1].stdout)
    assert found["gates_failed"]
    assert {gate["gate"] for gate in found["gates"]} >= {"forecast_gate", "trading_gate"}


def test_the_same_day_again_makes_nothing_and_says_so(run, house):
    before = house.bytes()
    result = run(house, "run-day", DAY, "--json")
    assert result.exit_code == 0, result.output
    found = figures(result)
    assert (found["partitions_made"], found["runs"]) == (0, 0)
    assert found["partitions_there"] > 80
    assert house.bytes() == before


def test_without_json_a_person_reads_tables_on_standard_output(run, house):
    result = run(house, "run-day", DAY, COLUMNS="200")
    assert result.exit_code == 0, result.output
    assert "demo: 2025-01-16 to 2025-01-16" in result.stdout
    assert "0 partitions made in 0 runs" in result.stdout
    assert "report: " in result.stdout
    assert result.stderr == ""


def test_force_makes_the_named_assets_again_and_stores_the_same(run, house):
    before = house.bytes()
    result = run(
        house, "backfill", "--start", DAY, "--end", DAY, "--assets", "quality_report, panel", "--force", "--json"
    )
    found = figures(result)
    assert (result.exit_code, found["partitions_made"]) == (0, 2)
    assert house.bytes() == before


def test_evaluate_exits_3_with_one_line_that_names_the_failed_gates(run, house):
    result = run(house, "evaluate", "--start", DAY, "--end", DAY, *RUN, "--json")
    assert result.exit_code == 3, result.output
    found = figures(result)
    (line,) = [text for text in result.stderr.splitlines() if not text.startswith(("✓", "so far: ", "run demo: "))]
    assert line == f"gates failed: {', '.join(found['gates_failed'])}"
    assert "trading_gate" in line
    assert "promotion" in line
    assert house.store.read("gates/promotion", ["2025-01"]).height > 0


@pytest.mark.parametrize(
    "verb",
    [
        "check-data",
        *(pytest.param(verb, marks=pytest.mark.whole) for verb in ("build-features", "forecast", "calibrate")),
        "backtest",
        pytest.param("report", marks=pytest.mark.whole),
    ],
)
def test_every_other_stage_is_content_with_what_is_there_whatever_the_gates_say(run, house, verb):
    result = run(house, verb, "--start", DAY, "--end", DAY, *RUN, "--json")
    assert result.exit_code == 0, result.output
    assert figures(result)["partitions_made"] == 0
    assert figures(result)["run"]["files"]


def test_the_stages_of_a_run_id_write_their_files_into_one_folder_and_say_where(house):
    folder = house.folder / "artifacts" / "runs" / "demo"
    steps = json.loads((folder / "meta.json").read_text())["steps"]
    assert {"evaluate", "check-data", "backtest"} <= set(steps)
    for name in ("validation/clean.parquet", "trades/bt_trades.csv", "eval/bt_summary.csv", "eval/gates.csv"):
        assert (folder / name).stat().st_size > 0, name
    assert {step["last_day"] for step in steps.values()} == {DAY}


def test_a_folder_of_settings_is_named_by_an_option_over_the_environment(run, house, elsewhere):
    config_dir = ("--config-dir", str(house.folder / "configs"))
    result = run(elsewhere, "forecast", "--start", DAY, "--end", DAY, *config_dir, "--api-mode", "offline", "--json")
    assert (result.exit_code, figures(result)["partitions_made"]) == (0, 0)
    refused = run(house, "check-data", "--start", DAY, "--end", DAY, "--run-id", "../up")
    assert "names no folder" in said(refused)


def test_a_report_without_a_range_is_of_what_was_made_and_makes_nothing_else(run, house):
    result = run(house, "report", "--json")
    assert result.exit_code == 0, result.output
    found = figures(result)
    assert (found["first_day"], found["last_day"], found["partitions_made"]) == (DAY, DAY, 0)
    assert f"what was made: 1 session, {DAY} to {DAY}" in result.stderr


@pytest.mark.whole
def test_some_symbols_first_leave_the_day_s_tables_to_the_rest(run, house):
    some = run(house, "run-day", NEXT, "--symbols", "AAPL", "--json")
    assert some.exit_code == 0, some.output
    assert figures(some)["incomplete"] == {name: [NEXT] for name in ("book", "day_scores", "funnel", "portfolio")}
    assert not house.file("backtest/book").exists()
    paid = house.file("forecasts/answers").read_bytes()
    rest = run(house, "run-day", NEXT, "--symbols", "NVDA,SPY", "--json")
    assert figures(rest)["incomplete"] == {}
    assert house.file("backtest/book").exists()
    assert house.file("forecasts/answers").read_bytes() == paid
    assert figures(run(house, "run-day", NEXT, "--json"))["partitions_made"] == 0


def test_set_values_are_recorded_in_the_lineage_of_what_they_shape(run, house):
    def made(*words: str) -> str:
        named = ("--start", DAY, "--end", DAY, "--assets", "calibration_models", "--force", "--json")
        assert run(house, "backfill", *named, *words).exit_code == 0
        return house.store.read("calibration/calibration_models", [DAY])["lineage_id"].unique().item()

    before, after = made(), made("--set", "calibration.window_days=11")
    records = LineageStore(house.store.objects).records()
    assert before != after
    assert records[before].config_digest != records[after].config_digest
    assert records[before].parents == records[after].parents, "what stands upstream was not shaped by it"
    assert "bars/raw_bars" in [record.asset for record in path_to_bars(records, after)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run-day", "2025-01-20"], "2025-01-20 (Monday) is not a session of XNYS. Nearest sessions: 2025-01-17 and"),
        (["run-day", "2025-02-03"], "2025-02-03 lies outside the grid, which runs from 2025-01-02 to 2025-01-31."),
        (["run-day", "1990-01-02"], "1990-01-02 lies outside the grid"),
        (
            ["run-day", DAY, "--symbols", "aapl"],
            "aapl is not in the universe (AAPL, NVDA, SPY). Did you mean AAPL? Add it to",
        ),
        (["backfill", "--start", NEXT, "--end", DAY], "the range 2025-01-17..2025-01-16 ends before it starts."),
        (["backfill", "--start", "2025-01-18", "--end", "2025-01-20"], "2025-01-18..2025-01-20 holds no session."),
        (["backfill", "--start", "2024-12-30", "--end", NEXT], "2024-12-30 and others lies outside the grid"),
        (
            ["backfill", "--start", DAY, "--end", DAY, "--assets", "barz"],
            "no asset is called barz. Did you mean bars? Choose from: alerts, answers",
        ),
        (["run-day", DAY, "--profile", "nobody"], "configs/profiles/nobody.yaml: profile = 'nobody' is refused"),
        (["run-day", DAY, "--set", "forecast.horizon_min=-1"], "--set: forecast.horizon_min = -1 is refused"),
        (["run-day", DAY, "--set", "nonsense"], "--set: nonsense = '' is refused"),
        (["config", "--set", "forecast.nonsense=1"], "--set: forecast.nonsense = 1 is refused"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_message(run, elsewhere, words, message):
    result = run(elsewhere, *words)
    assert message in said(result)
    assert not (elsewhere.folder / "data").exists()


def at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Set the clock of the commands."""
    asked = runtime.load_runtime
    monkeypatch.setattr(
        runtime, "load_runtime", lambda *words, **named: replace(asked(*words, **named), clock=lambda: moment)
    )


def test_a_session_that_is_still_open_is_refused(run, elsewhere, monkeypatch):
    at(monkeypatch, datetime(2025, 1, 16, 15, tzinfo=UTC))
    assert said(run(elsewhere, "run-day", DAY)) == (
        "the session of 2025-01-16 has not closed yet. Ask for 2025-01-15 or earlier."
    )


def test_a_session_that_waits_for_its_bars_is_not_done_and_the_exit_code_says_so(run, elsewhere, monkeypatch):
    at(monkeypatch, datetime(2025, 1, 16, 21, 5, tzinfo=UTC))
    (elsewhere.folder / "source").mkdir()
    source = ("--set", "data.source=local", "--set", f"data.root={elsewhere.folder / 'source'}")
    result = run(elsewhere, "run-day", DAY, "--json", *source)
    assert (result.exit_code, figures(result)["days_awaiting_bars"]) == (WAITS, [DAY]), result.output
    assert figures(result)["sessions"][DAY].startswith("waits for bars of AAPL, NVDA, SPY until ")


def test_a_day_that_is_no_date_is_a_usage_error(run, elsewhere):
    result = run(elsewhere, "run-day", "16.1.2025")
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_home_that_cannot_be_written_is_named(run, elsewhere):
    (elsewhere.folder / "home").write_text("a file")
    message = said(run(elsewhere, "run-day", DAY, DAGSTER_HOME=str(elsewhere.folder / "home")))
    assert message.startswith(f"DAGSTER_HOME {elsewhere.folder / 'home'} cannot be written: ")
    assert message.endswith("to a folder that is.")
    assert not (elsewhere.folder / "data").exists()


def test_bars_that_nobody_placed_are_asked_for_with_the_remedy(run, elsewhere):
    message = said(run(elsewhere, "check-data", "--profile", "dev", "--start", DAY, "--end", DAY))
    assert "data.root = None is refused" in message
    assert message.endswith("or the environment's TIMEGPT_ASSETS_REAL_DATA.")


def test_config_prints_every_key_with_its_origin(run, elsewhere):
    result = run(elsewhere, "config", "--json", "--set", "forecast.horizon_min=10")
    assert result.exit_code == 0, result.output
    found = figures(result)
    assert found["forecast.history_days"] == {"value": 4, "origin": f"{elsewhere.folder}/configs/profiles/demo.yaml"}
    assert found["forecast.horizon_min"] == {"value": 10, "origin": "--set"}
    assert found["calibration.embargo_days"]["origin"] == "configs/calibration.yaml"
    assert found["profile"]["value"] == "demo"
    assert len(found) > 150


@pytest.mark.parametrize("form", [["--json"], []])
def test_config_never_shows_a_secret(run, elsewhere, form):
    keys = {"TIMEGPT_API_KEY": KEY, "NIXTLA_API_KEY": KEY, "COLUMNS": "300"}
    result = run(elsewhere, "config", *form, **keys)
    assert result.exit_code == 0, result.output
    assert KEY not in result.output
    refused = said(run(elsewhere, "config", *form, "--set", f"forecast.model={KEY}", **keys))
    assert KEY not in refused
    assert "forecast.model = '[REDACTED]' is refused" in refused


def test_an_error_that_repeats_a_secret_is_printed_without_it(run, elsewhere, capsys):
    hidden = "very-hidden-word"
    home = f"data.dagster_home=/dev/null/{hidden}"
    message = said(run(elsewhere, "run-day", DAY, "--set", home, PGPASSWORD=hidden))
    assert "DAGSTER_HOME /dev/null/[REDACTED] cannot be written" in message
    assert hidden not in message
    cli._told(ZeroDivisionError, ZeroDivisionError(hidden), None)  # what no verb explains
    assert capsys.readouterr().err == "ZeroDivisionError: [REDACTED]\n"


def test_config_is_a_table_for_people_with_notes_apart(run, elsewhere):
    result = run(elsewhere, "config", COLUMNS="200")
    assert result.exit_code == 0, result.output
    assert "profile demo" in result.stdout
    assert "forecast.history_days" in result.stdout
    assert all(line.startswith("note ") for line in result.stderr.splitlines())


def test_a_message_with_brackets_is_printed_as_it_is(run, elsewhere):
    assert "'[bold]x[/]'" in said(run(elsewhere, "config", "--set", "data.source='[bold]x[/]'"))


def test_the_report_s_figures_are_those_of_the_table(first):
    house, ran = first
    table = house.store.read("reports/report", ["2025-01"])
    summary = json.loads(ran.stdout)["summary"]
    assert summary.keys() == set(table.select(pl.format("{}: {}", "section", "name")).to_series())


def test_a_daily_file_that_is_not_there_is_one_message_with_the_setting(run, elsewhere):
    result = run(elsewhere, "run-day", DAY, "--set", "events.calendar_path=/nowhere/macro.csv")
    assert result.exit_code == 1
    assert "/nowhere/macro.csv is no file. Set events.calendar_path to the file, or to null" in " ".join(
        result.stderr.split()
    )


@pytest.fixture
def two_days(run: Callable[..., Result], house: ObjectStore) -> ObjectStore:
    """Return the house with the next day in it, too, whichever tests ran before; it is asked for once."""
    made = house.folder / "two_days"
    if not made.exists():
        assert run(house, "run-day", NEXT, "--json").exit_code == 0
        made.touch()
    return house


def test_a_sweep_ranks_writes_and_draws_every_combination_and_sweeps_it_once(run, two_days):
    house = two_days
    result = run(house, "sweep", "--json", "--across", "k_sigma,s_stop", "--run-id", "swept")
    assert result.exit_code == 0, result.output
    found = figures(result)
    assert (found["grid"], found["combinations"], found["days"]) == ("enhancement", 9, 2)
    assert f"on 2 sessions with stored forecasts, {DAY} to {NEXT}: about " in result.stderr
    assert f"Engine: {found['engine']}, " in result.stderr
    ranking = pl.read_csv(found["ranking"])
    assert set(ranking["cost_multiplier"]) == {1.0, 1.5, 2.0}
    names = {path.parent.name for path in Path(found["ranking"]).parents[2].glob("*/bt_summary.csv")}
    assert names == set(ranking["combination"])
    assert all(Path(picture).read_bytes().startswith(b"\x89PNG") for picture in found["pictures"].values())
    assert set(found["tried"].values()) == {9}
    folder = house.folder / "artifacts" / "runs" / "swept"
    step = json.loads((folder / "meta.json").read_text())["steps"]["sweep"]
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.csv")} | {
        path.relative_to(folder).as_posix() for path in folder.rglob("*.png")
    } == set(step["files"])
    assert (folder / "eval/grid/ranking.csv").read_bytes() == Path(found["ranking"]).read_bytes()
    assert sum(pl.read_csv(file).height for file in folder.glob("eval/grid/*/bt_summary.csv")) == ranking.height
    assert [json.loads(line)["event"] for line in (folder / "logs/sweep.log").read_text().splitlines()] == ["swept"]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert run(house, "sweep", "--across", "k_sigma,s_stop", "--run-id", "swept").exit_code == 0
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    again = figures(run(house, "sweep", "--json"))
    assert (again["partitions_made"], again["partitions_there"]) == (0, 3)
    assert again["tried"] == found["tried"], "the same again is no other try"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--set", "trading_grid.max_combinations=8"],
            "enhancement has 9 combinations, more than .* = 8: about .* Take",
        ),
        (
            ["--set", "trading.k_sigma=0.3"],
            "trading.k_sigma is said by --set, which stands over any grid.* Leave --set",
        ),
        (
            ["--across", "k_sigma,nope"],
            "--across names two rules of the grid enhancement. Choose from: rule_set, k_sigma",
        ),
        (["--grid", "nope"], "trading_grid.grid = 'nope' is refused: allowed is enhancement"),
        (["--forecaster", "nope"], "^nope has no stored forecasts there. Choose from: "),
        (
            ["--start", "2025-01-06", "--end", "2025-01-07"],
            f"no forecasts are stored for .* of {DAY} to {NEXT} were made",
        ),
        (
            ["--set", "trading_grid.enhancement.horizon_min=[30]"],
            "of horizon_min 30; stored under these settings is 15",
        ),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_with_the_remedy(run, two_days, words, message):
    assert re.search(message, said(run(two_days, "sweep", *words)))
