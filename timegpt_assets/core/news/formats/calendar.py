"""The event calendar as news: what was scheduled for a session, known beforehand, told when it is due.

Belongs here: the calendar's events of a session as bytes that can be kept, and what those bytes tell. What a release
brought is never told here: a release that was moved or never came (as in a shutdown of the government) stands where the
calendar has it, or nowhere.
"""

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.news.delivered import Told
from timegpt_assets.core.news.formats.text import json_value
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets.core.news.windows import window

Due = tuple[str, date, datetime | None, str | None]
"""Event, its New York date, its moment where known, and whose it is where it is one company's."""
_REMEDY = "Mend what events.calendar_path names, or configs/events.yaml, and materialise raw_news of the day again."


def scheduled(events: EventCalendar, day: date) -> bytes:
    """Return as JSON what is due in a session's window: timed events by their moment, dates from its own open on."""
    due = [
        {"event": event, "date": str(on), "at": at and at.isoformat(), "symbol": symbol}
        for event, on, at, symbol in sorted(_due(events, day), key=repr)
    ]
    return json.dumps({"session": str(day), "events": due}).encode()


def told(body: bytes) -> list[Told]:
    """Return the events of the bytes. Raises Unreadable for what ``scheduled`` did not write."""
    said = json_value(body, _REMEDY)
    try:
        opened = calendar.session(date.fromisoformat(said["session"])).open
        return [_event(event, opened) for event in said["events"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"is no schedule of a session ({error!r}): {body[:80]!r}. {_REMEDY}") from error


def _due(events: EventCalendar, day: date) -> Iterator[Due]:
    after, by = window(day)
    before = calendar.shifted(day, -1)
    for event, days in events.days.items():
        moments = {at.astimezone(ZoneInfo(calendar.ZONE)).date(): at for at in events.times.get(event, ())}
        for on in days:
            at = moments.get(on)
            if (after < at <= by) if at else (before < on <= day):
                yield event, on, at, None
    for event, own in events.symbols.items():
        for symbol, days in own.items():
            if day in days:
                yield event, day, None, symbol


def _event(said: dict[str, Any], opened: datetime) -> Told:
    name, symbol = str(said["event"]).removeprefix("event_").replace("_", " "), said["symbol"]
    at = datetime.fromisoformat(said["at"]) if said["at"] else None
    return Told(
        type="release",
        title=f"{name} of {symbol}: due on {said['date']}" if symbol else f"{name}: due on {said['date']}",
        published_at=at,
        published_on=date.fromisoformat(said["date"]),
        known_from=None if at else opened,
        tickers=(str(symbol),) if symbol else (),
    )
