"""Daily files beside the bars: VIX closes, the macro calendar and earnings dates, from CSV or parquet.

Belongs here: finding, reading and checking these files. What an event means for a day is core/events.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.adapters.market.limits import Limits
from timegpt_assets.config import files
from timegpt_assets.core import events
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.explained import Explained

LIMITS = Limits()


class DailyFileError(Explained, ValueError):
    """Raised when a daily file cannot be read as it should be; names the file, the setting and the remedy."""


@dataclass(frozen=True, slots=True)
class DailyFiles:
    """What the daily files say: VIX closes [date, close] or None, and the calendar they add to the configured one."""

    vix: pl.DataFrame | None
    calendar: EventCalendar


def vix_closes(path: Path, *, limits: Limits = LIMITS) -> pl.DataFrame:
    """Return [date, close] of a file with those columns, sorted, each day once. Raises DailyFileError."""
    frame = _read(path, "data.vix_path", {"date": pl.Date, "close": pl.Float64}, limits=limits)
    repeated = frame["date"].is_duplicated()
    if repeated.any() or (frame["close"] <= 0).any():
        raise DailyFileError(f"{path} holds a day twice or a close that is not positive. Mend it (data.vix_path).")
    return frame.drop_nulls().sort("date")


def macro_events(
    path: Path, names: Mapping[str, str], calendar: EventCalendar, *, limits: Limits = LIMITS
) -> EventCalendar:
    """Return the calendar with the file's dates of ``names`` (our name -> the file's) added to its own.

    The file has the columns date and event, and may have time_et, the New York time of day. Raises DailyFileError for
    a name it does not hold.
    """
    frame = _read(
        path,
        "events.calendar_path",
        {"date": pl.Date, "event": pl.String},
        optional={"time_et": pl.Time},
        limits=limits,
    )
    held = set(frame["event"].drop_nulls())
    if unknown := sorted(set(names.values()) - held):
        raise DailyFileError(
            f"{path} has no event {', '.join(unknown)}; it has {', '.join(sorted(held))}. Mend events.calendar_names."
        )
    dated: dict[str, list[tuple[date, time | None]]] = {}
    for ours, theirs in names.items():
        own = frame.filter(pl.col("event") == theirs).drop_nulls("date").unique(["date"]).sort("date")
        dated[ours] = list(own.select("date", "time_et").iter_rows())
    return events.with_dates(calendar, dated)


def earnings(path: Path, calendar: EventCalendar, *, limits: Limits = LIMITS) -> EventCalendar:
    """Return the calendar with event_earnings of each symbol from a file [date, ticker], optionally timing.

    ``timing`` AMC means after the close: the next session is concerned too. Raises DailyFileError.
    """
    frame = _read(
        path,
        "events.earnings_path",
        {"date": pl.Date, "ticker": pl.String},
        optional={"timing": pl.String},
        limits=limits,
    ).drop_nulls(["date", "ticker"])
    rows = [
        (symbol, day, timing == "AMC") for day, symbol, timing in frame.select("date", "ticker", "timing").iter_rows()
    ]
    return events.with_earnings(calendar, rows)


def _read(
    path: Path,
    key: str,
    columns: Mapping[str, type[pl.DataType]],
    optional: Mapping[str, type[pl.DataType]] | None = None,
    *,
    limits: Limits,
) -> pl.DataFrame:
    """Return the columns of a CSV or parquet file in their types; optional ones are null where they are absent."""
    if not path.is_file():
        raise DailyFileError(f"{path} is no file. Set {key} to the file, or to null to do without it.")
    try:
        is_parquet = path.suffix == ".parquet"
        # before it is read: the setting may name a month of bars by mistake
        large = limits.of_size(path.stat().st_size)
        if large := large or (limits.of_parquet(pq.read_metadata(path)) if is_parquet else None):
            raise DailyFileError(f"{path}{large} Set {key} to a file of a row a day, or raise the limit.")
        with files.opened(path) as file:  # polars takes a name for a pattern
            data = file.read()
        frame = pl.read_parquet(data) if is_parquet else pl.read_csv(data, infer_schema=False)
        if missing := sorted(set(columns) - set(frame.columns)):
            raise DailyFileError(
                f"{path} has no column {', '.join(missing)}; it has {', '.join(frame.columns)}. Mend it, or set {key}."
            )
        extra = [
            pl.lit(None, dtype).alias(name) for name, dtype in (optional or {}).items() if name not in frame.columns
        ]
        wanted = {**columns, **(optional or {})}
        return frame.with_columns(extra).select(_typed(frame, name, dtype) for name, dtype in wanted.items())
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DailyFileError(f"{path} cannot be read: {reason}. Mend the file, or set {key} to another.") from error


def _typed(frame: pl.DataFrame, name: str, dtype: type[pl.DataType]) -> pl.Expr:
    """Return a column as the type asked for; texts are read as ISO dates and times."""
    column = pl.col(name)
    if frame.schema.get(name) != pl.String or dtype == pl.String:
        return column.cast(dtype)
    if dtype == pl.Date:
        return column.str.to_date("%Y-%m-%d")
    return column.str.slice(0, 8).str.to_time("%H:%M:%S") if dtype == pl.Time else column.cast(dtype)
