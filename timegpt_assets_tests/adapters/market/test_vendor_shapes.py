"""Every vendor's shape, written from one market and imported again, gives that market's bars, bit for bit."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.adapters.market.vendor_bars import Imported, Importer
from timegpt_assets.adapters.market.vendor_files import files
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.findings import Said
from timegpt_assets.core.vendors.shapes import SHAPES
from timegpt_assets.core.vendors.understand import BARS
from timegpt_assets_tests.vendor_writers import WRITERS, Writer

DAYS = tuple(s.day for s in calendar.sessions(date(2025, 3, 5), date(2025, 3, 12)))
"""Six sessions around the change of clocks on 9 March."""
SYMBOLS = ("AAPL", "BRK.B")


@pytest.fixture(scope="module")
def market() -> pl.DataFrame:
    made = SyntheticMarket(symbols=SYMBOLS).bars(SYMBOLS, DAYS)
    return made.select(BARS.names()).sort("symbol", "ts")


def stored(root: Path) -> pl.DataFrame:
    found = [pl.read_parquet(path) for path in sorted(root.rglob("*.parquet"))]
    return pl.concat(found).sort("symbol", "ts")


def imported(bars: pl.DataFrame, write: Writer, folder: Path, said: Said | None = None) -> list[Imported]:
    write(bars, folder / "vendor")
    importer = Importer(objects=LocalStore(folder / "root"), said=said or Said())
    return [importer.imported(file) for file in files(folder / "vendor")]


def test_every_shape_has_a_writer() -> None:
    assert sorted(WRITERS) == sorted(SHAPES)


@pytest.mark.parametrize("name", WRITERS)
def test_a_shape_is_recognised_and_gives_the_same_bars_bit_for_bit(
    market: pl.DataFrame, tmp_path: Path, name: str
) -> None:
    said = Said(known=frozenset({"BRK.B"}))
    told = imported(market, WRITERS[name], tmp_path, said)
    assert {one.wrong for one in told} == {""}, [one.wrong for one in told]
    assert {one.format for one in told} == {name}
    assert_frame_equal(stored(tmp_path / "root"), market, check_exact=True)


@pytest.mark.parametrize("name", WRITERS)
def test_a_shape_that_is_said_gives_the_same_as_one_that_is_recognised(
    market: pl.DataFrame, tmp_path: Path, name: str
) -> None:
    one_symbol = market.filter(symbol="AAPL").filter(pl.col("ts").dt.date() < date(2025, 3, 7))
    told = imported(one_symbol, WRITERS[name], tmp_path, Said(format=name))
    assert {one.wrong for one in told} == {""}, [one.wrong for one in told]
    assert_frame_equal(stored(tmp_path / "root"), one_symbol, check_exact=True)


def test_a_shape_that_is_said_and_is_not_the_files_is_refused(market: pl.DataFrame, tmp_path: Path) -> None:
    told = imported(market, WRITERS["kibot"], tmp_path, Said(format="alpaca"))
    assert all("is not of --format alpaca" in one.wrong and one.wrong.endswith("Leave --format out.") for one in told)
    assert not (tmp_path / "root").exists()
