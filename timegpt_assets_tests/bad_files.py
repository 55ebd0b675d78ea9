"""Bad month files and frames, each with the verdict it must get: what every vendor does sooner or later.

Belongs here: the damage and the expectation. That they hold is test_bad_files.py, the table for people is in
docs/explanation/proofs-bars.md.
"""

import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from timegpt_assets.core import calendar
from timegpt_assets.core.calendar import ZONE
from timegpt_assets_tests.core.bars.bars_factory import raw_bars, with_extended_hours

DAYS = tuple(s.day for s in calendar.sessions(date(2025, 1, 2), date(2025, 1, 10)))
"""Six sessions; 2025-01-09 is a day of mourning without one."""
DAY = DAYS[2]
LATE_DAYS = tuple(s.day for s in calendar.sessions(date(2025, 1, 10), date(2025, 1, 16)))
HOLIDAY, AFTER_HOLIDAY = date(2025, 1, 9), date(2025, 1, 10)
DST_DAYS = tuple(s.day for s in calendar.sessions(date(2025, 3, 7), date(2025, 3, 11)))
HALF_DAYS = tuple(s.day for s in calendar.sessions(date(2024, 11, 26), date(2024, 12, 2)))[:3]
HALF_DAY = HALF_DAYS[2]

Frame = Callable[[pl.DataFrame], pl.DataFrame]
EVERY = "every day of the file"


@dataclass(frozen=True, kw_only=True)
class Bad:
    """One damage and what must come of it: the rules broken, on which days, by how many rows, with which verdict.

    ``frame`` changes what is written, ``file`` what lies on the disk after that. ``counted`` is the fact that counts.
    """

    name: str
    rules: str
    verdict: str
    on: Sequence[date] | str = (DAY,)
    counted: str = ""
    rows: int = 0
    frame: Frame = lambda frame: frame
    file: Callable[[Path], None] = lambda path: None
    days: Sequence[date] = DAYS
    blamed: int = 0
    stamps: dict[str, str] = field(default_factory=dict)

    @property
    def hit(self) -> list[date]:
        """Return the days whose verdict it is."""
        return list(self.days) if isinstance(self.on, str) else list(self.on)


def month(symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return a good file's rows: complete sessions of a random walk."""
    return raw_bars(days=days, symbols=["?", symbol], seed=11).filter(symbol=symbol).drop("day", "row")


def of(day: date) -> pl.Expr:
    """Return whether a row is of that New York date."""
    return pl.col("ts").dt.convert_time_zone(ZONE).dt.date() == day


def minute(n: int, day: date = DAY) -> pl.Expr:
    """Return whether a row is the n-th minute of that session, from 0."""
    return pl.col("ts") == calendar.session(day).open + timedelta(minutes=n)


def put(where: pl.Expr, **values: object) -> Frame:
    """Return the change that sets values in the rows where."""
    return lambda frame: frame.with_columns(
        pl.when(where).then(value if isinstance(value, pl.Expr) else pl.lit(value)).otherwise(name).alias(name)
        for name, value in values.items()
    )


def again(where: pl.Expr, **values: pl.Expr) -> Frame:
    """Return the change that delivers the rows where once more, just behind themselves, with other values."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        rows = frame.with_columns(at=pl.int_range(pl.len()) * 2)
        more = rows.filter(where).with_columns(pl.col("at") + 1, **values)
        return pl.concat([rows, more]).sort("at").drop("at")

    return change


def scaled(where: pl.Expr, factor: float) -> Frame:
    """Return the change that multiplies the prices of the rows where."""
    return put(where, **{c: pl.col(c) * factor for c in ("open", "high", "low", "close")})


def without(where: pl.Expr) -> Frame:
    """Return the change that leaves out the rows where."""
    return lambda frame: frame.filter(~where)


def dropped(*names: str) -> Frame:
    """Return the change that leaves out columns."""
    return lambda frame: frame.drop(names)


def cast(name: str, dtype: pl.DataType | type[pl.DataType]) -> Frame:
    """Return the change of a column's type."""
    return lambda frame: frame.with_columns(pl.col(name).cast(dtype))


def cut(path: Path) -> None:
    """Leave the first half of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def beheaded(path: Path) -> None:
    """Give the file another format's magic at both ends."""
    path.write_bytes(b"ARRO" + path.read_bytes()[4:-4] + b"ARRO")


def rotten(path: Path) -> None:
    """Overwrite the pages of one column, the footer left whole."""
    chunk = pq.read_metadata(path).row_group(0).column(3)
    content, start = bytearray(path.read_bytes()), chunk.dictionary_page_offset or chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)


def huge_footer(path: Path) -> None:
    """Let the footer claim to be longer than the file."""
    path.write_bytes(path.read_bytes()[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1")


def crowded(path: Path) -> None:
    """Write millions of equal rows in its place: a file of some kilobytes."""
    row = pq.read_table(path).slice(0, 1)
    pq.write_table(row.take(np.zeros(1_200_000, np.int64)), path)


def pipe(path: Path) -> None:
    """Put a named pipe in its place, at which a reader waits for ever."""
    path.unlink()
    os.mkfifo(path)


def text(content: str) -> Callable[[Path], None]:
    """Return the damage of a file that holds text."""
    return lambda path: path.write_text(content)  # type: ignore[return-value]


def folder(path: Path) -> None:
    """Put a folder in the file's place."""
    path.unlink()
    path.mkdir()


def linked_out(path: Path) -> None:
    """Put a link out of the root in the file's place."""
    outside = path.parents[4].with_suffix(".outside")
    path.rename(outside)
    path.symlink_to(outside)


def arrow(path: Path) -> None:
    """Write an Arrow IPC file in its place."""
    table = pq.read_table(path)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def twice_named(path: Path) -> None:
    """Write the column close twice."""
    table = pq.read_table(path)
    pq.write_table(table.append_column("close", table["close"]), path)


def hour_early(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows after the clock change as of a vendor that did not notice it: an hour late in UTC."""
    changed = pl.col("ts").dt.convert_time_zone(ZONE).dt.date() > date(2025, 3, 9)
    return frame.with_columns(pl.when(changed).then(pl.col("ts").dt.offset_by("1h")).otherwise("ts").alias("ts"))


def holiday_prints(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with 100 more on the day of mourning."""
    more = frame.filter(of(DAYS[4])).head(100).with_columns(pl.col("ts").dt.offset_by("1d"))
    return pl.concat([frame, more]).sort("ts")


def two_years(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows behind a whole day of the year before."""
    return pl.concat([frame.filter(of(DAYS[1])).with_columns(pl.col("ts").dt.offset_by("-1y")), frame])


def long_half_day(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with trading until 16:00 on the half day."""
    more = frame.filter(of(HALF_DAY)).head(180).with_columns(pl.col("ts").dt.offset_by("210m"))
    return pl.concat([frame, more]).sort("ts")


def one_stamp(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with every stamp of the day set to its open."""
    return put(of(DAY), ts=calendar.session(DAY).open)(frame).with_columns(pl.col("ts").dt.cast_time_unit("us"))


def _impossible(name: str, **values: object) -> Bad:
    return Bad(
        name=name, frame=put(minute(100), **values), rules="impossible", counted="broken_ohlc", rows=1,
        verdict="quarantined", blamed=1,
    )  # fmt: skip


def _unreadable(name: str, file: Callable[[Path], None]) -> Bad:
    return Bad(name=name, file=file, rules="unreadable", counted="unreadable", rows=1, verdict="quarantined", on=EVERY)


def _columns(name: str, frame: Frame = lambda frame: frame, file: Callable[[Path], None] = lambda path: None) -> Bad:
    return Bad(
        name=name, frame=frame, file=file, rules="columns", counted="columns", rows=1, verdict="quarantined", on=EVERY
    )


BAD: tuple[Bad, ...] = (
    _unreadable("truncated parquet", cut),
    _unreadable("wrong magic", beheaded),
    _unreadable("csv named parquet", text("symbol,ts,open,high,low,close,volume\nAAA,2025-01-06 14:30,1,1,1,1,1\n")),
    _unreadable("json named parquet", text('{"bars": []}')),
    _unreadable("empty file", text("")),
    _unreadable("magic and nothing else", text("PAR1")),
    _unreadable("pages overwritten under a whole footer", rotten),
    _unreadable("footer longer than the file", huge_footer),
    _unreadable("arrow file named parquet", arrow),
    _unreadable("folder in the file's place", folder),
    _unreadable("symlink out of the root", linked_out),
    _unreadable("pipe in the file's place", pipe),
    Bad(name="more rows than a month can have", file=crowded, rules="oversized", counted="oversized", rows=1,
        verdict="quarantined", on=EVERY),
    _columns("missing column", dropped("close")),
    _columns("missing volume", dropped("volume")),
    _columns("no time", dropped("ts")),
    _columns("no column at all", lambda frame: pl.DataFrame()),
    _columns("strings for prices", cast("close", pl.String)),
    _columns("strings for volume", cast("volume", pl.String)),
    _columns("booleans for prices", lambda f: f.with_columns(open=pl.lit(True))),
    _columns("lists for prices", lambda f: f.with_columns(pl.concat_list("high", "low").alias("high"))),
    _columns("days for times", lambda f: f.with_columns(pl.col("ts").dt.date())),
    _columns("numbers for tickers", lambda f: f.with_columns(symbol=pl.lit(1))),
    _columns("two aliases of one column", lambda f: f.rename({"open": "o"}).with_columns(open_price=pl.col("o"))),
    _columns("adjusted prices only", lambda f: f.rename({"close": "adj_close"})),
    _columns("one column twice", file=twice_named),
    Bad(name="extra column", frame=lambda f: f.with_columns(note=pl.lit("n"), vwap=1.0), rules="", verdict="ok",
        on=EVERY),
    Bad(name="aliases in capitals, prices as whole numbers", rules="", verdict="ok", on=EVERY,
        frame=lambda f: f.select(T="ts", O=pl.lit(100), H=pl.lit(100), L=pl.lit(100), C=pl.lit(100), V="volume")),
    Bad(name="own ticker in small letters", frame=lambda f: f.with_columns(symbol=pl.lit("aaa ")), rules="",
        verdict="ok", on=EVERY),
    Bad(name="no rows", frame=lambda f: f.clear(), rules="", verdict="no_data", on=EVERY),
    Bad(name="one day left out", frame=without(of(DAY)), rules="", verdict="no_data"),
    _impossible("NaN price", close=float("nan")),
    _impossible("infinite price", high=float("inf")),
    _impossible("null price", open=None),
    _impossible("negative price", low=-5.0),
    _impossible("price of zero", low=0.0),
    _impossible("high below low", high=1.0),
    _impossible("close above high", close=1e6),
    _impossible("low above the close", low=pl.col("high")),
    _impossible("negative volume", volume=-1.0),
    _impossible("NaN volume", volume=float("nan")),
    Bad(name="absurd volume", frame=put(minute(100), volume=5e9), rules="absurd_volume", counted="absurd_volume",
        rows=1, verdict="quarantined", blamed=1),
    Bad(name="all rows of a day at one time", frame=one_stamp, rules="incomplete,conflicts,sustained_fill,too_filled",
        counted="conflicts", rows=389, verdict="quarantined", blamed=5),
    Bad(name="identical rows", frame=again(minute(100) | minute(200)), rules="duplicates", counted="duplicates", rows=2,
        verdict="warned", blamed=2),
    Bad(name="conflicting rows", frame=again(minute(100), volume=pl.col("volume") + 1), rules="conflicts",
        counted="conflicts", rows=1, verdict="quarantined", blamed=1),
    Bad(name="unsorted", frame=lambda f: f.reverse(), rules="unsorted", counted="unsorted", rows=389, verdict="warned",
        on=EVERY, blamed=5),
    Bad(name="two years mixed in one month file", frame=two_years, rules="other_month", counted="other_month", rows=390,
        verdict="warned", on=EVERY),
    Bad(name="clock change not noticed", frame=hour_early, days=DST_DAYS, on=DST_DAYS[1:], counted="shifted_min",
        rules="shifted,incomplete,sustained_fill,too_filled", rows=60, verdict="quarantined"),
    Bad(name="half day with prints after 13:00", frame=long_half_day, days=HALF_DAYS, on=(HALF_DAY,), rules="",
        counted="outside", rows=180, verdict="ok"),
    Bad(name="holiday with prints", frame=holiday_prints, on=(AFTER_HOLIDAY,), rules="holiday", counted="holiday",
        rows=100, verdict="warned"),
    Bad(name="ticker of the path is not the column's", frame=lambda f: f.with_columns(symbol=pl.lit("BBB")),
        rules="foreign", counted="foreign", rows=390, verdict="quarantined", on=EVERY),
    Bad(name="one row of another ticker", frame=put(minute(100), symbol="ZZZ"), rules="foreign", counted="foreign",
        rows=1, verdict="quarantined"),
    Bad(name="rows without a ticker", frame=put(minute(100), symbol=None), rules="foreign", counted="foreign", rows=1,
        verdict="quarantined"),
    Bad(name="ten times the price within the day", frame=scaled(minute(100), 10.0), rules="jump,outliers",
        counted="jumps", rows=2, verdict="quarantined", blamed=4),
    Bad(name="ten times the price from one day on", frame=scaled(pl.col("ts") >= calendar.session(DAY).open, 10.0),
        rules="split", counted="split_like", rows=1, verdict="quarantined"),
    Bad(name="two for one, not adjusted", frame=scaled(pl.col("ts") >= calendar.session(DAY).open, 0.5), rules="split",
        counted="split_like", rows=1, verdict="quarantined"),
    Bad(name="one for three, not adjusted", frame=scaled(pl.col("ts") >= calendar.session(DAY).open, 3.0),
        rules="split", counted="split_like", rows=1, verdict="quarantined"),
    Bad(name="rows without a time", frame=put(minute(100) | minute(103), ts=None), rules="timeless", counted="timeless",
        rows=2, verdict="warned", on=EVERY),
    Bad(name="words for times", frame=lambda f: f.with_columns(ts=pl.lit("soon")), rules="timeless", counted="timeless",
        rows=6 * 390, verdict="no_data", on=EVERY),
    Bad(name="epochs that count days", frame=lambda f: f.with_columns(pl.col("ts").dt.epoch("d")), rules="timeless",
        counted="timeless", rows=6 * 390, verdict="no_data", on=EVERY),
    Bad(name="dates and times in digits", rules="timeless", counted="timeless", rows=6 * 390, verdict="no_data",
        on=EVERY, frame=lambda f: f.with_columns(pl.col("ts").dt.strftime("%Y%m%d%H%M%S").cast(pl.Int64))),
    Bad(name="a local date and time beside an exact stamp", rules="", verdict="ok", on=EVERY, frame=lambda f: f.select(
        pl.col("ts").alias("timestamp"), pl.col("ts").dt.convert_time_zone(ZONE).dt.strftime("%Y-%m-%d").alias("date"),
        pl.col("ts").dt.convert_time_zone(ZONE).dt.strftime("%H:%M:%S").alias("time"), pl.exclude("ts"))),
    Bad(name="dates written day first", rules="unreadable", counted="unreadable", rows=1, verdict="quarantined",
        on=EVERY, days=LATE_DAYS, frame=lambda f: f.with_columns(pl.col("ts").dt.strftime("%d/%m/%Y %H:%M"))),
    Bad(name="stamps that are no whole minute", frame=put(minute(100), ts=pl.col("ts").dt.offset_by("7s")),
        rules="off_minute", counted="off_minute", rows=1, verdict="quarantined", blamed=1),
    Bad(name="half of the session", frame=without(of(DAY) & (pl.col("ts") >= calendar.session(DAY).open + timedelta(
        minutes=195))), rules="incomplete,sustained_fill,too_filled", counted="rows_session", rows=195,
        verdict="quarantined"),
    Bad(name="six minutes in a row missing", frame=without(of(DAY) & pl.col("ts").is_between(
        calendar.session(DAY).open + timedelta(minutes=50), calendar.session(DAY).open + timedelta(minutes=55))),
        rules="sustained_fill", counted="longest_fill", rows=6, verdict="quarantined"),
    Bad(name="every tenth minute missing", frame=without(of(DAY) & (pl.col("ts").dt.minute() % 10 == 5)),
        rules="incomplete,too_filled", counted="filled", rows=39, verdict="quarantined"),
    Bad(name="a day without volume", frame=put(of(DAY), volume=0.0), rules="zero_volume", counted="zero_volume",
        rows=390, verdict="warned", blamed=5),
    Bad(name="a spike", frame=put(minute(100), close=pl.col("high") * 1.05, high=pl.col("high") * 1.06),
        rules="outliers", counted="outliers", rows=2, verdict="warned", blamed=2),
    Bad(name="the opening cross", frame=again(minute(0), ts=pl.col("ts").dt.offset_by("-1m")), rules="unsorted",
        counted="crosses", rows=1, verdict="warned", blamed=1),
    Bad(name="the closing cross", frame=again(minute(389), ts=pl.col("ts").dt.offset_by("1m")), rules="",
        counted="outside", rows=1, verdict="ok"),
    Bad(name="a lone high", frame=put(minute(100), high=pl.col("high") * 1.12), rules="wicks", counted="wicks", rows=1,
        verdict="warned", blamed=1),
    Bad(name="a lone low in the last minute", frame=put(minute(389), low=pl.col("low") * 0.97), rules="wicks",
        counted="wicks", rows=1, verdict="warned", blamed=1),
    Bad(name="a lone first print", frame=put(minute(100), open=pl.col("open") * 1.12, high=pl.col("high") * 1.12),
        rules="wicks", counted="wicks", rows=1, verdict="warned", blamed=1),
    Bad(name="six and a half times the price from one day on", rules="overnight", counted="overnight", rows=1,
        verdict="quarantined", frame=scaled(pl.col("ts") >= calendar.session(DAY).open, 6.5)),
    Bad(name="fixed-point prices", frame=scaled(pl.lit(True), 1e9), rules="absurd_price", counted="absurd_price",
        rows=390, verdict="quarantined", on=EVERY, blamed=5),
    Bad(name="bars of five minutes", frame=lambda f: f.filter(pl.col("ts").dt.minute() % 5 == 0), on=EVERY,
        rules="incomplete,too_filled", counted="rows_session", rows=78, verdict="quarantined"),
    Bad(name="extended hours", frame=lambda f: with_extended_hours(f), rules="", counted="outside", rows=570,
        verdict="ok", on=EVERY),
    Bad(name="extended hours, an hour early", rules="shifted", counted="shifted_min", rows=-60, verdict="quarantined",
        frame=lambda f: with_extended_hours(f).with_columns(pl.col("ts").dt.offset_by("-1h")), on=EVERY),
    Bad(name="extended hours, an hour late", rules="shifted", counted="shifted_min", rows=60, verdict="quarantined",
        frame=lambda f: with_extended_hours(f).with_columns(pl.col("ts").dt.offset_by("1h")), on=EVERY),
    Bad(name="extended hours, cut at 15:23", rules="incomplete,sustained_fill,too_filled", counted="filled",
        rows=36, verdict="quarantined", frame=lambda f: with_extended_hours(f).filter(
            ~of(DAY) | (pl.col("ts") < calendar.session(DAY).close - timedelta(minutes=36)))),
    Bad(name="wall-clock times taken for UTC", rules="shifted,incomplete,sustained_fill,too_filled",
        counted="shifted_min", rows=-300, verdict="quarantined", on=EVERY,
        frame=lambda f: f.with_columns(pl.col("ts").dt.convert_time_zone(ZONE).dt.replace_time_zone(None))),
)  # fmt: skip

CASES_BY_NAME = {bad.name: bad for bad in BAD}
