"""Where lineage records lie: one small JSON file per id, under the storage root, written once and never changed."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.parquet_store import StoreError
from timegpt_assets.core.lineage import Lineage


@dataclass(frozen=True, slots=True)
class LineageBook:
    """The records of one storage root, by lineage id."""

    root: Path

    def record(self, lineage: Lineage) -> str:
        """Keep the record and return its id; a record already there is left as it is. Raises StoreError."""
        path = self._folder / f"{lineage.lineage_id}.json"
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_name(f".{path.name}.{os.getpid()}")
                partial.write_text(lineage.as_json())
                partial.replace(path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written: {error}. Make the folder writable, or set data.storage_root to another one."
            ) from error
        return lineage.lineage_id

    def records(self) -> dict[str, Lineage]:
        """Return every record by id."""
        return {path.stem: Lineage(**json.loads(path.read_text())) for path in sorted(self._folder.glob("*.json"))}

    def table(self) -> pl.DataFrame:
        """Return every record as a row: lineage_id, then the contract's fields; parents as text."""
        rows = [
            {"lineage_id": key} | {name: str(value) for name, value in json.loads(record.as_json()).items()}
            for key, record in self.records().items()
        ]
        return pl.DataFrame(rows)

    @property
    def _folder(self) -> Path:
        return self.root / "lineage"
