"""Bars of a minute are taken, of any other length refused; a thin share is no longer length."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.interval import interval
from timegpt_assets_tests.core.vendors.wall_clocks import Bars, clocked


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


def stamped(*seconds: float, symbol: str = "AAPL") -> Bars:
    """Return rows at as many seconds after midnight of one day; from 86,400 on of the next."""
    start = datetime(2025, 1, 2)  # noqa: DTZ001 - a wall clock has no zone
    wall = pl.Series([start + timedelta(seconds=s) for s in seconds], dtype=pl.Datetime("us"))
    return pl.DataFrame({"symbol": [symbol] * len(seconds), "wall": wall}, schema_overrides={"symbol": pl.String})


def refusal(bars: Bars) -> str:
    """Return what is wrong with the bars, nothing where nothing is; a word of the user's takes any of them."""
    assert interval(bars, said=True).evidence.startswith("as --interval says, and ")
    try:
        interval(bars, said=False)
    except Refused as refused:
        return str(refused)
    return ""


def test_half_of_the_stamps_may_begin_on_no_minute() -> None:
    assert "60% of its stamps begin on no minute" in refusal(stamped(0, 60, 90, 150, 210))
    assert refusal(stamped(0, 60, 120, 150, 210, 270)) == ""


@pytest.mark.parametrize(
    ("every", "words"),
    [(120, "2 minutes"), (300, "5 minutes"), (3_600, "1 hours"), (7_200, "2 hours"), (5_400, "90 m")],
)
def test_the_length_is_the_largest_step_that_all_stamps_are_multiples_of(every: int, words: str) -> None:
    assert f"all its 10 stamps lie on multiples of {words}" in refusal(stamped(*range(0, 10 * every, every)))


def test_ten_rows_can_tell_a_length_and_nine_cannot_unless_one_follows_another() -> None:
    assert "too few to tell" in refusal(stamped(*range(0, 9 * 300, 300)))
    assert refusal(stamped(0, 60)) == ""


def test_scattered_minutes_are_a_thin_share_from_ten_steps_on() -> None:
    scattered = [*range(0, 9 * 300, 300), 2_520]
    assert "has 10 rows, none a minute after another" in refusal(stamped(*scattered))
    assert refusal(stamped(*scattered, 2_700)) == ""


def test_one_stamp_a_day_is_days_and_one_row_is_too_few() -> None:
    assert "bars of days" in refusal(stamped(36_000, 36_000 + 86_400))
    assert "too few" in refusal(stamped(36_000))
    assert "too few" in refusal(stamped(36_000, 36_000))


def test_the_share_of_neighbours_is_counted_symbol_by_symbol() -> None:
    two = pl.concat([stamped(0, 60, 120, 240), stamped(180, 240, symbol="MSFT")])
    assert interval(two, said=False).evidence == "75% of the steps between bars are one"
