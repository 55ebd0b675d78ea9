"""The logs of whole commands and of a Dagster run, read as whoever looks for what happened reads them.

The provider is the local server. One story, told once: asked, asked again, a key that is refused, traded, judged, and
a day that Dagster's own command line makes.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.assets import previews
from timegpt_assets.cli import app as cli
from timegpt_assets.cli.exit_codes import FAILED, GATES_FAILED
from timegpt_assets_tests.engine.test_call_budget import modest
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY, WRONG
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

pytestmark = [
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
    pytest.mark.timeout(1200),
]
FIRST, LAST, NEXT = "2025-01-30", "2025-01-31", "2025-02-03"
ADDRESS = "https://hooks.example.org/services/a-room-with-a-view"
SECRETS = {"ALARMS_WEBHOOK_URL": ADDRESS, "PGPASSWORD": "a-word-for-postgresql", "ALARMS_MAIL_PASSWORD": "a-mail-word"}
Line = dict[str, Any]


@dataclass(kw_only=True)
class Story:
    """The house, and what each step printed and added to the logs, by step and stage."""

    folder: Path
    server: TimeGPTServer
    results: dict[str, Result] = field(default_factory=dict)
    added: dict[str, dict[str, list[Line]]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def said(self) -> list[str]:
        """Return the settings of the house."""
        return [*TINY, *modest(self.server.url), "forecast.api_budget.per_run=25"]

    def run(self, step: str, *words: str) -> None:
        """Run a command at the command line."""
        options = ["--profile", "dev", *(word for one in self.said for word in ("--set", one))]
        self.results[step] = CliRunner().invoke(cli.app, [*words, *options])
        self.note(step)

    def note(self, step: str) -> None:
        """Keep what the logs have gained."""
        self.added[step] = {}
        for file in sorted((self.folder / "artifacts" / "logs").glob("*.log")):
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            self.added[step][file.stem] = lines[self.seen.get(file.stem, 0) :]
            self.seen[file.stem] = len(lines)

    def lines(self, step: str, stage: str, event: str = "") -> list[Line]:
        """Return what a step added to a log, of one event where it is named."""
        return [line for line in self.added[step].get(stage, []) if event in ("", line["event"])]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Tell the story and yield it."""
    folder = tmp_path_factory.mktemp("logged")
    (folder / "configs").mkdir()
    with pytest.MonkeyPatch.context() as patched, TimeGPTServer(input_size=60, key=KEY) as server:
        for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "TIMEGPT_ASSETS_SET", "NIXTLA_API_KEY"):
            patched.setenv(name, "")
            patched.delenv(name)
        for name, value in SECRETS.items():
            patched.setenv(name, value)
        patched.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(folder / "configs"))
        for name in ("fans", "trades_of_days", "verdict_map", "day_charts"):
            patched.setattr(previews, name, lambda *_, **__: {})
        patched.setattr(previews, "of_months", lambda *_, **__: None)
        told = Story(folder=folder, server=server)
        days = ("--start", FIRST, "--end", LAST)
        patched.setenv("TIMEGPT_API_KEY", WRONG)
        told.run("refused", "forecast", *days)
        patched.setenv("TIMEGPT_API_KEY", KEY)
        told.run("asked", "forecast", *days, "--run-id", "first")
        told.run("again", "forecast", *days, "--force")
        told.run("traded", "backtest")
        told.run("judged", "evaluate")
        yield told


def test_who_is_asked_each_snapshot_and_the_day_s_calls_are_lines_of_json(story: Story) -> None:
    assert story.results["asked"].exit_code == 0, story.results["asked"].output
    (who,) = story.lines("asked", "forecast", "Using forecast backend=NixtlaTimeGPTBackend")
    assert (who["level"], who["backend"], who["api_mode"]) == ("info", "nixtla", "simulate")
    snapshots = story.lines("asked", "forecast", "snapshot answered")
    assert [line["day"] for line in snapshots] == [FIRST] * 2 + [LAST] * 2
    for line in snapshots:
        assert {"run", "ts", "level", "snapshot"} <= line.keys()
        assert (line["symbol"], line["series"]) == (["AAPL", "META", "NVDA"], 3)
        assert (line["backend"], line["h"], line["quantiles"]) == ("nixtla", 15, [0.1, 0.25, 0.5, 0.75, 0.9])
        assert (line["requests"], line["calls_used"]) == (1, 1)
    days = story.lines("asked", "forecast", "day answered")
    assert [(line["day"], line["calls_used"]) for line in days] == [(FIRST, 3), (LAST, 2)], "one asks for the model"
    assert [len(line["seconds"]) for line in days] == [3, 2]
    assert {line["run"] for line in days} == {line["run"] for line in snapshots}


def test_the_second_run_finds_all_of_it_in_the_cache_and_says_so(story: Story) -> None:
    hits = [
        [(line["calls_cached"], line["cache_hits"]) for line in story.lines(step, "forecast", "day answered")]
        for step in ("asked", "again")
    ]
    assert hits == [[(0, "0%"), (0, "0%")], [(2, "100%"), (2, "100%")]]
    assert {line["calls_used"] for line in story.lines("again", "forecast", "snapshot answered")} == {0}


def test_a_key_that_is_refused_is_said_without_the_key_and_nothing_else_is_tried(story: Story) -> None:
    assert story.results["refused"].exit_code == FAILED
    (line,) = [line for line in story.lines("refused", "forecast") if line["level"] == "error"]
    assert (line["event"], line["error"], line["day"]) == ("Invalid API key", "KeyRefused", FIRST)
    assert story.lines("refused", "forecast", "snapshot answered") == []


def test_what_each_gate_said_is_in_the_logs_of_evaluate(story: Story) -> None:
    assert story.results["judged"].exit_code == GATES_FAILED, story.results["judged"].output
    refused = story.lines("judged", "forecast", "gate refused")
    assert {line["gate"] for line in refused} >= {"forecast_gate"}
    assert all(line["criteria"] for line in refused)
    assert {line["event"] for line in story.lines("judged", "backtest")} >= {"gate refused"}


def test_books_and_days_without_a_signal_are_in_the_backtest_s_log(story: Story) -> None:
    assert story.results["traded"].exit_code == 0, story.results["traded"].output
    lines = story.lines("traded", "backtest")
    told = {line["day"] for line in lines if line["event"] in ("book", "no signal")}
    assert told == {FIRST, LAST}
    for line in story.lines("traded", "backtest", "book"):
        assert {"run", "book", "trades", "admitted", "net_pnl"} <= line.keys()


def test_a_named_run_has_the_lines_of_its_own_commands(story: Story) -> None:
    own = (story.folder / "artifacts/runs/first/logs/forecast.log").read_text().splitlines()
    assert [json.loads(line) for line in own] == story.lines("asked", "forecast")


def test_no_secret_is_in_any_file_of_the_house(story: Story) -> None:
    searched = 0
    for file in (path for path in story.folder.rglob("*") if path.is_file()):
        data = file.read_bytes()
        found = [name for name, secret in SECRETS.items() if secret.encode() in data]
        assert found == [], file
        searched += 1
    assert searched > 50


@pytest.mark.whole
def test_a_run_that_dagster_s_own_command_starts_is_logged_in_the_same_files(story: Story) -> None:
    home = story.folder / ".dagster" / "dev"
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "TIMEGPT_ASSETS_PROFILE": "dev",
        "TIMEGPT_ASSETS_SET": "\n".join(story.said),
        "PYTHONPATH": str(PROJECT),
    }
    wanted = ["--select", "key:forecasts/answers", "--partition", FIRST]
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "timegpt_assets.definitions", *wanted]
    ran = subprocess.run(command, cwd=story.folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    story.note("dagster")
    (day,) = story.lines("dagster", "forecast", "day answered")
    assert (day["day"], day["calls_used"], day["calls_cached"]) == (FIRST, 0, 2)
    assert story.lines("dagster", "forecast")[0]["event"] == "Using forecast backend=NixtlaTimeGPTBackend"
