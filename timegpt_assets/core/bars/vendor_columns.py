"""How vendors write minute bars, and our names for it: column aliases, times of any kind, tickers of any spelling.

Belongs here: names and expressions, from a vendor's columns to ours. Whether a bar is any good is
core/bars/session_grid.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from timegpt_assets.core.schema import TIME

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume")
NEEDED = ("ts", *NUMBERS)
ALIASES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "sym", "act_symbol", "instrument"),
    "ts": ("ts", "timestamp", "t", "datetime", "date_time", "ts_event", "window_start", "bar_start", "epoch", "time"),
    "open": ("open", "o", "open_price", "first"),
    "high": ("high", "h", "high_price", "max"),
    "low": ("low", "l", "low_price", "min"),
    "close": ("close", "c", "close_price", "last"),
    "volume": ("volume", "v", "vol", "volume_traded"),
    "vwap": ("vwap", "vw", "weighted_average"),
    "trades": ("trades", "n", "trade_count", "transactions", "number_of_trades"),
}
"""Our name -> how vendors write it, upper or lower case. ``vwap``, ``trades`` and ``adj_*`` are known and not used."""
ADJUSTED = "adj_"
DATE, CLOCK = "date", "time"
"""Two columns that together are ts."""

_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%Y%m%d %H%M%S",
            "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M")  # fmt: skip
_SECONDS, _MILLIS, _MICROS = 1e11, 1e14, 1e17
"""An epoch below the first counts seconds, below the next milli-, then microseconds, else nanoseconds: 1973 to 5138."""
PLAUSIBLE = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC))
"""An epoch outside is no time of a share's bar: it counts another unit, is a date in digits, or garbage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How stamps are read: ``stamp`` says which end of its minute a bar names, ``zone`` where naive stamps are."""

    stamp: Literal["start", "end"] = "start"
    zone: str = "UTC"


def names(columns: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return our name -> the vendor's column, and what is wrong with the columns, in words.

    The column that is called exactly as ours wins; of several aliases none is guessed at. Where no column is called as
    a whole stamp is, ``date`` and ``time`` together stand for ts, whose name is then ``date+time``, and either alone
    does. ``symbol`` may be absent.
    """
    given = list(columns)
    found: dict[str, str] = {}
    wrong: list[str] = []
    for ours, aliases in ALIASES.items():
        exact = [column for column in given if column == ours]
        matching = exact or [column for column in given if column.strip().lower() in aliases]
        stamps = [column for column in matching if column.strip().lower() != CLOCK]
        if ours == "ts" and not stamps and {DATE, CLOCK} <= {column.strip().lower() for column in given}:
            found[ours] = f"{DATE}+{CLOCK}"
            continue
        if ours == "ts":
            matching = exact or stamps or matching or [c for c in given if c.strip().lower() == DATE]
        if len(matching) == 1:
            found[ours] = matching[0]
        elif matching:
            wrong.append(f"column {ours} is there {_times(len(matching))} ({', '.join(matching)})")
        elif ours in NEEDED:
            # Named as a hint and never taken: prices must be raw.
            adjusted = [column for column in given if column.lower() == ADJUSTED + ours]
            wrong.append(f"column {ours} is missing{f' ({adjusted[0]} is adjusted)' if adjusted else ''}")
    return found, wrong


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def time_columns(column: str, columns: Iterable[str]) -> list[str]:
    """Return the vendor's columns that make up ts."""
    if column == f"{DATE}+{CLOCK}":
        return [next(c for c in columns if c.strip().lower() == part) for part in (DATE, CLOCK)]
    return [column]


def starts(frame: pl.DataFrame, column: str, reading: Reading) -> pl.Series:
    """Return each bar's start, UTC, from the frame's time column; null where it says no time.

    Numbers are epochs in s, ms, us or ns, told apart by their size. Naive times are the reading's zone's; text is ISO
    8601, or one of the usual forms. Raises ValueError for a column that holds no times of day.
    """
    parts = time_columns(column, frame.columns)
    text = pl.concat_str(*(pl.col(part).cast(pl.String) for part in parts), separator=" ")
    found = frame.select(ts=pl.col(parts[0]) if len(parts) == 1 else text)
    if found.schema["ts"] == pl.String and found.select(_is_day_first().any()).item():
        raise ValueError("dates of column ts are written day first, which is not guessed at. Write them as YYYY-MM-DD.")
    times = found.select(ts=_utc(found.schema["ts"], reading.zone))["ts"]
    return times.dt.offset_by("-1m") if reading.stamp == "end" else times


def _is_day_first() -> pl.Expr:
    """Return whether a text is a date with slashes whose first number is no month: the column is not American."""
    first = pl.col("ts").str.extract(r"^\s*(\d{1,2})/\d{1,2}/\d{4}").cast(pl.Int64, strict=False)
    return (first > 12).fill_null(False)


def _utc(dtype: pl.DataType, zone: str) -> pl.Expr:
    ts = pl.col("ts")
    if isinstance(dtype, pl.Datetime):
        return (_placed_in(ts, zone) if dtype.time_zone is None else ts).dt.convert_time_zone("UTC").cast(TIME)
    if dtype.is_numeric():
        return _epoch(ts)
    if dtype == pl.String:
        return _parsed(ts, zone)
    raise ValueError(f"column ts is {dtype}. Write the times of the bars in it, as text, times or epochs.")


def _placed_in(naive: pl.Expr, zone: str) -> pl.Expr:
    """Return the naive times as the zone's; an hour that the zone skips is null, one that it has twice the first."""
    return naive.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")


def _epoch(number: pl.Expr) -> pl.Expr:
    whole = number.cast(pl.Float64).is_finite() & (number.abs() > 0)
    exact = pl.when(whole).then(number)
    micros = (
        pl.when(exact.abs() < _SECONDS).then((exact * 1_000_000).cast(pl.Int64, strict=False))
        .when(exact.abs() < _MILLIS).then((exact * 1_000).cast(pl.Int64, strict=False))
        .when(exact.abs() < _MICROS).then(exact.cast(pl.Int64, strict=False))
        .otherwise(exact.cast(pl.Int64, strict=False) // 1_000)
    )  # fmt: skip
    times = micros.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.when(times.is_between(*PLAUSIBLE, closed="left")).then(times)


def _parsed(text: pl.Expr, zone: str) -> pl.Expr:
    """Return the times that text says: with an offset, an epoch in digits, or naive in one of the usual forms."""
    plain = text.str.strip_chars().str.replace(r"(\d)[Tt](\d)", "${1} ${2}")
    offset = plain.str.replace(r"\s*(?:Z|UTC)$", "+00:00").str.replace(r"\s*([+-]\d\d):?(\d\d)$", "${1}${2}")
    aware = [offset.str.to_datetime(f"{form}%z", strict=False, time_unit="us") for form in _FORMATS[:2]]
    naive = [plain.str.to_datetime(form, strict=False, time_unit="us") for form in _FORMATS]
    local = _placed_in(pl.coalesce(naive), zone).dt.convert_time_zone("UTC")
    digits = pl.when(plain.str.contains(r"^\d{9,19}(?:\.\d+)?$")).then(plain)
    return pl.coalesce(*aware, local, _epoch_of(digits)).cast(TIME)


def _epoch_of(digits: pl.Expr) -> pl.Expr:
    whole = pl.when(~digits.str.contains(".", literal=True)).then(digits).cast(pl.Int64, strict=False)
    return pl.coalesce(_epoch(whole), _epoch(digits.cast(pl.Float64, strict=False)))


def spelled(ticker: pl.Expr) -> pl.Expr:
    """Return the ticker as we write it: upper case, share classes behind a dot (BRK/B, brk-b and BRK B are BRK.B)."""
    return ticker.str.strip_chars().str.to_uppercase().str.replace_all(r"[/\- ]", ".")
