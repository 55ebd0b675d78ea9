"""What the event calendar must say: the right days, the right windows, and no event that is silently unknown."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.events import (
    EARNINGS,
    EventCalendar,
    UnknownEvent,
    no_trade_windows,
    skip_days,
    skip_reason,
    with_dates,
    with_earnings,
)

FOMC, CPI = date(2025, 1, 29), date(2025, 1, 15)
CALENDAR = EventCalendar(
    days={"event_fomc": (FOMC,), "event_cpi": (CPI, date(2025, 2, 12))},
    times={
        "event_fomc": (datetime(2025, 1, 29, 19, 0, tzinfo=UTC),),
        "event_cpi": (datetime(2025, 1, 15, 13, 30, tzinfo=UTC),),
    },
)


def test_flags_has_one_sorted_row_per_day_and_a_column_per_event() -> None:
    flags = CALENDAR.flags([FOMC, CPI, date(2025, 1, 16), FOMC])
    assert flags.to_dict(as_series=False) == {
        "day": [CPI, date(2025, 1, 16), FOMC],
        "event_cpi": [True, False, False],
        "event_fomc": [False, False, True],
    }


def test_flags_of_no_days_has_no_rows_but_the_columns() -> None:
    assert CALENDAR.flags([]).schema == {"day": pl.Date, "event_cpi": pl.Boolean, "event_fomc": pl.Boolean}


@given(st.lists(st.dates(date(2025, 1, 1), date(2025, 3, 1)), max_size=20))
def test_a_day_is_skipped_for_exactly_the_events_flagged_on_it(days: list[date]) -> None:
    for row in CALENDAR.flags(days).iter_rows(named=True):
        flagged = [name for name in ("event_cpi", "event_fomc") if row[name]]
        assert skip_reason(CALENDAR, row["day"], {"event_fomc", "event_cpi"}) == ", ".join(flagged)


def test_an_event_that_is_not_to_be_skipped_is_no_reason() -> None:
    assert skip_reason(CALENDAR, FOMC, ["event_cpi"]) == ""
    assert skip_reason(CALENDAR, FOMC, []) == ""


def test_every_event_of_a_day_is_named_in_sorted_order() -> None:
    both = EventCalendar({"event_fomc": (FOMC,), "event_cpi": (FOMC,)})
    assert skip_reason(both, FOMC, ["event_fomc", "event_cpi"]) == "event_cpi, event_fomc"


def test_an_event_without_dates_is_refused_by_name_with_a_remedy() -> None:
    with pytest.raises(UnknownEvent, match=r"event_nfp.*event_cpi.*Give event_nfp its dates"):
        skip_reason(CALENDAR, FOMC, ["event_nfp"])
    with pytest.raises(UnknownEvent, match=r"event_nfp.*take it out of forecast\.skip_events and trading\.skip_events"):
        skip_days(CALENDAR, ["event_fomc", "event_nfp"])


def test_days_are_skipped_for_trading_as_they_are_for_forecasting() -> None:
    assert skip_days(CALENDAR, ["event_fomc", "event_cpi"]) == sorted(
        {*CALENDAR.days["event_fomc"], *CALENDAR.days["event_cpi"]}
    )
    skipped = [day for day in (CPI, FOMC) if skip_reason(CALENDAR, day, ["event_cpi"])]
    assert skipped == [day for day in skip_days(CALENDAR, ["event_cpi"]) if day in (CPI, FOMC)] == [CPI]


def test_no_trade_windows_surround_each_time_and_are_sorted_by_start() -> None:
    windows = no_trade_windows(CALENDAR, buffer_min=10)
    assert windows.rows() == [
        ("event_cpi", datetime(2025, 1, 15, 13, 20, tzinfo=UTC), datetime(2025, 1, 15, 13, 40, tzinfo=UTC)),
        ("event_fomc", datetime(2025, 1, 29, 18, 50, tzinfo=UTC), datetime(2025, 1, 29, 19, 10, tzinfo=UTC)),
    ]
    assert no_trade_windows(EventCalendar({"event_fomc": (FOMC,)}), buffer_min=1).is_empty()


def test_further_dates_join_an_event_and_one_that_is_there_keeps_its_time() -> None:
    further = {"event_fomc": [(FOMC, time(9, 0)), (date(2025, 3, 19), time(14, 0))], "event_nfp": [(CPI, None)]}
    found = with_dates(CALENDAR, further)
    assert found.days["event_fomc"] == (FOMC, date(2025, 3, 19))
    assert found.times["event_fomc"] == (*CALENDAR.times["event_fomc"], datetime(2025, 3, 19, 18, 0, tzinfo=UTC))
    assert found.days["event_nfp"] == (CPI,)
    assert "event_nfp" not in found.times, "no time is known of it"
    assert (found.days["event_cpi"], found.times["event_cpi"]) == (
        CALENDAR.days["event_cpi"],
        CALENDAR.times["event_cpi"],
    )
    timed = with_dates(EventCalendar({}), {"event_nfp": [(date(2025, 1, 10), time(8, 30))]})
    assert timed.times == {"event_nfp": (datetime(2025, 1, 10, 13, 30, tzinfo=UTC),)}
    assert with_dates(CALENDAR, {"event_cpi": [(date(2025, 3, 12), None)]}).times == CALENDAR.times


@pytest.mark.parametrize(
    ("day", "after_close", "concerned"),
    [
        (date(2025, 1, 29), False, (date(2025, 1, 29),)),
        (date(2025, 1, 29), True, (date(2025, 1, 29), date(2025, 1, 30))),
        (date(2025, 1, 31), True, (date(2025, 1, 31), date(2025, 2, 3))),
        # A Saturday's report is the next session's, whenever in the day it came.
        (date(2025, 2, 1), False, (date(2025, 2, 3),)),
        (date(2025, 2, 1), True, (date(2025, 2, 3),)),
        # The longest closure: September 2001, reported on the tenth after the close.
        (date(2001, 9, 10), True, (date(2001, 9, 10), date(2001, 9, 17))),
    ],
)
def test_earnings_concern_their_session_and_after_the_close_the_next_one(
    day: date, after_close: bool, concerned: tuple[date, ...]
) -> None:
    found = with_earnings(CALENDAR, [("AAPL", day, after_close)])
    assert found.symbols == {EARNINGS: {"AAPL": concerned}}
    assert (found.days, found.times) == (CALENDAR.days, CALENDAR.times)


def test_earnings_of_a_symbol_are_gathered_sorted_and_those_outside_the_calendar_left_out() -> None:
    last = calendar.LAST_DAY - timedelta(days=14)
    reports = [("B", date(2025, 4, 2), False), ("A", date(2025, 4, 2), False), ("A", date(2025, 4, 1), True),
               ("C", last, False), ("D", date(1999, 12, 31), False), ("E", last - timedelta(days=1), False),
               ("F", calendar.FIRST_DAY, False)]  # fmt: skip
    found = with_earnings(EventCalendar({}), reports).symbols[EARNINGS]
    assert list(found) == ["A", "B", "E", "F"]
    assert found["A"] == (date(2025, 4, 1), date(2025, 4, 2))
    assert found["F"] == (date(2000, 1, 3),)
