"""The trading calendar: days, opens and closes of the New York Stock Exchange."""

import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar, xnys
from timegpt_assets.core.calendar import NotASession
from timegpt_assets.core.schema import TIME
from timegpt_assets_tests.core.xnys_text import xnys_text

NEW_YORK = ZoneInfo(calendar.ZONE)
DAYS = st.dates(calendar.FIRST_DAY, calendar.LAST_DAY)


def in_new_york(moment: datetime) -> str:
    return moment.astimezone(NEW_YORK).strftime("%H:%M")


def test_january_2025_lacks_new_year_carters_funeral_and_king_day() -> None:
    days = calendar.month_sessions("2025-01")
    assert len(days) == 20
    assert calendar.holidays(date(2025, 1, 1), date(2025, 1, 31)) == (
        date(2025, 1, 1),
        date(2025, 1, 9),
        date(2025, 1, 20),
    )
    assert not set(days) & {date(2025, 1, 1), date(2025, 1, 9), date(2025, 1, 20)}


@pytest.mark.parametrize("day", [date(2018, 3, 30), date(2024, 3, 29), date(2025, 4, 18), date(2001, 9, 11)])
def test_good_friday_and_closures_are_no_sessions_and_the_nearest_ones_are_named(day: date) -> None:
    with pytest.raises(NotASession) as caught:
        calendar.session(day)
    open_days = [s.day for s in calendar.sessions(day - timedelta(days=9), day + timedelta(days=9))]
    assert str(day) in str(caught.value)
    assert str(max(d for d in open_days if d < day)) in str(caught.value)
    assert str(min(d for d in open_days if d > day)) in str(caught.value)


@pytest.mark.parametrize("day", [date(2024, 7, 3), date(2024, 11, 29), date(2024, 12, 24), date(2025, 11, 28)])
def test_early_closes_end_at_one_and_have_210_minutes(day: date) -> None:
    session = calendar.session(day)
    assert (in_new_york(session.open), in_new_york(session.close), session.minutes) == ("09:30", "13:00", 210)
    assert calendar.minutes([day]).height == 210


def test_the_open_moves_in_utc_and_stays_in_new_york_when_the_clocks_change() -> None:
    before, after = calendar.session(date(2025, 3, 7)), calendar.session(date(2025, 3, 10))
    assert (before.open.hour, after.open.hour) == (14, 13)
    assert in_new_york(before.open) == in_new_york(after.open) == "09:30"
    before, after = calendar.session(date(2025, 10, 31)), calendar.session(date(2025, 11, 3))
    assert (before.close.hour, after.close.hour) == (20, 21)


def test_minutes_start_at_the_open_end_before_the_close_and_are_known_a_minute_later() -> None:
    days = [date(2025, 3, 10), date(2025, 3, 7), date(2025, 3, 7), date(2024, 7, 3)]
    frame = calendar.minutes(days)
    expected = [
        (day, start, start + timedelta(minutes=1), n)
        for day in sorted(set(days))
        for n in range(calendar.session(day).minutes)
        for start in [calendar.session(day).open + timedelta(minutes=n)]
    ]
    assert frame.rows() == expected
    assert frame.schema == {"day": pl.Date, "ts": TIME, "known_at": TIME, "minute": pl.Int64}


def test_no_days_give_an_empty_frame_with_the_same_columns() -> None:
    assert calendar.minutes([]).schema == calendar.minutes([date(2025, 1, 2)]).schema
    assert calendar.minutes([]).height == 0
    assert calendar.sessions_frame([]).schema == {"day": pl.Date, "open": TIME, "close": TIME}


def test_sessions_frame_holds_each_asked_day_once_in_order() -> None:
    frame = calendar.sessions_frame([date(2025, 1, 10), date(2025, 1, 8), date(2025, 1, 10)])
    assert frame["day"].to_list() == [date(2025, 1, 8), date(2025, 1, 10)]
    assert frame["open"].to_list() == [calendar.session(day).open for day in frame["day"]]
    with pytest.raises(NotASession):
        calendar.sessions_frame([date(2025, 1, 9)])


def test_shifted_steps_over_weekends_and_holidays() -> None:
    assert calendar.shifted(date(2025, 1, 8), 1) == date(2025, 1, 10)
    assert calendar.shifted(date(2025, 1, 10), -1) == date(2025, 1, 8)
    assert calendar.shifted(date(2025, 1, 17), 1) == date(2025, 1, 21)
    assert calendar.shifted(date(2025, 1, 17), 0) == date(2025, 1, 17)
    with pytest.raises(NotASession):
        calendar.shifted(date(2025, 1, 9), 1)


def test_days_outside_the_calendar_are_refused_with_a_remedy() -> None:
    outside = calendar.LAST_DAY + timedelta(days=1)
    for ask in (
        lambda: calendar.session(outside),
        lambda: calendar.sessions(date(1999, 1, 4), date(2000, 2, 1)),
        lambda: calendar.shifted(calendar.month_sessions("2035-12")[-1], 1),
        lambda: calendar.shifted(calendar.month_sessions("2000-01")[0], -1),
    ):
        with pytest.raises(calendar.OutsideCalendar, match="widen FIRST_DAY/LAST_DAY"):
            ask()


def test_a_session_has_closed_from_its_close_on_and_naive_times_are_refused() -> None:
    day = date(2024, 7, 3)
    close = calendar.session(day).close
    assert calendar.has_closed(day, close)
    assert not calendar.has_closed(day, close - timedelta(microseconds=1))
    assert calendar.has_closed(day, close.astimezone(NEW_YORK))
    with pytest.raises(ValueError, match="no time zone"):
        calendar.has_closed(day, close.replace(tzinfo=None))


@pytest.mark.parametrize("month", ["2025-13", "2025", "202501", "01-2025", ""])
def test_a_month_in_another_format_is_refused(month: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM"):
        calendar.month_sessions(month)


@given(first=DAYS, last=DAYS)
def test_every_weekday_is_a_session_or_a_holiday_and_no_weekend_is_either(first: date, last: date) -> None:
    first, last = min(first, last), min(max(first, last), min(first, last) + timedelta(days=400))
    open_days, closed = [s.day for s in calendar.sessions(first, last)], calendar.holidays(first, last)
    every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    assert sorted([*open_days, *closed]) == [day for day in every if day.weekday() < 5]


@given(day=DAYS, n=st.integers(-300, 300))
def test_shifting_there_and_back_returns_the_day_and_counts_sessions(day: date, n: int) -> None:
    open_days = [s.day for s in calendar.sessions(date(2005, 1, 1), date(2030, 12, 31))]
    start = min(open_days[300:-300], key=lambda d: abs(d - day))
    there = calendar.shifted(start, n)
    assert calendar.shifted(there, -n) == start
    assert len(calendar.sessions(min(start, there), max(start, there))) == abs(n) + 1


@given(day=DAYS)
def test_sessions_open_at_half_past_nine_and_close_at_four_or_one(day: date) -> None:
    for session in calendar.sessions(day, min(day + timedelta(days=10), calendar.LAST_DAY)):
        assert session.open.tzinfo is UTC
        assert in_new_york(session.open) == "09:30"
        assert (in_new_york(session.close), session.minutes) in {("16:00", 390), ("13:00", 210)}


def test_ten_years_of_sessions_take_little_time_once_the_calendar_is_read() -> None:
    calendar.session(date(2025, 1, 2))
    start = time.process_time()
    found = calendar.sessions(date(2015, 1, 1), date(2024, 12, 31))
    assert time.process_time() - start < 0.05
    assert len(found) == 2516


def test_what_is_kept_is_what_the_locked_exchange_calendars_says() -> None:
    kept = calendar.sessions(calendar.FIRST_DAY, calendar.LAST_DAY)
    said = calendar.exchange_sessions()
    assert kept == said
    assert xnys_text(said) == Path(xnys.__file__).read_text(), "python -m timegpt_assets_tests.core.xnys_text"


def test_the_locked_calendar_is_asked_without_the_library_and_another_version_itself() -> None:
    script = (
        "import sys; from datetime import date; from timegpt_assets.core import calendar, xnys; {change}"
        "calendar.session(date(2025, 1, 2)); print('exchange_calendars' in sys.modules)"
    )

    def asked(change: str) -> str:
        ran = subprocess.run([sys.executable, "-c", script.format(change=change)], capture_output=True, check=True)
        return ran.stdout.decode().strip()

    assert asked("") == "False"
    # a later version may know of a day of mourning: what it says stands over what is kept
    assert asked("xnys.VERSION = '4.13.1'; xnys.HOLIDAYS += '2025-01-02'; ") == "True"


def test_the_calendar_covers_2000_to_2035() -> None:
    for day in (date(2000, 1, 1), date(2035, 12, 31)):
        assert len(calendar.sessions(day, day)) == (day.year == 2035), "the last one is a Monday"
    for day in (date(1999, 12, 31), date(2036, 1, 1)):
        with pytest.raises(calendar.OutsideCalendar, match=r"2000-01-01\.\.2035-12-31"):
            calendar.sessions(day, day)
    first, last = calendar.month_sessions("2000-01")[0], calendar.month_sessions("2035-12")[-1]
    assert (first, last) == (date(2000, 1, 3), date(2035, 12, 31))
    assert calendar.shifted(calendar.shifted(first, 1), -1) == first


@pytest.mark.parametrize(
    ("month", "first", "last"),
    [
        ("2025-01", date(2025, 1, 2), date(2025, 1, 31)),
        ("2025-02", date(2025, 2, 3), date(2025, 2, 28)),
        ("2024-12", date(2024, 12, 2), date(2024, 12, 31)),
        ("2025-04", date(2025, 4, 1), date(2025, 4, 30)),
    ],
)
def test_a_month_has_its_own_sessions_from_the_first_to_the_last(month: str, first: date, last: date) -> None:
    days = calendar.month_sessions(month)
    assert (days[0], days[-1]) == (first, last)


def test_the_sessions_beside_a_day_without_one_are_named_and_no_others() -> None:
    with pytest.raises(NotASession, match="Nearest sessions: 2025-01-08 and 2025-01-10; ask"):
        calendar.session(date(2025, 1, 9))
    with pytest.raises(NotASession, match="Nearest sessions: 2000-01-03; ask"):
        calendar.session(date(2000, 1, 1))


def test_the_newest_closed_session_is_the_days_own_from_its_close_on() -> None:
    close = calendar.session(date(2025, 1, 10)).close
    assert calendar.last_closed_session(close) == date(2025, 1, 10)
    assert calendar.last_closed_session(close - timedelta(seconds=1)) == date(2025, 1, 8)
    assert calendar.last_closed_session(datetime(2001, 9, 16, tzinfo=UTC)) == date(2001, 9, 10)


def test_a_session_that_is_still_open_is_refused_by_name() -> None:
    close = calendar.session(date(2025, 1, 10)).close
    calendar.refuse_open([date(2025, 1, 10)], close)
    with pytest.raises(calendar.StillOpen, match=r"session of 2025-01-10 has not closed yet\. Ask for 2025-01-08"):
        calendar.refuse_open([date(2025, 1, 13), date(2025, 1, 10), date(2025, 1, 8)], close - timedelta(seconds=1))


def test_a_deadline_is_the_close_so_many_sessions_later() -> None:
    assert calendar.deadline(date(2025, 1, 8), 1) == calendar.session(date(2025, 1, 10)).close
    assert calendar.deadline(date(2025, 1, 8), 0) == calendar.session(date(2025, 1, 8)).close
