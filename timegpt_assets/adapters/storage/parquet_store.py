"""One parquet file per asset and trading day, all symbols in it: many days are read in one scan.

Belongs here: which files a question means, in folders and buckets alike (object_store.py). What a file holds is
parquet_files.py; tables and partitions are the IO manager's business.
"""

import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from typing import IO, BinaryIO, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.storage import parquet_files as files
from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.adapters.storage.parquet_files import Day, Facts, StoreError
from timegpt_assets.core.tables.columns import WILDCARD

AT_ONCE = 256
"""Files scanned together: enough to be fast, few enough for the system's limit of open files."""


_OF_A_DAY = re.compile(r"(\d{4}-\d{2}(?:-\d{2})?|all)\.parquet")
"""A file's name: a copy that somebody laid beside it would else be read as further rows."""


class MissingPartition(StoreError):
    """Raised when a partition was never written; names asset, day and symbol, and how to materialise it."""


@dataclass(frozen=True, slots=True)
class Partitions:
    """Rows of one or many partitions, with facts by Dagster partition key (``2025-01-21|AAPL``; ``all``)."""

    frame: pl.DataFrame
    facts: Mapping[str, Facts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartitionStream:
    """Rows of many days, made and stored a few days at a time: (files, their rows and facts), each file once."""

    parts: Iterable[tuple[Collection[str], Partitions]]


@dataclass(frozen=True, slots=True)
class LazyPartitions:
    """Stored rows that are read when asked for, by ``files`` (days); ``facts`` as in ``Partitions``."""

    rows: Callable[[Collection[str]], pl.DataFrame]
    files: Sequence[str]
    facts: Mapping[str, Facts]

    def of(self, days: Iterable[Day]) -> pl.DataFrame:
        """Return the rows of these days; MissingPartition if one was never stored and must be."""
        return self.rows([str(day) for day in days])

    def chunks(self, size: int = 5) -> Iterator[pl.DataFrame]:
        """Yield all rows, a few files at a time; one frame without rows when there are none."""
        for start in range(0, max(1, len(self.files)), size):
            yield self.rows(self.files[start : start + size])


@dataclass(frozen=True, slots=True)
class _Part:
    """One file of a question: its place in words, its bytes or open file, the facts asked for.

    ``only`` names the symbols asked for where the file has others too.
    """

    shown: str
    source: bytes | BinaryIO
    facts: Mapping[str, Facts]
    only: frozenset[str] | None

    @property
    def height(self) -> int:
        """Return how many of its rows are asked for."""
        return sum(files.row_count(fact) for fact in self.facts.values())


@dataclass(frozen=True, slots=True)
class ParquetStore:
    """Files ``<asset>/<day>.parquet`` in an object store; ``asset`` is ``<group>/<name>``."""

    objects: ObjectStore

    def write(
        self,
        asset: str,
        day: Day,
        frame: pl.DataFrame,
        *,
        keys: Collection[str] = (WILDCARD,),
        facts: Mapping[str, Facts] | None = None,
    ) -> None:
        """Store the rows of these symbols, empty ones included, beside the file's other symbols.

        ``keys`` are the symbols written, or ``*`` alone when the file is not divided; ``facts`` (JSON) go into the
        footer with ``rows``, which is counted here. Raises StoreError or ObjectStoreError, and then leaves the old
        file.
        """
        name = file_name(asset, day)
        shown = self.objects.shown(name)
        new = files.written(shown, frame, keys, facts or {})

        def change(current: Current) -> pa.Buffer:
            old = None if WILDCARD in keys else files.kept(shown, current(), keys)
            return files.encoded(shown, files.merged(shown, old, new))

        self.objects.update(name, change)

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
        facts: dict[tuple[str, str], Facts] = {}
        frames: list[pl.DataFrame] = []
        schemas: list[pl.DataFrame] = []
        days = sorted(wanted)
        for start in range(0, len(days), AT_ONCE):
            with ExitStack() as opened:
                parts = []
                for day in days[start : start + AT_ONCE]:
                    part, lacking = self._part(file_name(asset, day), wanted[day], opened)
                    absent += [(day, symbol) for symbol in lacking]
                    if part is not None:
                        parts.append(part)
                        facts |= {(day, symbol): fact for symbol, fact in part.facts.items()}
                if columns is None or columns:
                    filled = [part for part in parts if part.height]
                    alike = groupby(filled, lambda part: (part.only, isinstance(part.source, bytes)))
                    frames += [_scanned(list(run), only, columns) for (only, _), run in alike]
                    schemas += [] if filled or frames else [_no_rows(part) for part in parts]
        if absent and missing == "error":
            raise missing_partition(asset, absent)
        if frames:
            return _under_each_other(frames), facts
        nothing = max(schemas, key=lambda frame: (frame.width, frame.columns), default=empty)
        return pl.DataFrame() if nothing is None else _selected(nothing, columns), facts

    def files(self, asset: str) -> list[str]:
        """Return the days, months or ``all`` that the asset has a file of, sorted; other names are nobody's."""
        names = (name.removeprefix(f"{asset}/") for name, _ in self.objects.names(f"{asset}/"))
        return [found[1] for name in names if (found := _OF_A_DAY.fullmatch(name))]

    def newest_schema(self, asset: str, days: Sequence[Day]) -> pl.Schema | None:
        """Return the columns of the last of these sorted days that has rows, from its footer; None where none has.

        One that cannot be read is passed by: whoever reads its rows is told.
        """
        for day in reversed(days):
            file = self.objects.opened(file_name(asset, day))
            if file is None:
                continue
            with file:
                try:
                    if any(files.row_count(fact) for fact in files.footer(str(day), file).values()):
                        return pl.Schema(pl.read_parquet_schema(file))
                except (StoreError, pl.exceptions.PolarsError, OSError):
                    continue
        return None

    def _part(
        self, name: str, symbols: Collection[str] | None, opened: ExitStack
    ) -> tuple[_Part | None, Sequence[str | None]]:
        """Return what is asked for of one file, and the symbols that are not in it (None: there is no file)."""
        file = self.objects.opened(name)
        if file is None:
            return None, sorted(symbols) if symbols else [None]
        opened.callback(file.close)
        shown = self.objects.shown(name)
        source = files.loaded(shown, file)
        found = files.footer(shown, source)
        if symbols and WILDCARD in symbols and WILDCARD not in found:
            raise StoreError(
                f"{shown} is divided by symbol: an earlier version made it. Bring it to this one's shape: "
                "timegpt-assets migrate"
            )
        chosen = {key: found[key] for key in sorted(found) if symbols is None or key in symbols}
        # None where the whole file is asked for: it is scanned without a filter, together with others like it
        only = frozenset(symbols or ()) if len(chosen) < len(found) else None
        return _Part(shown, source, chosen, only), sorted(set(symbols or ()) - found.keys())


def file_name(asset: str, day: Day) -> str:
    """Return the name under which the asset's rows of that day lie."""
    return f"{asset}/{day}.parquet"


def _scanned(parts: Sequence[_Part], only: frozenset[str] | None, columns: Collection[str] | None) -> pl.DataFrame:
    """Return the rows asked for of files that have some. Raises StoreError, naming the file that is at fault.

    All of them bytes or all of them open files: polars scans no mixture.
    """
    sources: list[IO[bytes]] = [
        io.BytesIO(part.source) if isinstance(part.source, bytes) else part.source for part in parts
    ]
    try:
        scan = pl.scan_parquet(sources, extra_columns="raise" if columns is None else "ignore")
        if only is not None:
            scan = scan.filter(pl.col("symbol").is_in(sorted(only)))
        if columns is not None:
            known = scan.collect_schema().names()
            if set(columns) - set(known):
                raise pl.exceptions.ColumnNotFoundError
            scan = scan.select(name for name in known if name in columns)
        frame = scan.collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _culprit(parts, columns, error) from error
    # a torn file may still parse: rows are counted against the footer, which was written with them
    if frame.height != sum(part.height for part in parts):
        raise _culprit(parts, columns, "its rows do not match its footer")
    return frame


def _culprit(parts: Sequence[_Part], columns: Collection[str] | None, cause: object) -> StoreError:
    """Return the error of the file that the others cannot be read with."""
    schemas: dict[str, pa.Schema] = {}
    for part in parts:
        try:
            metadata = pq.ParquetFile(io.BytesIO(part.source) if isinstance(part.source, bytes) else part.source)
            schemas[part.shown] = metadata.schema_arrow
            if part.only is None and metadata.metadata.num_rows != part.height:
                return files.torn(part.shown, "its rows do not match its footer")
        except (pa.ArrowException, OSError) as error:
            return files.torn(part.shown, error)
    for shown, schema in schemas.items():
        if lacking := sorted(set(columns or ()) - set(schema.names)):
            return StoreError(
                f"{shown} has no column {', '.join(lacking)}. Ask for others, materialise that day again or, if an "
                "earlier version made it: timegpt-assets migrate"
            )
    first = parts[0].shown
    for shown, schema in schemas.items():
        if other := files.difference(schemas[first], schema):
            return StoreError(
                f"{first} and {shown} have other columns ({other}). "
                "Materialise the older one again or, if an earlier version made it: timegpt-assets migrate"
            )
    return files.torn(", ".join(part.shown for part in parts[:5]), cause)


def _no_rows(part: _Part) -> pl.DataFrame:
    return pl.read_parquet(part.source, n_rows=0)


def _under_each_other(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the frames as one. Raises StoreError when chunks of files have other columns."""
    first = frames[0]
    for frame in frames[1:]:
        if pairs := set(first.schema.items()) ^ set(frame.schema.items()):
            raise StoreError(
                f"stored days have other columns ({', '.join(sorted({name for name, _ in pairs}))}). "
                "Materialise the older ones again or, if an earlier version made them: timegpt-assets migrate"
            )
    return pl.concat([frame.select(first.columns) for frame in frames], rechunk=False) if len(frames) > 1 else first


def _selected(frame: pl.DataFrame, columns: Collection[str] | None) -> pl.DataFrame:
    return frame if columns is None else frame.select(name for name in frame.columns if name in columns)


def missing_partition(asset: str, absent: Sequence[tuple[str, str | None]]) -> MissingPartition:
    """Return the error that names what was never written of ``group/asset`` and the command that makes it."""
    named = [f"{day} {symbol}" if symbol not in (None, WILDCARD) else day for day, symbol in absent]
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    dates = sorted({day if len(day) == len("YYYY-MM-DD") else f"{day}-01" for day, _ in absent if day != "all"})
    symbols = sorted({symbol for _, symbol in absent if symbol is not None and symbol != WILDCARD})
    command = f"timegpt-assets backfill --assets {asset.rpartition('/')[2]}"
    command += f" --start {dates[0]} --end {dates[-1]}" if dates else ""
    command += f" --symbols {','.join(symbols)}" if symbols else ""
    return MissingPartition(
        f"asset {asset} was never materialised for {', '.join(named[:5])}{more}. Materialise it: {command}"
    )
