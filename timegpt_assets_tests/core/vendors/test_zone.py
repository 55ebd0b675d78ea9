"""In which zone a clock stands: told by its bars, contradicted by them, or asked; never guessed."""

from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.core.bars.vendor_columns import NUMBERS
from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.stamp_side import stamp_side
from timegpt_assets.core.vendors.zone import OFFERED, zone
from timegpt_assets_tests.core.vendors.wall_clocks import Bars, clocked, placed
from timegpt_assets_tests.extended_hours import extended


@pytest.mark.parametrize("name", OFFERED)
@pytest.mark.parametrize("hours", ["session", "long_day"])
def test_a_naive_clock_of_any_zone_is_placed_to_the_minute(
    name: str, hours: str, request: pytest.FixtureRequest
) -> None:
    bars = clocked(request.getfixturevalue(hours), name)
    found, told = zone(bars, exact=False, said=None, claimed=None)
    assert (placed(bars, found) == bars["ts"]).all(), (found, str(told))
    assert "New York" in told.evidence


@pytest.mark.parametrize("minutes", [-120, -60, 60, 120, 300])
@pytest.mark.parametrize("hours", ["session", "long_day"])
def test_exact_stamps_an_hour_off_are_refused_whatever_extended_hours_hide(
    minutes: int, hours: str, request: pytest.FixtureRequest
) -> None:
    bars = clocked(request.getfixturevalue(hours), "UTC", minutes)
    with pytest.raises(Refused, match=r"UTC, its stamps say their zone, is contradicted by its bars.*or fetch"):
        zone(bars, exact=True, said=None, claimed=None)


def test_epochs_of_new_yorks_wall_clock_are_refused_and_read_when_it_is_said(long_day: Bars) -> None:
    bars = clocked(long_day, "America/New_York")
    with pytest.raises(Refused, match="Say --timezone America/New_York"):
        zone(bars, exact=True, said=None, claimed=None)
    found, _ = zone(bars, exact=True, said="America/New_York", claimed=None)
    assert (placed(bars, found) == bars["ts"]).all()


@pytest.mark.parametrize("said", ["UTC", "America/Chicago", "Etc/GMT+5", "Europe/London"])
def test_a_wrong_word_is_contradicted_by_the_bars(long_day: Bars, said: str) -> None:
    with pytest.raises(Refused, match=r"as --timezone says, is contradicted by its bars"):
        zone(clocked(long_day, "America/New_York"), exact=False, said=said, claimed=None)


def test_a_vendors_word_gives_way_to_the_bars_and_holds_where_they_are_silent(session: Bars) -> None:
    assert zone(clocked(session, "UTC"), exact=False, said=None, claimed="America/New_York")[0] == "UTC"
    few = clocked(session.head(5), "America/New_York")
    found, told = zone(few, exact=False, said=None, claimed="America/New_York")
    assert (found, told.evidence.startswith("as its format has it")) == ("America/New_York", True)


def test_a_clock_that_nothing_places_is_asked_about(session: Bars) -> None:
    midday = session.filter(pl.col("ts").dt.hour().is_between(16, 17))
    for bars in (session.head(5), midday):
        with pytest.raises(Refused, match=r"names no zone with its times, and .* Say --timezone ZONE"):
            zone(clocked(bars, "America/New_York"), exact=False, said=None, claimed=None)
    with pytest.raises(Refused, match="no zone of the IANA database"):
        zone(clocked(session, "UTC"), exact=False, said="New York", claimed=None)


def test_level_volume_is_placed_by_the_hours_in_which_shares_trade(session: Bars) -> None:
    level = extended(session, patchy=0.0).with_columns(volume=pl.lit(500.0))
    bars = clocked(level, "America/New_York")
    found, told = zone(bars, exact=False, said=None, claimed=None)
    assert (placed(bars, found) == bars["ts"]).all()
    assert "04:00 and 20:00" in told.evidence


def test_on_real_data_zone_and_side_are_right_and_an_hour_off_is_told(real_data: Path) -> None:
    for name in ("mag7_spy_2025", "us_large_cap_2018"):
        files = sorted((real_data / name).rglob("*.parquet"))
        for file in files[:: len(files) // 3]:
            bars = (
                pl.read_parquet(file).select("symbol", "ts", *NUMBERS).with_columns(pl.col("volume").cast(pl.Float64))
            )
            assert zone(clocked(bars, "UTC"), exact=False, said=None, claimed=None)[0] == "UTC", file
            assert stamp_side(bars, said=None, claimed=None)[0] == "start", file
            for minutes in (-60, 60):
                with pytest.raises(Refused):
                    zone(clocked(extended(bars), "UTC", minutes), exact=True, said=None, claimed=None)
