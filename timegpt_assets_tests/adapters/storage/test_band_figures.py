"""Stored bands are counted over the last days, each once, and again where one of its files changed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timegpt_assets.adapters.storage.band_figures import LOOKED_EVERY_S, BandFigures
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.parquet_store import Day, ParquetStore
from timegpt_assets_tests.core.tsfm.band_rows import band, bands
from timegpt_assets_tests.core.tsfm.market_rows import NOON, at
from timegpt_assets_tests.core.tsfm.outcome_rows import came

DAY = NOON.date()
MIDNIGHT = 12 * 60.0


@dataclass(frozen=True)
class Counted(ParquetStore):
    """A store that knows which days were read."""

    days: list[tuple[str, str]] = field(default_factory=list)

    def read(
        self, asset: str, days: Iterable[Day], symbols: Collection[str] | None = None, **other: Any
    ) -> pl.DataFrame:
        days = [*days]
        self.days.extend((asset, str(day)) for day in days)
        return super().read(asset, days, symbols, **other)


class House:
    """A house with a clock."""

    def __init__(self, root: Path, days: int = 2) -> None:
        """Begin with nothing stored."""
        self.now, self.store = 0.0, Counted(LocalStore(root))
        self.figures = BandFigures(self.store, days, 0.03, lambda: self.now)

    def holds(self, day: int, y: float, market: str = "m") -> None:
        """Store one band of .4 to .6 at noon of a day, and the price that came."""
        moved = timedelta(days=day)
        minutes = moved.total_seconds() / 60
        said = str(DAY + moved)
        self.store.write("tsfm/bands", said, bands(band(market, minutes=minutes)))
        outcome = came([0.0], y=y).with_columns(as_of=pl.lit(at(minutes - 5)), day=pl.lit(DAY + moved))
        self.store.write("tsfm/tsfm_outcomes", said, outcome)

    def asked(self) -> dict[str, float]:
        """Return the figures after the next look, and forget what was read before."""
        self.now += LOOKED_EVERY_S
        self.store.days.clear()
        return self.figures()


def test_of_nothing_stored_there_is_no_figure(tmp_path: Path) -> None:
    assert House(tmp_path).asked() == {}


def test_the_last_days_count_and_each_is_read_once(tmp_path: Path) -> None:
    house = House(tmp_path)
    for day, y in ((0, 0.9), (1, 0.5), (2, 0.5)):
        house.holds(day, y)
    assert house.asked()["breach_rate"] == 0.0, "the first day is out of the window"
    assert house.asked()["breach_rate"] == 0.0
    assert house.store.days == []
    house.holds(2, 0.9)
    assert house.asked()["breach_rate"] == 0.5
    assert {day for _, day in house.store.days} == {str(DAY + timedelta(days=1)), str(DAY + timedelta(days=2))}


def test_between_two_looks_nothing_is_looked_at(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.holds(0, 0.9)
    before = house.asked()
    house.holds(0, 0.5)
    assert house.figures() == before
    assert house.asked() != before


def test_a_price_after_midnight_was_forecast_the_day_before(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.holds(0, 0.9)
    house.store.write("tsfm/bands", str(DAY), bands(band(minutes=MIDNIGHT)))
    late = came([0.0]).with_columns(as_of=pl.lit(at(MIDNIGHT - 5)), day=pl.lit(DAY + timedelta(days=1)))
    house.store.write("tsfm/tsfm_outcomes", str(DAY + timedelta(days=1)), late)
    assert house.asked()["coverage_rolling_high"] == 0.0


def test_a_damaged_day_is_an_error_and_told_again_when_it_is_mended(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.holds(0, 0.9)
    (tmp_path / f"tsfm/bands/{DAY}.parquet").write_bytes(b"torn")
    for ask in (house.asked, house.figures):
        with pytest.raises(StoreError, match="tsfm/bands"):
            ask()
    house.holds(0, 0.9)
    assert house.asked()["breach_rate"] == 1.0
