"""What a cell says of when: many forms are one moment, and what a form leaves open is refused with its option."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.news.formats.own_times import When, moments
from timegpt_assets.core.news.formats.unreadable import Unreadable

AT = datetime(2018, 3, 1, 14, 15, tzinfo=UTC)
NEW_YORK = "America/New_York"


def read(*cells: Any, zone: str | None = None, date_order: Any = None) -> list[When]:
    return moments(list(enumerate(cells, 2)), zone=zone, date_order=date_order)[0]


@pytest.mark.parametrize(
    "said",
    [
        "2018-03-01T14:15:00Z", "2018-03-01 14:15:00+00:00", "2018-03-01T15:15:00.000+0100", "2018-03-01 09:15 EST",
        "20180301T141500Z", "20180301T1415Z", "Thu, 01 Mar 2018 14:15:00 GMT", "Thu, 1 Mar 2018 15:15:00 +0100",
        "01.03.2018 15:15 MEZ", "Donnerstag, 1. März 2018, 15:15 Uhr CET", "March 1, 2018 9:15 a.m. ET",
        "Mar 1st, 2018 at 2:15 PM UTC", "2018/03/01 14:15 (UTC)", "1519913700", "1519913700000", "1519913700000000",
        "1519913700000000000", "1519913700.0", 1519913700, 1519913700.0, 1519913700000, AT,
        "2018-03-01T14:15:00.0000001Z", AT.astimezone().isoformat(),
    ],
)  # fmt: skip
def test_every_form_of_a_moment_is_that_moment(said: Any) -> None:
    assert read(said) == [AT]


@pytest.mark.parametrize(
    "said", ["2018-03-01 09:15", "20180301091500", "03/01/2018 9:15 AM", AT.replace(hour=9, tzinfo=None)]
)
def test_a_time_without_a_zone_is_refused_until_its_zone_is_said(said: Any) -> None:
    with pytest.raises(Unreadable, match=r"times without a zone: line 3 says .* Say it: --timezone America/New_York"):
        read("2018-03-02T10:00Z", said, date_order="mdy")
    assert read(said, zone=NEW_YORK, date_order="mdy") == [AT]


def test_twelve_is_noon_after_and_midnight_before() -> None:
    noon, night = read("2018-03-01 12:15 PM UTC", "2018-03-01 12:15 a.m. UTC")
    assert (noon, night) == (AT.replace(hour=12), AT.replace(hour=0))


def test_zones_that_are_written_are_kept_beside_one_that_is_said() -> None:
    assert read("2018-03-01 14:15Z", "2018-03-01 15:15+01:00", "2018-03-01 09:15", zone=NEW_YORK) == [AT, AT, AT]


def test_an_hour_that_there_is_twice_is_the_later_and_one_that_there_is_not_is_too() -> None:
    twice, never = read("2018-11-04 01:30", "2018-03-11 02:30", zone=NEW_YORK)
    assert twice == datetime(2018, 11, 4, 6, 30, tzinfo=UTC)
    assert never == datetime(2018, 3, 11, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "said", ["2018-03-01", "20180301", "01.03.2018", "1 March 2018", "March 1, 2018", "1. März 2018", date(2018, 3, 1)]
)
def test_a_date_alone_is_a_date(said: Any) -> None:
    assert read(said, "2018-03-01T14:15Z") == [date(2018, 3, 1), AT]


def test_where_every_clock_is_midnight_there_is_none() -> None:
    cells = [(1, "2018-03-01 00:00:00"), (2, "2018-03-02T00:00:00Z"), (3, datetime(2018, 3, 3, tzinfo=UTC))]
    found, notes = moments(cells, zone=None, date_order=None)
    assert found == [date(2018, 3, 1), date(2018, 3, 2), date(2018, 3, 3)]
    assert notes == ["every time is midnight: taken for dates without a clock time"]
    assert read("2018-03-01T00:00Z", "2018-03-01T14:15Z") == [datetime(2018, 3, 1, tzinfo=UTC), AT]


def test_day_or_month_is_what_the_column_shows_or_is_refused_until_it_is_said() -> None:
    assert read("03/04/2018", "03/14/2018") == [date(2018, 3, 4), date(2018, 3, 14)]
    assert read("03/04/2018", "14/03/2018") == [date(2018, 4, 3), date(2018, 3, 14)]
    for cells in (["03/04/2018"], ["03/14/2018", "14/03/2018"]):
        with pytest.raises(Unreadable, match=r"Say which is first: --date-order mdy, or dmy\.$"):
            read(*cells)
    assert read("03/04/2018", date_order="dmy") == [date(2018, 4, 3)]


@pytest.mark.parametrize(
    "said",
    ["soon", "2018-13-01", "2018-02-30T10:00Z", "2018-03-01T24:00Z", "13:30 PM", "2018", "7", "1e30", "True", True,
     "2018-03-01T10:00+99:00", "2018-03-01T10:00 XYZ", "9999-12-31T23:59-14:00", "[]", "1 Foo 2018",
     "999999999999999999999"],
)  # fmt: skip
def test_what_says_no_time_is_none_and_never_now(said: Any) -> None:
    assert read(said, "2018-03-01T14:15Z") == [None, AT]


def test_a_zone_that_there_is_not_is_refused() -> None:
    with pytest.raises(Unreadable, match=r"zone 'Mars/Base'\. Name one of IANA: --timezone America/New_York"):
        read("2018-03-01", zone="Mars/Base")


@given(st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001 - its zone follows
def test_whatever_is_written_as_iso_is_read_back(naive: datetime, minutes: int) -> None:
    at = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert read(at.isoformat(), "2018-03-01T14:15Z")[0] == at
    assert read(at, "2018-03-01T14:15Z")[0] == at


@given(st.text(max_size=30) | st.floats() | st.integers() | st.dates())
def test_no_cell_ends_a_reading(cell: Any) -> None:
    (found, _) = read(cell, "2018-03-01T14:15Z", zone=NEW_YORK, date_order="mdy")
    assert found is None or isinstance(found, date)
