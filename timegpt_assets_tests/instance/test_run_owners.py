"""The dead hold nothing and the living lose nothing: owners of runs, their locks, and what is freed when they are gone.

Guards against a later rule by which a clock, an age or a process id frees what a live process works at.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.utils import make_new_run_id

from timegpt_assets.adapters.ledger.process_identity import owner
from timegpt_assets.instance import run_owners
from timegpt_assets.instance.run_launcher import WatchedRunLauncher
from timegpt_assets_tests.project import PROJECT

POOL, STEP = "timegpt", "forecasts__answers"
HOLDER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
fcntl.flock(handle, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with the project's own dagster.yaml and empty records: making them takes a second."""
    home = tmp_path_factory.mktemp("home")
    (home / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DAGSTER_HOME", str(home))
        with dg.DagsterInstance.from_config(str(home)) as instance:
            instance.get_runs()
    return home


@pytest.fixture
def instance(empty_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Yield the instance of a home of its own."""
    home = tmp_path / "home"
    shutil.copytree(empty_home, home)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.from_config(str(home)) as opened:
        yield opened


@contextmanager
def holder(instance: dg.DagsterInstance, run_id: str) -> Iterator[subprocess.Popen[str]]:
    """Yield a live process that holds the run's lock."""
    path = Path(instance.root_directory) / "owners" / run_id
    path.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def begun(
    instance: dg.DagsterInstance,
    *,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    location: str = "",
    run_id: str | None = None,
    **tags: str,
) -> str:
    """Return the id of a run that is going on, with a slot of the pool, or waiting for one."""
    origin = None
    if location:
        repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(location), "__repository__")
        origin = RemoteJobOrigin(repository, "job")
    run = instance.create_run(
        job_name="job",
        run_id=run_id or make_new_run_id(),
        run_config={},
        status=dg.DagsterRunStatus.NOT_STARTED,
        tags=tags,
        remote_job_origin=origin,
        job_code_origin=None,
        root_run_id=None,
        parent_run_id=None,
        step_keys_to_execute=None,
        execution_plan_snapshot=None,
        job_snapshot=None,
        parent_job_snapshot=None,
        asset_selection=None,
        asset_check_selection=None,
        resolved_op_selection=None,
        op_selection=None,
        asset_graph=None,  # type: ignore[arg-type]
    )
    if status != dg.DagsterRunStatus.NOT_STARTED:
        event = dg.DagsterEvent("PIPELINE_START", "job", message="begun")
        instance.report_dagster_event(event, run.run_id)
    if status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceling(instance.get_run_by_id(run.run_id))
    return run.run_id


def claimed(instance: dg.DagsterInstance, run_id: str) -> bool:
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(POOL)
    return storage.claim_concurrency_slot(POOL, run_id, STEP).is_claimed


def status(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status.value


def test_a_run_is_free_to_take_what_a_killed_one_held_and_not_before(instance: dg.DagsterInstance) -> None:
    first, second = begun(instance), begun(instance)
    with holder(instance, first) as process, holder(instance, second):
        assert claimed(instance, first)
        assert run_owners.free_dead(instance) == []
        assert not claimed(instance, second), "a live owner keeps its slot"
        assert status(instance, first) == "STARTED"
        process.kill()
        process.wait()
        assert claimed(instance, second), "a dead one does not, and nobody had to be told"
        assert (status(instance, first), status(instance, second)) == ("FAILURE", "STARTED")


def test_what_was_freed_is_said_with_its_process_and_since_when(instance: dg.DagsterInstance) -> None:
    run = begun(instance, **{run_owners.PLACE: "process 4711 on here"})
    with holder(instance, run):
        pass
    (line,) = run_owners.free_dead(instance)
    assert line.startswith(f"run {run[:8]} (process 4711 on here, since 20")
    assert run_owners.free_dead(instance) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [("NOT_STARTED", "FAILURE"), ("STARTED", "FAILURE"), ("CANCELING", "CANCELED")],
)
def test_a_dead_run_is_ended_whatever_it_was_doing(instance: dg.DagsterInstance, before: str, after: str) -> None:
    run = begun(instance, status=dg.DagsterRunStatus(before))
    with holder(instance, run):
        assert run_owners.free_dead(instance) == []
    assert len(run_owners.free_dead(instance)) == 1
    assert status(instance, run) == after


def test_a_run_that_is_interrupted_between_two_of_dagster_s_own_steps_holds_nothing(
    instance: dg.DagsterInstance,
) -> None:
    run_id, other = make_new_run_id(), begun(instance)

    def interrupted() -> None:
        with run_owners.owned(instance, run_id):
            begun(instance, run_id=run_id)
            assert claimed(instance, run_id)
            raise KeyboardInterrupt  # Dagster writes no end of it, and its process lives on

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert status(instance, run_id) == "CANCELED"
    assert claimed(instance, other)


def test_how_a_run_ended_stays_as_dagster_wrote_it(instance: dg.DagsterInstance) -> None:
    run_id = make_new_run_id()

    def failed() -> None:
        with run_owners.owned(instance, run_id):
            begun(instance, run_id=run_id)
            instance.report_run_failed(instance.get_run_by_id(run_id), "it failed")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failed()
    assert status(instance, run_id) == "FAILURE"


def test_a_run_of_somebody_else_s_code_is_not_judged_however_old(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(instance, location="their_pipelines")
    long_ago = time.time() + 86_400
    monkeypatch.setattr(run_owners.time, "time", lambda: long_ago)
    assert run_owners.free_dead(instance) == []
    assert status(instance, run) == "STARTED"


def test_a_run_the_daemon_started_is_given_a_minute_to_be_signed(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(instance, location=run_owners.CODE_LOCATION)
    assert run_owners.free_dead(instance) == []
    later = time.time() + run_owners.SIGNED_WITHIN_SEC + 1
    monkeypatch.setattr(run_owners.time, "time", lambda: later)
    assert len(run_owners.free_dead(instance)) == 1
    assert status(instance, run) == "FAILURE"


def test_without_its_lock_file_a_run_stands_by_its_process(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _, started = owner().rsplit("/", 2)
    lives = begun(instance, **{run_owners.OWNER: owner()})
    gone = [
        begun(instance, **{run_owners.OWNER: name})
        for name in (f"{machine}/{2**22 + 1}/1", f"{owner()}0", f"another boot:pid/1/{started}")
    ]
    assert run_owners.free_dead(instance) == [], "one that is launched after another's model begins with its tags"
    later = time.time() + run_owners.SIGNED_WITHIN_SEC + 1
    monkeypatch.setattr(run_owners.time, "time", lambda: later)
    assert len(run_owners.free_dead(instance)) == 3
    assert [status(instance, run) for run in (lives, *gone)] == ["STARTED", "FAILURE", "FAILURE", "FAILURE"]


def test_a_slot_of_a_run_that_is_over_or_no_more_is_free(instance: dg.DagsterInstance) -> None:
    for end in (instance.report_run_failed, lambda run: instance.delete_run(run.run_id)):
        run, following = begun(instance), begun(instance)
        assert claimed(instance, run)
        end(instance.get_run_by_id(run))
        assert claimed(instance, following)
        instance.event_log_storage.free_concurrency_slots_for_run(following)


def test_a_step_that_asked_as_the_slot_was_let_go_is_not_forgotten(instance: dg.DagsterInstance) -> None:
    """Dagster looks for a free slot, then writes that the step waits: one let go in between was offered to nobody."""
    instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
    run = begun(instance)
    instance.event_log_storage.add_pending_step(POOL, run, STEP, should_assign=False)
    with holder(instance, run):
        assert claimed(instance, run)


def test_whoever_waits_says_for_whom_and_since_when_and_does_not_spin(
    instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = begun(instance, **{run_owners.PLACE: "process 4711 on here"}), begun(instance)
    with holder(instance, first), holder(instance, second), caplog.at_level(logging.WARNING):
        assert claimed(instance, first)
        spent, began = time.process_time(), time.monotonic()
        assert [claimed(instance, second) for _ in range(3)] == [False] * 3
        assert time.monotonic() - began >= 2.9
        assert time.process_time() - spent < 1.0
    waits = f"waits for run {first[:8]} (process 4711 on here, since 20"
    assert [waits in line for line in caplog.messages] == [True], "once a minute, not at every look"
    events = [entry.message for entry in instance.all_logs(second)]
    assert any(waits in line for line in events), "the UI shows it in the run's own log"


@pytest.mark.parametrize("launched_by", ["a command", "a code server that is gone"])
def test_the_daemon_sees_a_dead_run_and_the_ui_cancels_it_at_once(
    instance: dg.DagsterInstance, launched_by: str, tmp_path: Path
) -> None:
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedRunLauncher)
    assert launcher.supports_check_run_worker_health
    run = begun(instance)
    with holder(instance, run):
        assert claimed(instance, run)
        assert launcher.check_run_worker_health(instance.get_run_by_id(run)).status == WorkerStatus.RUNNING
        assert not launcher.terminate(run), "it cannot be told, and it lives"
        assert status(instance, run) == "CANCELING"
    assert launcher.check_run_worker_health(instance.get_run_by_id(run)).status == WorkerStatus.FAILED
    if launched_by != "a command":
        instance.add_run_tags(run, {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": str(tmp_path / "gone")})})
    assert launcher.terminate(run)
    assert status(instance, run) == "CANCELED"
    assert instance.event_log_storage.get_concurrency_info(POOL).claimed_slots == []


def test_a_live_command_is_cancelled_as_by_ctrl_c(instance: dg.DagsterInstance) -> None:
    sleeper = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    with subprocess.Popen(sleeper, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        machine = owner().rsplit("/", 2)[0]
        started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        run = begun(instance, **{run_owners.OWNER: f"{machine}/{process.pid}/{started}"})
        assert instance.run_launcher.terminate(run)
        _, error = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in error


def test_what_else_lies_among_the_locks_stops_nobody(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    folder, victim = Path(instance.root_directory) / "owners", tmp_path / "victim"
    victim.write_text("mine")
    (folder / "a folder" / "inside").mkdir(parents=True)
    (folder / "a link").symlink_to(victim)
    os.mkfifo(folder / "a pipe")
    run = begun(instance)
    (folder / run).symlink_to(victim)
    assert run_owners.free_dead(instance) == []
    assert victim.read_text() == "mine"
    assert status(instance, run) == "STARTED"


def test_locks_of_runs_that_are_over_or_were_never_written_down_are_cleared_away(instance: dg.DagsterInstance) -> None:
    folder = Path(instance.root_directory) / "owners"
    run, never = begun(instance), make_new_run_id()
    with run_owners.owned(instance, run), holder(instance, never):
        run_owners.free_dead(instance)
        assert {path.name for path in folder.iterdir()} == {run, never}
    run_owners.free_dead(instance)
    assert list(folder.iterdir()) == []
