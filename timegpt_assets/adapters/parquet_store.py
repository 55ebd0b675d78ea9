"""One parquet file per asset and trading day: symbols are row groups, merged without losing another writer's.

Belongs here: what a file holds, wherever it lies. Folders and buckets are places.py, tables and partitions the IO
manager's business.
The footer holds the facts of every partition in the file, so that "empty on purpose" differs from "never written".
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.places import Current, Place

JSON: TypeAlias = "bool | int | float | str | Collection[JSON] | Mapping[str, JSON] | None"
Facts: TypeAlias = Mapping[str, JSON]
Day: TypeAlias = date | str
"""A trading day; also ``YYYY-MM`` for a month and ``all`` for what is not partitioned: the file's name."""

WHOLE = "*"
"""The one partition of a file that is not divided by symbol."""

FOOTER = b"timegpt_assets.partitions"


class StoreError(RuntimeError):
    """Raised when stored files cannot be read or written; names the file or asset, and the remedy."""


class MissingPartition(StoreError):
    """Raised when a partition was never written; names asset, day and symbol, and how to materialise it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows of one or many partitions, with facts by Dagster partition key (``2025-01-21|AAPL``; ``all``)."""

    frame: pl.DataFrame
    facts: Mapping[str, Facts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Rows of many days, made and stored a few days at a time: (files, their rows and facts), each file once."""

    parts: Iterable[tuple[Collection[str], Stored]]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Stored rows that are read when asked for, by ``files`` (days); ``facts`` as in ``Stored``."""

    rows: Callable[[Collection[str]], pl.DataFrame]
    files: Sequence[str]
    facts: Mapping[str, Facts]

    def of(self, days: Iterable[Day]) -> pl.DataFrame:
        """Return the rows of these days; MissingPartition if one was never stored and must be."""
        return self.rows([str(day) for day in days])

    def blocks(self, size: int = 5) -> Iterator[pl.DataFrame]:
        """Yield all rows, a few files at a time; one frame without rows when there are none."""
        for start in range(0, max(1, len(self.files)), size):
            yield self.rows(self.files[start : start + size])


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a file holds: the rows of each symbol that has any, and the facts of every symbol."""

    schema: pa.Schema
    groups: Mapping[str, pa.Table]
    facts: Mapping[str, Facts]


@dataclass(frozen=True, slots=True)
class ParquetStore:
    """Files ``<asset>/<day>.parquet`` in a place; ``asset`` is ``<group>/<name>``."""

    place: Place

    def write(
        self,
        asset: str,
        day: Day,
        frame: pl.DataFrame,
        *,
        keys: Collection[str] = (WHOLE,),
        facts: Mapping[str, Facts] | None = None,
    ) -> None:
        """Store the rows of these symbols, empty ones included, beside the file's other symbols.

        ``keys`` are the symbols written, or ``*`` alone when the file is not divided; ``facts`` (JSON) go into the
        footer with ``rows``, which is counted here. Raises StoreError or PlaceError, and then leaves the old file.
        """
        name = file_name(asset, day)
        shown = self.place.shown(name)
        written = _written(shown, frame, keys, facts or {})

        def change(current: Current) -> pa.Buffer:
            return _bytes(shown, written if WHOLE in keys else _merged(shown, _kept(shown, current(), keys), written))

        self.place.update(name, change)

    def read(
        self,
        asset: str,
        days: Iterable[Day],
        symbols: Collection[str] | None = None,
        *,
        missing: Literal["error", "ok"] = "error",
        columns: Collection[str] | None = None,
        empty: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """Return the rows of these days and symbols (None: all that is there), by day and then symbol.

        ``empty`` is returned when no file is there. Raises MissingPartition, unless ``missing`` is ok, and StoreError.
        """
        wanted = {str(day): symbols for day in days}
        return self.contents(asset, wanted, missing=missing, columns=columns, empty=empty)[0]

    def read_facts(
        self,
        asset: str,
        days: Iterable[Day],
        symbols: Collection[str] | None = None,
        *,
        missing: Literal["error", "ok"] = "error",
    ) -> dict[tuple[str, str], Facts]:
        """Return (day, symbol) -> facts from the footers alone; symbol is ``*`` where the file is not divided."""
        return self.contents(asset, {str(day): symbols for day in days}, missing=missing, columns=())[1]

    def contents(
        self,
        asset: str,
        wanted: Mapping[str, Collection[str] | None],
        *,
        missing: Literal["error", "ok"] = "error",
        columns: Collection[str] | None = None,
        empty: pl.DataFrame | None = None,
    ) -> tuple[pl.DataFrame, dict[tuple[str, str], Facts]]:
        """Return rows and facts of day -> symbols, as ``read`` and ``read_facts`` do; each file is opened once."""
        absent: list[tuple[str, str | None]] = []
        tables: dict[str, pa.Table] = {}
        facts: dict[tuple[str, str], Facts] = {}
        for day, symbols in sorted(wanted.items()):
            shown = self.place.shown(name := file_name(asset, day))
            if (source := self.place.opened(name)) is None:
                absent += [(day, symbol) for symbol in (sorted(symbols) if symbols else [None])]
                continue
            with _opened(shown, source) as (file, footer):
                found = sorted(footer.keys() if symbols is None else footer.keys() & set(symbols))
                absent += [(day, symbol) for symbol in sorted(set(symbols or ()) - footer.keys())]
                facts |= {(day, symbol): footer[symbol] for symbol in found}
                if columns is None or columns:
                    tables[shown] = _rows(shown, file, footer, found, columns)
        if absent and missing == "error":
            raise missing_partition(asset, absent)
        return _joined(tables, pl.DataFrame() if empty is None else _selected(empty, columns)), facts


def file_name(asset: str, day: Day) -> str:
    """Return the name under which the asset's rows of that day lie."""
    return f"{asset}/{day}.parquet"


def _written(shown: str, frame: pl.DataFrame, keys: Collection[str], facts: Mapping[str, Facts]) -> _Contents:
    """Return the frame cut into one table per symbol, with its facts. Raises StoreError for rows or facts of others."""
    if WHOLE in keys:
        parts = {WHOLE: frame}
    else:
        parts = {str(key): part for (key,), part in frame.partition_by("symbol", as_dict=True).items()}
    if others := sorted((parts.keys() | facts.keys()) - set(keys)):
        raise StoreError(
            f"{shown}: rows or facts of {', '.join(others)} are not among the partitions being written "
            f"({', '.join(sorted(keys))}). Keep to the partitions asked for."
        )
    schema = frame.head(0).to_arrow().schema
    groups = {key: part.to_arrow().combine_chunks() for key, part in parts.items() if part.height}
    counted = {key: {**facts.get(key, {}), "rows": parts[key].height if key in parts else 0} for key in keys}
    return _Contents(schema, groups, counted)


def _kept(shown: str, source: pa.NativeFile | None, replaced: Collection[str]) -> _Contents | None:
    """Return what the file holds of other symbols; reads no rows when there are none."""
    if source is None:
        return None
    with _opened(shown, source) as (file, footer):
        facts = {key: fact for key, fact in footer.items() if key not in replaced}
        groups = {
            key: file.read_row_group(index).replace_schema_metadata(None).combine_chunks()
            for index, key in enumerate(_grouped(footer))
            if key in facts
        }
        return _Contents(file.schema_arrow.remove_metadata(), groups, facts) if facts else None


def _merged(shown: str, kept: _Contents | None, written: _Contents) -> _Contents:
    """Return both together. A side without rows takes the other's columns; sides with rows must have the same."""
    if kept is None:
        return written
    if WHOLE in kept.facts:
        raise StoreError(f"{shown} is not divided by symbol. Delete the file, and materialise the whole day.")
    if kept.groups and written.groups and _columns(kept.schema) != _columns(written.schema):
        raise StoreError(
            f"{shown} holds {', '.join(sorted(kept.facts))} with other columns than are written now "
            f"({_difference(kept.schema, written.schema)}). Materialise all symbols of that day in one run, or delete "
            "the file first."
        )
    schemas = [side.schema for side in (written, kept) if side.groups]
    schema = schemas[0] if schemas else max(written.schema, kept.schema, key=lambda schema: (len(schema), schema.names))
    return _Contents(schema, {**kept.groups, **written.groups}, {**kept.facts, **written.facts})


def _bytes(shown: str, contents: _Contents) -> pa.Buffer:
    strings = [field.name for field in contents.schema if pa.types.is_large_string(field.type)]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, contents.schema, compression="lz4", use_dictionary=strings, write_statistics=False
    ) as writer:
        for _, table in sorted(contents.groups.items()):
            writer.write_table(table.select(contents.schema.names), row_group_size=table.num_rows)
        writer.add_key_value_metadata({FOOTER: _json(shown, contents.facts)})
    return sink.getvalue()


def _json(shown: str, facts: Mapping[str, Facts]) -> bytes:
    try:
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise StoreError(f"{shown}: facts must be plain finite JSON ({error}). Mend the asset's facts.") from error


@contextmanager
def _opened(shown: str, source: pa.NativeFile) -> Iterator[tuple[pq.ParquetFile, dict[str, Facts]]]:
    """Yield the open file and its footer. Raises StoreError when it is torn or foreign."""
    try:
        with source, pq.ParquetFile(source) as file:
            footer: dict[str, Facts] = json.loads((file.metadata.metadata or {})[FOOTER])
            if len(_grouped(footer)) != file.num_row_groups:
                raise KeyError("row groups do not match the footer")
            yield file, footer
    except (pa.ArrowException, OSError, KeyError, json.JSONDecodeError) as error:
        raise StoreError(
            f"{shown} is torn, or not a file of this store: {error}. "
            "Delete it, and materialise that asset's day again, all symbols."
        ) from error


def _grouped(footer: Mapping[str, Facts]) -> list[str]:
    """Return the symbols that have a row group, in the order of the row groups."""
    return sorted(key for key, facts in footer.items() if facts["rows"])


def _rows(
    shown: str,
    file: pq.ParquetFile,
    footer: Mapping[str, Facts],
    symbols: Collection[str],
    columns: Collection[str] | None,
) -> pa.Table:
    names = file.schema_arrow.names
    groups = [index for index, key in enumerate(_grouped(footer)) if key in symbols]
    if groups and (lacking := sorted(set(columns or ()) - set(names))):
        raise StoreError(f"{shown} has no column {', '.join(lacking)}. Ask for others, or materialise that day again.")
    chosen = None if columns is None else [name for name in names if name in columns]
    if len(groups) == file.num_row_groups:
        return file.read(chosen)
    return file.read_row_groups(groups, chosen)


def _joined(tables: Mapping[str, pa.Table], empty: pl.DataFrame) -> pl.DataFrame:
    """Return the tables under each other. One without rows gives no columns, unless all are without."""
    filled = {shown: table for shown, table in tables.items() if table.num_rows}
    if not filled:
        schemas = [table.schema for table in tables.values()]
        widest = max(schemas, key=lambda schema: (len(schema), schema.names), default=None)
        return empty if widest is None else pl.DataFrame(widest.empty_table())
    first, *others = filled
    schema = filled[first].schema
    for other in others:
        if _columns(filled[other].schema) != _columns(schema):
            raise StoreError(
                f"{first} and {other} have other columns ({_difference(schema, filled[other].schema)}). "
                "Materialise the older one again, or ask for columns that both have."
            )
    return pl.DataFrame(
        pa.concat_tables([table.select(schema.names).replace_schema_metadata(None) for table in filled.values()])
    )


def _selected(frame: pl.DataFrame, columns: Collection[str] | None) -> pl.DataFrame:
    return frame if columns is None else frame.select(name for name in frame.columns if name in columns)


def _columns(schema: pa.Schema) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in schema}


def _difference(one: pa.Schema, other: pa.Schema) -> str:
    pairs = set(_columns(one).items()) ^ set(_columns(other).items())
    return ", ".join(sorted({name for name, _ in pairs}))


def missing_partition(asset: str, absent: Sequence[tuple[str, str | None]]) -> MissingPartition:
    """Return the error that names what was never written of ``group/asset`` and the command that makes it."""
    named = [f"{day} {symbol}" if symbol not in (None, WHOLE) else day for day, symbol in absent]
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    dates = sorted({day if len(day) == len("YYYY-MM-DD") else f"{day}-01" for day, _ in absent if day != "all"})
    symbols = sorted({symbol for _, symbol in absent if symbol is not None and symbol != WHOLE})
    command = f"timegpt-assets backfill --assets {asset.rpartition('/')[2]}"
    command += f" --start {dates[0]} --end {dates[-1]}" if dates else ""
    command += f" --symbols {','.join(symbols)}" if symbols else ""
    return MissingPartition(
        f"asset {asset} was never materialised for {', '.join(named[:5])}{more}. Materialise it: {command}"
    )
