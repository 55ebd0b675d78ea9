"""Any vendor's files of minute bars into the template's layout: CSV or parquet, one symbol or many in a file.

Belongs here: reading foreign files and writing ours. Names and times are core/contract.py; what is written is judged by
core/bars/session_grid.py like any delivery. Importing a file again adds nothing.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.market.market_data import TEMPLATE, MarketDataError, template_path
from timegpt_assets.adapters.market.month_file import DAMAGE, REMEDY
from timegpt_assets.adapters.storage.object_store import REMEDIES, ObjectStore, ObjectStoreError, is_refusal
from timegpt_assets.core import calendar
from timegpt_assets.core.bars import vendor_columns
from timegpt_assets.core.bars.vendor_columns import NUMBERS, Reading
from timegpt_assets.core.schema import TIME

KINDS = (".csv", ".csv.gz", ".txt", ".parquet", ".pq")
SCHEMA = pl.Schema({"symbol": pl.String(), "ts": TIME} | {name: pl.Float64() for name in NUMBERS})
"""What is written. A number that a file does not give is null, and the verdict of its day says so."""
_STEM_TICKER = re.compile(r"[A-Za-z][A-Za-z0-9.]*")
_TICKER = re.compile(r"[A-Z0-9][A-Z0-9.]*")


@dataclass(kw_only=True)
class Imported:
    """What became of one file: rows read, left out without a time or a ticker, new, and there already; its months."""

    file: Path
    read: int = 0
    timeless: int = 0
    nameless: int = 0
    new: int = 0
    known: int = 0
    wrong: str = ""
    months: set[tuple[str, date]] = field(default_factory=set)


def files(path: Path) -> list[Path]:
    """Return the files to import: ``path`` itself, or what lies below it, sorted. Raises MarketDataError for none."""
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file() and file.name.lower().endswith(KINDS))
    if not found:
        raise MarketDataError(f"{path} holds no bars: no file that ends in {', '.join(KINDS)}. Name another path.")
    return found


@dataclass(frozen=True, kw_only=True)
class Importer:
    """Writes bars to ``objects`` by ``template``; ``symbol`` names the ticker of files that do not."""

    objects: ObjectStore
    template: str = TEMPLATE
    reading: Reading = field(default_factory=Reading)
    symbol: str | None = None

    def imported(self, file: Path) -> Imported:
        """Add the file's bars to their months and return what became of it; damage is told in ``wrong``.

        A month that is there and damaged is left as it is, and so said. Raises ObjectStoreError when it cannot be
        written.
        """
        told = Imported(file=file)
        try:
            rows = self._rows(file, told)
        except DAMAGE as error:
            told.wrong = _told(error)
            return told
        local = pl.col("ts").dt.convert_time_zone(calendar.ZONE)
        for (symbol, month), part in rows.group_by("symbol", local.dt.date().dt.month_start(), maintain_order=True):
            if isinstance(symbol, str) and isinstance(month, date):
                told.months.add((symbol, month))
                self._add(symbol, month, part, told)
        return told

    def _rows(self, file: Path, told: Imported) -> pl.DataFrame:
        """Return the file's rows as SCHEMA, in its order. Raises ValueError for one that holds no bars."""
        frame = _frame(file)
        found, wrong = vendor_columns.names(frame.columns)
        if wrong:
            raise ValueError(f"{'; '.join(wrong)}. {REMEDY}.")
        rows = frame.select(
            ticker=pl.col(found["symbol"]).cast(pl.String) if "symbol" in found else pl.lit(self._named(file)),
            ts=vendor_columns.starts(frame, found["ts"], self.reading),
            **{name: pl.col(found[name]).cast(pl.Float64, strict=False).fill_nan(None) for name in NUMBERS},
        )
        rows = rows.with_columns(symbol=vendor_columns.spelled(pl.col("ticker")))
        named = pl.col("symbol").str.contains(f"^{_TICKER.pattern}$").fill_null(False)
        told.read, told.timeless = rows.height, rows["ts"].null_count()
        told.nameless = rows.filter(pl.col("ts").is_not_null() & ~named).height
        return rows.filter(pl.col("ts").is_not_null() & named).select(SCHEMA.names())

    def _named(self, file: Path) -> str:
        """Return the ticker of a file without a ticker column: the one asked for, else how its name begins."""
        if self.symbol:
            return self.symbol
        begins = _STEM_TICKER.match(file.name.removesuffix(file.suffix).removesuffix(".csv"))
        if begins is None:
            raise ValueError("names no ticker, in no column and not in its name. Import it alone with --symbol.")
        return begins.group()

    def _add(self, symbol: str, month: date, rows: pl.DataFrame, told: Imported) -> None:
        """Add the rows that the month does not hold yet; a month that has them all is not touched."""
        name = template_path(self.template, symbol, month)
        try:
            before = _stored(self.objects.opened(name))
        except DAMAGE as error:
            words, shown = str(error).partition("\n")[0], self.objects.shown(name)
            if is_refusal(error):
                raise ObjectStoreError(f"{shown} cannot be read: {words}. {REMEDIES['read']}") from error
            told.wrong = f"{shown} cannot be read as parquet: {words} Remove it, and import again."
            return
        fresh = _missing(before, rows)
        told.new, told.known = told.new + fresh.height, told.known + rows.height - fresh.height
        if fresh.height:
            self.objects.update(name, lambda current: _bytes(_joined(_stored(current()), rows)))


def _told(error: Exception) -> str:
    """Return what is wrong with a file in one line that ends with the remedy; our own errors have theirs."""
    if type(error) is ValueError:
        return str(error)
    words = str(error).partition("\n")[0].removesuffix(".")
    return f"cannot be read: {words}. Fetch or export the file again."


def _frame(file: Path) -> pl.DataFrame:
    """Return the file as it is; of CSV every column as text, so that nothing is guessed from its first rows."""
    if file.suffix.lower() in (".parquet", ".pq"):
        with pq.ParquetFile(file) as parquet:
            table = parquet.read()
        table.validate(full=True)
        return pl.DataFrame(pl.from_arrow(table))
    return pl.read_csv(file, infer_schema=False, separator=_separator(file))


def _separator(file: Path) -> str:
    """Return what separates the columns of the first line: comma, semicolon or tab."""
    first = "".join(pl.read_csv(file, has_header=False, n_rows=1, separator="\n", infer_schema=False).row(0))
    return max(",;\t", key=first.count)


def _stored(file: BinaryIO | None) -> pl.DataFrame:
    """Return what a month holds, null and NaN alike null; no rows where there is no file."""
    if file is None:
        return pl.DataFrame(schema=SCHEMA)
    with file, pq.ParquetFile(file) as parquet:
        return pl.DataFrame(pl.from_arrow(parquet.read(SCHEMA.names()))).cast(SCHEMA)


def _missing(stored: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows, less those that are stored as often: a vendor's own repetitions stay repetitions."""
    key = SCHEMA.names()
    count = pl.int_range(pl.len()).over(key).alias("nth")
    return (
        rows.with_columns(count)
        .join(stored.with_columns(count), on=[*key, "nth"], how="anti", nulls_equal=True)
        .drop("nth")
    )


def _joined(stored: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([stored, _missing(stored, rows)]).sort("ts", maintain_order=True)


def _bytes(rows: pl.DataFrame) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(rows.to_arrow(), sink, compression="zstd", row_group_size=100_000)
    return sink.getvalue()
