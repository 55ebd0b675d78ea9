"""Records that are only added to: whatever was changed by hand is refused by name, and two writers lose nothing."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from timegpt_assets.adapters.storage.chained_record import ChainedRecord, ClockWentBack, RecordBroken
from timegpt_assets.adapters.storage.object_store import Bytes, Current, LocalStore, ObjectStore
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.promotion_record import PromotionRecord
from timegpt_assets_tests.adapters.buckets import Opened

AT = datetime(2025, 3, 3, 12, tzinfo=UTC)
NAME = "promotions/record.jsonl"


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return LocalStore(tmp_path)
    opened: Opened = request.getfixturevalue("bucket")
    return opened()


def written(objects: ObjectStore, count: int = 4) -> ChainedRecord:
    record = ChainedRecord(objects, NAME)
    for number in range(count):
        record.append({"what": "promote", "number": number}, clock=lambda at=AT + timedelta(hours=number): at)
    return record


def put(objects: ObjectStore, name: str, data: bytes) -> None:
    objects.update(name, lambda _: data)


def test_entries_come_back_in_order_each_with_the_hash_of_the_one_before(objects: ObjectStore) -> None:
    record = written(objects)
    assert ChainedRecord(objects, "other.jsonl").entries() == []
    entries = record.entries()
    assert [entry["number"] for entry in entries] == [0, 1, 2, 3]
    assert [entry["before"] for entry in entries] == ["", *(entry["hash"] for entry in entries[:-1])]
    found = objects.read(NAME)
    assert found is not None
    assert [json.loads(line) for line in found.data.splitlines()] == entries


def edited(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b'"number": 1', b'"number": 7'), *lines[2:]]


def rehashed(lines: list[bytes]) -> list[bytes]:
    import hashlib

    body = {k: v for k, v in json.loads(lines[1]).items() if k != "hash"} | {"number": 7}
    own = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return [lines[0], json.dumps(body | {"hash": own}).encode() + b"\n", *lines[2:]]


DAMAGE: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "edited": (edited, "line 2 is not what was written there"),
    "edited and hashed anew": (rehashed, "line 3 is not what was written there"),
    "last edited": (
        lambda ls: [*ls[:3], ls[3].replace(b"promote", b"demoted")],
        "line 4 is not what was written there",
    ),
    "taken out": (lambda ls: [ls[0], *ls[2:]], "line 2 is not what was written there"),
    "moved": (lambda ls: [ls[0], ls[2], ls[1], ls[3]], "line 2 is not what was written there"),
    "twice": (lambda ls: [*ls, ls[3]], "line 5 is not what was written there"),
    "cut off": (lambda ls: ls[:2], "it has 2 lines, and 4 were written"),
    "cut inside": (lambda ls: [*ls[:3], ls[3][:-9]], "line 4 is not what was written there"),
    "emptied": (lambda ls: [], "it has 0 lines, and 4 were written"),
    "spaced": (lambda ls: [ls[0], ls[1].replace(b": 1", b":  1"), *ls[2:]], "line 2 is not what was written there"),
    "not JSON": (lambda ls: [*ls[:3], b"\xff\xfe\n"], "line 4 is not what was written there"),
    "no object": (lambda ls: [b"[]\n", *ls[1:]], "line 1 is not what was written there"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_was_changed_by_hand_is_refused_by_name_until_it_is_restored(tmp_path: Path, damage: str) -> None:
    objects = LocalStore(tmp_path)
    record, (change, said) = written(objects), DAMAGE[damage]
    whole = (tmp_path / NAME).read_bytes()
    bad = b"".join(change(whole.splitlines(keepends=True)))
    (tmp_path / NAME).write_bytes(bad)
    for use in (record.entries, lambda: record.append({"what": "demote"}, clock=lambda: AT + timedelta(days=1))):
        with pytest.raises(RecordBroken, match=rf"record.jsonl was changed by hand or is damaged: {said}. Restore it"):
            use()
    assert (tmp_path / NAME).read_bytes() == bad
    (tmp_path / NAME).write_bytes(whole)  # the remedy: a backup
    assert record.append({"what": "demote"}, clock=lambda: AT + timedelta(days=1))["what"] == "demote"
    assert len(record.entries()) == 5


def test_one_that_is_gone_with_its_head_left_and_the_other_way_round_is_refused(tmp_path: Path) -> None:
    record = written(LocalStore(tmp_path))
    head = tmp_path / f"{NAME}.head"
    kept = head.read_bytes()
    head.unlink()
    with pytest.raises(RecordBroken, match=r"its head .*record.jsonl.head is gone"):
        record.entries()
    head.write_bytes(b"four")
    with pytest.raises(RecordBroken, match=r"record.jsonl.head cannot be read"):
        record.entries()
    head.write_bytes(kept)
    (tmp_path / NAME).unlink()
    with pytest.raises(RecordBroken, match="it has 0 lines, and 4 were written"):
        record.append({"what": "promote"}, clock=lambda: AT + timedelta(days=1))
    head.unlink()  # the other remedy: both away, and it begins anew
    assert record.append({"what": "promote"}, clock=lambda: AT)["before"] == ""


def test_a_clock_that_went_back_is_refused_and_one_that_stands_still_is_not(objects: ObjectStore) -> None:
    record = written(objects, 2)
    with pytest.raises(
        ClockWentBack, match=r"it is 2025-03-03T12:59.* was written to at 2025-03-03T13:00.*Set the clock"
    ):
        record.append({"what": "promote"}, clock=lambda: AT + timedelta(minutes=59))
    assert len(record.entries()) == 2
    record.append({"what": "promote"}, clock=lambda: AT + timedelta(hours=1))
    assert len(record.entries()) == 3
    assert issubclass(ClockWentBack, StoreError)
    assert issubclass(RecordBroken, StoreError)


def add(folder: Path, who: int, count: int) -> None:
    record = ChainedRecord(LocalStore(folder), NAME)
    for number in range(count):
        record.append({"what": "promote", "who": who, "number": number}, clock=lambda: datetime.now(UTC))


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path, repetitions: Callable[[int], int]) -> None:
    count = repetitions(400)
    processes = [
        multiprocessing.get_context("fork").Process(target=add, args=(tmp_path, who, count)) for who in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    entries = ChainedRecord(LocalStore(tmp_path), NAME).entries()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(entries) == 3 * count
    for who in range(3):
        assert [entry["number"] for entry in entries if entry["who"] == who] == list(range(count))


@pytest.mark.timeout(300)
def test_writers_killed_at_any_moment_leave_a_record_that_goes_on(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    record, file, known, size = ChainedRecord(LocalStore(tmp_path), NAME), tmp_path / NAME, 0, 0
    for kill in range(repetitions(100)):
        process = multiprocessing.get_context("fork").Process(target=add, args=(tmp_path, kill, 10_000))
        process.start()
        while not (file.exists() and file.stat().st_size > size):  # on a busy machine it may take long to begin
            time.sleep(0.0005)
        time.sleep(0.0004 * (kill % 25))
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        entries, size = record.entries(), file.stat().st_size
        assert len(entries) > known
        known = len(entries)
    record.append({"what": "promote"}, clock=lambda: datetime.now(UTC))
    assert len(record.entries()) == known + 1


class Overtaken(LocalStore):
    """A folder in which another writer adds a line between this one's line and its note of it in the head."""

    heads = 0

    def update(self, name: str, change: Callable[[Current], Bytes]) -> None:
        """Write like any other, the second head after the other writer's."""
        if name.endswith(".head"):
            type(self).heads += 1
            if type(self).heads == 2:
                written(LocalStore(self.root), 1)
        super().update(name, change)


def test_who_is_overtaken_does_not_make_the_head_forget_a_line(tmp_path: Path) -> None:
    ChainedRecord(Overtaken(tmp_path), NAME).append({"what": "promote"}, clock=lambda: AT)
    file = tmp_path / NAME
    assert len(file.read_bytes().splitlines()) == 2
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(RecordBroken, match="it has 1 lines, and 2 were written"):
        ChainedRecord(LocalStore(tmp_path), NAME).entries()


def test_a_promotion_is_a_row_for_each_symbol(objects: ObjectStore) -> None:
    record = PromotionRecord(objects)
    assert record.recorded().is_empty()
    said = {"who": "ada", "why": "all passed", "evidence": {"month": "2025-02"}}
    record.add("promote", forecaster="timegpt", symbols=["MSFT", "AAPL"], clock=lambda: AT, **said)
    record.add("demote", forecaster="timegpt", symbols=["AAPL"], clock=lambda: AT + timedelta(days=1), **said)
    assert record.recorded().rows() == [
        (AT, "promote", "timegpt", "AAPL"),
        (AT, "promote", "timegpt", "MSFT"),
        (AT + timedelta(days=1), "demote", "timegpt", "AAPL"),
    ]
    assert record.entries()[0]["evidence"] == {"month": "2025-02"}
