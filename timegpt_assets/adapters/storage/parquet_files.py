"""What one file of the store holds: rows sorted by symbol, and the facts of every partition in its footer.

Belongs here: making a file's bytes, merging new symbols into an old file, and reading a footer. Where files lie and
reading many of them is parquet_store.py. Neighbouring symbols share row groups: a row group costs as much as a
thousand rows, and a symbol's rows are found by counting the facts' ``rows``.
"""

import json
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, BinaryIO, TypeAlias

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.storage.object_store import REMEDIES, is_refusal
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tables.columns import WILDCARD

Facts: TypeAlias = Mapping[str, Any]
"""What is known of a partition beside its rows, by name: JSON values, which ``written`` checks."""
Day: TypeAlias = date | str
"""A trading day; also ``YYYY-MM`` for a month and ``all`` for what is not partitioned: the file's name."""

FOOTER = b"timegpt_assets.partitions"
GROUP_ROWS = 4096
"""A row group is closed by the symbol that fills it to this many rows: ten symbols of a full session share one."""
SMALL = 1 << 18
"""Files up to this size are read at once: cheaper than finding what is needed of them."""
TAIL = 1 << 15


class StoreError(Explained, RuntimeError):
    """Raised when stored files cannot be read or written; names the file or asset, and the remedy."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds: rows sorted by symbol, and the facts of every symbol, those without rows too."""

    rows: pa.Table
    facts: Mapping[str, Facts]

    def slices(self) -> dict[str, pa.Table]:
        """Return the rows of each symbol that has any."""
        return {key: self.rows.slice(first, count) for key, first, count in spans(self.facts)}


def spans(facts: Mapping[str, Facts]) -> Iterator[tuple[str, int, int]]:
    """Give (symbol, first row, number of rows) of each symbol that has rows, in the order of the file."""
    first = 0
    for key, fact in sorted(facts.items()):
        if count := row_count(fact):
            yield key, first, count
            first += count


def row_count(fact: Facts) -> int:
    """Return how many rows a partition has."""
    count = fact["rows"]
    if not isinstance(count, int):
        raise TypeError(f"rows is {count!r}")
    return count


def written(shown: str, frame: pl.DataFrame, keys: Collection[str], facts: Mapping[str, Facts]) -> Contents:
    """Return the frame as a file's contents, with its facts. Raises StoreError for rows or facts of others."""
    if WILDCARD in keys:
        counts = {WILDCARD: frame.height}
    else:
        runs = frame["symbol"].rle().struct.unnest()
        if not runs["value"].is_sorted():
            frame = frame.sort("symbol", maintain_order=True)
            runs = frame["symbol"].rle().struct.unnest()
        counts = dict(runs.select("value", "len").iter_rows())
    if others := sorted(str(key) for key in (counts.keys() | facts.keys()) - set(keys)):
        raise StoreError(
            f"{shown}: rows or facts of {', '.join(others)} are not among the partitions being written "
            f"({', '.join(sorted(keys))}). Keep to the partitions asked for."
        )
    return Contents(frame.to_arrow(), {key: {**facts.get(key, {}), "rows": counts.get(key, 0)} for key in keys})


def kept(shown: str, file: BinaryIO | None, replaced: Collection[str]) -> Contents | None:
    """Return what the file holds of other symbols; reads no rows when there are none."""
    if file is None:
        return None
    with file:
        found = footer(shown, file)
        facts = {key: fact for key, fact in found.items() if key not in replaced}
        if not facts:
            return None
        try:
            rows = pq.ParquetFile(file).read().replace_schema_metadata(None)
        except (pa.ArrowException, OSError) as error:
            raise torn(shown, error) from error
    if rows.num_rows != sum(row_count(fact) for fact in found.values()):
        raise torn(shown, "its rows do not match its footer")
    parts = [part for key, part in Contents(rows, found).slices().items() if key in facts]
    return Contents(pa.concat_tables(parts) if parts else rows.schema.empty_table(), facts)


def merged(shown: str, old: Contents | None, new: Contents) -> Contents:
    """Return both together. A side without rows takes the other's columns; sides with rows must have the same."""
    if old is None:
        return new
    if WILDCARD in old.facts:
        raise StoreError(f"{shown} is not divided by symbol. Delete the file, and materialise the whole day.")
    filled = [side.rows for side in (new, old) if side.rows.num_rows]
    # other columns are refused and not filled with nulls: a null says that it could not be known
    if len(filled) == 2 and columns_of(old.rows.schema) != columns_of(new.rows.schema):
        raise StoreError(
            f"{shown} holds {', '.join(sorted(old.facts))} with other columns than are written now "
            f"({difference(old.rows.schema, new.rows.schema)}). Materialise all symbols of that day in one run, or "
            "delete the file first."
        )
    facts = {**old.facts, **new.facts}
    if not filled:
        return Contents(max(new.rows, old.rows, key=lambda rows: (rows.num_columns, rows.column_names)), facts)
    names = filled[0].column_names
    # sorted by symbol, so that the bytes do not depend on which symbol was written first
    parts = sorted((old.slices() | new.slices()).items())
    return Contents(pa.concat_tables([part.select(names) for _, part in parts]), facts)


def encoded(shown: str, contents: Contents) -> pa.Buffer:
    """Return the file's bytes; they depend on what it holds alone, not on the order in which it was written."""
    rows, ends = contents.rows.combine_chunks(), list(_group_ends(contents.facts))
    strings = [field.name for field in rows.schema if pa.types.is_large_string(field.type)]
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        rows.schema,
        compression="lz4",
        use_dictionary=strings,
        write_statistics=["symbol"] if len(ends) > 1 else False,  # one group has nothing that could be skipped
    ) as writer:
        for first, last in zip([0, *ends], ends, strict=False):
            writer.write_table(rows.slice(first, last - first), row_group_size=last - first)
        writer.add_key_value_metadata({FOOTER: _json(shown, contents.facts)})
    return sink.getvalue()


def _group_ends(facts: Mapping[str, Facts]) -> Iterator[int]:
    """Give the row after the last of each row group."""
    start = end = 0
    for _, first, count in spans(facts):
        end = first + count
        if end - start >= GROUP_ROWS:
            yield end
            start = end
    if end > start:
        yield end


def _json(shown: str, facts: Mapping[str, Facts]) -> bytes:
    try:
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise StoreError(f"{shown}: facts must be plain finite JSON ({error}). Mend the asset's facts.") from error


def loaded(shown: str, file: BinaryIO) -> bytes | BinaryIO:
    """Return a small file's bytes, and a large one as it is. Raises StoreError for a disk that fails."""
    size = file.seek(0, 2)
    file.seek(0)
    if size > SMALL:
        return file
    try:
        with file:
            return file.read()
    except OSError as error:
        raise torn(shown, error) from error


def footer(shown: str, source: bytes | BinaryIO) -> dict[str, Facts]:
    """Return the facts by symbol. Raises StoreError for a file that is torn, or not of this store."""
    try:
        # the footer alone: planning opens one per asset and day, and must not read rows
        tail = source if isinstance(source, bytes) else _tail(source)
        facts: dict[str, Facts] = orjson.loads(pl.read_parquet_metadata(tail)[FOOTER.decode()])
    except (OSError, struct.error, pl.exceptions.PolarsError, KeyError, orjson.JSONDecodeError) as error:
        raise torn(shown, error) from error
    return facts


def _tail(file: BinaryIO) -> bytes:
    """Return the end of the file that holds the footer, led by the magic that a whole file would begin with."""
    size = file.seek(0, 2)
    length = TAIL
    while True:
        file.seek(-min(length, size), 2)
        tail = file.read()
        # parquet ends with the footer's length and the magic: one read of the tail usually has all of it
        needed = struct.unpack("<I", tail[-8:-4])[0] + 8
        if needed <= length or length >= size:
            file.seek(0)
            return b"PAR1" + tail
        length = needed


def torn(shown: str, cause: object) -> StoreError:
    """Return the error for a file that cannot be read as one of this store, or not at all: the system says why."""
    if is_refusal(cause):
        return StoreError(f"{shown} cannot be read: {cause}. {REMEDIES['read']}")
    return StoreError(
        f"{shown} is torn, or not a file of this store: {cause}. "
        "Delete it, and materialise that asset's day again, all symbols."
    )


def columns_of(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Return the columns by name, whatever their order."""
    return {field.name: field.type for field in schema}


def difference(one: pa.Schema, other: pa.Schema) -> str:
    """Return the names of the columns that are not the same in both."""
    pairs = set(columns_of(one).items()) ^ set(columns_of(other).items())
    return ", ".join(sorted({name for name, _ in pairs}))
