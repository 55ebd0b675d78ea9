"""Every attempt to ask a source, on record the moment it ended: one line of JSON each, never changed.

Belongs here: ``news/attempts/<day>/<source>/``, by the session that was asked about. One file an attempt, written whole
or not at all, so that whoever is killed loses none and two who ask at once hinder neither. No secret is in any.
"""

import secrets
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from itertools import count

import orjson
import polars as pl

from timegpt_assets.adapters.news.raw_store import NewsDamaged
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.core.news.health import ATTEMPTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One row of ATTEMPTS (core/news/health.py)."""

    day: date
    source: str
    asked: str
    at: datetime
    attempt: int
    outcome: str
    why: str | None
    status: int | None
    latency_s: float | None
    size: int | None
    breaker: str


@dataclass(frozen=True, slots=True)
class AttemptLog:
    """The attempts of one storage root."""

    objects: ObjectStore
    _numbers: Iterator[int] = field(default_factory=count, repr=False, compare=False)

    def add(self, attempt: Attempt) -> None:
        """Put an attempt on record, durably. Raises ObjectStoreError."""
        # two of one process in one moment keep their order, two of different processes their names
        moment = f"{attempt.at:%Y%m%dT%H%M%S%f}-{next(self._numbers):06d}-{secrets.token_hex(4)}"
        line = orjson.dumps(asdict(attempt))
        self.objects.write_new(f"{_folder(attempt.day)}{attempt.source}/{moment}.json", line + b"\n")

    def read(self, days: Collection[date]) -> pl.DataFrame:
        """Return ATTEMPTS of these sessions, in the order in which they were made within a source.

        Raises NewsDamaged.
        """
        rows = [row for day in sorted(set(days)) for row in self._of(day)]
        return pl.DataFrame(rows, schema=ATTEMPTS, orient="row")

    def _of(self, day: date) -> Iterator[tuple[object, ...]]:
        for name, _ in self.objects.names(_folder(day)):
            if found := self.objects.read(name):
                yield self._row(name, found.data)

    def _row(self, name: str, line: bytes) -> tuple[object, ...]:
        try:
            said = orjson.loads(line)
            moments = {"day": date.fromisoformat(said["day"]), "at": datetime.fromisoformat(said["at"])}
            return tuple((said | moments)[column] for column in ATTEMPTS)
        except (ValueError, TypeError, KeyError) as error:
            raise NewsDamaged(
                f"{self.objects.shown(name)} is damaged ({error!r}). Delete it: one attempt less is counted, and no "
                "answer is lost. Or restore the file from a backup."
            ) from None


def _folder(day: date) -> str:
    return f"news/attempts/{day}/"
