"""What the UI's launch buttons do, done over its own door: a real webserver, asked by GraphQL to materialise answers.

Runs are started at once instead of being queued, so that no daemon is needed; all else is as the verb `ui` has it.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from typer.testing import CliRunner

from timegpt_assets.cli import ui as services
from timegpt_assets.cli.app import app
from timegpt_assets.engine.engine import RANGE_END, RANGE_START
from timegpt_assets.runtime import load_runtime
from timegpt_assets_tests.engine.test_call_budget import ANSWERS, FORECAST, PARAMS, modest
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

DAYS = ["2025-01-30", "2025-01-31", "2025-02-03", "2025-02-04"]
"""Two snapshots each: nine calls with the model's parameters, of which a run may hold five."""
AT_ONCE = """
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
telemetry: {enabled: false}
"""
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
LAST_RUN = "{ runsOrError(limit: 1) { ... on Runs { results { runId } } } }"
OUTCOME = """
query Outcome($id: ID!) {
  runOrError(runId: $id) { ... on Run { status } }
  logsForRun(runId: $id) { ... on EventConnection { events {
    ... on ExecutionStepFailureEvent { error { message errorChain { error { message } } } }
  } } }
}
"""


@dataclass(frozen=True)
class UI:
    """A webserver that runs."""

    url: str

    def asked(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data of a GraphQL answer."""
        asking = {"query": query, "variables": variables}
        found = httpx.post(f"{self.url}/graphql", json=asking, timeout=60).raise_for_status().json()
        assert "errors" not in found, found["errors"]
        return found["data"]

    def launched(self, **tags: str) -> str:
        """Materialise the answers under these tags and return the run's id."""
        job = {"repositoryLocationName": "timegpt_assets", "repositoryName": "__repository__"}
        selector = {**job, "pipelineName": "__ASSET_JOB", "assetSelection": [{"path": ANSWERS.path}]}
        given = [{"key": key, "value": value} for key, value in tags.items()]
        params = {"selector": selector, "mode": "default", "executionMetadata": {"tags": given}}
        return self.asked(LAUNCH, params=params)["launchPipelineExecution"]["run"]["runId"]

    def ended(self, run_id: str) -> tuple[str, str]:
        """Wait for the run and return its status, and what its failure says."""
        deadline = time.monotonic() + 120
        while True:
            found = self.asked(OUTCOME, id=run_id)
            if (status := found["runOrError"]["status"]) in ("SUCCESS", "FAILURE", "CANCELED"):
                errors = [event["error"] for event in found["logsForRun"]["events"] if event.get("error")]
                said = [[e["message"], *(link["error"]["message"] for link in e["errorChain"])] for e in errors]
                return status, " ".join(message for messages in said for message in messages)
            assert time.monotonic() < deadline, status
            time.sleep(0.3)


def over(first: str, last: str) -> dict[str, str]:
    return {RANGE_START: first, RANGE_END: last}


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY) as running:
        yield running


def all_but_answers(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: Sequence[str]) -> Path:
    """Make everything that answers read in a house under these settings, the environment's from now on; its home."""
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join(settings))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "dev")
    monkeypatch.setenv("TIMEGPT_API_KEY", KEY)
    monkeypatch.setenv("DAGSTER_HOME", str(folder / "home"))
    words = ["backfill", "--start", "2025-01-27", "--end", DAYS[-1], "--assets", "panel,snapshots", "--json"]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    return folder / "home"


@pytest.fixture
def home(server: TimeGPTServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the DAGSTER_HOME of a house in which everything is made that answers read."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "dagster.yaml").write_text(AT_ONCE)
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    return all_but_answers(tmp_path, monkeypatch, [*TINY, *modest(server.url)])


@contextmanager
def webserver(log: Path, workspace: Path = PROJECT / "workspace.yaml") -> Iterator[UI]:
    """Yield the webserver that `ui` starts, on a workspace and the environment's DAGSTER_HOME."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "timegpt_assets.cli.ui", "webserver", str(workspace), "127.0.0.1", str(port)]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=PROJECT) as process:
        try:
            ui = UI(f"http://127.0.0.1:{port}")
            while not _answers(ui):
                assert process.poll() is None, log.read_text()[-3000:]
                time.sleep(0.3)
            yield ui
        finally:
            process.terminate()


def _answers(ui: UI) -> bool:
    try:
        return bool(ui.asked("{ version }"))
    except httpx.TransportError:
        return False


@pytest.mark.timeout(900)  # a webserver, its code server and four runs, each a process: half a minute of processor
def test_a_range_launched_from_the_ui_pays_what_its_run_may_and_a_second_materialisation_sends_nothing(
    home: Path, server: TimeGPTServer, tmp_path: Path
) -> None:
    def marked() -> set[str]:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            return set(instance.get_materialized_partitions(ANSWERS))

    assert not server.counts
    with webserver(tmp_path / "webserver.log") as ui:
        status, why = ui.ended(ui.launched(**over(DAYS[0], DAYS[-1])))
        assert status == "FAILURE"
        assert "left under per_run; nothing was sent. Launch the rest as another run" in why
        assert marked() == set(DAYS[:2]), "paid days are marked, the others wait"
        assert server.counts == {FORECAST: 4, PARAMS: 1}
        assert ui.ended(ui.launched(**over(DAYS[0], DAYS[-1])))[0] == "SUCCESS"
        assert marked() == set(DAYS)
        assert server.counts == {FORECAST: 8, PARAMS: 1}, "only what was not paid before"
        again = [ui.launched(**over(DAYS[0], DAYS[-1])), ui.launched(**{"dagster/partition": DAYS[2]})]
        assert [ui.ended(run)[0] for run in again] == ["SUCCESS", "SUCCESS"]
    assert server.counts == {FORECAST: 8, PARAMS: 1}


def test_the_ui_and_its_daemon_run_under_all_that_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, Any] = {}

    def served(workspace: Path, *, host: str, port: int) -> int:
        said.update(workspace=workspace, host=host, port=port, settings=load_runtime().settings)
        return 0

    (tmp_path / "configs").mkdir()
    monkeypatch.setattr(services, "serve", served)
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "forecast.api_budget.per_day=11\nforecast.api_budget.per_run=7")
    for name in ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "TIMEGPT_ASSETS_PROFILE", "DAGSTER_IS_DEV_CLI"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    words = ["ui", "--profile", "demo", "--set", "forecast.api_budget.per_run=5", "--port", "3999"]
    found = CliRunner().invoke(app, words)
    assert found.exit_code == 0, found.output
    assert (said["workspace"], said["host"], said["port"]) == (PROJECT / "workspace.yaml", "127.0.0.1", 3999)
    budget = said["settings"].forecast.api_budget
    assert (said["settings"].profile, budget.per_day, budget.per_run) == ("demo", 11, 5), "the later word stands"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - refused
def test_an_address_that_no_page_is_reached_by_is_refused(host: str) -> None:
    found = CliRunner().invoke(app, ["ui", "--profile", "demo", "--host", host])
    assert found.exit_code == 2
    assert "Say the name or address that pages reach it by." in " ".join(found.output.replace("│", " ").split())
