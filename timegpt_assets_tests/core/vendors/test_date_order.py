"""Which of two numbers is the month: told by the whole column, contradicted by it, or asked."""

from datetime import date

import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.date_order import date_order
from timegpt_assets.core.vendors.findings import Refused

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


def order_of(*written: tuple[int, int, int]) -> str | None:
    """Return the order that the dates themselves tell, None where they do not."""
    try:
        return date_order(written, said=None, claimed=None)[0]
    except Refused:
        return None


@pytest.mark.parametrize(
    ("written", "order"),
    [
        # 12 can be a month, 13 cannot. 2025-12-12 is a session, so both ways are open.
        ([(12, 12, 2025)], None),
        ([(13, 1, 2025)], "dmy"),
        ([(1, 13, 2025)], "mdy"),
        # Outside the calendar weekdays are open: 1998-05-01 was a Friday, 1998-01-05 a Monday; 1998-01-03 a Saturday
        # and 1998-03-01 a Sunday.
        ([(5, 1, 1998)], None),
        ([(1, 3, 1998)], None),
        ([(1, 2, 1998)], "mdy"),
        ([(2, 1, 1998)], "dmy"),
        # Straight one way, to and fro the other: July 1st, August 1st, April 2nd.
        ([(1, 7, 2025), (1, 8, 2025), (2, 4, 2025)], "mdy"),
        ([(2, 4, 2025), (1, 8, 2025), (1, 7, 2025)], "mdy"),
        ([(7, 1, 2025), (8, 1, 2025), (4, 2, 2025)], "dmy"),
        # Five days apart one way, months the other; six days are too many for a file of sessions.
        ([(2, 5, 2025), (2, 10, 2025)], "mdy"),
        ([(5, 2, 2025), (10, 2, 2025)], "dmy"),
        ([(2, 4, 2025), (2, 10, 2025)], None),
    ],
)
def test_what_a_column_of_dates_tells(written: list[tuple[int, int, int]], order: str | None) -> None:
    assert order_of(*written) == order


@pytest.mark.parametrize(("short", "year"), [(25, 2025), (69, 2069), (70, 1970), (99, 1999), (0, 2000)])
def test_a_year_of_two_digits_is_of_the_century_around_2000(short: int, year: int) -> None:
    pairs = [(first, second) for first in range(1, 13) for second in range(1, 13)]
    told = [order_of((*pair, short)) for pair in pairs]
    assert told == [order_of((*pair, year)) for pair in pairs]
    assert len(set(told)) == 3


def test_dates_that_run_both_ways_are_refused_with_one_of_the_rarer_kind() -> None:
    with pytest.raises(Refused, match=r"2 have a first and 1 a second number above 12 \(for example 1/15/2025\)"):
        date_order([(13, 1, 2025), (14, 2, 2025), (1, 15, 2025)], said=None, claimed=None)
    with pytest.raises(Refused, match=r"for example 13/1/2025"):
        date_order([(13, 1, 2025), (1, 14, 2025), (2, 15, 2025)], said=None, claimed=None)
