"""An event belongs to the session by whose close it is known: weekends and holidays to the one after them."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.news.windows import dated, window
from timegpt_assets.core.schema import TIME

DAYS = [s.day for s in calendar.sessions(date(2018, 3, 1), date(2018, 4, 6))]  # Good Friday and the change of the clock


def of(*moments: datetime, days: list[date] = DAYS) -> list[date]:
    frame = pl.DataFrame({"known_at": moments}, schema={"known_at": TIME})
    return dated(frame, days)["day"].to_list()


def test_the_close_itself_is_inside_and_a_microsecond_later_is_the_next_sessions() -> None:
    after, by = window(date(2018, 3, 29))
    assert of(by) == [date(2018, 3, 29)]
    assert of(by + timedelta(microseconds=1)) == [date(2018, 4, 2)], "Good Friday and the weekend are Monday's"
    assert of(after) == [date(2018, 3, 28)]


def test_a_weekend_and_a_holiday_are_the_next_sessions_and_what_lies_in_no_window_is_left_out() -> None:
    saturday = datetime(2018, 3, 31, 12, tzinfo=UTC)
    assert of(saturday) == [date(2018, 4, 2)]
    assert of(saturday, days=[date(2018, 3, 29)]) == []
    assert of(datetime(2018, 2, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)) == []


@given(st.integers(0, 35 * 24 * 3600 * 1000))
def test_every_moment_is_in_one_window_and_whatever_days_are_asked_for_it_is_the_same(milliseconds: int) -> None:
    at = datetime(2018, 3, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    (day,) = of(at)
    after, by = window(day)
    assert after < at <= by
    assert of(at, days=[day]) == [day]
    assert of(at, days=[d for d in DAYS if d != day]) == []


def test_a_day_that_is_no_session_is_refused() -> None:
    with pytest.raises(calendar.NotASession):
        window(date(2018, 3, 30))
