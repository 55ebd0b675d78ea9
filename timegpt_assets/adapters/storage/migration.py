"""Stored tables of an older shape, brought to today's: rewritten where every column can be told, else set aside.

Belongs here: which files are of an older shape, and what becomes of each. Nothing is deleted: a file that is set aside
keeps its bytes beside its place, and its partitions count as absent.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables import old_shapes
from timegpt_assets.core.tables.columns import WILDCARD

ASIDE = ".old"
"""What is put behind the name of a file that is set aside."""


@dataclass
class Migration:
    """How many files of each asset were rewritten, set aside and left as they are."""

    rewritten: dict[str, int] = field(default_factory=dict)
    aside: dict[str, int] = field(default_factory=dict)
    kept: int = 0


def migrate(store: ParquetStore, tables: Mapping[str, Table], *, whole: Collection[str] = ()) -> Migration:
    """Bring every stored file of these assets (``group/name`` -> table) to its table's columns, and return the counts.

    ``whole`` assets have files that are not divided by symbol: one that is has its rows joined, its facts let go.
    Raises StoreError for a file that cannot be read; those before it are done, and a second call goes on.
    """
    found = Migration()
    for asset, table in sorted(tables.items()):
        for name, day in list(_files(store, asset)):
            rows, facts = store.contents(asset, {day: None})
            divided = asset in whole and (day, WILDCARD) not in facts
            if not divided and not old_shapes.lacking(table, rows.columns):
                found.kept += 1
                continue
            filled = old_shapes.filled(table, rows)
            if filled is None:
                store.objects.move(name, f"{name}{ASIDE}")
                found.aside[asset] = found.aside.get(asset, 0) + 1
                continue
            noted = {symbol: {k: v for k, v in fact.items() if k != "rows"} for (_, symbol), fact in facts.items()}
            if divided:  # one settings' rows or many's: whose they are stands in every row, not in the day's facts
                noted = {WILDCARD: {}}
            store.write(asset, day, filled, keys=noted.keys(), facts=noted)
            found.rewritten[asset] = found.rewritten.get(asset, 0) + 1
    return found


def _files(store: ParquetStore, asset: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the day of each file of the asset."""
    for name, _ in store.objects.names(f"{asset}/"):
        if name.endswith(".parquet"):
            yield name, name.rpartition("/")[2].removesuffix(".parquet")
