"""Figures of headlines: numbers with their units, quarters, months, dates, years and weekdays.

Belongs here: reading one figure at a place among a title's words, and when two are the same.
"""

from collections.abc import Sequence
from typing import Protocol

from timegpt_assets.core.news import kinds

Figure = tuple[float, float]
"""A number, and by how much it may be rounded."""
Found = tuple[str, Figure, int]
"""Kind (%, bp, n, nth, quarter, month, date, year, weekday), the figure, and how many words it takes."""
_HALF = 4
"""Halves of a year are numbered behind its quarters."""
_COUNTED = ("day", "week", "month", "year", "time")
_MONTH_WORDS = ("in", "for", "since", "until", "by", "from", "of", "through")


class Word(Protocol):
    """A word as written, in lower case, and whether no blank stands before it."""

    @property
    def text(self) -> str: ...
    @property
    def low(self) -> str: ...
    @property
    def glued(self) -> bool: ...


def same(one: Figure, other: Figure) -> bool:
    """Return whether two figures may be one, rounded differently."""
    return abs(one[0] - other[0]) <= max(one[1], other[1]) + 1e-9 * abs(one[0])


def figure(words: Sequence[Word], at: int) -> Found | None:
    """Return the figure that begins at a place; None where none does."""
    low = words[at].low
    if low[0].isdigit():
        return _number(words, at)
    if low in kinds.NUMBERS and _behind(words, at) not in ("", "of"):
        return _scaled(words, at, float(kinds.NUMBERS[low]), 0.0)
    if low in kinds.MONTHS and _is_month(words, at):
        return _month(words, at)
    if low in kinds.WEEKDAYS:
        return "weekday", (float(kinds.WEEKDAYS[low]), 0.0), 1
    behind = _behind(words, at)
    if low in kinds.ORDINALS and behind in ("quarter", "half") and kinds.ORDINALS[low] <= _HALF:
        return "quarter", (kinds.ORDINALS[low] + (_HALF if behind == "half" else 0.0), 0.0), 2
    if low in ("q", "h") and behind in ("1", "2", "3", "4") and words[at + 1].glued:
        return "quarter", (int(behind) + (_HALF if low == "h" else 0.0), 0.0), 2
    if low in kinds.ORDINALS and behind in _COUNTED:
        return "nth", (float(kinds.ORDINALS[low]), 0.0), 1
    return None


def _behind(words: Sequence[Word], at: int, places: int = 1) -> str:
    return words[at + places].low if at + places < len(words) else ""


def _is_month(words: Sequence[Word], at: int) -> bool:
    """Return whether a month is meant: may and march are words, too."""
    if words[at].text in ("May", "March") or words[at].low not in ("may", "march"):
        return True
    return _behind(words, at)[:1].isdigit() or (at > 0 and words[at - 1].low in _MONTH_WORDS)


def _month(words: Sequence[Word], at: int) -> Found:
    month, behind = kinds.MONTHS[words[at].low], _behind(words, at)
    if behind.isdigit() and int(behind) <= 31:
        return "date", (month * 100.0 + int(behind), 0.0), 2
    return "month", (float(month), 0.0), 1


def _number(words: Sequence[Word], at: int) -> Found:
    digits = words[at].low.replace(",", "")
    value, behind = float(digits), _behind(words, at)
    if behind in ("q", "h") and words[at + 1].glued and value in (1, 2, 3, 4):
        return "quarter", (value + (_HALF if behind == "h" else 0.0), 0.0), 2
    if digits == words[at].low and 1900 <= value < 2100 and behind not in kinds.UNITS:
        return "year", (value, 0.0), 1
    places = len(digits.partition(".")[2])
    return _scaled(words, at, value, 0.5 * 10.0**-places if places else 0.0)


def _scaled(words: Sequence[Word], at: int, value: float, off: float) -> Found:
    """Return a number with the unit behind it; a whole number with a unit is taken to be rounded to whole ones."""
    kind, scale, length = "n", 1.0, 1
    behind = _behind(words, at)
    if behind in kinds.UNITS:
        (kind, scale), length = kinds.UNITS[behind], 2
        length += _behind(words, at, 2) in ("point", "points")
    elif behind in kinds.LETTERS and words[at + 1].glued:
        (kind, scale), length = kinds.LETTERS[behind], 2
    elif behind == "per" and _behind(words, at, 2) == "cent":
        kind, length = "%", 3
    whole = 0.5 if length > 1 else 0.0
    return kind, (value * scale, (off or whole) * scale), length
