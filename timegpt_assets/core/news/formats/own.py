"""What a user's own news tells: the events of a file, what was taken for what, and what was left out.

Belongs here: rows into events. Bytes into rows is own_table.py, names own_columns.py, times own_times.py.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from timegpt_assets.core import calendar
from timegpt_assets.core.news.delivered import Told
from timegpt_assets.core.news.formats import own_columns, own_table, own_times
from timegpt_assets.core.news.formats.own_imports import Reading, imported
from timegpt_assets.core.news.formats.own_table import cell_text
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets.core.news.windows import next_open, window

NO_TITLE, NO_TIME, BAD_TIME, OUTSIDE = "no title", "no time", "a time nobody can read", "outside the calendar"
_TICKER = re.compile(r"(?:[A-Z]{2,10}:)?\$?([A-Z][A-Z0-9]{0,5}(?:[.-][A-Z]{1,2})?)(?: US(?: Equity)?)?")
"""A ticker, behind its exchange or a dollar, before its country; in small letters it would be any word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A file as it was understood: its events by the moment they could be known, and what is none of them.

    ``columns``: role -> column taken for it. ``left_out``: reason -> lines. ``notes``: what was concluded.
    """

    rows: int
    columns: Mapping[str, str]
    events: tuple[tuple[datetime, Told], ...]
    left_out: Mapping[str, Sequence[int]]
    notes: tuple[str, ...]


def told(body: bytes, *, asked: str) -> list[Told]:
    """Return the events of the session that ``asked`` is about, or all where it names none. Raises Unreadable."""
    session, taken = imported(asked)
    events = _events(body, taken.asked)
    if session:
        after, by = (bisect_right(events, bound, key=lambda event: event[0]) for bound in window(session))
        events = events[after:by]
    return [event for _, event in events]


@lru_cache(maxsize=2)  # the sessions of one file are asked for one after another
def _events(body: bytes, asked: str) -> tuple[tuple[datetime, Told], ...]:
    return understood(body, imported(asked)[1].reading).events


def understood(body: bytes, reading: Reading) -> Understood:
    """Return what a file tells. Raises Unreadable where what it says stays open, or no row of it tells anything."""
    looked_for = set(reading.columns.values())
    found = own_table.rows(body, lambda names: own_columns.wanted(names) + 10 * len(looked_for & set(names)))
    taken = own_columns.columns(found.columns, reading.columns)
    at = {role: found.columns.index(name) for role, name in taken.items()}
    times = [(line, _when(cells, at)) for line, cells in found.cells]
    moments, notes = own_times.moments(
        [(line, cell) for line, cell in times if cell_text(cell)], zone=reading.zone, date_order=reading.date_order
    )
    said = iter(moments)
    left_out: dict[str, list[int]] = {reason: list(lines) for reason, lines in found.broken.items()}
    events: list[tuple[datetime, Told]] = []
    for (line, time), (_, cells) in zip(times, found.cells, strict=True):
        when = next(said) if (has_time := bool(cell_text(time))) else None
        event = _event(cells, at, when) if when else None
        known = _known(event) if event else None
        if event and known:
            events.append((known, event))
        else:
            no_time = BAD_TIME if has_time else NO_TIME
            left_out.setdefault(no_time if not when else OUTSIDE if event else NO_TITLE, []).append(line)
    if not events:
        raise Unreadable(f"tells nothing: {_reasons(left_out) or 'it has no rows'}. {own_table.AGAIN}")
    if "tickers" in at and (odd := sum(1 for _, one in events if not one.tickers)):
        notes.append(f"{odd:,} events name no ticker in {taken['tickers']}")
    rows = len(found.cells) + sum(map(len, found.broken.values()))
    events.sort(key=lambda event: event[0])
    return Understood(rows=rows, columns=taken, events=tuple(events), left_out=left_out, notes=tuple(notes))


def session_of(moment: datetime) -> date:
    """Return the session by whose close a moment is known. Raises OutsideCalendar."""
    near = calendar.sessions(moment.date(), date.fromordinal(moment.toordinal() + 10))
    return next(session.day for session in near if moment <= session.close)


def _when(cells: Sequence[Any], at: Mapping[str, int]) -> Any:
    """Return the cell that says when; a date and a clock beside it as one text."""
    if "time" in at:
        return cells[at["time"]]
    if "date" in at and "clock" in at and (clock := cell_text(cells[at["clock"]]).strip('"')):
        day = cells[at["date"]]
        return f"{day.date() if isinstance(day, datetime) else cell_text(day).strip(chr(34))} {clock}"
    return cells[at["date"]]


def _event(cells: Sequence[Any], at: Mapping[str, int], when: datetime | date) -> Told | None:
    title = cell_text(cells[at["title"]])
    if not title:
        return None
    at_moment = when if isinstance(when, datetime) else None
    return Told(
        type="headline",
        title=title,
        url=(cell_text(cells[at["url"]]) or None) if "url" in at else None,
        tickers=tickers(cells[at["tickers"]]) if "tickers" in at else (),
        published_at=at_moment,
        published_on=None if at_moment else when,
    )


def tickers(cell: Any) -> tuple[str, ...]:
    """Return the tickers of a cell, each once: a list, or a text of them; what is none is left out."""
    words = (
        [str(one) for one in cell]
        if isinstance(cell, (list, tuple))
        else re.split(r"[,;|/\n]+|\s{2,}", cell_text(cell))
    )
    if len(words) == 1 and " " in words[0].strip() and not _TICKER.fullmatch(words[0].strip()):
        words = words[0].split()
    found = (_TICKER.fullmatch(word.strip().strip("[]()'\"").strip()) for word in words)
    return tuple(dict.fromkeys(one[1].replace("-", ".") for one in found if one))


def _known(event: Told) -> datetime | None:
    """Return the moment from which an event could be known, its source's latency aside; None beyond the calendar."""
    try:
        at = event.published_at or (next_open(event.published_on) if event.published_on else None)
        return at if at and session_of(at) else None
    except calendar.OutsideCalendar:
        return None


def _reasons(left_out: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{len(lines):,} rows have {reason} (line {lines[0]:,})" for reason, lines in left_out.items())
