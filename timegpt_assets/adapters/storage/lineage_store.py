"""Where lineage records lie: one small JSON file per id, under the storage root, written once and never changed."""

import json
from dataclasses import dataclass

import polars as pl

from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.core.lineage import Lineage

FOLDER = "lineage/"


@dataclass(frozen=True, slots=True)
class LineageStore:
    """The records of one storage root, by lineage id."""

    objects: ObjectStore

    def record(self, lineage: Lineage) -> str:
        """Keep the record and return its id; a record already there is left as it is. Raises ObjectStoreError."""
        self.objects.write_new(f"{FOLDER}{lineage.lineage_id}.json", lineage.as_json().encode())
        return lineage.lineage_id

    def records(self) -> dict[str, Lineage]:
        """Return every record by id."""
        found = {name: self.objects.read(name) for name, _ in self.objects.names(FOLDER) if name.endswith(".json")}
        stems = {name: name.removeprefix(FOLDER).removesuffix(".json") for name in found}
        return {stems[name]: Lineage(**json.loads(one.data)) for name, one in found.items() if one is not None}

    def table(self) -> pl.DataFrame:
        """Return every record as a row: lineage_id, then the contract's fields; parents as text."""
        rows = [
            {"lineage_id": key} | {name: str(value) for name, value in json.loads(record.as_json()).items()}
            for key, record in self.records().items()
        ]
        return pl.DataFrame(rows)
