"""What stands on the grid is what was known then, from the best that was seen, and no older than allowed."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core.tsfm.seen import PRICES, UnusablePrices
from timegpt_assets.core.tsfm.series import SeriesSpec, series
from timegpt_assets_tests.core.tsfm.market_rows import NOON, SPEC, at, market, markets, prices

DAY = NOON.date()


def on_grid(found: pl.DataFrame, minutes: float, name: str = "m") -> tuple[Any, ...] | None:
    """Return (y, y_source, age_min, gap_min) of a moment, None without a row."""
    rows = found.filter((pl.col("ts") == at(minutes)) & (pl.col("market_id") == name))
    return rows.select("y", "y_source", "age_min", "gap_min").row(0) if rows.height else None


def test_a_price_stands_from_the_first_moment_at_or_after_it_was_known() -> None:
    found = series(markets(market()), prices([(0.0, 0.2), (0.01, 0.3), (9.99, 0.4)]), [DAY], SPEC).rows
    assert on_grid(found, 0)[:3] == (0.2, "history", 0.0)
    assert on_grid(found, 5)[:2] == (0.3, "history")
    assert on_grid(found, 5)[2] == pytest.approx(4.99)
    assert on_grid(found, 10)[:2] == (0.4, "history")
    assert on_grid(found, -5) is None, "no row before the first price"


def test_what_is_known_later_than_its_stamp_stands_later() -> None:
    found = series(markets(market()), prices([(0.0, 0.2), (4.5, 0.3)], late_s=60), [DAY], SPEC).rows
    assert on_grid(found, 0) is None
    assert on_grid(found, 5)[:2] == (0.2, "history"), "the price of 12:04:30 was known at 12:05:30"
    assert on_grid(found, 10)[:2] == (0.3, "history")


@pytest.mark.parametrize(
    ("gap", "carried"), [(59.0, [(55, "ffill")]), (61.0, [(55, "ffill"), (60, "ffill")])], ids=["59", "61"]
)
def test_a_price_is_carried_an_hour_and_the_gap_is_told_to_the_minute(gap: float, carried: list[Any]) -> None:
    found = series(markets(market()), prices([(0.0, 0.2), (gap, 0.3)]), [DAY], SPEC).rows
    for minutes, source in carried:
        assert on_grid(found, minutes) == (0.2, source, minutes, minutes)
    arrives = 60 if gap < 60 else 65
    assert on_grid(found, arrives) == (0.3, "history", arrives - gap, gap)


def test_beyond_an_hour_there_is_no_price_and_its_age_goes_on() -> None:
    found = series(markets(market()), prices([(0.0, 0.2)]), [DAY], SPEC).rows
    assert on_grid(found, 60) == (0.2, "ffill", 60.0, 60.0)
    assert on_grid(found, 65) == (None, None, 65.0, 65.0)
    assert found["ts"].max() == datetime(2026, 2, 10, 23, 55, tzinfo=UTC)


def test_middle_then_last_trade_then_history() -> None:
    quoted = market(live=True, bid=0.4, ask=0.6, last_trade=0.7, last_trade_ts=at(-1))
    history = prices([(0.0, 0.1)])
    assert on_grid(series(markets(quoted), history, [DAY], SPEC).rows, 0) == (0.5, "mid", 0.0, 1.0)
    one_sided = quoted | {"ask": None}
    assert on_grid(series(markets(one_sided), history, [DAY], SPEC).rows, 0)[:3] == (0.7, "last_trade", 1.0)
    nothing = one_sided | {"last_trade_ts": None}
    assert on_grid(series(markets(nothing), history, [DAY], SPEC).rows, 0)[:3] == (0.1, "history", 0.0)


def test_a_last_trade_counts_for_a_quarter_of_an_hour_and_is_then_carried() -> None:
    def told(age: float) -> Any:
        quoted = market(live=True, last_trade=0.7, last_trade_ts=at(-age))
        return on_grid(series(markets(quoted), prices([]), [DAY], SPEC).rows, 0)

    assert told(15) == (0.7, "last_trade", 15.0, 15.0)
    assert told(16) == (0.7, "ffill", 16.0, 16.0)
    assert told(61) == (None, None, 61.0, 61.0)


def test_a_trade_that_the_cycle_before_did_not_show_is_no_younger_than_it() -> None:
    """Gamma tells no time of a last trade: what it did not show five minutes ago was made since."""
    rows = [market(minutes=5.0 * k, live=True, last_trade=p) for k, p in enumerate([0.4, 0.4, 0.6, 0.6, 0.6])]
    found = series(markets(*rows), prices([]), [DAY], SPEC).rows
    assert on_grid(found, 5) is None, "nobody knows how old the first one is"
    assert on_grid(found, 10)[:3] == (0.6, "last_trade", 5.0)
    assert on_grid(found, 20)[:3] == (0.6, "last_trade", 15.0)
    assert on_grid(found, 25)[:3] == (0.6, "ffill", 20.0)


def test_an_old_trade_does_not_hide_a_younger_price() -> None:
    quoted = market(minutes=10, live=True, last_trade=0.7, last_trade_ts=at(-20))
    found = series(markets(quoted), prices([(0.0, 0.1)]), [DAY], SPEC).rows
    assert on_grid(found, 10) == (0.1, "ffill", 10.0, 10.0)


def test_quotes_of_a_replay_are_never_used() -> None:
    """Only a live cycle looked at its quotes; those beside stored prices are of nobody knows when."""
    found = series(markets(market(live=False, bid=0.4, ask=0.6)), prices([(0.0, 0.1)]), [DAY], SPEC).rows
    assert on_grid(found, 0)[:2] == (0.1, "history")


def test_what_is_no_probability_is_refused_and_counted_and_0_and_1_are_prices() -> None:
    points = [(0.0, 0.0), (5.0, 1.0), (10.0, 1.2), (15.0, float("nan")), (20.0, -0.1), (25.0, float("inf"))]
    made = series(markets(market()), prices([*points, (30.0, None)]), [DAY], SPEC)
    assert [on_grid(made.rows, m)[:2] for m in (0, 5)] == [(0.0, "history"), (1.0, "history")]
    assert [on_grid(made.rows, m)[:2] for m in (10, 15, 20, 25, 30)] == [(1.0, "ffill")] * 5
    assert made.refused == {"price_no_probability": 4, "price_missing": 1}


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        ({"bid": 0.6, "ask": 0.4}, "crossed_book"),
        ({"bid": -0.1, "ask": 0.4}, "quote_no_probability"),
        ({"bid": 0.5, "ask": 1.2}, "quote_no_probability"),
        ({"last_trade": 1.2, "last_trade_ts": at(0)}, "trade_no_probability"),
        ({"last_trade": 0.2, "last_trade_ts": at(1)}, "trade_after_its_cycle"),
    ],
)
def test_a_bad_quote_is_refused_and_counted(quote: dict[str, Any], reason: str) -> None:
    made = series(markets(market(live=True, **quote)), prices([]), [DAY], SPEC)
    assert made.rows.is_empty()
    assert made.refused == {reason: 1}


def test_stamps_twice_count_once_and_those_with_two_prices_not_at_all() -> None:
    points = [(10.0, 0.5), (0.0, 0.2), (5.0, 0.3), (5.0, 0.4), (0.0, 0.2)]
    made = series(markets(market()), prices(points), [DAY], SPEC)
    assert on_grid(made.rows, 0)[:2] == (0.2, "history")
    assert on_grid(made.rows, 5)[:2] == (0.2, "ffill")
    assert on_grid(made.rows, 10)[:2] == (0.5, "history")
    assert made.refused == {"stamp_twice": 1, "stamp_of_two_prices": 2}


def test_prices_of_no_market_and_of_tomorrow_are_counted() -> None:
    odd = pl.concat([prices([(0.0, 0.2)]), prices([(0.0, 0.3)], "other"), prices([(1.0, 0.3)], late_s=-30)])
    made = series(markets(market()), odd, [DAY], SPEC)
    assert made.refused == {"price_of_no_market": 1, "known_before_its_stamp": 1}


def test_stamps_without_a_zone_are_refused_with_what_helps() -> None:
    naive = prices([(0.0, 0.2)]).with_columns(pl.col("ts").dt.replace_time_zone(None))
    with pytest.raises(UnusablePrices, match=r"ts of the prices has no zone.*Write it in UTC"):
        series(markets(market()), naive, [DAY], SPEC)
    assert series(
        markets(market()), naive.with_columns(pl.col("ts").dt.replace_time_zone("UTC")), [DAY], SPEC
    ).rows.height
    with pytest.raises(UnusablePrices, match=r"no column known_at"):
        series(markets(market()), prices([(0.0, 0.2)]).drop("known_at"), [DAY], SPEC)
    with pytest.raises(UnusablePrices, match=r"ts of the prices is Int64 and no time"):
        series(markets(market()), naive.with_columns(ts=pl.lit(1, pl.Int64)), [DAY], SPEC)


def test_another_zone_is_the_same_moment() -> None:
    there = prices([(0.0, 0.2)]).with_columns(pl.col("ts", "known_at").dt.convert_time_zone("America/New_York"))
    assert on_grid(series(markets(market()), there, [DAY], SPEC).rows, 0)[:2] == (0.2, "history")


def test_no_row_after_the_end_as_it_was_told_by_then() -> None:
    points = [(float(m), 0.2) for m in range(0, 60, 5)]
    told = markets(market(end_ts=at(20)), market(minutes=15, end_ts=at(30)))
    found = series(told, prices(points), [DAY], SPEC).rows
    assert found["ts"].max() == at(30)
    closed = markets(market(end_ts=at(50)), market(minutes=15, end_ts=at(50), active=False))
    assert series(closed, prices(points), [DAY], SPEC).rows["ts"].max() == at(15)


def test_irregular_hourly_stamps_stand_on_the_grid_as_they_came() -> None:
    """Second offsets as a venue sends them: 14:00:21, 15:00:31, ..."""
    stamps = [0.35, 60.52, 120.1, 185.5]
    found = series(markets(market()), prices([(m, 0.1 * i) for i, m in enumerate(stamps, 1)]), [DAY], SPEC).rows
    assert on_grid(found, 5)[1] == "history"
    assert on_grid(found, 60)[:2] == (0.1, "ffill")
    assert on_grid(found, 65)[:2] == (0.2, "history")
    assert on_grid(found, 180)[:2] == (pytest.approx(0.3), "ffill")
    assert on_grid(found, 185)[:2] == (None, None)
    assert on_grid(found, 190)[3] == pytest.approx(65.4)


POINTS = st.lists(
    st.tuples(st.integers(-1500, 700), st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.2, float("nan")]), st.integers(0, 200)),
    max_size=30,
)


@settings(max_examples=20)
@given(points=POINTS, cut=st.integers(-700, 700), order=st.randoms())
def test_nothing_known_later_and_no_order_changes_a_row(points: Any, cut: int, order: Any) -> None:
    rows = [("token of m", at(m), p, at(m) + timedelta(seconds=late)) for m, p, late in points]
    frame = pl.DataFrame(rows, schema=dict(PRICES), orient="row")
    days = [DAY - timedelta(days=1), DAY]
    listed = markets(market(minutes=-1500, end_ts=at(500)))
    whole = series(listed, frame, days, SPEC).rows
    known = frame.filter(pl.col("known_at") <= at(cut))
    before = series(listed, known, days, SPEC).rows
    assert_frame_equal(before.filter(pl.col("ts") <= at(cut)), whole.filter(pl.col("ts") <= at(cut)))
    order.shuffle(rows)
    assert_frame_equal(series(listed, pl.DataFrame(rows, schema=dict(PRICES), orient="row"), days, SPEC).rows, whole)
    by_day = pl.concat([series(listed, frame, [day], SPEC).rows for day in days])
    assert_frame_equal(by_day.sort("day", "ts", "market_id"), whole)


def test_ten_thousand_markets_at_once() -> None:
    names = [f"m{i}" for i in range(10_000)]
    listed = pl.concat([markets(market())] * 10_000).with_columns(
        market_id=pl.Series(names), token_id=pl.Series([f"token of {n}" for n in names])
    )
    points = listed.select("token_id", ts=pl.lit(at(0)), p=pl.lit(0.5), known_at=pl.lit(at(0)))
    found = series(listed, points, [DAY], SPEC).rows
    assert found.height == 10_000 * 144
    assert found.filter(pl.col("ts") == at(60))["y"].to_list() == [0.5] * 10_000


def test_a_grid_that_fills_no_day_is_refused() -> None:
    with pytest.raises(ValueError, match=r"steps of 7 minutes do not fill a day. Take one of 1, 2, 5"):
        SeriesSpec(freq_min=7, input_len=1, horizon=1, last_trade_max_age_min=1, max_gap_min=1)


def test_yesterday_s_price_is_carried_over_midnight() -> None:
    tomorrow = DAY + timedelta(days=1)
    found = series(markets(market(live=False)), prices([(710.0, 0.4)]), [tomorrow], SPEC).rows
    assert on_grid(found, 720) == (0.4, "ffill", 10.0, 10.0)
    assert set(found["day"]) == {date(2026, 2, 11)}
