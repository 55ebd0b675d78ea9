"""The whitelist: the last word before the session's open, so that what is recorded later changes no day before it."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.whitelist import RECORDED, whitelist, whitelisted

DAY = date(2025, 3, 4)
OPEN = calendar.session(DAY).open
NEXT = date(2025, 3, 5)


def recorded(*rows: tuple[datetime, str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, RECORDED, orient="row")


def test_what_holds_for_a_day_was_recorded_before_its_open() -> None:
    before, after = OPEN - timedelta(seconds=1), OPEN
    record = recorded((before, "promote", "timegpt", "AAPL"), (after, "promote", "timegpt", "MSFT"))
    assert whitelist(record, day=DAY) == {("timegpt", "AAPL")}
    assert whitelist(record, day=NEXT) == {("timegpt", "AAPL"), ("timegpt", "MSFT")}
    assert whitelist(recorded(), day=DAY) == set()


def test_the_last_word_holds_for_each_symbol_and_forecaster() -> None:
    at = OPEN - timedelta(hours=3)
    record = recorded(
        (at, "promote", "timegpt", "AAPL"),
        (at, "promote", "ridge", "AAPL"),
        (at, "demote", "timegpt", "AAPL"),
        (at + timedelta(hours=1), "promote", "timegpt", "MSFT"),
    )
    assert whitelist(record, day=DAY) == {("ridge", "AAPL"), ("timegpt", "MSFT")}
    rows = pl.DataFrame({"forecaster": ["timegpt", "ridge", "timegpt"], "symbol": ["AAPL", "AAPL", "MSFT"]})
    assert rows.select(whitelisted(whitelist(record, day=DAY)).alias("live"))["live"].to_list() == [False, True, True]


@given(st.lists(st.tuples(st.integers(-72, 72), st.booleans(), st.sampled_from("AB")), max_size=12))
def test_what_is_recorded_later_changes_no_day_before_it(said: list[tuple[int, bool, str]]) -> None:
    rows = [
        (OPEN + timedelta(hours=hours), "promote" if up else "demote", "timegpt", symbol)
        for hours, up, symbol in sorted(said)
    ]
    known = [row for row in rows if row[0] < OPEN]
    assert whitelist(recorded(*rows), day=DAY) == whitelist(recorded(*known), day=DAY)
    by_hand = {symbol: what for _, what, _, symbol in known}
    assert whitelist(recorded(*rows), day=DAY) == {("timegpt", s) for s, what in by_hand.items() if what == "promote"}


def test_open_is_that_of_new_york_in_summer_and_in_winter() -> None:
    for day, at in (
        (date(2025, 3, 7), datetime(2025, 3, 7, 14, 29, tzinfo=UTC)),
        (date(2025, 3, 10), datetime(2025, 3, 10, 13, 29, tzinfo=UTC)),
    ):
        record = recorded((at, "promote", "timegpt", "AAPL"))
        assert whitelist(record, day=day) == {("timegpt", "AAPL")}
        late = record.with_columns(pl.col("time") + timedelta(minutes=1))
        assert whitelist(late, day=day) == set()
