"""Minute bars as delivered: monthly parquet files under a local root, one file per ticker and month.

Belongs here: finding, checking and reading the source's files. Nothing is judged or repaired: that is core/bars.py.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.core.calendar import ZONE
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables import RAW_BARS

TEMPLATE = "stocks/1m/{ticker}/{yyyy}/{ticker}_{yyyy_mm}.parquet"
NUMBERS = ("open", "high", "low", "close", "volume")
_TICKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]*")


class MarketDataError(ValueError):
    """Raised when the source cannot be read as it should be; names the file or symbol, and the remedy."""


@dataclass(frozen=True, slots=True)
class LocalMarketData:
    """Bars from parquet files at ``root/template``; the template may use ticker, yyyy, mm and yyyy_mm.

    A file holds the bars of one New York calendar month in the columns symbol, ts (bar start, with a time zone),
    open, high, low, close (float) and volume (number); others are never read.
    """

    root: Path
    template: str = TEMPLATE

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        """Return the RAW_BARS rows of those symbols and New York dates, each file read once.

        A month without a file has no rows. ``row`` is the position in the file. A price or volume that is no finite
        number is null. Raises MarketDataError for a missing root and for a file that is not what it should be.
        """
        if not self.root.is_dir():
            raise MarketDataError(f"{self.root} is no folder of bars. Set data.root to the folder above stocks/.")
        months = groupby(sorted(set(days)), key=lambda day: day.replace(day=1))
        asked = [(month, list(month_days)) for month, month_days in months]
        found = [
            _month_bars(path, symbol, month_days)
            for symbol in sorted(set(symbols))
            for month, month_days in asked
            if (path := self._path(symbol, month)).exists()
        ]
        return RAW_BARS.conformed(pl.concat([RAW_BARS.empty(), *found]))

    def _path(self, symbol: str, month: date) -> Path:
        if not _TICKER.fullmatch(symbol):
            raise MarketDataError(f"{symbol!r} is no ticker: letters, digits, dot and dash only. Mend the universe.")
        parts = {"ticker": symbol, "yyyy": f"{month:%Y}", "mm": f"{month:%m}", "yyyy_mm": f"{month:%Y_%m}"}
        try:
            path = self.root / self.template.format_map(parts)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise MarketDataError(
                f"data.template {self.template!r} cannot be filled in: {error}. Use {{ticker}}, {{yyyy}}, {{mm}} "
                "and {yyyy_mm} only."
            ) from error
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise MarketDataError(
                f"{path} leads out of {self.root} (to {path.resolve()}). Put the file there, or mend data.template."
            )
        return path


def _month_bars(path: Path, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return the file's rows of ``days``, from one opening of the file.

    pyarrow reads here because polars, and parquet's statistics in either, end the process on some damaged files.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow)
            rows = pl.concat([RAW_BARS.empty(), *_group_rows(file, days)])
    except MarketDataError:
        raise
    except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise MarketDataError(f"{path} cannot be read as parquet: {error}. Fetch the file again.") from error
    _check_rows(path, symbol, rows)
    return rows


def _group_rows(file: pq.ParquetFile, days: Sequence[date]) -> Iterator[pl.DataFrame]:
    """Yield the rows of ``days`` and those without ts; where a row group has none, only its ts is decoded."""
    start = 0
    for group in range(file.num_row_groups):
        ts = _columns(file, group, ["ts"]).with_row_index("row", offset=start)
        ts = ts.with_columns(day=pl.col("ts").dt.convert_time_zone(ZONE).dt.date())
        asked = ts["day"].is_in(list(days)) | ts["ts"].is_null()
        start += ts.height
        if asked.any():
            rows = pl.concat([ts, _columns(file, group, ["symbol", *NUMBERS])], how="horizontal").filter(asked)
            yield rows.select(
                "day",
                "symbol",
                pl.col("ts").dt.convert_time_zone("UTC").cast(TIME),
                pl.col("row").cast(pl.Int64),
                *(_finite(name) for name in NUMBERS),
            )


def _columns(file: pq.ParquetFile, group: int, names: list[str]) -> pl.DataFrame:
    table = file.read_row_group(group, columns=names)
    table.validate(full=True)
    return pl.DataFrame(pl.from_arrow(table)).select(names)


def _finite(name: str) -> pl.Expr:
    number = pl.col(name).cast(pl.Float64)
    return pl.when(number.is_finite()).then(number).alias(name)


def _check_columns(path: Path, schema: pa.Schema) -> None:
    wrong = list(_wrong_columns(schema))
    if wrong:
        raise MarketDataError(
            f"{path}: {'; '.join(wrong)}. Write the file with symbol (string), ts (timestamp with a time zone), "
            "open, high, low, close (float) and volume (number)."
        )


def _wrong_columns(schema: pa.Schema) -> Iterator[str]:
    for name in ("symbol", "ts", *NUMBERS):
        found = schema.get_all_field_indices(name)
        if len(found) != 1:
            yield f"column {name} is {'there twice' if found else 'missing'}"
        elif not _fits(name, schema.field(name).type):
            yield f"column {name} is {schema.field(name).type}"


def _fits(name: str, dtype: pa.DataType) -> bool:
    if name == "symbol":
        return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype))
    if name == "ts":
        return bool(pa.types.is_timestamp(dtype) and dtype.tz)
    return bool(pa.types.is_floating(dtype) or (name == "volume" and pa.types.is_integer(dtype)))


def _check_rows(path: Path, symbol: str, rows: pl.DataFrame) -> None:
    timeless = rows.filter(pl.col("ts").is_null())
    if timeless.height:
        raise MarketDataError(
            f"{path}: ts is null in row {timeless['row'][0]}. Remove the row or fetch the file again."
        )
    strange = rows.filter(pl.col("symbol").ne_missing(symbol))
    if strange.height:
        row, name = strange.select("row", "symbol").row(0)
        raise MarketDataError(
            f"{path}: row {row} is of symbol {name!r}, not {symbol!r}. Put each ticker in its own file."
        )
