"""Bars from a bucket are those of the same files on disk, fetched sparingly, and a bucket that fails is no bad file."""

import io
from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.market.bucket_market import BucketMarketData
from timegpt_assets.adapters.market.market_data import TEMPLATE, LocalMarketData, MarketDataError, template_path
from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.core import calendar
from timegpt_assets_tests.adapters.buckets import BUCKET, Opened
from timegpt_assets_tests.servers.gcs import Fault, GCSServer

# the client leaves the socket of an answer that failed to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

JANUARY, FEBRUARY = date(2025, 1, 1), date(2025, 2, 1)


def month(symbol: str, first: date, *, base: float = 100.0) -> pl.DataFrame:
    """Return a month of made-up bars as a vendor delivers them, with columns nobody asks for."""
    minutes = [
        pl.datetime_range(s.open, s.close, "1m", closed="left", eager=True)
        for s in map(calendar.session, calendar.month_sessions(f"{first:%Y-%m}"))
    ]
    ts = pl.concat(minutes)
    price = base + pl.int_range(ts.len(), eager=True).cast(pl.Float64) / 100
    columns = dict.fromkeys(("open", "high", "low", "close"), price)
    noise = {f"vendor_{i}": pl.Series(range(ts.len())).shuffle(seed=i) for i in range(60)}
    return pl.DataFrame({"symbol": [symbol] * ts.len(), "ts": ts, **columns, "volume": [100] * ts.len(), **noise})


def packed(frame: pl.DataFrame) -> bytes:
    """Return the frame as a vendor's file, a row group for each day."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, row_group_size=390)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path, server: GCSServer) -> Path:
    """Return a folder with two months of two symbols; the bucket holds the same files."""
    for symbol in ("AAPL", "MSFT"):
        for first in (JANUARY, FEBRUARY):
            name = template_path(TEMPLATE, symbol, first)
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(packed(month(symbol, first)))
            server.put(BUCKET, f"vendor/{name}", (tmp_path / name).read_bytes())
    return tmp_path


@pytest.fixture
def source(bucket: Opened, folder: Path) -> BucketMarketData:
    """Return the bucket as a source of bars."""
    return BucketMarketData(bucket(prefix="vendor", deadline_s=1.0))


def test_a_bucket_gives_the_rows_of_the_same_files_on_disk(source: BucketMarketData, folder: Path) -> None:
    days = [date(2025, 1, 2), date(2025, 1, 31), date(2025, 2, 3), date(2025, 3, 3)]
    asked = (["MSFT", "AAPL", "ABSENT"], days)
    assert_frame_equal(source.bars(*asked), LocalMarketData(folder).bars(*asked))
    assert source.bars(*asked).height == 2 * 3 * 390


def test_each_object_is_opened_once_for_all_its_days(source: BucketMarketData, server: GCSServer) -> None:
    source.bars(["AAPL", "MSFT"], [s.day for s in calendar.sessions(JANUARY, date(2025, 2, 28))])
    assert server.counts["stat"] == 4
    fetched = Counter[str]()
    for one in server.requests:
        fetched[one.name] += one.size
    assert len(fetched) == 4
    assert all(size <= len(server.objects[BUCKET][name].data) for name, size in fetched.items())


def test_one_day_of_a_month_fetches_a_part_of_the_object(source: BucketMarketData, server: GCSServer) -> None:
    """Row groups of other days and the vendor's own columns stay where they are."""
    source.bars(["AAPL"], [date(2025, 1, 8)])
    fetched = sum(one.size for one in server.requests if one.kind == "read")
    whole = len(server.objects[BUCKET][f"vendor/{template_path(TEMPLATE, 'AAPL', JANUARY)}"].data)
    assert 0 < fetched < 0.6 * whole


def test_an_object_replaced_while_it_is_read_is_read_again_whole(
    source: BucketMarketData, server: GCSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"vendor/{template_path(TEMPLATE, 'AAPL', JANUARY)}"
    revised = month("AAPL", JANUARY, base=200.0)
    struck = server.struck
    replaced = []

    def replace_after_the_first_part(kind: str, which: str, size: int = 0) -> Fault | None:
        if kind == "read" and not replaced:
            replaced.append(1)
            server.put(BUCKET, name, packed(revised))
        return struck(kind, which, size)

    monkeypatch.setattr(server, "struck", replace_after_the_first_part)
    rows = source.bars(["AAPL"], [s.day for s in calendar.sessions(JANUARY, date(2025, 1, 31))])
    assert rows["close"].min() == 200.0


def test_a_bucket_that_fails_is_an_error_and_no_fault_of_the_file(source: BucketMarketData, server: GCSServer) -> None:
    server.faults["read"].extend([Fault("status", 503)] * 50)
    with pytest.raises(ObjectStoreError, match="cannot be read"):
        source.delivery(["AAPL"], [date(2025, 1, 8)])


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_download_that_never_arrives_whole_is_no_fault_of_the_file(
    source: BucketMarketData, server: GCSServer, fault: str
) -> None:
    server.faults["read"].extend([Fault(fault, seconds=1.5)] * 20)
    with pytest.raises(ObjectStoreError, match="cannot be read"):
        source.delivery(["AAPL"], [date(2025, 1, 8)])


def test_a_damaged_object_is_a_fault_of_its_own_days(source: BucketMarketData, server: GCSServer) -> None:
    server.put(BUCKET, f"vendor/{template_path(TEMPLATE, 'AAPL', JANUARY)}", b"no parquet")
    found = source.delivery(["AAPL", "MSFT"], [date(2025, 1, 8), date(2025, 2, 4)])
    assert found.faults.select("day", "symbol", "rule").rows() == [(date(2025, 1, 8), "AAPL", "unreadable")]
    assert "gs://" in found.faults["detail"][0]
    assert found.bars.height == 3 * 390


def test_states_change_with_the_content_alone(source: BucketMarketData, server: GCSServer, folder: Path) -> None:
    asked = (["AAPL", "MSFT", "ABSENT"], [JANUARY, FEBRUARY])
    before = source.states(*asked)
    assert (
        before.keys()
        == LocalMarketData(folder).states(*asked).keys()
        == {(symbol, first) for symbol in ("AAPL", "MSFT") for first in (JANUARY, FEBRUARY)}
    )
    server.put(BUCKET, f"vendor/{template_path(TEMPLATE, 'MSFT', FEBRUARY)}", b"other")
    after = source.states(*asked)
    assert {key for key in before if before[key] != after[key]} == {("MSFT", FEBRUARY)}


def test_a_ticker_that_is_none_is_refused(source: BucketMarketData) -> None:
    with pytest.raises(MarketDataError, match="no ticker"):
        source.bars(["../x"], [date(2025, 1, 8)])
