"""Scheduled events: which days carry one, which of them are skipped, and when nothing may be traded around one.

Belongs here: what is known about an event beforehand (its date and time), never what it brought.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from timegpt_assets.core.schema import TIME


class UnknownEvent(ValueError):
    """Raised for an event the calendar does not hold; names it and the ones there are."""


@dataclass(frozen=True, slots=True)
class EventCalendar:
    """Event name (event_fomc, event_cpi, ...) -> its New York dates, and where known its aware times.

    ``symbols``: events of one company (event_earnings) -> symbol -> the sessions they concern.
    """

    days: Mapping[str, tuple[date, ...]]
    times: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    symbols: Mapping[str, Mapping[str, tuple[date, ...]]] = field(default_factory=dict)

    def flags(self, days: Iterable[date]) -> pl.DataFrame:
        """Return one row per distinct day, sorted: ``day`` and a boolean column per event, names sorted."""
        asked = pl.DataFrame({"day": sorted(set(days))}, schema={"day": pl.Date})
        return asked.with_columns(
            pl.col("day").is_in(sorted(self.days[name])).alias(name) for name in sorted(self.days)
        )


def skip_reason(calendar: EventCalendar, day: date, skip_events: Collection[str]) -> str:
    """Return the events among ``skip_events`` that fall on ``day``, sorted and joined by ", "; "" when none does.

    Raises UnknownEvent: an event without a calendar would otherwise never be skipped.
    """
    for name in sorted(skip_events):
        if name not in calendar.days:
            raise UnknownEvent(
                f"skip_events names {name}, the event calendar holds {sorted(calendar.days) or 'nothing'}. "
                f"Give {name} its dates in configs/calendar/events.yaml, or take it out of forecast.skip_events."
            )
    return ", ".join(name for name in sorted(skip_events) if day in calendar.days[name])


def no_trade_windows(calendar: EventCalendar, *, before_min: int, after_min: int) -> pl.DataFrame:
    """Return one row (event, start, end: UTC, both included) per timed event, sorted by start, then event."""
    before, after = timedelta(minutes=before_min), timedelta(minutes=after_min)
    rows = [(name, at - before, at + after) for name in sorted(calendar.times) for at in calendar.times[name]]
    schema = pl.Schema({"event": pl.String(), "start": TIME, "end": TIME})
    return pl.DataFrame(rows, schema=schema, orient="row").sort("start", "event")
