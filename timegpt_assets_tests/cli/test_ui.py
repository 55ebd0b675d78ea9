"""What the UI's launch buttons do, done over its own door: a real webserver, asked by GraphQL to materialise answers.

Runs are started at once instead of being queued, so that no daemon is needed; all else is as the verb `ui` has it.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest
from typer.testing import CliRunner

from timegpt_assets.cli.app import app
from timegpt_assets.definitions import PROJECT
from timegpt_assets.engine.engine import RANGE_END, RANGE_START
from timegpt_assets_tests.engine.test_call_budget import ANSWERS, FORECAST, PARAMS, modest
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
OUTCOME = """
query Outcome($id: ID!) {
  runOrError(runId: $id) { ... on Run { status } }
  logsForRun(runId: $id) { ... on EventConnection { events {
    ... on ExecutionStepFailureEvent { error { errorChain { error { message } } } }
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
        invalidate = time.monotonic() + 120
        while True:
            found = self.asked(OUTCOME, id=run_id)
            if (status := found["runOrError"]["status"]) in ("SUCCESS", "FAILURE", "CANCELED"):
                errors = [event["error"] for event in found["logsForRun"]["events"] if event.get("error")]
                return status, " ".join(link["error"]["message"] for e in errors for link in e["errorChain"])
            assert time.monotonic() < invalidate, status
            time.sleep(0.3)


def over(first: str, last: str) -> dict[str, str]:
    return {RANGE_START: first, RANGE_END: last}


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY) as running:
        yield running


@pytest.fixture
def home(server: TimeGPTServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the DAGSTER_HOME of a house in which everything is made that answers read."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "dagster.yaml").write_text(AT_ONCE)
    monkeypatch.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(tmp_path / "configs"))
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *modest(server.url)]))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "dev")
    monkeypatch.setenv("TIMEGPT_API_KEY", KEY)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    words = ["backfill", "--start", "2025-01-27", "--end", DAYS[-1], "--assets", "panel,snapshots", "--json"]
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 0, made.output
    return tmp_path / "home"


@contextmanager
def webserver(log: Path) -> Iterator[UI]:
    """Yield a webserver on the project's workspace and the environment's DAGSTER_HOME."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "-w", str(PROJECT / "workspace.yaml"), "-p", str(port)]
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
