"""Which of two numbers is the month: asked once of the whole column, never row by row.

Belongs here: dates of which day and month could change places. What decides, in this order: a number above 12, days on
which the exchange was closed, dates that do not run one way, gaps that no file of trading days has.
"""

from collections.abc import Callable, Sequence
from datetime import date
from itertools import pairwise

from timegpt_assets.core import calendar
from timegpt_assets.core.vendors.findings import DateOrder, Finding, Refused

ORDERS: tuple[DateOrder, ...] = ("mdy", "dmy")
SHOWN = {"mdy": "month first", "dmy": "day first"}
SHOW_OPTION = "Say --date-order mdy (month first) or --date-order dmy (day first)."
_LONGEST_GAP = 5
"""Days between two sessions at most: a weekend and two holidays."""
Numbers = Sequence[tuple[int, int, int]]


def date_order(numbers: Numbers, *, said: DateOrder | None, claimed: DateOrder | None) -> tuple[DateOrder, Finding]:
    """Return the order of the column's dates and the finding.

    ``numbers``: the distinct dates as they are written (first, second, year), in the order of the file. Raises Refused
    where the column contradicts itself or what was said, and where nothing decides.
    """
    found, why = _evidence(numbers)
    if said is not None and found not in (None, said):
        raise Refused(f"--date-order {said} is contradicted: {why}. Leave --date-order out.")
    order = said or found or claimed
    if order is None:
        first = "/".join(f"{n:02d}" for n in numbers[0][:2])
        raise Refused(f"{first} can be either: {why}. {SHOW_OPTION}")
    how = "as --date-order says" if said else why if found else "as its format has it"
    return order, Finding("dates", SHOWN[order], how)


def _evidence(numbers: Numbers) -> tuple[DateOrder | None, str]:
    above = [sum(triple[n] > 12 for triple in numbers) for n in (0, 1)]
    shown = f"of {len(numbers):,} dates"
    if all(above):
        at = next("/".join(map(str, triple)) for triple in numbers if triple[0 if above[0] < above[1] else 1] > 12)
        raise Refused(
            f"dates run both ways: {above[0]} have a first and {above[1]} a second number above 12 (for example {at}). "
            "Write them as YYYY-MM-DD."
        )
    if any(above):
        order: DateOrder = "dmy" if above[0] else "mdy"
        return order, f"{max(above):,} {shown} have a {'first' if above[0] else 'second'} number above 12"
    dates = {order: [_date(triple, order) for triple in numbers] for order in ORDERS}
    for asked, words in _QUESTIONS:
        passed = [order for order in ORDERS if asked(dates[order])]
        if len(passed) == 1:
            other = SHOWN["dmy" if passed[0] == "mdy" else "mdy"]
            return passed[0], f"read {other}, {words}"
    return None, "both orders give days on which the exchange was open"


def _date(triple: tuple[int, int, int], order: DateOrder) -> date | None:
    first, second, year = triple
    year += 2000 if year < 70 else 1900 if year < 100 else 0
    try:
        return date(year, first, second) if order == "mdy" else date(year, second, first)
    except ValueError:
        return None


def _are_open(days: Sequence[date | None]) -> bool:
    """Return whether all days are sessions; of years outside the calendar, weekdays."""
    held = [day for day in days if day is not None]
    if len(held) < len(days):
        return False
    inside = [day for day in held if calendar.FIRST_DAY <= day <= calendar.LAST_DAY]
    known = {s.day for s in calendar.sessions(min(inside), max(inside))} if inside else set()
    return all(day in known if calendar.FIRST_DAY <= day <= calendar.LAST_DAY else day.weekday() < 5 for day in held)


def _run_one_way(days: Sequence[date | None]) -> bool:
    held = [day for day in days if day is not None]
    return held == sorted(held) or held == sorted(held, reverse=True)


def _are_near(days: Sequence[date | None]) -> bool:
    held = sorted(day for day in days if day is not None)
    return all((later - earlier).days <= _LONGEST_GAP for earlier, later in pairwise(held))


_QUESTIONS: tuple[tuple[Callable[[Sequence[date | None]], bool], str], ...] = (
    (_are_open, "some would be days on which the exchange was closed"),
    (_run_one_way, "they would run to and fro"),
    (_are_near, "they would lie weeks apart"),
)
