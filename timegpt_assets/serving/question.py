"""What somebody asks of a stored table, understood: days of a range, symbols, whose rows.

Belongs here: the words a person may write for a day or a name, and what is said of those that mean nothing.
"""

import calendar
import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import TypeAlias
from zoneinfo import ZoneInfo

from timegpt_assets.core.calendar import ZONE
from timegpt_assets.core.explained import Explained

When: TypeAlias = "date | str | None"
"""A day or a moment, ``2025-03-12`` or ``2025-03``; None: no bound."""
Names: TypeAlias = "str | Iterable[str] | None"
"""One name or several; None: all."""
_DAY, _MONTH = re.compile(r"\d{4}-\d{2}-\d{2}"), re.compile(r"\d{4}-\d{2}")


class ReadingError(Explained, ValueError):
    """Raised where what is asked for cannot be read; says what there is, and ends with what helps."""


def first_and_last(start: When, end: When) -> tuple[date, date]:
    """Return both ends of a range of trading days, included. Raises ReadingError for one that ends before it starts."""
    first = date.min if start is None else _day("start", start, last=False)
    last = date.max if end is None else _day("end", end, last=True)
    if first > last:
        raise ReadingError(f"start {first} lies after end {last}. Give the earlier day as start.")
    return first, last


def _day(which: str, asked: date | str, *, last: bool) -> date:
    """Return the day meant; of a whole month its first or last one."""
    if isinstance(asked, datetime):
        return (asked.astimezone(ZoneInfo(ZONE)) if asked.tzinfo else asked).date()
    if isinstance(asked, date):
        return asked
    text = asked.strip() if isinstance(asked, str) else repr(asked)
    try:
        if _DAY.fullmatch(text[:10]):
            return _day(which, datetime.fromisoformat(text), last=last)
        if _MONTH.fullmatch(text):
            first = date.fromisoformat(f"{text}-01")
            return first.replace(day=calendar.monthrange(first.year, first.month)[1]) if last else first
    except ValueError:
        pass  # no such day: told below, as any other text that is none
    raise ReadingError(
        f"{which} is {asked!r}, which is no day. Write a day like 2025-03-12, a month like 2025-03, or give a date."
    )


def several(what: str, asked: Names) -> tuple[str, ...] | None:
    """Return the names asked for, each once; None: all. Raises ReadingError for what is no name."""
    names = (asked,) if isinstance(asked, str) else asked
    if names is None:
        return None
    try:
        found = tuple(dict.fromkeys(names))
    except TypeError:
        found = ()
    if not found or not all(isinstance(name, str) for name in found):
        raise ReadingError(f"{what} is {asked!r}. Give a name or a list of names, or leave it out for all.")
    return found
