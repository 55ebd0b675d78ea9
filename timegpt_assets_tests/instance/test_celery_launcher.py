"""What the daemon says of runs on other machines: alive, lost, or not to be known now, and which can be canceled.

Redis is one of the test's own, so that it can be ended; workers and tasks are Celery's, their runs sleep.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest
import yaml
from celery import Celery
from dagster._core.launcher import WorkerStatus
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.defaults import task_default_queue
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from redis.exceptions import ConnectionError

from timegpt_assets.instance import celery_launcher, run_owners
from timegpt_assets.instance.celery_launcher import MISSED, WatchedCeleryRunLauncher
from timegpt_assets_tests.instance.test_run_owners import begun, holder, status
from timegpt_assets_tests.project import PROJECT

REDIS = shutil.which("redis-server")
RUNNING, FAILED = WorkerStatus.RUNNING, WorkerStatus.FAILED

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(REDIS is None, reason="no redis-server here"),
]


class Queue:
    """A Redis of the test's own, which keeps nothing when it ends."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.url = folder, f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        words = [str(REDIS), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        until(self._answers)

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False


class Workers:
    """Celery workers in process groups of their own."""

    def __init__(self, queue: Queue, folder: Path) -> None:
        self.queue, self.folder, self.processes = queue, folder, dict[str, subprocess.Popen[bytes]]()

    def start(self, name: str) -> None:
        """Start one and wait until it takes tasks."""
        log = self.folder / f"{name}.log"
        words = [sys.executable, "-m", "celery", "-A", "timegpt_assets_tests.instance.sleeping_worker", "worker"]
        words += ["--concurrency=1", "--loglevel=INFO", f"--hostname={name}@here"]
        urls = {"DAGSTER_CELERY_BROKER": self.queue.url, "DAGSTER_CELERY_BACKEND": self.queue.url}
        with log.open("wb") as out:
            self.processes[name] = subprocess.Popen(
                words, stdout=out, stderr=out, cwd=PROJECT, env=os.environ | urls, start_new_session=True
            )
        until(lambda: "ready." in log.read_text(), lambda: log.read_text()[-2000:])

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        os.killpg(self.processes[name].pid, number)

    def close(self) -> None:
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(done: Callable[[], bool], told: Callable[[], object] = str, *, within_sec: float = 90.0) -> None:
    last = time.monotonic() + within_sec
    while not done():
        assert time.monotonic() < last, told()
        time.sleep(0.05)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path)
    yield made
    made.end()


@pytest.fixture
def workers(queue: Queue, tmp_path: Path) -> Iterator[Workers]:
    made = Workers(queue, tmp_path)
    yield made
    made.close()


@pytest.fixture
def instance(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Yield an instance whose launcher is that of deploy/scale_out; no lock of its runs lies on this disk."""
    told = yaml.safe_load((PROJECT / "deploy" / "scale_out" / "dagster.yaml").read_text())
    del told["storage"]
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(told))
    for name, value in {
        "DAGSTER_HOME": str(home),
        "DAGSTER_CELERY_BROKER": queue.url,
        "DAGSTER_CELERY_BACKEND": queue.url,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(celery_launcher, "ASKED_SEC", 1.0)
    monkeypatch.setattr(run_owners, "SIGNED_WITHIN_SEC", 1e9)  # its owner is on another machine, as far as is seen
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


def launched(instance: dg.DagsterInstance, seconds: float = 600.0) -> str:
    """Return the id of a run that a worker has begun: the launcher's own tag, a task of its own queue."""
    launcher = launcher_of(instance)
    sent = launcher.celery.send_task(TASK_EXECUTE_JOB_NAME, (seconds,), queue=task_default_queue)
    run = begun(instance, **{DAGSTER_CELERY_TASK_ID_TAG: sent.task_id})
    until(lambda: str(sent.state) != "PENDING")
    return run


def launcher_of(instance: dg.DagsterInstance) -> WatchedCeleryRunLauncher:
    assert isinstance(instance.run_launcher, WatchedCeleryRunLauncher)
    assert isinstance(instance.run_launcher.celery, Celery)
    return instance.run_launcher


def looked(instance: dg.DagsterInstance, run: str, times: int) -> list[WorkerStatus]:
    return [look(instance, run)[0] for _ in range(times)]


def look(instance: dg.DagsterInstance, run: str) -> tuple[WorkerStatus, str]:
    found = instance.get_run_by_id(run)
    assert found is not None
    said = launcher_of(instance).check_run_worker_health(found)
    return said.status, said.msg or ""


def test_a_run_on_another_machine_lives_as_long_as_a_worker_says_that_it_has_its_task(
    instance: dg.DagsterInstance, workers: Workers
) -> None:
    """Alive; unheard for a look or two; forgotten by a queue that was started anew; and lost with its worker."""
    workers.start("one")
    run = launched(instance)
    assert looked(instance, run, MISSED + 1) == [RUNNING] * (MISSED + 1)
    workers.start("two")
    for _ in range(2):  # one that is busy for a moment is not gone, and each such moment counts by itself
        workers.signal("one", signal.SIGSTOP)
        assert looked(instance, run, MISSED - 1) == [RUNNING] * (MISSED - 1)
        workers.signal("one", signal.SIGCONT)
        assert look(instance, run)[0] == RUNNING
    workers.queue.end()
    workers.queue.start()
    until(lambda: answering(instance) == 2)
    assert looked(instance, run, MISSED + 1) == [RUNNING] * (MISSED + 1), "what the queue forgot, its worker knows"
    workers.signal("one", signal.SIGKILL)
    workers.signal("two", signal.SIGSTOP)
    assert looked(instance, run, MISSED + 1) == [RUNNING] * (MISSED + 1), "nobody answers: nobody can say"
    workers.signal("two", signal.SIGCONT)
    assert looked(instance, run, MISSED - 1) == [RUNNING] * (MISSED - 1)
    said, why = look(instance, run)
    assert (said, why.startswith("none of 1 workers has its task ")) == (FAILED, True)


def test_a_task_that_is_over_without_an_end_of_its_run_is_lost(instance: dg.DagsterInstance, workers: Workers) -> None:
    workers.start("one")
    run = launched(instance, seconds=0.0)
    assert looked(instance, run, MISSED - 1) == [RUNNING] * (MISSED - 1), "it may just be being written"
    said, why = look(instance, run)
    assert (said, why.endswith("is over, and it says not how it ended")) == (FAILED, True)


def test_a_run_without_a_task_stands_by_its_lock_and_is_asked_of_nobody(instance: dg.DagsterInstance) -> None:
    command = begun(instance)
    assert looked(instance, command, MISSED + 1) == [RUNNING] * (MISSED + 1)
    ours = begun(instance, **{DAGSTER_CELERY_TASK_ID_TAG: "a task that no worker has"})
    with holder(instance, ours):
        began = time.monotonic()
        assert looked(instance, ours, MISSED + 1) == [RUNNING] * (MISSED + 1)
        assert time.monotonic() - began < celery_launcher.ASKED_SEC * MISSED, "workers were asked"
    said, why = look(instance, ours)
    assert (said, "its owner is gone" in why) == (FAILED, True)


def test_while_the_queue_cannot_be_reached_no_run_is_lost_and_none_is_said_to_end(
    instance: dg.DagsterInstance, queue: Queue
) -> None:
    run = begun(instance, **{DAGSTER_CELERY_TASK_ID_TAG: "a task"})
    queue.end()
    began = time.monotonic()
    with pytest.raises(Exception, match=r"refused|cannot be reached"):
        look(instance, run)
    assert not launcher_of(instance).terminate(run)
    assert time.monotonic() - began < 30, "the daemon has others to look at"
    assert status(instance, run) == "STARTED"
    events = [entry.message for entry in instance.all_logs(run)]
    assert any("cannot be canceled: the queue cannot be reached" in line for line in events)


def test_a_run_is_canceled_where_its_worker_can_be_told_or_is_dead(
    instance: dg.DagsterInstance, workers: Workers
) -> None:
    workers.start("one")
    launcher, run = launcher_of(instance), launched(instance)
    (child,) = children(workers.processes["one"].pid)
    assert launcher.terminate(run)
    assert status(instance, run) == "CANCELING", "the run itself says when it has ended"
    until(lambda: child not in children(workers.processes["one"].pid))
    dead = begun(instance, **{DAGSTER_CELERY_TASK_ID_TAG: "a task of the dead"})
    with holder(instance, dead):
        pass
    assert launcher.terminate(dead)
    assert status(instance, dead) == "CANCELED"
    assert not launcher.terminate(dead), "it is over"
    assert not launcher.terminate(begun(instance)), "a command's: no worker can be told"
    assert not launcher.terminate("no such run")


def answering(instance: dg.DagsterInstance) -> int:
    """Return how many workers answer; the first word after the queue was away may find an old connection."""
    with suppress(ConnectionError):
        return len(launcher_of(instance).celery.control.inspect(timeout=1.0).ping() or {})
    return 0


def children(pid: int) -> set[int]:
    return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
