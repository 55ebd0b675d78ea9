"""The folder and the bucket keep the same promises; the bucket through the real client, against a local server."""

import io
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from timegpt_assets.adapters.storage.object_store import Current, LocalStore, ObjectStore, ObjectStoreError
from timegpt_assets_tests.adapters.buckets import BUCKET, Opened
from timegpt_assets_tests.servers.gcs import Fault, GCSServer

# the client leaves the socket of an answer that failed to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

NAME = "bars/bars/2025-01-21.parquet"


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Return each kind of place, empty."""
    return LocalStore(tmp_path / "tables") if request.param == "folder" else request.getfixturevalue("bucket")()


def put(objects: ObjectStore, name: str, data: bytes) -> None:
    objects.update(name, lambda _: data)


def test_what_was_written_is_read_with_a_generation_that_changes_with_the_bytes(objects: ObjectStore) -> None:
    assert (objects.read(NAME), objects.generation(NAME), objects.opened(NAME), objects.ranged(NAME)) == (None,) * 4
    put(objects, NAME, b"one")
    first = objects.read(NAME)
    assert first is not None
    assert (first.data, first.generation) == (b"one", objects.generation(NAME))
    put(objects, NAME, b"other")
    second = objects.read(NAME)
    assert second is not None
    assert second.data == b"other"
    assert second.generation != first.generation


def test_an_opened_file_stays_what_it_was_when_it_was_opened(objects: ObjectStore) -> None:
    put(objects, NAME, b"one")
    opened = objects.opened(NAME)
    put(objects, NAME, b"two")
    assert opened is not None
    with opened:
        assert opened.read() == b"one"


def test_the_first_bytes_written_under_a_name_stay(objects: ObjectStore) -> None:
    assert objects.write_new(NAME, b"first")
    assert not objects.write_new(NAME, b"second")
    assert [found.data for found in [objects.read(NAME)] if found] == [b"first"]
    assert [name for name, _ in objects.names()] == [NAME]


def test_of_writers_that_all_believe_to_be_the_first_one_is(objects: ObjectStore) -> None:
    """Four writers, forty names: exactly one is told that its bytes were stored, and those are there."""
    stored: list[tuple[str, bytes]] = []
    together = threading.Barrier(4)

    def write(writer: int) -> None:
        for i in range(40):
            together.wait()
            if objects.write_new(f"answers/{i}", data := b"%d" % writer * 1000):
                stored.append((f"answers/{i}", data))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == 40
    assert {name: found.data for name, _ in objects.names() if (found := objects.read(name))} == dict(stored)


def test_names_are_listed_by_prefix_sorted_over_all_pages(objects: ObjectStore) -> None:
    names = ["a/1", "a/2", "a/3/x", "ab/1", "b"]
    for name in reversed(names):
        put(objects, name, name.encode())
    assert [name for name, _ in objects.names()] == names
    assert [name for name, _ in objects.names("a")] == names[:4]
    assert [name for name, _ in objects.names("a/")] == names[:3]
    assert list(objects.names("a/1")) == [("a/1", objects.generation("a/1"))]
    assert list(objects.names("nothing/here")) == []


def test_moving_and_deleting(objects: ObjectStore) -> None:
    put(objects, "a", b"1")
    put(objects, "b/c", b"2")
    objects.move("a", "b/c")
    objects.move("absent", "b/d")
    assert [name for name, _ in objects.names()] == ["b/c"]
    assert [found.data for found in [objects.read("b/c")] if found] == [b"1"]
    objects.delete("b/c")
    objects.delete("b/c")
    assert list(objects.names()) == []


def appended(line: bytes) -> Callable[[Current], bytes]:
    def change(current: Current) -> bytes:
        found = current()
        return (b"" if found is None else found.read()) + line

    return change


def test_updates_of_one_name_at_the_same_time_lose_nothing(objects: ObjectStore) -> None:
    """Four writers of ten lines each, all in one name."""

    def write(writer: int) -> None:
        for i in range(10):
            objects.update(NAME, appended(b"%d-%d\n" % (writer, i)))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = objects.read(NAME)
    assert found is not None
    assert sorted(found.data.split()) == sorted(b"%d-%d" % (w, i) for w in range(4) for i in range(10))


def test_a_change_that_fails_leaves_what_was_there(objects: ObjectStore) -> None:
    put(objects, NAME, b"old")

    def broken(current: Current) -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        objects.update(NAME, broken)
    assert [found.data for found in [objects.read(NAME)] if found] == [b"old"]
    assert [name for name, _ in objects.names()] == [NAME]


def test_an_update_that_needs_nothing_reads_nothing(server: GCSServer, bucket: Opened) -> None:
    objects = bucket()
    put(objects, NAME, b"1")
    put(objects, NAME, b"2")
    assert server.counts == {"write": 2}


def test_a_bucket_s_update_begins_again_when_another_writer_came_first(server: GCSServer, bucket: Opened) -> None:
    objects = bucket()
    put(objects, NAME, b"ours,")
    calls = []

    def change(current: Current) -> bytes:
        found = current()
        if not calls:
            server.put(BUCKET, f"tables/{NAME}", b"theirs,")
        calls.append(1)
        assert found is not None
        return found.read() + b"more"

    objects.update(NAME, change)
    assert len(calls) == 2
    assert server.objects[BUCKET][f"tables/{NAME}"].data == b"theirs,more"


def test_writers_that_always_come_first_are_reported(server: GCSServer, bucket: Opened) -> None:
    objects = bucket(contention_s=0.2)
    put(objects, NAME, b"ours")

    def change(current: Current) -> bytes:
        current()
        server.put(BUCKET, f"tables/{NAME}", b"theirs")
        return b"mine"

    with pytest.raises(
        ObjectStoreError, match=rf"gs://{BUCKET}/tables/{NAME}: other writers came first for 0\.2 s.*again"
    ):
        objects.update(NAME, change)
    assert server.objects[BUCKET][f"tables/{NAME}"].data == b"theirs"


@pytest.mark.parametrize("kind", ["read", "stat", "list", "write", "delete"])
def test_a_service_that_fails_once_is_asked_again(server: GCSServer, bucket: Opened, kind: str) -> None:
    objects = bucket()
    put(objects, NAME, b"1")
    server.faults[kind].append(Fault("status", 503))
    asked = {
        "read": lambda: objects.read(NAME),
        "stat": lambda: objects.generation(NAME),
        "list": lambda: list(objects.names()),
        "write": lambda: objects.write_new("new", b"2"),
        "delete": lambda: objects.delete(NAME),
    }[kind]
    answer = asked()
    assert server.counts[kind] - (kind == "write") == 2
    assert answer or kind == "delete"


@pytest.mark.parametrize("ask", ["read", "opened", "ranged", "generation", "write_new"])
def test_a_disk_that_refuses_is_named_with_the_remedy(tmp_path: Path, ask: str) -> None:
    """A name longer than the disk allows is refused by every call, whoever runs it."""
    objects, name = LocalStore(tmp_path), "n" * 300
    calls = {ask: getattr(objects, ask)} | {"write_new": lambda name: objects.write_new(name, b"1")}
    with pytest.raises(ObjectStoreError, match=r"n cannot be (read|written): .*too long.*run again\.$"):
        calls[ask](name)


def test_a_service_that_keeps_failing_is_named_with_the_remedy(server: GCSServer, bucket: Opened) -> None:
    objects = bucket(deadline_s=0.3)
    put(objects, NAME, b"1")
    server.faults["read"].extend([Fault("status", 503)] * 20)
    with pytest.raises(ObjectStoreError, match=rf"gs://{BUCKET}/tables/{NAME} cannot be read.*run again"):
        objects.read(NAME)


def test_a_stalled_answer_is_given_up_and_asked_for_again(server: GCSServer, bucket: Opened) -> None:
    objects = bucket()
    put(objects, NAME, b"1")
    server.faults["read"].append(Fault("stall", seconds=3.0))
    found = objects.read(NAME)
    assert found is not None
    assert (found.data, server.counts["read"]) == (b"1", 2)


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_download_that_is_cut_is_fetched_whole(server: GCSServer, bucket: Opened, size: int) -> None:
    objects = bucket()
    data = bytes(i * 31 % 251 for i in range(size))
    put(objects, NAME, data)
    server.faults["read"].append(Fault("cut"))
    found = objects.read(NAME)
    assert found is not None
    assert found.data == data


def test_bytes_that_arrive_changed_are_refused(
    server: GCSServer, bucket: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = bucket(deadline_s=0.3)
    put(objects, NAME, b"good")
    good = server.objects[BUCKET][f"tables/{NAME}"]
    monkeypatch.setattr(type(good), "hashes", property(lambda _: ("AAAAAA==", "1B2M2Y8AsgTpgAmY7PhCfg==")))
    with pytest.raises(ObjectStoreError, match=r"cannot be read.*[Cc]hecksum"):
        objects.read(NAME)


def test_an_upload_whose_answer_is_lost_counts_once(server: GCSServer, bucket: Opened) -> None:
    """The client sends it again, is refused by its own object, begins again, and appends nothing twice."""
    objects = bucket()
    put(objects, NAME, b"a")
    server.faults["write"].append(Fault("lost"))

    def change(current: Current) -> bytes:
        found = current()
        assert found is not None
        return bytes(sorted({*found.read(), *b"b"}))

    objects.update(NAME, change)
    assert server.objects[BUCKET][f"tables/{NAME}"].data == b"ab"


def test_first_bytes_whose_answer_is_lost_are_still_one_s_own(server: GCSServer, bucket: Opened) -> None:
    """The upload that is sent again finds the object it made itself: nobody else came first."""
    objects = bucket()
    server.faults["write"].append(Fault("lost"))
    assert objects.write_new(NAME, b"ours")
    assert server.counts["write"] == 2
    assert not objects.write_new(NAME, b"theirs")


def test_objects_larger_than_one_request_are_uploaded_whole(server: GCSServer, bucket: Opened) -> None:
    objects, data = bucket(), bytes(9_000_000)
    put(objects, NAME, data)
    assert server.objects[BUCKET][f"tables/{NAME}"].data == data


def test_a_bucket_that_does_not_exist_is_named(server: GCSServer, bucket: Opened) -> None:
    objects = bucket(name="typo")
    for ask in (lambda: objects.read(NAME), lambda: list(objects.names()), lambda: objects.write_new(NAME, b"")):
        with pytest.raises(ObjectStoreError, match="gs://typo does not exist"):
            ask()


def test_only_the_parts_that_are_read_are_fetched_each_once(server: GCSServer, bucket: Opened) -> None:
    objects, data = bucket(), bytes(i % 251 for i in range(1_000_000))
    put(objects, NAME, data)
    opened = objects.ranged(NAME)
    assert opened is not None
    opened.seek(-100, io.SEEK_END)
    assert opened.read() == data[-100:]
    opened.seek(200_000)
    assert opened.read(1000) == data[200_000:201_000]
    opened.seek(200_500)
    assert opened.read(1000) == data[200_500:201_500]
    fetched = [one.size for one in server.requests if one.kind == "read"]
    assert len(fetched) == 2
    assert sum(fetched) < 200_000


@pytest.mark.parametrize("begun", [True, False])
def test_a_file_read_in_parts_is_never_of_two_generations(server: GCSServer, bucket: Opened, begun: bool) -> None:
    """Replaced after its first part was fetched, or before, when only its size is known."""
    objects = bucket(deadline_s=0.3)
    put(objects, NAME, bytes(500_000))
    opened = objects.ranged(NAME)
    assert opened is not None
    if begun:
        assert opened.read(10) == bytes(10)
    put(objects, NAME, b"1" * 500_000)
    opened.seek(300_000)
    with pytest.raises(ObjectStoreError, match="was replaced while it was read"):
        opened.read(10)


@pytest.mark.parametrize("kind", ["symlink", "hard link", "unreadable", "fifo"])
@pytest.mark.parametrize("suffix", ["lock", "tmp"])
def test_what_lies_beside_a_file_is_neither_written_to_nor_in_the_way(tmp_path: Path, kind: str, suffix: str) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "tables"
    folder.mkdir()
    victim.write_text("mine")
    beside = folder / f".name.{suffix}"
    if kind == "symlink":
        beside.symlink_to(victim)
    elif kind == "hard link":
        beside.hardlink_to(victim)
    elif kind == "fifo":
        os.mkfifo(beside)
    else:
        beside.write_text("left")
        beside.chmod(0)
    LocalStore(folder, lock_timeout_s=1).update("name", lambda _: b"new")
    assert (folder / "name").read_bytes() == b"new"
    assert victim.read_text() == "mine"


def test_what_a_killed_writer_left_is_cleared_away_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".name.lock").touch()
    (tmp_path / ".name.0123456789abcdef.half").write_text("half")
    others = [".name.head.0123456789abcdef.half", ".name2.0123456789abcdef.half"]
    for other in others:
        (tmp_path / other).write_text("another's")
    LocalStore(tmp_path).update("name", lambda _: b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [*others, "name"]


def test_names_beside_a_file_cannot_be_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: (seen.append(self.name), replace(self, target))[1])
    for _ in range(2):
        LocalStore(tmp_path).update("name", lambda _: b"new")
    assert len(set(seen)) == 2
    assert all(re.fullmatch(r"\.name\.[0-9a-f]{16}\.half", name) for name in seen)


def test_an_update_takes_no_bytes_away_that_another_writer_is_still_storing(tmp_path: Path) -> None:
    """One thread stores first bytes over and over; an update that finds a killed writer's lock must not end it."""
    store, stop, failed = LocalStore(tmp_path), threading.Event(), []

    def storing() -> None:
        while not stop.is_set() and not failed:
            try:
                store.write_new("answer", bytes(2_000_000))
                store.delete("answer")
            except ObjectStoreError as error:
                failed.append(str(error))

    writer = threading.Thread(target=storing)
    writer.start()
    for _ in range(60):
        (tmp_path / ".answer.lock").touch()  # as a killed writer leaves it
        store.update("answer", lambda _: b"update")
    stop.set()
    writer.join()
    assert failed == []


def test_what_a_writer_of_first_bytes_left_when_it_was_killed_goes_with_the_next(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    (tmp_path / ".answer.lock").touch()
    (tmp_path / ".answer.0f0f0f0f0f0f0f0f.half").write_bytes(b"half")
    assert store.write_new("answer", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["answer"]


@pytest.mark.parametrize(("mode", "folders"), [(0o600, 0o700), (0o666, 0o777)])
def test_folders_are_open_to_whom_their_files_are_and_those_above_are_not_touched(
    mode: int, folders: int, tmp_path: Path
) -> None:
    before = os.umask(0)
    try:
        LocalStore(tmp_path / "above" / "root", mode=mode).write_new("host/ab/answer", b"whole")
    finally:
        os.umask(before)
    made = {
        name: (tmp_path / "above" / name).stat().st_mode & 0o777 for name in ("", "root", "root/host", "root/host/ab")
    }
    assert list(made.values()) == [0o777, 0o777, folders, folders]
