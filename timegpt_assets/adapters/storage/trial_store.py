"""Which combinations were ever tried, by whatever tries them: what a verdict on the best of them must know.

Belongs here: one JSON file per kind of trial and span of sessions under the storage root, forecaster -> names, and what
is still stored of what they earned. Names are added and never taken out, and the same ones again are no others: making
a sweep once more tries nothing new.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

import polars as pl

from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.gates.luck import Trials

FOLDER = "trials/"
GRID_DAYS = "research/grid_days"
EARNED = {"day": pl.Date, "forecaster": pl.String, "combination": pl.String, "net_pnl": pl.Float64}
Kind = Literal["sweep", "forecast_grid", "search"]
"""Who tries: the names of one kind say nothing of another's."""
TRIED = {
    "kind": pl.String,
    "first_day": pl.Date,
    "last_day": pl.Date,
    "forecaster": pl.String,
    "combination": pl.String,
}


@dataclass(frozen=True, slots=True)
class TrialStore:
    """The trials of one storage root."""

    objects: ObjectStore

    def record(self, first: date, last: date, tried: Mapping[str, Collection[str]], *, kind: Kind = "sweep") -> None:
        """Add forecaster -> combinations tried on the sessions from ``first`` to ``last``.

        Raises StoreError for a record that cannot be read: what was tried must not be forgotten over it.
        """
        # a sweep's lie without a folder, as they did when nothing else tried anything
        folder = FOLDER if kind == "sweep" else f"{FOLDER}{kind}/"
        name = f"{folder}{first}_{last}.json"

        def change(current: Current) -> bytes:
            file = current()
            known = {} if file is None else self._known(name, file.read())
            both = {who: {*known.get(who, ()), *tried.get(who, ())} for who in {*known, *tried}}
            return json.dumps({who: sorted(names) for who, names in sorted(both.items())}, indent=0).encode()

        self.objects.update(name, change)

    def ever(self, until: date) -> Trials:
        """Return everything that was ever tried, with what is stored of it up to a day. Raises StoreError."""
        return Trials(tried=self.tried(), days=self.days(until))

    def tried(self) -> pl.DataFrame:
        """Return [kind, first_day, last_day, forecaster, combination], each once; one may stand in several spans.

        How many were ever tried on some sessions is the number of distinct combinations of the spans that meet them.
        Raises StoreError for a file that cannot be read, or whose name says no kind or span.
        """
        rows = []
        for name, _ in self.objects.names(FOLDER):
            kind, first, last = self._said(name)
            found = self.objects.read(name)
            for who, names in self._known(name, found.data if found else b"{}").items():
                rows += [(kind, first, last, who, one) for one in names]
        return pl.DataFrame(rows, TRIED, orient="row").unique().sort(pl.all())

    def days(self, until: date) -> pl.DataFrame:
        """Return [day, forecaster, combination, net_pnl] of the combinations of sweeps, as far as they are stored.

        Read as a record and not as an input of Dagster's: nobody is to sweep a day because a verdict looks back on it.
        """
        folder = f"{GRID_DAYS}/"
        stored = [name.removeprefix(folder).removesuffix(".parquet") for name, _ in self.objects.names(folder)]
        known = [day for day in stored if day <= until.isoformat()]
        empty = pl.DataFrame(schema=EARNED)
        return ParquetStore(self.objects).read(GRID_DAYS, known, missing="ok", columns=list(EARNED), empty=empty)

    def _said(self, name: str) -> tuple[str, date, date]:
        """Return the kind, the first and the last session that a file's name says."""
        folder, _, span = name.removeprefix(FOLDER).removesuffix(".json").rpartition("/")
        first, _, last = span.partition("_")
        try:
            if (kind := folder or "sweep") not in get_args(Kind):
                raise ValueError(kind)
            return kind, date.fromisoformat(first), date.fromisoformat(last)
        except ValueError as error:
            raise self._unreadable(name) from error

    def _known(self, name: str, data: bytes) -> Mapping[str, Collection[str]]:
        try:
            found = json.loads(data)
            if not all(isinstance(one, str) for who in found.values() for one in who):
                raise TypeError(name)
        except (ValueError, TypeError, AttributeError) as error:
            raise self._unreadable(name) from error
        return dict(found)

    def _unreadable(self, name: str) -> StoreError:
        return StoreError(
            f"{self.objects.shown(name)} is no record of what was tried, or was edited. Restore it from a backup; "
            "without one, move it away: what it held counts no more."
        )
