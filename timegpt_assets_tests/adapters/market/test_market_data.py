"""Monthly parquet files as a source of bars: what is read, what is left alone, what is refused."""

import ctypes
import errno
import os
import random
import re
import resource
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from timegpt_assets.adapters.market.market_data import LocalMarketData, MarketDataError
from timegpt_assets.adapters.market.month_file import MonthFile
from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.core.calendar import minutes, month_sessions
from timegpt_assets.core.tables.bars import RAW_BARS
from timegpt_assets_tests.adapters.failing import Failing

JANUARY, FEBRUARY = month_sessions("2025-01"), month_sessions("2025-02")


def month_file(symbol: str = "AAA", month: str = "2025-01") -> pl.DataFrame:
    ts = minutes(month_sessions(month))["ts"]
    close = 100 + pl.int_range(pl.len()) % 50 / 100
    return pl.DataFrame({"symbol": [symbol] * len(ts), "ts": ts}).with_columns(
        open=close, high=close + 0.05, low=close - 0.05, close=close, volume=pl.int_range(1, pl.len() + 1)
    )


def path_of(root: Path, symbol: str = "AAA", month: str = "2025-01") -> Path:
    path = root / f"stocks/1m/{symbol}/{month[:4]}/{symbol}_{month.replace('-', '_')}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def written(root: Path, frame: pl.DataFrame, month: str = "2025-01", row_group_size: int = 390) -> Path:
    path = path_of(root, "AAA", month)
    frame.write_parquet(path, compression="uncompressed", row_group_size=row_group_size)
    return path


OPENED, CLOSED = 0x20, 0x10


@contextmanager
def opened_files(folder: Path) -> Iterator[list[str]]:
    """Yield a list that holds, after the block, the name of each file opened in the folder, once per opening.

    Closings are watched too: inotify merges equal events that follow each other, so openings alone would be too few.
    """
    libc, names = ctypes.CDLL("libc.so.6", use_errno=True), list[str]()
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(descriptor, str(folder).encode(), OPENED | CLOSED) > 0
    try:
        yield names
        events = os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)
    while events:
        _, mask, _, length = struct.unpack_from("iIII", events)
        name = events[16 : 16 + length].rstrip(b"\0").decode()
        names.extend([name] if name and mask & OPENED else [])
        events = events[16 + length :]


def spoil(path: Path, spoilt: Callable[[int, str], bool]) -> None:
    """Overwrite the stored pages of each (row group, column) chosen, so that decoding them fails."""
    metadata, content = pq.read_metadata(path), bytearray(path.read_bytes())
    for group in range(metadata.num_row_groups):
        for n in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(n)
            if spoilt(group, chunk.path_in_schema):
                first = chunk.dictionary_page_offset or chunk.data_page_offset
                content[first : first + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)


def test_rows_come_in_our_form_with_their_place_in_the_file(tmp_path: Path) -> None:
    frame = month_file()
    written(tmp_path, frame)
    bars = LocalMarketData(tmp_path).bars(["AAA"], [JANUARY[3], JANUARY[1]])
    whole = frame.with_row_index("row")
    expected = pl.concat([whole[390:780], whole[1170:1560]])
    assert bars.schema == RAW_BARS.schema
    assert bars["row"].to_list() == expected["row"].to_list()
    assert bars["ts"].to_list() == expected["ts"].to_list()
    assert bars["close"].to_list() == expected["close"].to_list()
    assert bars["volume"].to_list() == [float(v) for v in expected["volume"]]
    assert bars["day"].unique().sort().to_list() == [JANUARY[1], JANUARY[3]]


def test_opened_files_counts_each_opening(tmp_path: Path) -> None:
    path = written(tmp_path, month_file())
    with opened_files(path.parent) as opened:
        for _ in range(3):
            path.read_bytes()
    assert opened == [path.name] * 3


def test_each_needed_month_is_opened_once_and_no_other(tmp_path: Path) -> None:
    for month in ("2025-01", "2025-02", "2025-03"):
        path = written(tmp_path, month_file(month=month), month)
    with opened_files(path.parent) as opened:
        bars = LocalMarketData(tmp_path).bars(["AAA", "AAA"], [*JANUARY, FEBRUARY[0], *JANUARY])
    assert sorted(opened) == ["AAA_2025_01.parquet", "AAA_2025_02.parquet"]
    assert bars.height == 390 * (len(JANUARY) + 1)


def test_columns_that_are_not_needed_are_never_decoded(tmp_path: Path) -> None:
    path = written(tmp_path, month_file().with_columns(note=pl.lit("n"), size=pl.lit(1.0)))
    want = LocalMarketData(tmp_path).bars(["AAA"], JANUARY)
    spoil(path, lambda _, column: column in ("note", "size"))
    with pytest.raises(OSError, match="page header"):
        pq.read_table(path)
    assert want.height == 390 * len(JANUARY)
    assert LocalMarketData(tmp_path).bars(["AAA"], JANUARY).equals(want)


def test_of_row_groups_without_the_asked_days_only_the_times_are_decoded(tmp_path: Path) -> None:
    path = written(tmp_path, month_file())
    want = LocalMarketData(tmp_path).bars(["AAA"], [JANUARY[5]])
    spoil(path, lambda group, column: group != 5 and column != "ts")
    with pytest.raises(MarketDataError, match="cannot be read"):
        LocalMarketData(tmp_path).bars(["AAA"], [JANUARY[4]])
    assert want["row"].to_list() == list(range(5 * 390, 6 * 390))
    assert LocalMarketData(tmp_path).bars(["AAA"], [JANUARY[5]]).equals(want)


def test_nothing_is_dropped_or_repaired_inside_the_asked_days(tmp_path: Path) -> None:
    frame = month_file()[:390]
    early = frame[:1].with_columns(pl.col("ts") - timedelta(minutes=1))
    late = frame[:1].with_columns(ts=pl.lit(datetime(2025, 1, 3, 0, 59, tzinfo=UTC)).dt.cast_time_unit("us"))
    broken = frame[5:6].with_columns(high=pl.lit(1.0), volume=pl.lit(-7, pl.Int64))
    written(tmp_path, pl.concat([frame.reverse(), frame[:3], early, late, broken]))
    bars = LocalMarketData(tmp_path).bars(["AAA"], [JANUARY[0]])
    assert bars.height == 390 + 3 + 3
    assert bars["row"].sort().to_list() == list(range(396))
    assert bars.filter(pl.col("volume") < 0)["high"].to_list() == [1.0]
    assert late["ts"][0] in bars["ts"].to_list(), "19:59 in New York belongs to its New York date"


def test_numbers_that_are_not_finite_are_null_and_their_rows_stay(tmp_path: Path) -> None:
    frame = month_file()[:3].with_columns(close=pl.Series([float("nan"), float("inf"), 5.0]))
    written(tmp_path, frame)
    assert LocalMarketData(tmp_path).bars(["AAA"], [JANUARY[0]])["close"].to_list() == [None, None, 5.0]


def test_whole_window_equals_day_by_day_and_symbol_by_symbol(tmp_path: Path) -> None:
    days = [*JANUARY[-3:], *FEBRUARY[:3]]
    for symbol in ("AAA", "B.B"):
        for month in ("2025-01", "2025-02"):
            month_file(symbol, month).write_parquet(path_of(tmp_path, symbol, month))
    source = LocalMarketData(tmp_path)
    whole = source.bars(["AAA", "B.B"], days)
    parts = pl.concat([source.bars([symbol], [day]) for day in days for symbol in ("AAA", "B.B")])
    assert whole.height == 2 * 6 * 390
    assert whole.equals(parts)


@pytest.mark.parametrize("day", [date(2025, 3, 7), date(2025, 3, 10)])
def test_days_on_both_sides_of_a_clock_change_are_whole(tmp_path: Path, day: date) -> None:
    written(tmp_path, month_file(month="2025-03"), "2025-03")
    bars = LocalMarketData(tmp_path).bars(["AAA"], [day])
    assert bars["ts"].to_list() == minutes([day])["ts"].to_list()


def test_a_month_without_a_file_and_a_day_without_rows_have_no_rows(tmp_path: Path) -> None:
    written(tmp_path, month_file())
    source = LocalMarketData(tmp_path)
    assert source.bars(["AAA"], FEBRUARY).equals(RAW_BARS.empty())
    assert source.bars(["AAA"], [date(2025, 1, 9)]).equals(RAW_BARS.empty())
    assert source.bars(["NONE"], JANUARY).equals(RAW_BARS.empty())
    assert source.bars([], JANUARY).equals(source.bars(["AAA"], []))
    assert source.bars(["NONE", "AAA"], [*JANUARY, *FEBRUARY]).height == 390 * len(JANUARY)


def test_other_time_zones_and_units_become_utc_microseconds(tmp_path: Path) -> None:
    zoned = month_file().with_columns(pl.col("ts").dt.convert_time_zone("America/New_York").dt.cast_time_unit("ns"))
    written(tmp_path, zoned)
    found = LocalMarketData(tmp_path).bars(["AAA"], JANUARY)
    written(tmp_path, month_file())
    assert found.height > 0
    assert found.equals(LocalMarketData(tmp_path).bars(["AAA"], JANUARY))


def test_a_root_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match=r"nowhere is no folder.*Set data\.root"):
        LocalMarketData(tmp_path / "nowhere").bars(["AAA"], JANUARY)


WRONG_FILES: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "no volume": (lambda f: f.drop("volume"), "column volume is missing"),
    "no ts": (lambda f: f.rename({"ts": "moment"}), "column ts is missing"),
    "price as text": (lambda f: f.with_columns(pl.col("close").cast(pl.String)), "column close is large_string"),
    "volume as text": (lambda f: f.with_columns(pl.col("volume").cast(pl.String)), "column volume is large_string"),
    "ts as a date": (lambda f: f.with_columns(pl.col("ts").dt.date()), "column ts is date32"),
    "symbol as a number": (lambda f: f.with_columns(symbol=pl.lit(1)), "column symbol is int32"),
    "another ticker": (lambda f: f.with_columns(symbol=pl.lit("BBB")), ": rows are of 'BBB', not of 'AAA'."),
    "no ticker": (lambda f: f.with_columns(symbol=pl.lit(None, pl.String)), ": rows are of None, not"),
    "one strange row": (
        lambda f: f.with_columns(symbol=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("b")).otherwise("symbol")),
        ": rows are of 'b', not",
    ),
    "a null ts": (
        lambda f: f.with_columns(ts=pl.when(pl.int_range(pl.len()) != 4).then("ts")),
        ": rows without a time are left out.",
    ),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_file_that_is_not_as_it_should_be_is_named_and_refused(tmp_path: Path, name: str) -> None:
    change, complaint = WRONG_FILES[name]
    path = written(tmp_path, change(month_file()))
    with pytest.raises(MarketDataError) as caught:
        LocalMarketData(tmp_path).bars(["AAA"], [JANUARY[0]])
    message = str(caught.value)
    assert message.startswith(str(path))
    assert complaint in message
    assert message.split(". ")[-1].startswith(("Write", "Put")) or name == "a null ts"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"symbol,ts\nAAA,1\n"])
def test_a_file_that_is_no_parquet_is_named_and_refused(tmp_path: Path, content: bytes) -> None:
    path = path_of(tmp_path)
    path.write_bytes(content)
    with pytest.raises(MarketDataError, match=r"AAA_2025_01\.parquet cannot be read as parquet.*Fetch the file again"):
        LocalMarketData(tmp_path).bars(["AAA"], JANUARY)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    path_of(tmp_path).mkdir()
    with pytest.raises(MarketDataError, match=r"AAA_2025_01\.parquet"):
        LocalMarketData(tmp_path).bars(["AAA"], JANUARY)


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_reading_that_fails_is_no_fault_of_the_file(tmp_path: Path, good: int, error: int) -> None:
    """Wherever in the file it happens: in the footer, in the times, in the prices."""
    path = written(tmp_path, month_file())
    file = MonthFile(name=str(path), symbol="AAA", month=JANUARY[0].replace(day=1))
    with Failing(path, good=good, error=error) as source, pytest.raises(OSError, match=re.escape(os.strerror(error))):
        file.delivery(source, JANUARY)


def test_a_disk_that_fails_is_an_error_with_a_remedy_and_no_fault_of_the_file(tmp_path: Path) -> None:
    """A process that may open no more files stands for every passing failure: the day must not be quarantined."""
    path, source = written(tmp_path, month_file()), LocalMarketData(tmp_path)
    want = source.delivery(["AAA"], JANUARY)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(ObjectStoreError, match=rf"{path} cannot be read: .*Too many open files.*run again\.$"):
            source.delivery(["AAA"], JANUARY)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert source.delivery(["AAA"], JANUARY).bars.equals(want.bars)


def test_however_a_file_is_damaged_the_answer_is_rows_or_a_refusal(tmp_path: Path) -> None:
    path = written(tmp_path, month_file())
    good, chance, refused = path.read_bytes(), random.Random(1), 0
    for _ in range(60):
        bad = bytearray(good)
        for _ in range(20):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        path.write_bytes(bad)
        try:
            LocalMarketData(tmp_path).bars(["AAA"], JANUARY)
        except MarketDataError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("symbol", ["../AAA", "A/B", "A\\B", "", "..", ".", "A\0", "A*", "{ticker}", "A B"])
def test_a_ticker_that_could_be_a_path_is_refused(tmp_path: Path, symbol: str) -> None:
    with pytest.raises(MarketDataError, match=r"is no ticker.*Mend the universe"):
        LocalMarketData(tmp_path).bars([symbol], JANUARY)


def test_a_link_or_a_template_that_leads_out_of_the_root_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside.parquet"
    month_file().write_parquet(outside)
    path_of(root).symlink_to(outside)
    with pytest.raises(MarketDataError, match=r"AAA_2025_01\.parquet leads out of .*mend data\.template"):
        LocalMarketData(root).bars(["AAA"], JANUARY)
    for template in ("../outside.parquet", str(outside)):
        with pytest.raises(MarketDataError, match="leads out of"):
            LocalMarketData(root, template).bars(["AAA"], JANUARY)


def test_a_linked_root_and_a_link_inside_it_are_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    month_file().write_parquet(path_of(root).with_name("stored.parquet"))
    path_of(root).symlink_to("stored.parquet")
    (tmp_path / "link").symlink_to(root)
    assert LocalMarketData(tmp_path / "link").bars(["AAA"], JANUARY).height == 390 * len(JANUARY)


@pytest.mark.parametrize("template", ["{tickr}.parquet", "{ticker", "{}.parquet", "{ticker.x}.parquet"])
def test_a_template_that_cannot_be_filled_in_is_refused(tmp_path: Path, template: str) -> None:
    with pytest.raises(MarketDataError, match=r"data\.template.*yyyy_mm"):
        LocalMarketData(tmp_path, template).bars(["AAA"], JANUARY)


@pytest.fixture
def real_data() -> Path:
    if not (root := os.environ.get("TIMEGPT_ASSETS_REAL_DATA")):
        pytest.skip("TIMEGPT_ASSETS_REAL_DATA is not set: no real bars here")
    return Path(root)


def test_real_bars_of_2025_are_read_whole(real_data: Path) -> None:
    symbols = ["AAPL", "AMZN", "GOOGL", "META", "MSFT", "NVDA", "SPY", "TSLA"]
    bars = LocalMarketData(real_data / "mag7_spy_2025").bars(symbols, [*JANUARY, *FEBRUARY])
    counts = dict(bars.group_by("symbol").len().iter_rows())
    assert bars.height == 121_673
    assert counts == {symbol: 39 * 390 - (7 if symbol == "META" else 0) for symbol in symbols}


def test_real_bars_of_2018_keep_the_opening_cross(real_data: Path) -> None:
    day = date(2018, 4, 2)
    root = real_data / "us_large_cap_2018"
    symbols = sorted(path.name for path in (root / "stocks/1m").iterdir())
    bars = LocalMarketData(root).bars(symbols, [day])
    opening = minutes([day])["ts"][0]
    assert bars.filter(pl.col("ts") == opening - timedelta(minutes=1)).height > 0
    assert set(bars["symbol"]) == set(symbols) - {"JUNO", "CPN"}, "both had ended in March"
