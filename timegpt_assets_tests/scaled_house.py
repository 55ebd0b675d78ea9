"""A house of Celery workers: PostgreSQL keeps records and ledger, a bucket the tables, Redis the queue.

Workers, launcher, coordinator, run monitoring and retries are Dagster's own, under the files of deploy/scale_out; the
daemon's parts are called one after the other, since by itself it looks at backfills every thirty seconds.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import redis
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.auto_run_reexecution.event_log_consumer import EventLogConsumerDaemon
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster_graphql.cli import execute_query
from filelock import FileLock

from timegpt_assets import runtime as runtimes
from timegpt_assets.instance.run_owners import OWNER
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.engine.test_call_budget import ASKED, modest
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY, road, sessions
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.gcs import GCSServer
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

DEPLOY = PROJECT / "deploy" / "scale_out"
BROKER = "redis://127.0.0.1:6379/9"
OURS = "our-tables"
DAYS = ASKED[1:6]
SNAPSHOTS = 2 * len(DAYS)
LOG = logging.getLogger("daemon")


def redis_is_there() -> bool:
    try:
        return bool(redis.Redis.from_url(BROKER).ping())
    except redis.ConnectionError:
        return False


class Worker:
    """A Celery worker in a process group of its own, started as the how-to says."""

    def __init__(self, name: str, folder: Path) -> None:
        self.log, self.seen = folder / f"{name}.log", set[int]()
        program = Path(sys.executable).with_name("dagster-celery")
        words = [str(program), "worker", "start", "-A", "dagster_celery.app", "-n", name]
        words += ["-y", str(DEPLOY / "worker.yaml"), "--", "--concurrency=1"]
        environment = os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=log, cwd=PROJECT, env=environment, start_new_session=True
            )

    def processes(self) -> set[int]:
        """Return its processes, those that have been seen before it was killed."""
        if self.process.poll() is None:
            every = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
            self.seen |= {pid for pid in every if _group(pid) == self.process.pid}
        return self.seen

    def kill(self) -> None:
        """Kill it and all its processes, as a machine that is gone."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


class House:
    """What the daemon of two workers works with."""

    def __init__(self, context: WorkspaceProcessContext, workers: list[Worker], runtime: Runtime) -> None:
        self.context, self.instance, self.workers, self.runtime = context, context.instance, workers, runtime
        self.coordinator = QueuedRunCoordinatorDaemon(interval_seconds=1)
        self.consumer = EventLogConsumerDaemon()
        list(self.consumer.run_iteration(self.context))  # it begins with what comes after its first look

    def look(self) -> None:
        """Let each part of the daemon look once."""
        parts = (
            execute_backfill_iteration(self.context, LOG),
            self.coordinator.run_iteration(self.context),
            execute_run_monitoring_iteration(self.context, LOG),
            self.consumer.run_iteration(self.context),
        )
        for part in parts:
            for error in part:
                assert error is None, error

    def until(self, done: Callable[[], bool], *, within_sec: float = 300.0) -> None:
        """Let the daemon look until that is so."""
        last = time.monotonic() + within_sec
        while not done():
            said = "\n".join(worker.log.read_text()[-3000:] for worker in self.workers)
            assert time.monotonic() < last, (self.told(), said)
            self.look()
            time.sleep(0.2)

    def status(self, backfill: str) -> str:
        """Return how far a backfill is."""
        found = self.instance.get_backfill(backfill)
        assert found is not None
        return str(found.status.value)

    def calls(self) -> list[dict[str, Any]]:
        """Return what the ledger says of every call."""
        return runtimes.ledger(self.runtime).calls(runtimes.account(self.runtime.settings))

    def started(self) -> set[str]:
        """Return the runs that say they are going on, and who runs them."""
        runs = self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        return {run.run_id for run in runs if OWNER in run.tags}

    def in_the_middle(self, *, within_sec: float = 60.0) -> str:
        """Return a run as soon as its first snapshot is answered, while others are still to be asked."""
        last = time.monotonic() + within_sec
        while time.monotonic() < last:
            started = self.started()
            for call in self.calls():
                if call["kind"] == "forecast" and call["state"] == "ANSWERED" and call["budget_run_id"] in started:
                    return str(call["budget_run_id"])
            time.sleep(0.05)
        raise AssertionError(self.told())

    def worker_of(self, run_id: str) -> Worker:
        """Return the worker in whose process group a run's owner is, or was."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        pid = int(run.tags[OWNER].rsplit("/", 2)[1])
        (found,) = [worker for worker in self.workers if pid in worker.processes()]
        return found

    def told(self) -> list[tuple[str, str]]:
        return [(run.run_id[:8], run.status.value) for run in self.instance.get_runs()]

    def backfill(self, assets: list[str], partitions: list[str]) -> str:
        """Ask for a backfill as the how-to does, and return its id."""
        variables = {"assets": [{"path": asset.split("/")} for asset in assets], "partitions": partitions}
        said = execute_query(self.context, (DEPLOY / "backfill.graphql").read_text(), variables)
        assert "backfillId" in said["data"]["launchPartitionBackfill"], said
        return str(said["data"]["launchPartitionBackfill"]["backfillId"])


@contextmanager
def house(
    folder: Path, server: TimeGPTServer, *overrides: str, workers: int = 2, is_half_made: bool = True
) -> Iterator[House]:
    """Yield the house; half made, it has all but the answers of DAYS, in runs of two sessions each."""
    with ExitStack() as held, pytest.MonkeyPatch.context() as patched:
        held.enter_context(FileLock(Path(tempfile.gettempdir()) / "timegpt_assets_scale_out.lock"))
        queue = redis.Redis.from_url(BROKER)
        queue.flushdb()
        held.callback(queue.flushdb)
        records, books = held.enter_context(postgres.database()), held.enter_context(postgres.database())
        bucket = held.enter_context(GCSServer(OURS))
        home = folder / "home"
        home.mkdir()
        shutil.copy(DEPLOY / "dagster.yaml", home)
        settings = [
            *TINY,
            *modest(server.url),
            "automation.backfill_days=2",
            f"data.storage_root=gs://{OURS}/tables",
            f"data.artifacts_root=gs://{OURS}/artifacts",
            f"forecast.cache_dir=gs://{OURS}/forecast_cache",
            f"forecast.api_budget.ledger_url={books}",
            "forecast.api_budget.cooldown_sec=0.8",
            *overrides,
        ]
        for name, value in {
            "STORAGE_EMULATOR_HOST": bucket.url,
            "TIMEGPT_ASSETS_SET": "\n".join(settings),
            "TIMEGPT_ASSETS_PROFILE": "dev",
            "TIMEGPT_API_KEY": KEY,
            "DAGSTER_HOME": str(home),
            "DAGSTER_POSTGRES_URL": records,
            "DAGSTER_CELERY_BROKER": BROKER,
            "DAGSTER_CELERY_BACKEND": BROKER,
            "DAGSTER_EVENT_BATCH_SIZE": "1000",
        }.items():
            patched.setenv(name, value)
        started = [Worker(name, folder) for name in ("one", "two")[:workers]]
        held.callback(lambda: [worker.kill() for worker in started if worker.process.poll() is None])
        with road(
            folder, *settings, profile="dev", base=(), pictures=False, environment={"TIMEGPT_API_KEY": KEY}
        ) as of:
            if is_half_made:  # with what the first looks back on
                of.run(sessions(date(2025, 1, 24), DAYS[-1]), assets=["panel", "snapshots"])
        instance = held.enter_context(dg.DagsterInstance.get())
        # in this process: a code server of its own would take as long as all the rest
        code = LoadableTargetOrigin(executable_path=sys.executable, module_name="timegpt_assets.definitions")
        target = InProcessTestWorkspaceLoadTarget(InProcessCodeLocationOrigin(code, location_name="timegpt_assets"))
        yield House(held.enter_context(WorkspaceProcessContext(instance, target)), started, of.runtime)
