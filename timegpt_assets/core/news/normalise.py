"""The second layer: what sources delivered as events with one set of columns, each known from one moment on.

Belongs here: when an event is known, what names it, and which of its copies counts. What a body says is formats/.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, TypeAlias

import orjson
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.news.delivered import Delivered, Told
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets.core.news.title import mended
from timegpt_assets.core.news.url import shown
from timegpt_assets.core.news.windows import dated, next_open
from timegpt_assets.core.tables.news import NORMALIZED_NEWS

Reader: TypeAlias = Callable[[Delivered], Sequence[Told]]
"""Reads one source's bodies. Raises Unreadable."""
UNTITLED, TIMELESS, AHEAD, OUTSIDE = "no title", "no time", "time ahead of delivery", "outside the calendar"
_BEGUN = timedelta(hours=14)
"""How long before midnight in UTC a date has begun somewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSpec:
    """When an event is known.

    ``latency``: source -> from published to known. ``tolerance``: how far a time may lie after the delivery that tells
    it, for clocks that go wrong; what lies further is refused.
    """

    clock: Literal["replay", "live"]
    latency: Mapping[str, timedelta]
    tolerance: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A body that nobody could read: who delivered it in answer to what, and why it cannot be read."""

    source: str
    asked: str
    content_hash: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """NORMALIZED_NEWS, beside what is not in it: bodies nobody could read, and events refused, by source and reason."""

    frame: pl.DataFrame
    unreadable: tuple[Unread, ...]
    refused: Mapping[tuple[str, str], int]


def normalised(
    delivered: Iterable[Delivered], *, readers: Mapping[str, Reader], clock: ClockSpec, days: Collection[date]
) -> Normalised:
    """Return the events of the windows of ``days`` among what was delivered, whatever the order of deliveries.

    An event that several deliveries tell is there once, from the first moment it was known; tickers of copies known at
    that moment are put together. A release may lie ahead: it is scheduled. Raises KeyError for a source without reader.
    """
    events: list[dict[str, Any]] = []
    unreadable: list[Unread] = []
    refused: Counter[tuple[str, str]] = Counter()
    for answer in delivered:
        try:
            told = readers[answer.source](answer)
        except Unreadable as error:
            unreadable.append(_unread(answer, error))
            continue
        for event, reason in _events(told, answer, clock):
            if event is None:
                refused[answer.source, reason] += 1
            else:
                events.append(event)
    return Normalised(
        frame=_first_known(events, days),
        unreadable=tuple(sorted(unreadable, key=lambda one: (one.source, one.asked, one.content_hash))),
        refused=dict(sorted(refused.items())),
    )


def known_at(told: Told, source: str, fetched_at: datetime, clock: ClockSpec) -> datetime | None:
    """Return when an event may first be used, None where it names no time. Raises OutsideCalendar for a date alone.

    In a replay when it was published or, later, seen, and the source's latency after that; a date without a clock time
    is known at the open of the first session after it. Live: not before it was delivered.
    """
    said = [moment for moment in (told.published_at, told.seen_at) if moment is not None]
    known = [max(said) + clock.latency[source]] if said else []
    if told.known_from is not None:
        known.append(told.known_from)
    elif told.published_on is not None and not said:
        known.append(next_open(told.published_on))
    return max([*known, *([fetched_at] if clock.clock == "live" else [])]) if known else None


def _unread(answer: Delivered, error: Unreadable) -> Unread:
    return Unread(source=answer.source, asked=answer.asked, content_hash=answer.content_hash, why=str(error))


def _events(told: Sequence[Told], answer: Delivered, clock: ClockSpec) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """Yield each event as a row, or None and why it is refused."""
    for place, one in enumerate(told):
        title = mended(one.title)
        if not title:
            yield None, UNTITLED
        elif _is_ahead(one, answer.fetched_at + clock.tolerance):
            yield None, AHEAD
        else:
            try:
                known = known_at(one, answer.source, answer.fetched_at, clock)
            except calendar.OutsideCalendar:
                yield None, OUTSIDE
                continue
            yield (None, TIMELESS) if known is None else (_row(one, title, known, answer, place), "")


def _is_ahead(told: Told, latest: datetime) -> bool:
    """Return whether an event tells of a time that had not come when it was delivered."""
    if told.type == "release":
        return False
    said = [moment for moment in (told.published_at, told.seen_at) if moment is not None]
    if said or told.published_on is None:
        return any(moment > latest for moment in said)
    begun = datetime.combine(told.published_on, datetime.min.time(), latest.tzinfo) - _BEGUN
    return begun > latest


def _row(told: Told, title: str, known: datetime, answer: Delivered, place: int) -> dict[str, Any]:
    url = shown(told.url) if told.url else None
    said = told.published_at or told.published_on or told.seen_at
    name = orjson.dumps([answer.source, url, title, said.isoformat() if said else None])
    return {
        "event_id": hashlib.sha256(name).hexdigest(),
        "source": answer.source,
        "type": told.type,
        "title": title,
        "url": url,
        "tickers": list(told.tickers),
        "series": told.series,
        "value": told.value,
        "surprise": told.surprise,
        "published_at": told.published_at,
        "fetched_at": answer.fetched_at,
        "known_at": known,
        "extracted_by": None,
        "content_hash": answer.content_hash,
        "place": place,
    }


def _first_known(events: list[dict[str, Any]], days: Collection[date]) -> pl.DataFrame:
    """Return each event once, as it was first known, of the windows of the days."""
    schema = {name: dtype for name, dtype in NORMALIZED_NEWS.schema.items() if name != "day"} | {"place": pl.Int64}
    rows = pl.DataFrame(events, schema=schema)
    # dated after an event's first moment is found: a copy that came a day later makes no second event
    first = rows.sort("event_id", "known_at", "fetched_at", "content_hash", "place").filter(
        pl.col("known_at") == pl.col("known_at").first().over("event_id")
    )
    named = first.group_by("event_id").agg(pl.col("tickers").explode(empty_as_null=False).unique().sort())
    once = first.unique("event_id", keep="first", maintain_order=True).drop("tickers").join(named, on="event_id")
    return NORMALIZED_NEWS.conformed(dated(once, days))
