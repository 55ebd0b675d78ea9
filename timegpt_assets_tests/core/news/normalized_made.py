"""Normalised news made up: a title at a minute, with everything else as plain as it comes.

Belongs here: NORMALIZED_NEWS of titles, and the stories that the second layer after it finds in them.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.news.cluster import ClusterSpec, clustered
from timegpt_assets.core.news.windows import dated
from timegpt_assets.core.tables.news import NORMALIZED_NEWS

DAY = date(2018, 3, 7)
DAYS = [s.day for s in calendar.sessions(date(2018, 3, 1), date(2018, 3, 14))]
NOON = datetime(2018, 3, 7, 17, tzinfo=UTC)
SPEC = ClusterSpec(similarity=84.0, window_min=1440)
_PLAIN: dict[str, Any] = {"source": "own", "type": "headline", "url": None, "tickers": [], "series": None}
_PLAIN |= {"value": None, "surprise": None, "extracted_by": None, "content_hash": "none"}


def event(title: str, minute: float = 0.0, name: str | None = None, **other: Any) -> dict[str, Any]:
    """Return one event, known so many minutes after noon of DAY; its name is its title and minute if none is given."""
    known_at = NOON + timedelta(minutes=minute)
    times = dict.fromkeys(("published_at", "fetched_at", "known_at"), known_at)
    return _PLAIN | {"event_id": name or f"{title} at {minute}", "title": title} | times | other


def normalized(events: Sequence[dict[str, Any]], days: Collection[date] = DAYS) -> pl.DataFrame:
    """Return NORMALIZED_NEWS of the events of the days."""
    schema = {name: dtype for name, dtype in NORMALIZED_NEWS.schema.items() if name != "day"}
    return NORMALIZED_NEWS.conformed(dated(pl.DataFrame(list(events), schema=schema, orient="row"), days))


def stories(*events: dict[str, Any], days: Collection[date] = (DAY,), spec: ClusterSpec = SPEC) -> pl.DataFrame:
    """Return NEWS_CLUSTERS of the events in the order in which they came, with their titles."""
    frame = normalized(events)
    found = clustered(frame, days=days, spec=spec)
    return found.join(frame.select("day", "event_id", "title", "known_at"), on=["day", "event_id"]).sort(
        "known_at", "event_id"
    )


def one_story(*titles: str) -> bool:
    """Return whether titles, each known a minute after the one before, are told as one story."""
    found = stories(*(event(title, minute) for minute, title in enumerate(titles)))
    return found["cluster_id"].n_unique() == 1
