"""The logs of the stages: one JSON object a line, in forecast.log, backtest.log and sweep.log.

Belongs here: their form, and where lines go. Who logs says the fields. Nothing is written before the rim (a command,
the code location of the UI and the daemon) says where, and what takes secrets out of lines.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from io import TextIOWrapper
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Literal

import orjson
import structlog
from filelock import FileLock
from structlog.typing import FilteringBoundLogger

Stage = Literal["forecast", "backtest", "sweep"]
STAGES: tuple[Stage, ...] = ("forecast", "backtest", "sweep")
_ROOT = "timegpt_assets.stage"
MOST_BYTES, KEPT, READ_BYTES = 16 << 20, 8, 1 << 20
"""A file that has grown to so many bytes is turned over, so many are kept beside it, and so much of one is read."""


def stage_log(stage: Stage) -> FilteringBoundLogger:
    """Return the log of a stage: an event in words, and fields that JSON can hold."""
    made: FilteringBoundLogger = structlog.wrap_logger(
        logging.getLogger(f"{_ROOT}.{stage}"),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.JSONRenderer(_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )
    return made


@contextmanager
def kept(*folders: Path, redacted: Callable[[str], str] = str) -> Iterator[None]:
    """Have lines appended to ``<folder>/<stage>.log`` of each folder meanwhile; a file is made with its first line."""
    begun = begin(*folders, redacted=redacted)
    try:
        yield
    finally:
        for stage, handler in begun:
            logging.getLogger(f"{_ROOT}.{stage}").removeHandler(handler)
            handler.close()


def begin(*folders: Path, redacted: Callable[[str], str] = str) -> list[tuple[Stage, logging.Handler]]:
    """Have lines appended from now on, unless they are kept already, and return what keeps them."""
    begun = list[tuple[Stage, logging.Handler]]()
    for stage in STAGES:
        logger = logging.getLogger(f"{_ROOT}.{stage}")
        if any(isinstance(handler, _File) for handler in logger.handlers):
            continue  # a command inside a command: a sweep opens a house for each combination
        for folder in folders:
            begun.append((stage, _File(folder / f"{stage}.log", redacted)))
            logger.addHandler(begun[-1][1])
        logger.setLevel(logging.INFO)
        logger.propagate = False  # people are told by the command line
    return begun


def recent(folder: Path, stage: Stage, since: datetime) -> list[dict[str, Any]]:
    """Return the lines logged since then, oldest first, as far back as READ_BYTES of the newest file go."""
    file = folder / f"{stage}.log"
    if not file.is_file():
        return []
    with file.open("rb") as opened:
        skipped = max(0, os.fstat(opened.fileno()).st_size - READ_BYTES)
        opened.seek(skipped)
        lines = opened.read().split(b"\n")
    if skipped:
        lines = lines[1:]  # the first is half of one
    said = [_read(line) for line in lines if line.strip()]
    return [one for one in said if one and datetime.fromisoformat(one["ts"]) >= since]


def _read(line: bytes) -> dict[str, Any]:
    """Return what a line says; nothing of one that a full disk cut short."""
    try:
        said: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return said


class _File(WatchedFileHandler):
    """A file of lines that is made when the first one comes, and turned over when it is full.

    Commands, the UI and runs of the daemon write to the same file: logging's own rotation would have each of them keep
    its count, and rename what others have just begun. So the file is turned over under a lock beside it by whoever
    finds it full, and everybody else, who looks at each line whether the file is still his, begins the new one. A line
    that is written in that moment ends the old one: none is lost, none is cut.
    """

    def __init__(self, path: Path, redacted: Callable[[str], str]) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self._redacted = redacted

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return self._redacted(super().format(record))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line; a folder that cannot be made is told like a file that cannot be written."""
        try:
            _turned_over(Path(self.baseFilename))
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say that a line is lost: a log that cannot be written is no reason to stop what is paid for."""
        logging.getLogger("timegpt_assets").warning("%s cannot be written: a line is lost.", self.baseFilename)


def _turned_over(file: Path) -> None:
    """Move a full file to ``<name>.1``, what lay there to ``.2``, and so on; the last is gone."""
    if not _is_full(file):
        return
    with FileLock(f"{file}.lock"):
        if not _is_full(file):  # somebody else was first
            return
        for number in range(KEPT - 1, 0, -1):
            with suppress(FileNotFoundError):
                Path(f"{file}.{number}").replace(f"{file}.{number + 1}")
        file.replace(f"{file}.1")


def _is_full(file: Path) -> bool:
    try:
        return file.stat().st_size >= MOST_BYTES
    except FileNotFoundError:
        return False


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
