"""Which session an event belongs to: the one by whose close it is known, and after whose predecessor's close.

Belongs here: the window (previous close, this close]. Weekends and holidays lie in that of the session after them.
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.schema import TIME


def window(day: date) -> tuple[datetime, datetime]:
    """Return the close before a session, outside its window, and its own close, inside; both UTC."""
    return calendar.session(calendar.shifted(day, -1)).close, calendar.session(day).close


def next_open(day: date) -> datetime:
    """Return the open of the first session after a date: by then everybody knows what came on it, whatever the hour.

    Raises OutsideCalendar.
    """
    # ten days hold a session: the longest closure since 2000, September 2001, lasted six
    return calendar.sessions(day + timedelta(days=1), day + timedelta(days=10))[0].open


def within(days: Collection[date]) -> pl.DataFrame:
    """Return [day, after, by] of each session, sorted: what is known at ``after < known_at <= by`` is of the day."""
    spans = [(day, *window(day)) for day in sorted(set(days))]
    return pl.DataFrame(spans, schema={"day": pl.Date, "after": TIME, "by": TIME}, orient="row")


def dated(events: pl.DataFrame, days: Collection[date]) -> pl.DataFrame:
    """Return the events of the windows of ``days`` with their ``day``; those of no window are left out."""
    spans = within(days)
    joined = events.drop("day", strict=False).sort("known_at").join_asof(
        spans.sort("by"), left_on="known_at", right_on="by", strategy="forward"
    )  # fmt: skip
    return joined.filter(pl.col("after") < pl.col("known_at")).drop("after", "by")
