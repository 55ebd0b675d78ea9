"""Stored files of one table as a lazy frame: nothing is read before collect, and then only what is asked for.

Belongs here: which files, symbols and columns a query needs, and what is said of rows that another version stored.
Opening and checking files is the store's business (adapters/storage/parquet_store.py).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import polars as pl
from polars.io.plugins import register_io_source

from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets.core.tables.stored import Stored
from timegpt_assets.serving.question import ReadingError

LINEAGE = "lineage_id"
AT_ONCE = 16
"""Files read together: a frame that is filtered holds the rows of so many at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One question to a table: files (days or months) that were there, symbols, and who else by column.

    ``symbols`` and ``who`` (column -> names) are None or absent where all rows are asked for.
    """

    store: ParquetStore
    stored: Stored
    files: Sequence[str]
    symbols: Sequence[str] | None
    who: Mapping[str, Sequence[str]]

    def lazily(self) -> pl.LazyFrame:
        """Return the rows as a lazy frame, by file and then symbol.

        Collecting it raises StoreError for a file that is damaged, gone or of another version, and ReadingError where
        somebody asked for has no row among those of others.
        """
        schema = cache(self._schema)
        of = f"{self.files[0]} to {self.files[-1]}, {', '.join(self.symbols or ()) or 'all symbols'}"
        return register_io_source(
            partial(self._frames, schema), schema=schema, explain_name=self.stored.asset, explain_detail=of
        )

    def symbols_there(self) -> set[str]:
        """Return the symbols that have a place in these files: read from footers where files are divided by symbol."""
        if self.stored.by_symbol:
            return {symbol for _, symbol in self.store.read_facts(self.stored.asset, self.files, missing="ok")}
        everyone = replace(self, symbols=None, who={}).lazily()
        return set(everyone.select(pl.col("symbol").unique()).collect()["symbol"])

    def _schema(self) -> pl.Schema:
        """Return the columns: as declared, or those of the newest file where a table may have more."""
        table = self.stored.table
        found = self.store.newest_schema(self.stored.asset, self.files) if table.open else None
        further = {name: dtype for name, dtype in (found or {}).items() if name not in table.columns}
        return pl.Schema([*table.schema.items(), *(further | {LINEAGE: pl.String()}).items()])

    def _frames(
        self,
        known: Callable[[], pl.Schema],
        columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        _batch: int | None,
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a few files at a time, filtered, of the columns asked for, ``n_rows`` at most."""
        schema = known()
        wanted = list(schema) if columns is None else columns
        needed = {LINEAGE, *wanted, *self.who, *(predicate.meta.root_names() if predicate is not None else ())}
        needed |= {"symbol"} if self.symbols is not None and not self.stored.by_symbol else set()
        left, others = n_rows, dict[str, set[str]]()
        for start in range(0, len(self.files), AT_ONCE):
            frame = self._whose(self._read(self.files[start : start + AT_ONCE], needed, schema), others)
            found = (frame if predicate is None else frame.filter(predicate)).select(wanted)
            yield found if left is None else found.head(left)
            left = None if left is None else left - found.height
            if left is not None and left <= 0:
                return
        self._refuse_absent(others)

    def _read(self, files: Sequence[str], needed: set[str], schema: pl.Schema) -> pl.DataFrame:
        """Return rows of files as they were stored. Raises StoreError where they are not what is declared."""
        by_symbol = self.symbols if self.stored.by_symbol else None
        names = [name for name in schema if name in needed]
        empty = pl.DataFrame(schema=schema)
        asked: dict[str, Sequence[str] | None] = dict.fromkeys(files, by_symbol)
        frame, facts = self.store.contents(
            self.stored.asset, asked, missing="ok", columns=names or [LINEAGE], empty=empty
        )
        self._refuse_gone(files, {day for day, _ in facts})
        if frame.is_empty():
            return empty.select(names)
        if other := [name for name in names if frame.schema[name] != schema[name]]:
            raise StoreError(
                f"stored {self.stored.asset} of {files[0]} to {files[-1]} has other types in {', '.join(other)}: "
                f"another version made it. Make it again: {self._made_again(files)}"
            )
        if self.symbols is not None and not self.stored.by_symbol:
            frame = frame.filter(pl.col("symbol").is_in(list(self.symbols)))
        return frame

    def _refuse_gone(self, files: Sequence[str], found: set[str]) -> None:
        """Raise StoreError for a file that was there when it was asked about, and is not any more."""
        for file in files:
            if file not in found and self.store.objects.generation(file_name(self.stored.asset, file)) is None:
                raise StoreError(
                    f"{self.stored.asset} of {file} was there when it was asked about, and is gone. Ask again: "
                    "what is there now is read then."
                )

    def _made_again(self, files: Sequence[str]) -> str:
        days = [file if self.stored.span == "day" else f"{file}-01" for file in (files[0], files[-1])]
        name = self.stored.name
        return f"timegpt-assets backfill --assets {name} --start {days[0]} --end {days[1]} --force"

    def _whose(self, frame: pl.DataFrame, others: dict[str, set[str]]) -> pl.DataFrame:
        """Return the rows of who is asked for; ``others`` keeps whose rows there were, until somebody has some."""
        for column, names in self.who.items():
            there = frame[column].unique()
            others.setdefault(column, set()).update(there.drop_nulls())
            frame = frame.filter(pl.col(column).is_in(list(names)))
        return frame

    def _refuse_absent(self, seen: Mapping[str, set[str]]) -> None:
        for column, names in self.who.items():
            there = seen.get(column, set())
            if there and (absent := [name for name in names if name not in there]):
                raise ReadingError(
                    f"{column} {', '.join(absent)} has no row in {self.stored.name} from {self.files[0]} to "
                    f"{self.files[-1]}. There are rows of {', '.join(sorted(there))}: ask for one of them."
                )
