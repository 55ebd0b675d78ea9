"""The logs of the stages: one JSON object a line, in forecast.log, backtest.log and sweep.log.

Belongs here: their form, and where lines go. Who logs says the fields. Nothing is written before the rim (a command,
the code location of the UI and the daemon) says where; what it names as secret is in no line.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

Stage = Literal["forecast", "backtest", "sweep"]
STAGES: tuple[Stage, ...] = ("forecast", "backtest", "sweep")
REDACTED = "[REDACTED]"
_ROOT = "timegpt_assets.stage"


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
def kept(folder: Path, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Have lines appended to ``<folder>/<stage>.log`` meanwhile; a file is made with its first line."""
    begun = begin(folder, secrets)
    try:
        yield
    finally:
        for stage, handler in begun.items():
            logging.getLogger(f"{_ROOT}.{stage}").removeHandler(handler)
            handler.close()


def begin(folder: Path, secrets: Sequence[str] = ()) -> dict[Stage, logging.Handler]:
    """Have lines appended from now on, unless they are kept already, and return what keeps them."""
    begun: dict[Stage, logging.Handler] = {}
    for stage in STAGES:
        logger = logging.getLogger(f"{_ROOT}.{stage}")
        if any(isinstance(handler, _File) for handler in logger.handlers):
            continue  # a command inside a command: a sweep opens a house for each combination
        begun[stage] = _File(folder / f"{stage}.log", secrets)
        logger.addHandler(begun[stage])
        logger.setLevel(logging.INFO)
        logger.propagate = False  # people are told by the command line
    return begun


class _File(logging.FileHandler):
    """A file of lines that is made when the first one comes; what is secret is taken out of each."""

    def __init__(self, path: Path, secrets: Sequence[str]) -> None:
        super().__init__(path, encoding="utf-8", delay=True)
        self._secrets = [secret for secret in secrets if secret]

    def _open(self) -> TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, REDACTED)
        return line

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line; a folder that cannot be made is told like a file that cannot be written."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say that a line is lost: a log that cannot be written is no reason to stop what is paid for."""
        logging.getLogger("timegpt_assets").warning("%s cannot be written: a line is lost.", self.baseFilename)


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
