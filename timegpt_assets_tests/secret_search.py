"""The keys of the tests, and the search for them in everything the whole test run leaves behind.

Belongs here: the marked keys, and the plugin (registered by conftest.py) that fails a run in which one is found: in a
file of any test or worker, in what was printed or logged, in a failure's text. What never becomes a file is searched
where it ends: recorded requests (servers/served.py), in-memory event logs (roads.py), databases (adapters/postgres.py).
"""

import base64
import mmap
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
import zstandard

MARK = "nixak-very-secret"
"""What every key of a test that may send begins with."""
KEY, ROTATED, WRONG = f"{MARK}-0123456789", f"{MARK}-rotated-1a2b3c", f"{MARK}-wrong-00ff00"
SIGNING = base64.b64encode(f"{MARK}-signs".encode().ljust(32, b"!")).decode()
"""A private key that tests sign models with."""
MARKS = (MARK, SIGNING[:24])


def is_marked(text: str) -> bool:
    """Return whether a text holds a marked key."""
    return any(mark in text for mark in MARKS)


def leaking(folder: Path) -> list[Path]:
    """Return the files at any depth below the folder that hold a marked key, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and _leaks(path))


def _leaks(path: Path) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return (
            any(data.find(mark.encode()) >= 0 for mark in MARKS)
            or (path.suffix == ".zst" and any(mark.encode() in _unpacked(data[:]) for mark in MARKS))
            or (data[:6] == b"SQLite" and any(mark in event for event in _events(path) for mark in MARKS))
        )


def _events(path: Path) -> Iterator[str]:
    """Yield the packed events of a database; none of another one's, or of one damaged on purpose."""
    from timegpt_assets.instance import packed_events  # brings Dagster, which a test of the core does without

    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        for table, column in packed_events.COLUMNS.items():
            packed = f"select {column} from {table} where typeof({column}) = 'blob'"  # noqa: S608 - names of ours
            with suppress(sqlite3.DatabaseError):
                yield from (packed_events.unpacked(event) for (event,) in connection.execute(packed))


def _unpacked(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError:
        return b""  # damaged on purpose


class SecretSearch:
    """Collects where a marked key was found in this run, and fails the run for it."""

    def __init__(self, config: pytest.Config) -> None:
        """Remember whose run it is: the one that starts the workers, if there are any."""
        self.config, self.found = config, list[str]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Search what one test printed, logged and failed with."""
        self.found += [f"{report.nodeid} ({name})" for name, text in _shown(report) if is_marked(text)]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Search every file that any worker's tests left, and fail the run that leaks."""
        base = self.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        self.found += map(str, leaking(base))
        if self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name what leaks."""
        for where in self.found:
            terminalreporter.line(f"An API key is in {where}: see who wrote it there.", red=True)


def _shown(report: pytest.TestReport) -> Iterator[tuple[str, str]]:
    yield from report.sections
    yield "its failure", report.longreprtext
