"""The databases of the event log are held open as long as their instance, and are always the files of their names."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import dagster as dg
import pytest
from dagster._core.events.log import EventLogEntry

from timegpt_assets.event_storage import HELD, BatchedSqliteEventLogStorage
from timegpt_assets_tests.test_event_storage import home

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    with home(tmp_path / "home", monkeypatch) as made:
        yield made


def index(instance: dg.DagsterInstance) -> Path:
    storage = instance.event_log_storage
    assert isinstance(storage, BatchedSqliteEventLogStorage)
    return Path(storage.path_for_shard("index"))


def note(instance: dg.DagsterInstance, name: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(name))


def noted(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as database:
        return {name.strip('["]') for (name,) in database.execute("select asset_key from asset_keys")}


def descriptors(file: Path) -> int:
    """Return how often this process holds the file open."""
    held = Path("/proc/self/fd")
    return sum(os.path.realpath(each) == str(file.resolve()) for each in held.iterdir() if each.exists())


def test_it_is_opened_once_and_let_go_with_the_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with home(tmp_path / "home", monkeypatch) as instance:
        file = index(instance)
        for number in range(5):
            note(instance, f"a{number}")
            assert descriptors(file) == 1
    assert descriptors(file) == 0
    assert [each.name for each in file.parent.glob("index*")] == ["index.db"], "whoever copies one file has all"
    assert noted(file) == {f"a{number}" for number in range(5)}


def test_what_another_process_writes_is_read_and_nobody_waits_for_who_only_holds_it(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(instance, "ours")
    with home(tmp_path / "home", monkeypatch) as other:
        note(other, "theirs")
        assert set(map(str, instance.all_asset_keys())) == set(map(str, other.all_asset_keys()))
    with closing(sqlite3.connect(index(instance), timeout=0.1)) as database:
        database.execute("vacuum")
    assert len(instance.all_asset_keys()) == 2


def test_an_index_that_is_put_back_below_it_is_the_one_that_goes_on(instance: dg.DagsterInstance) -> None:
    file = index(instance)
    note(instance, "before")
    kept = file.with_name("kept")
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"vacuum into '{kept}'")
    note(instance, "lost")
    for log in file.parent.glob("index.db-*"):
        log.unlink()
    shutil.move(kept, file)
    note(instance, "after")
    assert noted(file) == {"before", "after"}
    assert {key.to_user_string() for key in instance.all_asset_keys()} == {"before", "after"}


def test_of_many_runs_the_last_are_held_and_the_index(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, BatchedSqliteEventLogStorage)
    files = [Path(storage.path_for_shard(f"run {number}")) for number in range(HELD + 3)]
    for file in files:
        for _ in range(2):
            with storage.run_connection(file.stem):
                pass
        with storage.index_connection():
            pass
    assert [descriptors(file) for file in files] == [0] * 4 + [1] * (HELD - 1)
    assert descriptors(index(instance)) == 1
    for file in files:
        assert noted(file) == set(), "and each is whole"


@dg.job
def nothing() -> None:
    """Do it."""


def test_who_watches_a_run_sees_each_event_while_its_writer_holds_the_file(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The UI's page of a run is another process, which is told of changed files."""
    run = instance.create_run_for_job(nothing)
    seen: SimpleQueue[str] = SimpleQueue()

    def heard(entry: EventLogEntry, _: str) -> None:
        seen.put(entry.message)

    with home(tmp_path / "home", monkeypatch) as page:
        page.watch_event_logs(run.run_id, None, heard)
        for number in range(5):
            instance.report_engine_event(f"word {number}", run)
            assert f"word {number}" in seen.get(timeout=20)
        batch = 200 * instance.all_logs(run.run_id)
        instance.event_log_storage.store_event_batch(batch)
        for _ in batch:
            assert "word" in seen.get(timeout=20)
        page.end_watch_event_logs(run.run_id, heard)


def test_threads_take_turns(instance: dg.DagsterInstance) -> None:
    names = [f"a{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: note(instance, name), names))
    assert descriptors(index(instance)) == 1
    assert noted(index(instance)) == set(names)
