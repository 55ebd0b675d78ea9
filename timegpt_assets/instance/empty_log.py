"""The empty database that a run's events go into: made once in a process by Dagster's own storage, and copied.

Dagster makes some thirty tables and indexes anew for every run and reads its migrations for it: a tenth of a second,
where copying them is a thousandth.
"""

import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from dagster._core.storage.event_log import SqliteEventLogStorage

PAGE_BYTES = 1024
"""Of a page. Each table and index is one at least, and SQLite's own page has 4,096: most of a short run's file."""


def place(file: Path) -> bool:
    """Return whether an empty database was put there: not where there is a file, which is never written over.

    It is linked when it is whole: a process that dies on the way leaves none, and of several one is first.
    """
    if file.exists():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}.")
    try:
        with os.fdopen(handle, "wb") as new:
            new.write(_empty())
        os.link(beside, file)
    except OSError:  # somebody was first, or this disk knows no links: Dagster makes what is not there
        return False
    finally:
        Path(beside).unlink()
    return True


def shrink(database: sqlite3.Connection, page_bytes: int) -> None:
    """Write a database anew, in pages of this size; else it stays as long as it was."""
    with suppress(sqlite3.OperationalError):  # somebody reads it at this moment: then in pages as large as before
        database.execute("pragma journal_mode = delete")  # pages of a file with a write-ahead log keep their size
        database.execute(f"pragma page_size = {page_bytes}")
    database.execute("vacuum")
    database.execute("pragma journal_mode = wal")


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with SqliteEventLogStorage(folder).run_connection("empty"):
            pass
        file = Path(folder, "empty.db")
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            shrink(database, PAGE_BYTES)
        return file.read_bytes()
