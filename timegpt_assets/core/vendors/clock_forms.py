"""How one stamp is written: the form of a text, as a format polars reads; a zone behind it, as its offset or name.

Belongs here: single texts. Whole columns are stamps.py, the order of day and month is date_order.py.
"""

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, available_timezones

_DATES = (
    (r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d"),
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    (r"\d{8}", "%Y%m%d"),
    (r"\d{1,2}/\d{1,2}/\d{4}", "{0}/{1}/%Y"),
    (r"\d{1,2}-\d{1,2}-\d{4}", "{0}-{1}-%Y"),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "{0}.{1}.%Y"),
    (r"\d{1,2}/\d{1,2}/\d{2}", "{0}/{1}/%y"),
    (r"\d{1,2}-\d{1,2}-\d{2}", "{0}-{1}-%y"),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", "{0}.{1}.%y"),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", "%d-%b-%Y"),
    (r"\d{1,2}-[A-Za-z]{3}-\d{2}", "%d-%b-%y"),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", "%d %b %Y"),
    (r"\d{1,2} [A-Za-z]{4,9} \d{4}", "%d %B %Y"),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}", "%b %d, %Y"),
    (r"[A-Za-z]{3} \d{1,2} \d{4}", "%b %d %Y"),
    (r"[A-Za-z]{4,9} \d{1,2}, \d{4}", "%B %d, %Y"),
)
_TIMES = (
    (r"\d{1,2}:\d{2}:\d{2}\.\d{1,9} [AaPp][Mm]", "%I:%M:%S%.f %p"),
    (r"\d{1,2}:\d{2}:\d{2} [AaPp][Mm]", "%I:%M:%S %p"),
    (r"\d{1,2}:\d{2}:\d{2}[AaPp][Mm]", "%I:%M:%S%p"),
    (r"\d{1,2}:\d{2} [AaPp][Mm]", "%I:%M %p"),
    (r"\d{1,2}:\d{2}[AaPp][Mm]", "%I:%M%p"),
    (r"\d{1,2}:\d{2}:\d{2}\.\d{1,9}", "%H:%M:%S%.f"),
    (r"\d{1,2}:\d{2}:\d{2}", "%H:%M:%S"),
    (r"\d{1,2}:\d{2}", "%H:%M"),
    (r"\d{6}", "%H%M%S"),
    (r"\d{4}", "%H%M"),
)
_WEEKDAY = r"(?:(?P<weekday>(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun))(?P<comma>,?) )?"
_ABBREVIATIONS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "GMT": 0,
                  "UTC": 0, "Z": 0, "CET": 1, "CEST": 2, "BST": 1, "JST": 9}  # fmt: skip
_NAMES = {
    "ET": "America/New_York",
    "US/EASTERN": "America/New_York",
    "CT": "America/Chicago",
    "PT": "America/Los_Angeles",
}


@dataclass(frozen=True, slots=True)
class Form:
    """How a text is written: ``date`` and ``time`` are formats, "" where there is none.

    ``date`` holds {0} and {1} where day and month cannot be told apart by one text. ``gap`` stands between them.
    ``suffix`` is what follows, the zone as it is written.
    """

    date: str
    gap: str
    time: str
    suffix: str

    def format(self, order: str) -> str:
        """Return the format that polars reads, day and month in ``order``: mdy or dmy."""
        day_month = ("%m", "%d") if order == "mdy" else ("%d", "%m")
        return (self.date.format(*day_month) if self.is_open else self.date) + self.gap + self.time

    @property
    def is_open(self) -> bool:
        """Return whether day and month may be either way round."""
        return "{0}" in self.date

    @property
    def shown(self) -> str:
        """Return the form as a person writes it."""
        words = {"%Y": "YYYY", "%y": "YY", "%m": "MM", "%d": "DD", "%H": "HH", "%I": "hh", "%M": "MM",
                 "%S": "SS", "%.f": ".fff", "%p": "AM/PM", "%b": "Mon", "%B": "Month", "%a": "Day",
                 "{0}": "NN", "{1}": "NN"}  # fmt: skip
        text = self.date + self.gap + self.time
        for code, word in words.items():
            text = text.replace(code, word)
        return text + self.suffix


def form_of(text: str) -> Form | None:
    """Return the form of a text; None for one that is no stamp, date or time of day in any of the usual forms."""
    for date_pattern, date_format in _DATES:
        weekday = re.match(_WEEKDAY + f"({date_pattern})(?!\\d)", text)
        if weekday is None:
            continue
        prefix = f"%a{weekday['comma']} " if weekday["weekday"] else ""
        rest = text[weekday.end() :]
        if not rest.strip():
            return Form(prefix + date_format, "", "", rest)
        timed = _timed(rest)
        if timed is not None:
            return Form(prefix + date_format, *timed)
    glued = re.match(r"^(\d{8})(\d{6}|\d{4})$", text)
    if glued:
        return Form("%Y%m%d", "", "%H%M%S" if len(glued[2]) == 6 else "%H%M", "")
    timed = _timed(text)
    return Form("", "", timed[1], timed[2]) if timed is not None and timed[0] == "" else None


def _timed(rest: str) -> tuple[str, str, str] | None:
    """Return gap, format and suffix of what follows a date."""
    gap = re.match(r"(?:[Tt]|[ ,;_:\-]{0,2})", rest)
    behind = rest[gap.end() :] if gap else rest
    for pattern, time_format in _TIMES:
        # Neither digit nor colon may follow: 12:30 must not be read off 12:30:05.
        found = re.match(f"({pattern})(?![\\d:])", behind)
        if found and zone_of(behind[found.end() :]) is not None:
            return gap.group() if gap else "", time_format, behind[found.end() :]
    return None


def zone_of(suffix: str) -> str | int | None:
    """Return what a suffix says: "" nothing, a number of minutes east of UTC, or a zone's name; None: it is no zone."""
    text = suffix.strip()
    text = re.sub(r"\s*[\[(][^\])]*[\])]$", "", text) or text.strip("[]()").strip()  # an offset, then its name
    if not text:
        return ""
    if text.upper() in _ABBREVIATIONS:
        return _ABBREVIATIONS[text.upper()] * 60
    offset = re.fullmatch(r"(?:UTC|GMT)?\s*([+-])(\d{1,2})(?::?(\d{2}))?", text, re.IGNORECASE)
    if offset and int(offset[2]) <= 14 and int(offset[3] or 0) < 60:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        return -minutes if offset[1] == "-" else minutes
    name = _NAMES.get(text.upper(), text)
    return name if name in available_timezones() else None


def is_zone(name: str) -> bool:
    """Return whether the IANA database knows the zone."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return name in available_timezones()
