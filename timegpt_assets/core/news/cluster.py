"""Stories: which events tell the same, as far as was known when each of them came.

Belongs here: NEWS_CLUSTERS from normalised news. What a title tells is read in core/news/telling, which are alike is
found in core/news/alike.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.news.alike import alike
from timegpt_assets.core.news.contradiction import Figures, apart, contradict, surely
from timegpt_assets.core.news.figures import Figure
from timegpt_assets.core.news.telling import Telling, literal, read
from timegpt_assets.core.tables.news import NEWS_CLUSTERS

_Readings = dict[tuple[Any, ...], Telling]
"""What an event says -> how it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """From which likeness on, of 100, two titles tell the same, and how many minutes a story is told."""

    similarity: float
    window_min: int


def clustered(normalized: pl.DataFrame, *, days: Collection[date], spec: ClusterSpec) -> pl.DataFrame:
    """Return NEWS_CLUSTERS of ``days`` from NORMALIZED_NEWS of them and of the sessions before them.

    Each row says what was known at its event's own known_at: events are taken in the order of (known_at, event_id),
    and what comes later changes no row before it. An event joins the story of whatever it is most alike, and unites
    with it the stories of all others that it is alike and that do not contradict. A story ends ``window_min`` after
    its first event: what is alike later is a new one. A day sees its own events and those of the session before.
    """
    readings: _Readings = {}
    rows = [row for day in sorted(set(days)) for row in _rows(seen(normalized, day), day, spec, readings)]
    return NEWS_CLUSTERS.conformed(pl.DataFrame(rows, schema=NEWS_CLUSTERS.schema, orient="row"))


def seen(normalized: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return what a day sees, in the order it came: its events and those of the session before, each once.

    An event that is delivered again counts where it was first known.
    """
    of_both = normalized.filter(pl.col("day").is_in([calendar.shifted(day, -1), day]))
    return of_both.sort("known_at", "event_id", "day").unique("event_id", keep="first", maintain_order=True)


@dataclass(slots=True, eq=False)
class _Story:
    """A story as known so far: its first event, and what was counted since."""

    known_at: datetime
    event_id: str
    telling: Telling
    copies: int = 0
    sources: set[str] = field(default_factory=set)
    figures: dict[str, frozenset[Figure]] = field(default_factory=dict)
    part_of: "_Story | None" = None
    """The older story that it was united with."""

    def count(self, source: str, telling: Telling) -> None:
        """Take one more event in."""
        self.copies += 1
        self.sources.add(source)
        self._learn(telling.figures)

    def unite(self, younger: "_Story") -> None:
        """Take all of a younger story in."""
        younger.part_of = self
        self.copies += younger.copies
        self.sources |= younger.sources
        self._learn(younger.figures)

    def whole(self) -> "_Story":
        """Return the story that it is a part of by now, or itself."""
        while self.part_of is not None:
            if self.part_of.part_of is not None:
                self.part_of = self.part_of.part_of
            self = self.part_of
        return self

    def contradicts(self, telling: Telling, figures: Figures) -> bool:
        """Return whether its first telling does, or all figures of a kind that were told in it."""
        return surely(self.telling, telling) or apart(self.figures, figures)

    def _learn(self, figures: Figures) -> None:
        for kind, told in figures.items():
            self.figures[kind] = self.figures.get(kind, frozenset()) | told


def _rows(events: pl.DataFrame, day: date, spec: ClusterSpec, readings: _Readings) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a day's own events from all that it sees, in the order in which they came."""
    window = timedelta(minutes=spec.window_min)
    tellings, places = _numbered(events, readings)
    near = _near(tellings, spec.similarity)
    last: dict[int, _Story] = {}
    for place, (event_day, event_id, known_at, source) in zip(
        places, events.select("day", "event_id", "known_at", "source").iter_rows(), strict=True
    ):
        telling = tellings[place]
        others = (last[other].whole() for other in (place, *near.get(place, ())) if other in last)
        open_ones = [story for story in others if known_at - story.known_at <= window]
        story = _joined(open_ones, telling) or _Story(known_at, event_id, telling)
        story.count(source, telling)
        last[place] = story
        if event_day == day:
            yield day, event_id, story.event_id, story.known_at, story.copies, len(story.sources)


def _joined(stories: Sequence[_Story], telling: Telling) -> _Story | None:
    """Return the story that a telling belongs to, united of all that it may belong to; the most alike come first."""
    joined: _Story | None = None
    for story in stories:
        if story is joined or story.whole() is joined or story.contradicts(telling, telling.figures):
            continue
        if joined is None:
            joined = story
        elif not joined.contradicts(story.telling, story.figures):
            joined, younger = sorted((joined, story), key=lambda one: (one.known_at, one.event_id))
            joined.unite(younger)
    return joined


def _numbered(events: pl.DataFrame, readings: _Readings) -> tuple[list[Telling], list[int]]:
    """Return the tellings in the order in which they were first told, and which of them each event is."""
    numbers: dict[str, int] = {}
    tellings: list[Telling] = []
    places = []
    for said in events.select("type", "title", "tickers", "series", "value").iter_rows():
        key = (said[0], said[1], tuple(said[2]), *said[3:])
        telling = readings.get(key)
        if telling is None:
            telling = readings[key] = _read(*key)
        place = numbers.setdefault(telling.told, len(tellings))
        if place == len(tellings):
            tellings.append(telling)
        places.append(place)
    return tellings, places


def _read(kind: str, title: str, tickers: Sequence[str], series: str | None, value: float | None) -> Telling:
    if kind == "headline":
        return read(title, frozenset(tickers))
    return literal(f"{kind} {series} {value} {title}")


def _near(tellings: Sequence[Telling], similarity: float) -> dict[int, list[int]]:
    """Return the tellings that are alike each and do not contradict it, the most alike first."""
    found: dict[int, list[tuple[float, int]]] = {}
    for earlier, later, likeness in alike(tellings, similarity):
        if not contradict(tellings[earlier], tellings[later]):
            found.setdefault(earlier, []).append((-likeness, later))
            found.setdefault(later, []).append((-likeness, earlier))
    return {place: [other for _, other in sorted(each)] for place, each in found.items()}
