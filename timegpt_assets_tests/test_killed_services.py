"""Services that are killed while a backfill pays: daemon, code server, the run's own process, all of them at once.

``timegpt-assets ui`` as it is started by hand or by its unit, a backfill asked for over its door, a local server that
is paid. What brings the work back is done as docs/how-to/after-a-crash.md says.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from timegpt_assets import runtime as runtimes
from timegpt_assets.instance.run_owners import OWNER
from timegpt_assets.runtime import load_runtime
from timegpt_assets_tests.adapters.crashes import ended
from timegpt_assets_tests.cli.test_ui import DAYS, UI, all_but_answers
from timegpt_assets_tests.engine.test_call_budget import ANSWERS, FORECAST, modest
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

SNAPSHOTS = 2 * len(DAYS)
BACKFILL = (PROJECT / "deploy" / "scale_out" / "backfill.graphql").read_text(encoding="utf-8")
FOUND = (
    "query Found($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
)
VICTIMS = {
    "daemon": "cli.ui daemon",
    "code server": "api grpc",
    "its proxy": "code-server start",
    "webserver": "cli.ui webserver",
}

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1800)]  # webserver, daemon, code server and runs, each a process


class Services:
    """UI, daemon and code server in a process group of their own, started again whenever they have ended."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log, self.ui = folder / "ui.log", UI(f"http://127.0.0.1:{self.port}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start them as their unit does, and wait until they answer."""
        words = [sys.executable, "-m", "timegpt_assets.cli.app", "ui", "--profile", "dev", "--port", str(self.port)]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(words, stdout=out, stderr=out, cwd=PROJECT, start_new_session=True)
        self.until(self._answers)

    def until(self, done: Callable[[], bool], *, within_sec: float = 600.0) -> None:
        """Wait until it is so; what has ended meanwhile is started again, as by Restart=on-failure."""
        last = time.monotonic() + within_sec
        while not done():
            assert time.monotonic() < last, self.log.read_text()[-4000:]
            if self.process is not None and self.process.poll() is not None:
                self.start()
            time.sleep(0.2)

    def members(self, words: str) -> list[int]:
        """Return the processes of the group whose command holds these words."""
        assert self.process is not None
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if os.getpgid(int(entry.name)) == self.process.pid:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found += [int(entry.name)] if words in command else []
        return found

    def close(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return bool(self.ui.asked("{ version }"))
        return False


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY) as running:
        yield running


@pytest.fixture
def home(server: TimeGPTServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of a house that has all but its answers."""
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root")]
    paid = [f"forecast.cache_dir={tmp_path / 'cache'}", f"forecast.api_budget.ledger_file={tmp_path / 'ledger.sqlite'}"]
    settings = [*TINY, *modest(server.url), *places, *paid, "forecast.api_budget.per_run=200"]
    return all_but_answers(tmp_path, monkeypatch, settings)


@pytest.fixture
def services(home: Path, tmp_path: Path) -> Iterator[Services]:
    running = Services(tmp_path)
    running.start()
    yield running
    running.close()


def asked(services: Services, partitions: list[str]) -> str:
    """Ask for a backfill of the answers and return its id."""
    variables: dict[str, Any] = {"assets": [{"path": ANSWERS.path}], "partitions": partitions}
    said = services.ui.asked(BACKFILL, **variables)["launchPartitionBackfill"]
    return str(said["backfillId"])


def status(services: Services, backfill: str) -> str:
    with suppress(httpx.HTTPError):
        return str(services.ui.asked(FOUND, id=backfill)["partitionBackfillOrError"]["status"])
    return "the UI is away"


def owner_of(instance: dg.DagsterInstance) -> int:
    """Return the process of the run that goes on."""
    (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return int(run.tags[OWNER].rsplit("/", 2)[1])


@pytest.mark.parametrize("victim", [*VICTIMS, "run worker", "everything"])
def test_whatever_is_killed_the_backfill_is_whole_in_the_end_and_paid_for_once(
    victim: str, home: Path, services: Services, server: TimeGPTServer
) -> None:
    server.delay_sec = 3.0
    with dg.DagsterInstance.from_config(str(home)) as instance:
        backfill = asked(services, DAYS)
        services.until(lambda: 2 <= server.counts[FORECAST] < SNAPSHOTS)
        if victim == "everything":
            services.close()
        else:
            doomed = [owner_of(instance)] if victim == "run worker" else services.members(VICTIMS[victim])
            assert doomed, f"there is no {victim}"
            for pid in doomed:
                os.kill(pid, signal.SIGKILL)
                assert ended(pid, within_sec=30)
        server.delay_sec = 0.05
        # failed as a whole where the daemon looked at it while no code was loaded
        services.until(lambda: status(services, backfill).startswith(("COMPLETED", "FAILED")))
        missing = sorted({*DAYS} - set(instance.get_materialized_partitions(ANSWERS)))
        print(victim, status(services, backfill), f"asked again: {missing}", dict(server.counts))  # noqa: T201
        if missing:  # its run was killed: asked for again, it is made from what is paid for
            again = asked(services, missing)
            services.until(lambda: status(services, again) == "COMPLETED_SUCCESS")
        assert set(instance.get_materialized_partitions(ANSWERS)) == {*DAYS}
        going_on = [run.status for run in instance.get_runs() if not run.is_finished]
        assert going_on == []
        assert instance.event_log_storage.get_concurrency_info("timegpt").claimed_slots == []
    paid_once(server)


def paid_once(server: TimeGPTServer) -> None:
    """Assert that no snapshot was answered twice, and that no more than one call was on its way as it was killed."""
    runtime = load_runtime()
    calls = runtimes.ledger(runtime).calls(runtimes.account(runtime.settings))
    asked_for = [call for call in calls if call["kind"] == "forecast"]
    states = Counter(call["state"] for call in asked_for)
    answered = Counter(call["snapshot_key"] for call in asked_for if call["state"] == "ANSWERED")
    assert (len(answered), max(answered.values())) == (SNAPSHOTS, 1)
    assert states["UNKNOWN"] <= 1
    assert states["ANSWERED"] + states["UNKNOWN"] == server.counts[FORECAST]
