"""The conformal parameters that hold for a moment: the newest stored day up to it, read again when another appears.

Belongs here: which day's, how often is looked, and what stands in when a day cannot be read. What is done with them is
adjusting.py.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.adapters.storage.paced import Paced
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS
from timegpt_assets.core.tsfm import conformal
from timegpt_assets.core.tsfm.conformal import Index

ASSET = "tsfm/conformal_parameters"
LOOKED_EVERY_S = 10.0
"""Seconds between two looks at what is stored."""
MOST_DAYS = 4
"""Days held in memory, and days tried when newer ones cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The parameters of a day, None where none hold; ``warnings``: which could not be read."""

    day: date | None = None
    index: Index | None = None
    warnings: tuple[str, ...] = field(default=())


@dataclass(slots=True)
class _Day:
    """A day as it was read last. ``generation``: of the file that was looked at, whether it could be read or not."""

    generation: str
    index: Index | None
    fault: str = ""


class Parameters:
    """Reads stored parameters of a level; any number of threads may ask. ``monotonic``: a clock that only goes on."""

    def __init__(self, store: ParquetStore, level: float, monotonic: Callable[[], float]) -> None:
        """Keep the store; nothing is read yet."""
        self._store, self._level = store, level
        self._listed = Paced(self._look, LOOKED_EVERY_S, monotonic)
        self._stored: Mapping[str, str] = {}
        self._days: dict[str, _Day] = {}
        self._lock = threading.Lock()

    def of(self, day: date) -> Held:
        """Return the parameters that hold on a UTC day: of the newest stored day up to it that can be read.

        A file that is rewritten is read again; one that cannot be read leaves what was read of its day before, else the
        day before it, and is said.
        """
        stored, fault = self._listed()
        with self._lock:
            warnings = [fault] if fault else []
            for name in sorted((name for name in stored if name <= day.isoformat()), reverse=True)[:MOST_DAYS]:
                found = self._read(name, stored[name])
                warnings += [found.fault] if found.fault else []
                if found.index is not None:
                    return Held(day=date.fromisoformat(name), index=found.index, warnings=tuple(warnings))
            return Held(warnings=tuple(warnings))

    def _look(self) -> tuple[Mapping[str, str], str]:
        """Return which days are stored, in which generation; where nobody can say it, what was known, and why."""
        try:
            names = self._store.objects.names(f"{ASSET}/")
            found = {_day(name): generation for name, generation in names}
        except (ObjectStoreError, OSError) as error:
            return self._stored, f"conformal_unlisted: {type(error).__name__}"
        self._stored = {day: generation for day, generation in found.items() if day}
        return self._stored, ""

    def _read(self, day: str, generation: str) -> _Day:
        known = self._days.get(day)
        if known is not None and known.generation == generation:
            return known
        try:
            rows = CONFORMAL_PARAMETERS.conformed(self._store.read(ASSET, [day]).select(*CONFORMAL_PARAMETERS.columns))
            found = _Day(generation, conformal.indexed(rows, level=self._level))
        except (StoreError, ObjectStoreError, OSError, ValueError, pl.exceptions.PolarsError) as error:
            # the place stays out of it: who asks for a band need not know where tables lie
            fault = f"conformal_unreadable: the parameters of {day} ({type(error).__name__})"
            found = _Day(generation, known.index if known else None, fault)
        self._days[day] = found
        for other in sorted(self._days)[:-MOST_DAYS]:
            del self._days[other]
        return found


def _day(name: str) -> str:
    """Return the UTC day that a file is of, an empty text for a file of nothing of ours."""
    said = name.removeprefix(f"{ASSET}/").removesuffix(".parquet")
    try:
        return date.fromisoformat(said).isoformat() if name.endswith(".parquet") else ""
    except ValueError:
        return ""
