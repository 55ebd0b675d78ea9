"""Three further files for each kind of mistake, in other vendors' shapes: the market's bars, or a refusal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.adapters.market.vendor_bars import Importer
from timegpt_assets.adapters.market.vendor_files import files
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.findings import Said
from timegpt_assets.core.vendors.understand import BARS
from timegpt_assets_tests.extended_hours import extended
from timegpt_assets_tests.vendor_writers import OHLCV, PRICES, WRITERS, local, shares, written

DAYS = tuple(s.day for s in calendar.sessions(date(2025, 6, 2), date(2025, 6, 9)))
Write = Callable[[pl.DataFrame, Path], None]


@pytest.fixture(scope="module")
def market() -> pl.DataFrame:
    return SyntheticMarket(symbols=("AAPL",)).bars(("AAPL",), DAYS).select(BARS.names()).sort("ts")


@dataclass(frozen=True, kw_only=True)
class Further:
    """One file of a kind: who writes it, what is said, and what comes of it: the bars, or this refusal."""

    kind: str
    write: Write
    said: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    of: Callable[[pl.DataFrame], pl.DataFrame] = lambda bars: bars
    symbol: str = "AAPL"


def csv(name: str, stamp: pl.Expr, **columns: pl.Expr) -> Write:
    """Return the writer of one CSV: ts as given, the other columns as they are or as given."""

    def write(bars: pl.DataFrame, folder: Path) -> None:
        given = {column: columns.get(column, pl.col(column)) for column in OHLCV}
        more = {column: values for column, values in columns.items() if column not in OHLCV}
        written(shares(bars).select(stamp.alias("ts"), **given, **more), folder / name)

    return write


def text(name: str, change: Callable[[str], str], stamp: pl.Expr, **options: Any) -> Write:
    """Return the writer of one CSV whose text is changed as a whole."""

    def write(bars: pl.DataFrame, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        plain = shares(bars).select(stamp.alias("ts"), *OHLCV).write_csv(**options)
        (folder / name).write_text(change(plain))

    return write


def named(name: str) -> Write:
    return csv(name, ISO)


def both(bars: pl.DataFrame, folder: Path) -> None:
    """Write two exact stamps that differ by an hour."""
    wrong = pl.col("ts").dt.offset_by("60m").dt.epoch("s")
    written(shares(bars).select(ISO.alias("ts"), wrong.alias("epoch"), *OHLCV), folder / "AAPL.csv")


def beside(bars: pl.DataFrame, folder: Path) -> None:
    """Write an epoch, and a naive local stamp called as ours is."""
    epoch = pl.col("ts").dt.epoch("ms").alias("t")
    written(shares(bars).select(local("%Y-%m-%d %H:%M:%S").alias("ts"), epoch, *OHLCV), folder / "AAPL.csv")


def parts_beside(bars: pl.DataFrame, folder: Path) -> None:
    """Write an aware parquet column with local date and time columns beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = bars.with_columns(local("%Y-%m-%d").alias("date"), local("%H:%M").alias("time"))
    rows.rename({"ts": "window_start"}).write_parquet(folder / "AAPL.parquet")


def in_units(name: str, unit: str) -> Write:
    return csv(name, pl.col("ts").dt.epoch(unit))  # type: ignore[arg-type]


def every(minutes: str, bars: pl.DataFrame) -> pl.DataFrame:
    return bars.group_by_dynamic("ts", every=minutes).agg(
        pl.col("symbol").first(), pl.col("open").first(), pl.col("high").max(), pl.col("low").min(),
        pl.col("close").last(), pl.col("volume").sum(),
    ).select(BARS.names())  # fmt: skip


def garbled(cell: str, share: int) -> Write:
    """Return the writer of a file whose every n-th close is another text."""
    bad = pl.when(pl.int_range(pl.len()) % share == 3).then(pl.lit(cell)).otherwise(pl.col("close").cast(pl.String))
    return csv("AAPL.csv", ISO, close=bad)


def grouped(sign: str) -> pl.Expr:
    """Return volume with its thousands grouped."""
    once = pl.col("volume").cast(pl.String).str.replace(r"(\d)(\d{3})$", f"${{1}}{sign}${{2}}")
    return once.str.replace(rf"^(\d+)(\d{{3}})\{sign}", f"${{1}}{sign}${{2}}{sign}")


ISO = local("%Y-%m-%dT%H:%M:%SZ", zone="UTC")
NAIVE = local("%Y-%m-%d %H:%M:%S")
FURTHER: Mapping[str, Further] = {
    # a ticker guessed
    "an export called by two names": Further(kind="ticker", write=named("SPY-QQQ_1min.csv"), refused="SPY or QQQ"),
    "a part of a data set": Further(kind="ticker", write=named("part-00000-of-00004.csv"), refused="names none"),
    "a word in small letters": Further(kind="ticker", write=named("mybars.csv"), refused="mybars"),
    "a class share of a download": Further(kind="ticker", write=named("BF-B_2025_1m.csv"), symbol="BF.B"),
    # nothing understood
    "names nobody knows": Further(
        kind="nothing understood", refused="no column of times is known.*--columns",
        write=lambda bars, folder: written(shares(bars).select(ISO.alias("Zeit"), *OHLCV), folder / "AAPL.csv"),
    ),
    "names nobody knows, said": Further(
        kind="nothing understood", said={"columns": "ts=Zeit"},
        write=lambda bars, folder: written(shares(bars).select(ISO.alias("Zeit"), *OHLCV), folder / "AAPL.csv"),
    ),
    "no header, columns said": Further(
        kind="nothing understood", said={"columns": "ts,open,high,low,close,volume"},
        write=lambda bars, folder: written(
            shares(bars).select(NAIVE.alias("a"), *OHLCV), folder / "AAPL.csv", include_header=False, separator="|"),
    ),
    "no header, columns in a wrong order": Further(
        kind="nothing understood", said={"columns": "ts,high,open,close,low,volume"}, refused="in another order",
        write=lambda bars, folder: written(
            shares(bars).select(NAIVE.alias("a"), *OHLCV), folder / "AAPL.csv", include_header=False),
    ),
    "a footer of three lines": Further(
        kind="nothing understood", write=text("AAPL.csv", lambda t: t + "\nTotal rows: 2340\nCopyright\n", ISO)),
    # settled silently: zone
    "naive London": Further(kind="zone", write=csv("AAPL.csv", local("%d %b %Y %H:%M", zone="Europe/London"))),
    "naive extended hours in Chicago": Further(
        kind="zone", write=csv("AAPL.csv", local("%Y-%m-%d %H:%M", zone="America/Chicago")), of=extended),
    "New York written with a Z": Further(
        kind="zone", write=csv("AAPL.csv", local("%Y-%m-%dT%H:%M:%SZ")), of=extended, refused="Say --timezone"),
    "epochs of a wall clock": Further(
        kind="zone", refused="is contradicted by its bars",
        write=csv("AAPL.csv", pl.col("ts").dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
                  .dt.epoch("s"))),
    "epochs of a wall clock, said": Further(
        kind="zone", said={"timezone": "America/New_York"},
        write=csv("AAPL.csv", pl.col("ts").dt.convert_time_zone("America/New_York").dt.replace_time_zone(None)
                  .dt.epoch("s"))),
    "an offset and its zone's name": Further(
        kind="zone", write=csv("AAPL.csv", local("%Y-%m-%dT%H:%M:%S%:z[America/New_York]"))),
    "as a browser writes it": Further(
        kind="zone", write=csv("AAPL.csv", local("%a %b %d %Y %H:%M:%S GMT%z (EDT)"))),
    "winter time all year": Further(
        kind="zone", write=csv("AAPL.csv", local("%Y-%m-%d %H:%M:%S EST", zone="Etc/GMT+5"))),
    # settled silently: the end of the minute
    "ends in epochs": Further(kind="end", write=csv("AAPL.csv", pl.col("ts").dt.offset_by("1m").dt.epoch("ms"))),
    "ends with extended hours": Further(
        kind="end", write=csv("AAPL.csv", local("%Y-%m-%d %H:%M:%S", end=True)), of=extended),
    "ends, said to be starts": Further(
        kind="end", write=csv("AAPL.csv", local("%Y-%m-%d %H:%M:%S", end=True)), said={"stamp": "start"},
        refused="--stamp start is contradicted"),
    # settled silently: day and month
    "German dates": Further(kind="dates", write=csv("AAPL.csv", local("%d.%m.%Y %H:%M"))),
    "American dates of two-digit years": Further(kind="dates", write=csv("AAPL.csv", local("%m/%d/%y %I:%M %p"))),
    "dates said the wrong way": Further(
        kind="dates", write=csv("AAPL.csv", local("%d-%m-%Y %H:%M")), said={"date_order": "mdy"},
        refused="--date-order mdy is contradicted"),
    # settled silently: two columns of times
    "an epoch beside a naive stamp": Further(kind="two times", write=beside),
    "an aware parquet column beside date and time": Further(kind="two times", write=parts_beside),
    "two exact stamps that differ": Further(kind="two times", write=both, refused="name different times"),
    # fixed-point prices
    "cents": Further(kind="price unit", write=csv("AAPL.csv", ISO, **{
        n: (pl.col(n) * 100).round(0).cast(pl.Int64) for n in PRICES})),
    "ten-thousandths in parquet": Further(kind="price unit", write=lambda bars, folder: (
        folder.mkdir(parents=True), bars.with_columns((pl.col(n) * 1e4).round(0).cast(pl.Int64) for n in PRICES)
        .write_parquet(folder / "AAPL.parquet"))[0]),
    "millionths, said wrongly": Further(kind="price unit", said={"price_scale": 1e-4}, refused="is contradicted",
        write=csv("AAPL.csv", ISO, **{n: (pl.col(n) * 1e6).round(0).cast(pl.Int64) for n in PRICES})),
    # another interval
    "bars of a quarter": Further(kind="interval", write=WRITERS["ibkr"], of=lambda b: every("15m", b),
                                 refused="bars of 15 minutes"),
    "bars of an hour": Further(kind="interval", write=WRITERS["eodhd"], of=lambda b: every("1h", b),
                               refused="multiples of .*bars of"),
    "days with a time": Further(kind="interval", write=WRITERS["alpaca"], of=lambda b: every("1d", b),
                                refused="bars of days|too few"),
    # epochs
    "epochs in us as text": Further(kind="epochs", write=in_units("AAPL.csv", "us")),
    "epochs in ns in parquet": Further(kind="epochs", write=lambda bars, folder: (
        folder.mkdir(parents=True), bars.with_columns(pl.col("ts").dt.epoch("ns"))
        .write_parquet(folder / "AAPL.parquet"))[0]),
    "stamps of days since 1970": Further(
        kind="epochs", write=csv("AAPL.csv", pl.col("ts").dt.epoch("d")),
        refused="holds times of day and no dates.*--columns date=NAME"),
    "a spreadsheet's days": Further(
        kind="epochs", write=csv("AAPL.csv", 25_569 + (pl.col("ts").dt.epoch("s") / 86_400))),
    # numbers
    "apostrophes and dollars": Further(kind="numbers", write=csv(
        "AAPL.csv", ISO, volume=grouped("'"),
        **{n: pl.lit("$") + pl.col(n).cast(pl.String) for n in PRICES})),
    "points for thousands, commas for fractions": Further(kind="numbers", write=lambda bars, folder: written(
        shares(bars).select(ISO.alias("ts"), *(pl.col(n).cast(pl.String).str.replace(".", ",", literal=True)
                            for n in PRICES),
                            grouped(".")),
        folder / "AAPL.csv", separator=";")),
    "words for numbers": Further(kind="numbers", write=garbled("12.3.4x", 10), refused="with an unreadable number"),
    # paths as patterns
    "a star": Further(kind="patterns", write=named("AAPL*.csv"), refused="could be of AAPL"),
    "brackets": Further(kind="patterns", write=named("AAPL [1].csv")),
    "a question": Further(kind="patterns", write=named("AAPL_?.csv"), refused="could be of AAPL"),
}  # fmt: skip
KINDS = {
    "ticker", "nothing understood", "zone", "end", "dates", "two times", "price unit", "interval", "epochs", "numbers",
    "patterns",
}  # fmt: skip


@pytest.mark.parametrize("name", FURTHER)
def test_a_further_file_of_a_kind_gives_the_bars_or_is_refused(market: pl.DataFrame, tmp_path: Path, name: str) -> None:
    further = FURTHER[name]
    bars = further.of(market)
    further.write(bars, tmp_path / "vendor")
    importer = Importer(objects=LocalStore(tmp_path / "root"), said=Said(**further.said))
    (file,) = files(tmp_path / "vendor")
    told = importer.imported(file)
    if further.refused:
        assert pl.Series([told.wrong]).str.contains(further.refused).all(), told.wrong or told
        assert not (tmp_path / "root").exists()
    else:
        assert not told.wrong
        stored = pl.concat([pl.read_parquet(path) for path in (tmp_path / "root").rglob("*.parquet")]).sort("ts")
        expected = bars.with_columns(symbol=pl.lit(further.symbol))
        assert_frame_equal(stored, expected.sort("ts"), check_exact=True)


def test_each_kind_has_three_further_files_at_the_least() -> None:
    kinds = [further.kind for further in FURTHER.values()]
    assert {kind for kind in kinds if kinds.count(kind) >= 3} == KINDS
