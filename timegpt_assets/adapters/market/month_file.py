"""One month of one ticker as delivered: RAW_BARS rows out of a parquet file, and what is wrong with the file.

Belongs here: opening, checking and reading a file, wherever its bytes come from. What a file cannot give is dropped,
counted and told as faults; what the faults mean for a day is core/bars/session_grid.py, where files lie is
market_data.py.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.market.limits import Limits, shown, shown_name
from timegpt_assets.adapters.storage.object_store import is_refusal
from timegpt_assets.core import calendar
from timegpt_assets.core.bars import vendor_columns
from timegpt_assets.core.bars.session_grid import FAULTS
from timegpt_assets.core.bars.vendor_columns import NUMBERS, Reading
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.bars import RAW_BARS

REMEDY = "Write the file with ts, open, high, low, close and volume (numbers), under these names or their usual aliases"
DAMAGE = (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a source handed over: ``bars`` are RAW_BARS, ``faults`` FAULTS: the sessions that suffer and from what."""

    bars: pl.DataFrame = field(default_factory=RAW_BARS.empty)
    faults: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FAULTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthFile:
    """The file of ``symbol`` and of the New York month that begins with ``month``; ``name`` is what people call it."""

    name: str
    symbol: str
    month: date
    reading: Reading = field(default_factory=Reading)
    limits: Limits = field(default_factory=Limits)

    def delivery(self, source: Path | BinaryIO, days: Sequence[date]) -> Delivery:
        """Return the rows and faults of ``days``, from one opening of the file.

        A price or volume that is no finite number is null. Never raises for what is in the file: damage is a fault, and
        a file beyond the limits is one too, told from its size and its footer before a row of it is read.
        What the system refuses is none and is raised, as OSError with its number (a disk) or ObjectStoreError (a
        bucket). pyarrow reads, because polars, and parquet's statistics in either, end the process on some damaged
        files.
        """
        try:
            if large := self.limits.of_size(_size(source)):
                return self.unusable(days, "oversized", large)
            with pq.ParquetFile(source) as file:
                # a small file may unpack to anything: the footer says how much before a row is decoded
                if large := self.limits.of_parquet(file.metadata):
                    return self.unusable(days, "oversized", large)
                found, wrong = vendor_columns.names(file.schema_arrow.names)
                if wrong := [*wrong, *_mistyped(file.schema_arrow, found)]:
                    return self.unusable(days, "columns", f": {'; '.join(wrong)}. {REMEDY}.")
                return _Rows(self, found, frozenset(days)).read(file)
        except DAMAGE as error:
            # the disk's fault, not the file's: a fault would be stored as a verdict on good bars
            if is_refusal(error):
                raise
            return self.unusable(days, "unreadable", f" cannot be read as parquet: {error}. Fetch the file again.")

    def unusable(self, days: Sequence[date], rule: str, detail: str) -> Delivery:
        """Return the delivery of a file of which nothing can be used: a fault for each of the days."""
        return Delivery(faults=self.faults(dict.fromkeys(days, 0), rule, detail))

    def faults(self, rows: Mapping[date, int], rule: str, detail: str) -> pl.DataFrame:
        """Return FAULTS of this file: ``rows`` offending rows on each day; ``detail`` follows the file's name.

        The words are bounded: they may repeat what the file says.
        """
        said = f"{shown(self.name)}{shown(detail)}"
        entries = [(day, self.symbol, rule, count, said) for day, count in sorted(rows.items())]
        return pl.DataFrame(entries, schema=FAULTS, orient="row")


class _Rows:
    """One reading of a file: the rows wanted, and the count of each kind of row that is left out."""

    def __init__(self, file: MonthFile, names: Mapping[str, str], days: frozenset[date]) -> None:
        self.of, self.names, self.days = file, names, days
        self.timeless = self.elsewhere = 0
        self.foreign: Counter[date] = Counter()
        self.strays: Counter[date] = Counter()
        self.strangers: set[str] = set()
        self.sessions = calendar.month_sessions(f"{file.month:%Y-%m}")

    def read(self, file: pq.ParquetFile) -> Delivery:
        """Return what the file delivers."""
        rows = pl.concat([RAW_BARS.empty(), *self._groups(file)])
        return Delivery(rows, pl.concat(self._faults()))

    def _groups(self, file: pq.ParquetFile) -> Iterator[pl.DataFrame]:
        """Yield the rows of the days asked for; where a row group has none, only its times are decoded."""
        start, clocks = 0, vendor_columns.time_columns(self.names["ts"], file.schema_arrow.names)
        for group in range(file.num_row_groups):
            times = vendor_columns.starts(_columns(file, group, clocks), self.names["ts"], self.of.reading)
            placed = self._placed(times, start)
            start += times.len()
            asked = placed["day"].is_in(list(self.days))
            if asked.any():
                others = [self.names[n] for n in ("symbol", *NUMBERS) if n in self.names]
                yield self._ours(pl.concat([placed, _columns(file, group, others)], how="horizontal").filter(asked))

    def _placed(self, times: pl.Series, start: int) -> pl.DataFrame:
        """Return day, ts and row of every row, and count those that belong to no session of the month."""
        local = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date()
        rows = pl.DataFrame({"ts": times.cast(TIME)}).with_row_index("row", offset=start).with_columns(day=local)
        self.timeless += times.null_count()
        if not rows["day"].drop_nulls().is_in(list(self.sessions)).all():
            days = rows.filter(~pl.col("day").is_in(list(self.sessions))).group_by("day").len()
            for day, count in days.drop_nulls().iter_rows():
                if (day.year, day.month) == (self.of.month.year, self.of.month.month):
                    self.strays[day] += count
                else:
                    self.elsewhere += count
        return rows

    def _ours(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows in our form, less those of other tickers, which are counted."""
        if column := self.names.get("symbol"):
            own = vendor_columns.spelled(pl.col(column).cast(pl.String)).eq_missing(
                vendor_columns.spelled(pl.lit(self.of.symbol))
            )
            if not rows.select(own.all()).item():
                strange = rows.filter(~own)
                self.foreign.update(dict(strange.group_by("day").len().iter_rows()))
                self.strangers.update(shown_name(name) for name in strange[column].unique().to_list())
                rows = rows.filter(own)
        numbers = (_finite(self.names[name]).alias(name) for name in NUMBERS)
        return rows.select("day", pl.lit(self.of.symbol).alias("symbol"), "ts", pl.col("row").cast(pl.Int64), *numbers)

    def _faults(self) -> list[pl.DataFrame]:
        own = sorted(self.days & set(self.sessions))
        found = [pl.DataFrame(schema=FAULTS)]
        if self.timeless:
            found.append(
                self.of.faults(dict.fromkeys(own, self.timeless), "timeless", ": rows without a time are left out.")
            )
        if self.elsewhere:
            found.append(
                self.of.faults(
                    dict.fromkeys(own, self.elsewhere), "other_month", ": rows of other months are left out."
                )
            )
        if self.foreign:
            others = ", ".join(sorted(self.strangers)[:5])
            detail = f": rows are of {others}, not of {self.of.symbol!r}. Put each ticker in its own file."
            found.append(self.of.faults(self.foreign, "foreign", detail))
        # a holiday has no partition to hold the verdict: its rows are told with the session that follows
        if strays := self._strays_by_session():
            named = ", ".join(str(day) for day in sorted(self.strays)[:5])
            found.append(self.of.faults(strays, "holiday", f": rows on days without a session ({named}) are left out."))
        return found

    def _strays_by_session(self) -> Counter[date]:
        """Return the rows on days without a session, counted for the month's next session, or its last, if asked."""
        owners: Counter[date] = Counter()
        for day, count in self.strays.items():
            owner = self.sessions[min(bisect_left(self.sessions, day), len(self.sessions) - 1)]
            owners[owner] += count if owner in self.days else 0
        return +owners


def _size(source: Path | BinaryIO) -> int:
    """Return how many bytes there are; an open file is left at its beginning."""
    if isinstance(source, Path):
        return source.stat().st_size
    size = source.seek(0, 2)
    source.seek(0)
    return size


def _columns(file: pq.ParquetFile, group: int, names: list[str]) -> pl.DataFrame:
    table = file.read_row_group(group, columns=names)
    # a damaged file may decode to offsets that lead out of the buffer, and polars takes them as they are
    table.validate(full=True)
    return pl.DataFrame(pl.from_arrow(table)).select(names)


def _finite(name: str) -> pl.Expr:
    number = pl.col(name).cast(pl.Float64)
    return pl.when(number.is_finite()).then(number)


def _mistyped(schema: pa.Schema, names: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each column whose type cannot be what its name says."""
    fits = dict.fromkeys(NUMBERS, _is_number) | {"symbol": _is_text, "ts": _is_time}
    for ours, column in names.items():
        if ours in fits and column in schema.names and not fits[ours](schema.field(column).type):
            yield f"column {column} is {shown(str(schema.field(column).type), 60)}"


def _is_number(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_floating(dtype) or pa.types.is_integer(dtype) or pa.types.is_decimal(dtype))


def _is_text(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype)) or (
        pa.types.is_dictionary(dtype) and _is_text(dtype.value_type)
    )


def _is_time(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(dtype)) or _is_number(dtype) or _is_text(dtype)
