"""Who runs what: a run holds a lock while it runs, and the kernel lets go of it however its process ends.

Belongs here: taking that lock, seeing that a run's owner is gone, and freeing what the dead left on a Dagster instance:
a run that says it is going on, its slots in pools, and whoever was queued behind them. A live owner is never freed.
No clock and no process id is trusted where the lock can be seen (docs/adr/0019-the-dead-hold-nothing.md).
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter
from dagster._core.remote_origin import RemoteJobOrigin
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage

from timegpt_assets.adapters.ledger.process_identity import is_known_dead, is_on_this_machine, owner, place

OWNER, PLACE = "timegpt_assets/owner", "timegpt_assets/process"
"""Tags of a run: who runs it, as ``process_identity`` names processes, and the same for people."""
CODE_LOCATION = "timegpt_assets"
"""The name under which UI and daemon load these definitions: runs launched there are ours before they are tagged."""
SIGNED_WITHIN_SEC = 60.0
"""A process that was given a run takes the run's lock this soon after the start, or died before it could."""
UNFINISHED = (
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
)


@contextmanager
def owned(instance: DagsterInstance, run_id: str) -> Iterator[dict[str, str]]:
    """Hold the run's lock and yield the tags that name its owner: none on an instance nobody else can see.

    A run that is not over when an exception leaves is canceled: its owner lives on, and nobody would take it for dead.
    """
    if instance.is_ephemeral:
        yield {}
        return
    path = _lock_file(instance, run_id)
    handle = _held(path)
    try:
        yield _tags()
    except BaseException:
        # a signal between two of Dagster's own steps: it writes no end of the run
        if (run := instance.get_run_by_id(run_id)) and run.status in UNFINISHED:
            instance.report_run_canceled(run, "its command was stopped")
            _free_slots(instance)
        raise
    finally:
        # unlinked while it is held: whoever got hold of the file meanwhile sees that it has lost its name
        path.unlink(missing_ok=True)
        os.close(handle)


def owned_until_exit(instance: DagsterInstance, run_id: str) -> None:
    """Take the run's lock for as long as this process lives: Dagster writes that a run ended after its last step."""
    if not instance.is_ephemeral:
        # the handle is left open on purpose: the kernel closes it when the process ends, however that is
        _held(_lock_file(instance, run_id))
        instance.add_run_tags(run_id, _tags())


def is_dead(instance: DagsterInstance, record: RunRecord) -> bool:
    """Return whether the run's owner is certainly gone; False for a live one, and for a run not ours to judge."""
    held = _is_held(_lock_file(instance, record.dagster_run.run_id))
    return _is_dead_without_lock(instance, record) if held is None else not held


def lost(instance: DagsterInstance, run_id: str) -> str:
    """Return why a run is lost, in words for run monitoring: its owner is dead; empty where it is not."""
    for record in instance.get_run_records(RunsFilter(run_ids=[run_id])):
        if is_dead(instance, record):
            return f"its owner is gone ({told(record)})"
    return ""


def is_held_here(instance: DagsterInstance, run_id: str) -> bool:
    """Return whether a live process holds the run's lock on this disk: nobody else need be asked how it is."""
    return _is_held(_lock_file(instance, run_id)) is True


def free_dead(instance: DagsterInstance) -> list[str]:
    """End the runs whose owner is dead, free every slot of runs that are over, and say of each run what it held.

    Any number of processes may do so at once.
    """
    if instance.is_ephemeral:
        return []
    said = []
    for record in instance.get_run_records(RunsFilter(statuses=list(UNFINISHED))):
        # read once more: it may have ended properly between the listing and the look at its lock
        if is_dead(instance, record) and (run := _still_unfinished(instance, record)):
            said.append(f"run {run.run_id[:8]} ({told(record)}) was killed: it is marked, and what it held is free.")
            _end(instance, run, said[-1])
    _free_slots(instance)
    _forget_locks(instance)
    return said


def holders(instance: DagsterInstance, pool: str, *, but: str) -> str:
    """Return who holds a pool's slots, in words, ``but`` the run that asks."""
    info = instance.event_log_storage.get_concurrency_info(pool)
    ids = {held.run_id for held in info.claimed_slots} | {
        step.run_id for step in info.pending_steps if step.assigned_timestamp
    }
    records = instance.get_run_records(RunsFilter(run_ids=sorted(ids - {but}))) if ids - {but} else []
    return ", ".join(f"run {record.dagster_run.run_id[:8]} ({told(record)})" for record in records)


def told(record: RunRecord) -> str:
    """Return where a run runs and since when, as far as it is known."""
    place = record.dagster_run.tags.get(PLACE, "process unknown")
    since = record.start_time or record.create_timestamp.timestamp()
    return f"{place}, since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _tags() -> dict[str, str]:
    return {OWNER: owner(), PLACE: place()}


def _lock_file(instance: DagsterInstance, run_id: str) -> Path:
    return Path(instance.root_directory) / "owners" / run_id


def _held(path: Path) -> int:
    """Return the handle of the file, locked. Whoever looks at it holds it for a moment and may have unlinked it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            # the lock counts only on the file that has the name: its last holder may have unlinked what we opened
            if path.stat().st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)


def _is_held(path: Path) -> bool | None:
    """Return whether a live process holds the lock, None where none lies: no file, or something else in its place."""
    try:
        # never blocks: what lies in its place may be a pipe
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _is_dead_without_lock(instance: DagsterInstance, record: RunRecord) -> bool:
    """Judge a run whose lock lies nowhere here: killed before it could take one, or on another machine's disk."""
    run, started = record.dagster_run, record.start_time
    if not started or time.time() - started <= SIGNED_WITHIN_SEC:
        return False  # its owner may still be on the way; a tag may be the one of a run that it is made after
    here = isinstance(instance.run_storage, SqliteRunStorage)  # else other machines have runs in the same records
    if name := run.tags.get(OWNER):
        return is_known_dead(name) or (here and not is_on_this_machine(name))
    origin = run.remote_job_origin
    return here and origin is not None and _location(origin) == CODE_LOCATION


def _location(origin: RemoteJobOrigin) -> str:
    return origin.repository_origin.code_location_origin.location_name


def _still_unfinished(instance: DagsterInstance, record: RunRecord) -> DagsterRun | None:
    """Return the run as it is now: an owner writes how a run ended before it lets go of the lock."""
    run = instance.get_run_by_id(record.dagster_run.run_id)
    return run if run is not None and run.status in UNFINISHED else None


def _end(instance: DagsterInstance, run: DagsterRun, why: str) -> None:
    if run.status == DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, why)
    else:
        instance.report_run_failed(run, why)


def _free_slots(instance: DagsterInstance) -> None:
    """Free the slots of runs that are over or no more, and give free ones to whoever has waited longest."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage) or not storage.supports_global_concurrency_limits:
        return
    pools = {key: storage.get_concurrency_info(key) for key in storage.get_concurrency_keys()}
    # claimed and waiting alike: a dead run in the queue is given the slot next, and holds it for good
    claimed = {slot.run_id for info in pools.values() for slot in info.claimed_slots}
    ids = claimed | storage.get_concurrency_run_ids()
    runs = instance.get_runs(RunsFilter(run_ids=sorted(ids))) if ids else []
    for run_id in ids - {run.run_id for run in runs if not run.is_finished}:
        storage.free_concurrency_slots_for_run(run_id)
    for key in pools:  # Dagster gives a slot on as it is let go: whoever asked just then, or died then, is missed
        info = storage.get_concurrency_info(key)
        assigned = [step for step in info.pending_steps if step.assigned_timestamp]
        if len(assigned) < info.slot_count and len(assigned) < len(info.pending_steps):
            storage.assign_pending_steps([key])


def _forget_locks(instance: DagsterInstance) -> None:
    """Remove the lock files of runs that are over, or that were killed before they were written down."""
    folder = Path(instance.root_directory) / "owners"
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    runs = instance.get_runs(RunsFilter(run_ids=sorted(names))) if names else []
    over, known = {run.run_id for run in runs if run.is_finished}, {run.run_id for run in runs}
    for name in names:
        if name in over or (name not in known and not _is_held(folder / name)):
            with suppress(OSError):  # somebody's folder, or another user's: it is in nobody's way
                (folder / name).unlink()
