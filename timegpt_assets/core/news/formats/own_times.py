"""What a cell says of when: a moment, or a date alone.

Belongs here: the forms in which people and vendors write times, and what a form leaves open. Nothing open is guessed:
a time without a zone and a date that could be read two ways are refused with the option that settles them.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

from timegpt_assets.core.news.formats.own_table import cell_text
from timegpt_assets.core.news.formats.unreadable import Unreadable

DateOrder = Literal["mdy", "dmy"]
When = datetime | date | None
_OFFSETS = {"Z": 0, "UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8,
            "PDT": -7, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "BST": 1}  # fmt: skip
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan", "feb", "mar mär mae", "apr", "may mai", "jun", "jul", "aug", "sep", "oct okt", "nov", "dec dez"), 1
    )
    for name in names.split()
}
_FORM = re.compile(
    r"""(?:(?:[A-Za-z]{2,10}\.?)[ ,]\s*)?  # a weekday says nothing
    (?:(?P<y>\d{4})(?P<sign>[-/.]?)(?P<m>\d{1,2})(?P=sign)(?P<d>\d{1,2})
      |(?P<dd>\d{1,2})\.\s?(?P<dm>\d{1,2})\.\s?(?P<dy>\d{4})
      |(?P<s1>\d{1,2})[/-](?P<s2>\d{1,2})[/-](?P<sy>\d{4})
      |(?P<en>[^\W\d_]{3,10})\.?\s(?P<ed>\d{1,2})(?:st|nd|rd|th)?,?\s(?P<ey>\d{4})
      |(?P<nd>\d{1,2})\.?[ -](?P<nn>[^\W\d_]{3,10})\.?,?[ -](?P<ny>\d{4}))
    (?:(?:T|\s*,\s*|\s+|(?<=\d{8}))(?:at\s|um\s)?(?P<H>\d{1,2})[:.]?(?P<M>\d{2})(?:[:.]?(?P<S>\d{2})(?:[.,](?P<f>\d+))?)?
      (?:\s?(?P<half>[AaPp])\.?[Mm]\.?)?(?:\sUhr)?)?
    \s*(?P<zone>[+-]\d{2}:?(?:\d{2})?|\(?[A-Z]{1,4}\)?)?""",
    re.VERBOSE,
)
_EPOCHS = ((1e8, 1e11, 1), (1e11, 1e14, 10**3), (1e14, 1e17, 10**6), (1e17, 1e20, 10**9))
"""Sizes of a number of seconds, milli-, micro- and nanoseconds since 1970, and how many make a second."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A time as it is written: its date, or two numbers of which either may be the month; clock and zone if any."""

    day: date | tuple[int, int, int]
    clock: time | None
    zone: tzinfo | None


def moments(
    cells: Sequence[tuple[int, Any]], *, zone: str | None, date_order: DateOrder | None
) -> tuple[list[When], list[str]]:
    """Return what each cell (beside its line) says, None where nobody can read it, and what was concluded.

    Where every clock is midnight, there is none: dates are often written so. Raises Unreadable.
    """
    stamps = {text: _stamp(text) for text in {_text(cell) for _, cell in cells}}
    order = date_order or _order(stamps)
    clocks = [stamp.clock for stamp in stamps.values() if stamp and stamp.clock is not None]
    midnight = bool(clocks) and all(clock == time() for clock in clocks)
    local = _zone(zone)
    found: dict[str, When] = {}
    for line, cell in cells:
        text = _text(cell)
        if text not in found:
            found[text] = _moment(stamps[text], order, local, None if midnight else f"line {line:,} says {text[:40]!r}")
    notes = ["every time is midnight: taken for dates without a clock time"] if midnight else []
    slashed = any(stamp and isinstance(stamp.day, tuple) for stamp in stamps.values())
    notes += [f"dates are read as {' '.join(order)}"] if slashed and order else []
    return [found[_text(cell)] for _, cell in cells], notes


def _text(cell: Any) -> str:
    """Return a cell as the text that is read."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # a column of whole numbers with gaps is one of floats
    return cell_text(cell).strip('"')


def _stamp(text: str) -> _Stamp | None:
    if found := _FORM.fullmatch(text):
        try:
            return _Stamp(_day(found), _clock(found), _said_zone(found["zone"]))
        except (ValueError, KeyError):
            pass  # twelve digits may be a number of milliseconds all the same
    return _epoch(text)


def _day(found: re.Match[str]) -> date | tuple[int, int, int]:
    if found["s1"]:
        return int(found["s1"]), int(found["s2"]), int(found["sy"])
    if found["y"]:
        return date(int(found["y"]), int(found["m"]), int(found["d"]))
    if found["dd"]:
        return date(int(found["dy"]), int(found["dm"]), int(found["dd"]))
    name = (found["en"] or found["nn"]).lower()[:3]
    return date(int(found["ey"] or found["ny"]), _MONTHS[name], int(found["ed"] or found["nd"]))


def _clock(found: re.Match[str]) -> time | None:
    if found["H"] is None:
        return None
    hour, half = int(found["H"]), (found["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        raise ValueError(hour)
    hour = hour % 12 + 12 * (half == "p") if half else hour
    return time(hour, int(found["M"]), int(found["S"] or 0), int((found["f"] or "0").ljust(6, "0")[:6]))


def _said_zone(said: str | None) -> tzinfo | None:
    if said is None:
        return None
    name = said.strip("()")
    if name in _OFFSETS:
        return timezone(timedelta(hours=_OFFSETS[name]))
    if name == "ET":
        return ZoneInfo("America/New_York")
    digits = name[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if name[0] == "-" else offset)


def _epoch(text: str) -> _Stamp | None:
    """Return a number as the time since 1970 that its size makes it."""
    if not re.fullmatch(r"\d{9,20}(?:\.\d+)?(?:e\+?\d+)?", text):
        return None
    whole, _, rest = text.partition(".")
    number = int(whole) if not rest.strip("0") else float(text)
    for least, most, unit in _EPOCHS:
        if least <= number < most:
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(number * 10**6) // unit)
            return _Stamp(at.date(), at.time(), UTC)
    return None


def _order(stamps: dict[str, _Stamp | None]) -> DateOrder | None:
    """Return what dates like 03/14/2018 show together; None where there are none."""
    pairs = {text: stamp.day for text, stamp in stamps.items() if stamp and isinstance(stamp.day, tuple)}
    shown = Counter("dmy" if day[0] > 12 else "mdy" for day in pairs.values() if max(day[:2]) > 12)
    if pairs and len(shown) != 1:
        why = "some have the day first and some the month" if shown else "either number may be the month"
        raise Unreadable(f"has dates as {min(pairs)!r}: {why}. Say which is first: --date-order mdy, or dmy.")
    return "dmy" if "dmy" in shown else "mdy" if shown else None


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise Unreadable(
            f"cannot be read in the zone {name!r}. Name one of IANA: --timezone America/New_York."
        ) from None


def _moment(stamp: _Stamp | None, order: DateOrder | None, local: ZoneInfo | None, where: str | None) -> When:
    """Return what a stamp says; where: what to say of a clock without a zone, None where clocks count for nothing."""
    if stamp is None or (day := _read(stamp.day, order)) is None:
        return None
    if stamp.clock is None or where is None:
        return day
    zone = stamp.zone or local
    if zone is None:
        raise Unreadable(f"says times without a zone: {where}. Say it: --timezone America/New_York, or UTC.")
    naive = datetime.combine(day, stamp.clock)
    try:
        # an hour that there is twice is the later one: nothing is known too early
        return max(naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        return None


def _read(day: date | tuple[int, int, int], order: DateOrder | None) -> date | None:
    if isinstance(day, date):
        return day
    month, number = (day[0], day[1]) if order == "mdy" else (day[1], day[0])
    try:
        return date(day[2], month, number)
    except ValueError:
        return None
