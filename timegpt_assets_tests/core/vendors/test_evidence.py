"""Each question a file leaves open: answered by its bars, contradicted by them, or asked; never guessed."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.date_order import date_order
from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.interval import interval
from timegpt_assets.core.vendors.price_scale import price_scale
from timegpt_assets.core.vendors.stamp_side import stamp_side
from timegpt_assets.core.vendors.volume_unit import volume_unit
from timegpt_assets.core.vendors.zone import OFFERED, zone
from timegpt_assets_tests.extended_hours import extended

DAYS = tuple(s.day for s in calendar.sessions(date(2025, 3, 5), date(2025, 3, 13)))
"""Seven sessions, New York's clocks change after the third, Europe's not at all."""
COLUMNS = ("symbol", "ts", "open", "high", "low", "close", "volume")
Bars = pl.DataFrame


@pytest.fixture(scope="module")
def session() -> Bars:
    return SyntheticMarket(symbols=("AAPL",)).bars(("AAPL",), DAYS).select(COLUMNS)


@pytest.fixture(scope="module")
def long_day(session: Bars) -> Bars:
    return extended(session)


def clocked(bars: Bars, name: str, minutes: int = 0) -> Bars:
    """Return the bars with a wall clock in a zone, off by minutes."""
    wall = pl.col("ts").dt.offset_by(f"{minutes}m").dt.convert_time_zone(name).dt.replace_time_zone(None)
    return bars.with_columns(wall=wall)


def placed(bars: Bars, name: str) -> pl.Series:
    return bars.select(pl.col("wall").dt.replace_time_zone(name, ambiguous="earliest").dt.convert_time_zone("UTC"))[
        "wall"
    ]


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
            bars = pl.read_parquet(file).select(COLUMNS).with_columns(pl.col("volume").cast(pl.Float64))
            assert zone(clocked(bars, "UTC"), exact=False, said=None, claimed=None)[0] == "UTC", file
            assert stamp_side(bars, said=None, claimed=None)[0] == "start", file
            for minutes in (-60, 60):
                with pytest.raises(Refused):
                    zone(clocked(extended(bars), "UTC", minutes), exact=True, said=None, claimed=None)


ENDS: Callable[[Bars], Bars] = lambda bars: bars.with_columns(pl.col("ts").dt.offset_by("1m"))  # noqa: E731


@pytest.mark.parametrize("hours", ["session", "long_day"])
@pytest.mark.parametrize("side", ["start", "end"])
def test_the_end_of_the_minute_is_read_off_the_sessions_edges(
    hours: str, side: str, request: pytest.FixtureRequest
) -> None:
    bars = request.getfixturevalue(hours)
    bars = ENDS(bars) if side == "end" else bars
    found, told = stamp_side(bars, said=None, claimed=None)
    assert found == side, str(told)
    other = "end" if side == "start" else "start"
    with pytest.raises(Refused, match=rf"--stamp {other} is contradicted by its bars: .* Say --stamp {side}"):
        stamp_side(bars, said=other, claimed=None)  # type: ignore[arg-type]


def crossed(bars: Bars, at: str) -> Bars:
    """Return the bars with a print of one price, the cross, a minute before the open or at the close."""
    local = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date()
    rows = []
    for (day,), part in bars.group_by(local, maintain_order=True):
        session = calendar.session(day)  # type: ignore[arg-type]
        edge = part.head(1) if at == "open" else part.tail(1)
        time = session.open - timedelta(minutes=1) if at == "open" else session.close
        price = edge["open"][0]
        rows.append(edge.with_columns(pl.lit(time).cast(bars.schema["ts"]).alias("ts"),
                                      *(pl.lit(price).alias(n) for n in ("open", "high", "low", "close"))))  # fmt: skip
    return pl.concat([bars, *rows]).sort("ts")


def test_crosses_at_the_edges_do_not_turn_starts_into_ends(session: Bars) -> None:
    for bars in (crossed(session, "open"), crossed(session, "close"), crossed(crossed(session, "open"), "close")):
        assert stamp_side(bars, said=None, claimed=None)[0] == "start"
    ends = ENDS(crossed(session, "open"))  # 09:30 is a cross, then 09:31 to 16:00
    assert stamp_side(ends, said=None, claimed=None)[0] == "end"


def test_an_end_that_nothing_tells_is_asked_about_and_a_word_then_holds(session: Bars) -> None:
    midday = session.filter(pl.col("ts").dt.hour().is_between(16, 17))
    with pytest.raises(Refused, match=r"which end of the minute .* Say --stamp start or --stamp end"):
        stamp_side(midday, said=None, claimed=None)
    assert stamp_side(midday, said="end", claimed=None)[0] == "end"
    assert stamp_side(midday, said=None, claimed="end")[0] == "end"


JANUARY = [s.day for s in calendar.sessions(date(2025, 1, 2), date(2025, 1, 31))]


def numbers(days: list[date], order: str) -> list[tuple[int, int, int]]:
    return [(d.month, d.day, d.year) if order == "mdy" else (d.day, d.month, d.year) for d in days]


@pytest.mark.parametrize("order", ["mdy", "dmy"])
@pytest.mark.parametrize(
    "days",
    [JANUARY, JANUARY[:4], JANUARY[::-1], [date(2025, 1, 2)], [date(2025, 2, 3), date(2025, 2, 4), date(2025, 2, 5)]],
)
def test_day_and_month_are_told_by_the_whole_column(days: list[date], order: str) -> None:
    found, told = date_order(numbers(days, order), said=None, claimed=None)
    assert found == order, str(told)
    other = "dmy" if order == "mdy" else "mdy"
    with pytest.raises(Refused, match=rf"--date-order {other} is contradicted"):
        date_order(numbers(days, order), said=other, claimed=None)  # type: ignore[arg-type]


def test_a_date_that_can_be_either_is_asked_about() -> None:
    either = numbers([date(2025, 3, 4)], "mdy")
    with pytest.raises(Refused, match=r"03/04 can be either.* Say --date-order mdy"):
        date_order(either, said=None, claimed=None)
    assert date_order(either, said="dmy", claimed=None)[0] == "dmy"
    assert date_order(either, said=None, claimed="mdy")[0] == "mdy"
    with pytest.raises(Refused, match="dates run both ways"):
        date_order([(13, 1, 2025), (1, 14, 2025)], said=None, claimed=None)


@pytest.mark.parametrize(("every", "words"), [("5m", "5 minutes"), ("15m", "15 minutes"), ("1h", "30 minutes")])
def test_bars_of_another_length_are_refused(session: Bars, every: str, words: str) -> None:
    bars = session.group_by_dynamic("ts", every=every, start_by="datapoint").agg(pl.col("symbol").first())
    with pytest.raises(Refused, match=rf"bars of {words}.*--interval 1m"):
        interval(clocked(bars, "UTC"), said=False)
    interval(clocked(bars, "UTC"), said=True)


def test_bars_of_seconds_and_of_days_are_refused_and_a_thin_share_is_not(session: Bars) -> None:
    seconds = session.head(300).with_columns(ts=pl.col("ts").first() + pl.duration(seconds=pl.int_range(300)))
    with pytest.raises(Refused, match="bars of seconds"):
        interval(clocked(seconds, "UTC"), said=False)
    days = session.gather_every(390)
    with pytest.raises(Refused, match="bars of days"):
        interval(clocked(days, "America/New_York"), said=False)
    thin = session.sample(60, seed=1).sort("ts")
    interval(clocked(thin, "UTC"), said=False)


@pytest.mark.parametrize("digits", [2, 4, 6, 9])
def test_whole_prices_are_divided_by_the_unit_that_makes_their_step_a_cent(session: Bars, digits: int) -> None:
    cents = session.with_columns((pl.col(n) * 100).round(0).cast(pl.Int64) for n in ("open", "high", "low", "close"))
    fixed = cents.with_columns(
        (pl.col(n) * 10 ** (digits - 2)).cast(pl.Float64) for n in ("open", "high", "low", "close")
    )
    scaled, told = price_scale(clocked(fixed, "UTC"), said=None, claimed_digits=0)
    assert scaled["close"].to_list() == [round(c / 100, 2) for c in cents["close"]], str(told)
    with pytest.raises(Refused, match=rf"is contradicted: .* Say 1e-{digits}, or leave it out"):
        price_scale(clocked(fixed, "UTC"), said=10.0 ** (-digits - 1), claimed_digits=0)


def test_dollars_stay_dollars_and_whole_ones_of_no_known_step_are_asked_about(session: Bars) -> None:
    same, _ = price_scale(clocked(session, "UTC"), said=None, claimed_digits=9)
    assert same["close"].equals(session["close"])
    odd = clocked(session, "UTC").with_columns(
        (pl.int_range(pl.len()) * 50 + 4_000).cast(pl.Float64).alias(n) for n in ("open", "high", "low", "close")
    )
    with pytest.raises(Refused, match=r"USD, or parts of them\. Say --price-scale"):
        price_scale(odd, said=None, claimed_digits=0)
    assert price_scale(odd, said=1.0, claimed_digits=0)[0].equals(odd)
    huge = clocked(session, "UTC").with_columns(pl.col("open", "high", "low", "close") * 1e6 + 0.5)
    with pytest.raises(Refused, match="no price of a share in USD"):
        price_scale(huge, said=None, claimed_digits=0)


def test_volume_of_nothing_is_another_column_and_lots_are_said(session: Bars) -> None:
    with pytest.raises(Refused, match=r"nowhere above zero.* --columns volume=NAME"):
        volume_unit(session.with_columns(volume=pl.lit(0.0)), said=None)
    lots, _ = volume_unit(session, said=100.0)
    assert lots["volume"].equals(session["volume"] * 100.0)
