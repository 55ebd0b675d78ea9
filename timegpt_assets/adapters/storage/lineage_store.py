"""Where lineage records lie: one small JSON file per id, under the storage root, written once and never changed."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.core.lineage import Lineage, path_to_bars

FOLDER, DAMAGED = "lineage/", "lineage/damaged/"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LineageStore:
    """The records of one storage root, by lineage id."""

    objects: ObjectStore
    _kept: set[str] = field(default_factory=set, repr=False, compare=False)
    """Ids whose records are kept with all that they lead to."""

    def record_road(self, records: Mapping[str, Lineage], lineage_id: str) -> str:
        """Keep the record of an id and of everything it was made from; returns the id. Raises ObjectStoreError.

        What was read may never have been made, and nobody could say later what a row stands for but by its record.
        """
        if lineage_id in self._kept:
            # its road is on record: to walk it for each partition would cost more than to store that
            return self.record(records[lineage_id])
        road = {record.lineage_id: record for record in path_to_bars(records, lineage_id)}
        for key in road.keys() - self._kept:
            self.record(road[key])
        self._kept.update(road)
        return lineage_id

    def record(self, lineage: Lineage) -> str:
        """Keep the record and return its id; one already there is left as it is. Raises ObjectStoreError."""
        name, text = f"{FOLDER}{lineage.lineage_id}.json", lineage.as_json().encode()
        # an id is a digest of the text: what lies there already says the same, or was edited
        if not self.objects.write_new(name, text):
            there = self.objects.read(name)
            if there is not None and there.data != text:
                self._set_aside(name)
                self.objects.write_new(name, text)
        return lineage.lineage_id

    def records(self) -> dict[str, Lineage]:
        """Return every record by id. An id is a digest: what does not agree with its own is set aside and said."""
        names = [name for name, _ in self.objects.names(FOLDER) if re.fullmatch(f"{FOLDER}[^/]+[.]json", name)]
        found: dict[str, Lineage] = {}
        for name in names:
            stem, one = name.removeprefix(FOLDER).removesuffix(".json"), self.objects.read(name)
            record = None if one is None else _read(one.data)
            if record is not None and record.lineage_id == stem:
                found[stem] = record
            elif one is not None:
                self._set_aside(name)
        return found

    def found(self, lineage_id: str) -> Lineage | None:
        """Return the record of one id, None where none agrees with it; nothing is set aside."""
        one = self.objects.read(f"{FOLDER}{lineage_id}.json")
        record = None if one is None else _read(one.data)
        return record if record is not None and record.lineage_id == lineage_id else None

    def _set_aside(self, name: str) -> None:
        target = f"{DAMAGED}{name.removeprefix(FOLDER)}"
        self.objects.move(name, target)
        _LOG.warning("%s is no record of lineage, or was edited: moved to %s.", name, self.objects.shown(target))

    def table(self) -> pl.DataFrame:
        """Return every record as a row: lineage_id, then the contract's fields; parents as text."""
        rows = [
            {"lineage_id": key} | {name: str(value) for name, value in json.loads(record.as_json()).items()}
            for key, record in self.records().items()
        ]
        return pl.DataFrame(rows)


def _read(data: bytes) -> Lineage | None:
    """Return the record, None for bytes that are none."""
    try:
        return Lineage(**json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return None
