"""Events with titles of our own, and whom they are linked to by the names that are shipped."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import polars as pl

from timegpt_assets.adapters.news.aliases import SHIPPED, aliases, names
from timegpt_assets.core.news.directory import Directory
from timegpt_assets.core.news.link import linked

DAY = date(2018, 3, 20)
EVENTS = {
    "day": pl.Date, "event_id": pl.String, "title": pl.String, "tickers": pl.List(pl.String), "series": pl.String,
    "extracted_by": pl.String,
}  # fmt: skip


def events(
    *titles: str, day: date = DAY, tickers: Sequence[str] = (), series: str | None = None, by: str | None = None
) -> pl.DataFrame:
    """Return an event of each title, named by it."""
    rows = [(day, title, title, list(tickers), series, by) for title in titles]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


@lru_cache(maxsize=1)
def shipped() -> Directory:
    """Return the names that are shipped."""
    return names(None, ())


@lru_cache(maxsize=1)
def shipped_rows() -> pl.DataFrame:
    """Return the rows of the file that is shipped."""
    return aliases(SHIPPED)


def links(title: str, *, day: date = DAY, directory: Directory | None = None) -> dict[str, str]:
    """Return entity -> method of an event with that title alone."""
    found = linked(events(title, day=day), directory or shipped(), min_confidence=0.0)
    return dict(found.select("entity", "method").iter_rows())
