"""Whatever dialect a file is written in, importing gives its very bars or refuses it; never other bars."""

import gzip
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.adapters.market.vendor_bars import Importer
from timegpt_assets.adapters.market.vendor_files import files
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.findings import Said
from timegpt_assets.core.vendors.understand import BARS
from timegpt_assets_tests.extended_hours import extended
from timegpt_assets_tests.vendor_writers import OHLCV, PRICES

DAYS = tuple(s.day for s in calendar.sessions(date(2024, 10, 28), date(2024, 12, 4)))
"""Twenty-six sessions: a change of clocks, a half day, a month's first twelve days."""
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%-m/%-d/%y", "%d-%b-%Y",
         "%b %d, %Y", "%d %B %Y")  # fmt: skip
TIMES = ("%H:%M", "%H:%M:%S", "%-H:%M", "%I:%M:%S %p", "%I:%M %p", "%H:%M:%S%.3f", "%H%M%S")
ZONES = ("", "America/New_York", "US/Eastern", "Z", "%z", "%:z", "UTC")


@dataclass(frozen=True)
class Dialect:
    """How one file is written."""

    date: str
    time: str
    zone: str
    apart: bool
    end: bool
    separator: str
    decimal: str
    thousands: str
    names: str
    newest_first: bool
    line: str
    encoding: str
    packed: str
    hours: str


DIALECTS = st.builds(
    Dialect,
    date=st.sampled_from(DATES),
    time=st.sampled_from(TIMES),
    zone=st.sampled_from(ZONES),
    apart=st.booleans(),
    end=st.booleans(),
    separator=st.sampled_from(",;\t|"),
    decimal=st.sampled_from(".,"),
    thousands=st.sampled_from(["", "sign", "'", " "]),
    names=st.sampled_from(["lower", "upper", "title", "brackets"]),
    newest_first=st.booleans(),
    line=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    packed=st.sampled_from(["", ".gz", ".zip"]),
    hours=st.sampled_from(["session", "extended"]),
)


@pytest.fixture(scope="module")
def markets() -> dict[str, pl.DataFrame]:
    session = SyntheticMarket(symbols=("AAPL",)).bars(("AAPL",), DAYS).select(BARS.names()).sort("ts")
    return {"session": session, "extended": extended(session)}


def stamped(bars: pl.DataFrame, dialect: Dialect) -> dict[str, pl.Expr]:
    ts = pl.col("ts").dt.offset_by("1m") if dialect.end else pl.col("ts")
    at = ts.dt.convert_time_zone("UTC" if dialect.zone in ("Z", "UTC") else calendar.ZONE)
    suffix = {"": "", "Z": "Z", "%z": "%z", "%:z": "%:z"}.get(dialect.zone, f" {dialect.zone}")
    if dialect.apart:
        return {"date": at.dt.strftime(dialect.date), "time": at.dt.strftime(dialect.time)}
    return {"timestamp": at.dt.strftime(f"{dialect.date} {dialect.time}{suffix}")}


def number(name: str, dialect: Dialect) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    if name == "volume":
        text = pl.col(name).cast(pl.Int64).cast(pl.String)
        sign = {"sign": "," if dialect.decimal == "." else "."}.get(dialect.thousands, dialect.thousands)
        if sign:
            text = text.str.replace(r"(\d)(\d{3})$", f"${{1}}{sign}${{2}}")
            text = text.str.replace(rf"^(\d+)(\d{{3}})\{sign}", f"${{1}}{sign}${{2}}{sign}")
        return text
    return text.str.replace(".", dialect.decimal, literal=True)


NAMES: dict[str, Callable[[str], str]] = {
    "lower": str.lower, "upper": str.upper, "title": str.title, "brackets": lambda name: f"<{name.upper()}>",
}  # fmt: skip


def written(bars: pl.DataFrame, dialect: Dialect, folder: Path) -> None:
    columns = {**stamped(bars, dialect), **{name: number(name, dialect) for name in OHLCV}}
    frame = bars.select(**columns).rename({name: NAMES[dialect.names](name) for name in columns})
    frame = frame.reverse() if dialect.newest_first else frame
    text = frame.write_csv(separator=dialect.separator, line_terminator=dialect.line)
    data = text.encode(dialect.encoding)
    folder.mkdir(parents=True)
    if dialect.packed == ".zip":
        with zipfile.ZipFile(folder / "AAPL.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("AAPL.csv", data)
    else:
        path = folder / f"AAPL.csv{dialect.packed}"
        path.write_bytes(gzip.compress(data) if dialect.packed else data)


OPEN_QUESTIONS = ("can be either", "names no zone", "which end of the minute", "do not tell")
"""The refusals that a good file in a poor dialect may get: what nothing in it decides."""


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dialect=DIALECTS, first=st.integers(0, len(DAYS) - 3), days=st.integers(1, 8))
def test_a_dialect_gives_the_very_bars_or_is_asked_about(
    markets: dict[str, pl.DataFrame], tmp_path_factory: pytest.TempPathFactory, dialect: Dialect, first: int, days: int
) -> None:
    folder = tmp_path_factory.mktemp("dialect")
    chosen = DAYS[first : first + days]
    of = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date().is_in(chosen)
    bars = markets[dialect.hours].filter(of)
    written(bars, dialect, folder / "vendor")
    (file,) = files(folder / "vendor")
    told = Importer(objects=LocalStore(folder / "root"), said=Said()).imported(file)
    if told.wrong:
        assert any(words in told.wrong for words in OPEN_QUESTIONS), told.wrong
        assert "--" in told.wrong
        return
    stored = pl.concat([pl.read_parquet(path) for path in (folder / "root").rglob("*.parquet")]).sort("ts")
    assert_frame_equal(stored, bars, check_exact=True)
    assert set(PRICES) <= set(stored.columns)
