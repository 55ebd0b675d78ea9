"""A run's empty database is the one that Dagster makes, there at once, small, and never put over a file."""

import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from timegpt_assets.event_storage import BatchedSqliteEventLogStorage
from timegpt_assets.instance import empty_log

RUN = "6f0e6c1c-0000-4000-8000-000000000001"
LARGEST = 40_000
"""Bytes of a run's file with nothing in it: Dagster's own has 114,688."""

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def asked(file: Path, *questions: str) -> list[Sequence[Any]]:
    with closing(sqlite3.connect(file)) as database:
        return [database.execute(question).fetchall() for question in questions]


def left_over(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.name.startswith(".")]


def made(storage: SqliteEventLogStorage) -> Path:
    with storage.run_connection(RUN):
        pass
    return Path(storage.path_for_shard(RUN))


def test_it_holds_what_dagster_s_own_holds_and_takes_a_third_of_it(tmp_path: Path) -> None:
    whole = (
        "select type, name, tbl_name, sql from sqlite_master order by name",
        "select * from alembic_version",
        "pragma journal_mode",
        "pragma integrity_check",
    )
    ours = made(BatchedSqliteEventLogStorage(str(tmp_path / "ours")))
    stock = made(SqliteEventLogStorage(str(tmp_path / "stock")))
    assert asked(ours, *whole) == asked(stock, *whole)
    assert ours.stat().st_size < LARGEST < stock.stat().st_size
    assert left_over(tmp_path / "ours") == []


def test_what_is_there_stays_and_of_several_at_once_one_is_first(tmp_path: Path) -> None:
    storage = BatchedSqliteEventLogStorage(str(tmp_path))
    file = Path(storage.path_for_shard(RUN))
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(empty_log.place, [file] * 8)) == [False] * 7 + [True]
    with storage.run_connection(RUN) as connection:
        connection.execute(SqlEventLogStorageTable.insert(), {"run_id": RUN, "event": "mine", "timestamp": None})
    before = file.read_bytes()
    assert not empty_log.place(file)
    assert file.read_bytes() == before
    assert made(BatchedSqliteEventLogStorage(str(tmp_path))) == file
    assert asked(file, "select run_id from event_logs") == [[(RUN,)]]
    assert left_over(tmp_path) == []


def test_where_a_disk_knows_no_links_dagster_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    file = made(BatchedSqliteEventLogStorage(str(tmp_path)))
    assert asked(file, "select count(*) from event_logs") == [[(0,)]]
    assert left_over(tmp_path) == []
