"""Where an event of the news comes from: its headline, who told it, and the bytes that it was read from.

Belongs here: looking up what is stored of events by their names. Nothing is fetched, and nothing is mended.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core import calendar
from timegpt_assets.core.tables.news import NORMALIZED_NEWS, SCORED_NEWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One event: what it says, whose word it is and of which tier, when it was known, and its bytes.

    ``lies_at``: the place of the bytes; None when they are gone.
    """

    event_id: str
    title: str
    source: str
    tier: int
    url: str | None
    published_at: datetime | None
    known_at: datetime
    content_hash: str
    lies_at: str | None


def origins(store: ParquetStore, raw: RawStore, day: date, event_ids: Collection[str]) -> list[Origin]:
    """Return what is stored of the events that counted on a day, by name; whatever is not stored is absent."""
    wanted = pl.col("event_id").is_in(sorted(set(event_ids)))
    days = [str(calendar.shifted(day, -1)), str(day)]
    told = store.read("news/normalized_news", days, missing="ok", empty=NORMALIZED_NEWS.empty()).filter(wanted)
    worth = store.read("news/scored_news", days[1:], missing="ok", empty=SCORED_NEWS.empty()).filter(wanted)
    tiers = worth.select("event_id", "tier").unique("event_id")
    names = ("event_id", "title", "source", "tier", "url", "published_at", "known_at", "content_hash")
    rows = told.unique("event_id", keep="first").join(tiers, on="event_id").sort("event_id")
    return [Origin(**row, lies_at=raw.lies_at(row["content_hash"])) for row in rows.select(names).iter_rows(named=True)]
