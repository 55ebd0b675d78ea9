"""Scheduled events: which days carry one, which of them are skipped, and when nothing may be traded around one.

Belongs here: what is known about an event beforehand (its date and time), never what it brought.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.core import calendar as trading_calendar
from timegpt_assets.core.calendar import ZONE
from timegpt_assets.core.schema import TIME

EARNINGS = "event_earnings"


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


def with_dates(calendar: EventCalendar, dated: Mapping[str, Iterable[tuple[date, time | None]]]) -> EventCalendar:
    """Return the calendar with further dates of its events, each with its New York time of day or None.

    A date that is there already keeps the time it has.
    """
    days, times = dict(calendar.days), dict(calendar.times)
    zone = ZoneInfo(ZONE)
    for name, entries in dated.items():
        new = {day: at for day, at in entries if day not in days.get(name, ())}
        days[name] = tuple(sorted({*days.get(name, ()), *new}))
        moments = {datetime.combine(day, at, tzinfo=zone).astimezone(UTC) for day, at in new.items() if at is not None}
        if moments or name in times:
            times[name] = tuple(sorted({*times.get(name, ()), *moments}))
    return EventCalendar(days, times, calendar.symbols)


def with_earnings(calendar: EventCalendar, reports: Iterable[tuple[str, date, bool]]) -> EventCalendar:
    """Return the calendar with event_earnings from (symbol, New York date, whether after the close).

    The date is concerned when it is a session; after the close (or on a day without one) so is the next session.
    """
    found: dict[str, set[date]] = {}
    for symbol, day, after_close in reports:
        if not trading_calendar.FIRST_DAY <= day < trading_calendar.LAST_DAY - timedelta(days=14):
            continue
        # Ten days hold two sessions: the longest closure since 2000, September 2001, lasted six days.
        near = [s.day for s in trading_calendar.sessions(day, day + timedelta(days=10))]
        concerned = near[:2] if after_close and near[0] == day else near[:1]
        found.setdefault(symbol, set()).update(concerned)
    own = {symbol: tuple(sorted(days)) for symbol, days in sorted(found.items())}
    return EventCalendar(calendar.days, calendar.times, {**calendar.symbols, EARNINGS: own})


def skip_reason(calendar: EventCalendar, day: date, skip_events: Collection[str]) -> str:
    """Return the events among ``skip_events`` that fall on ``day``, sorted and joined by ", "; "" when none does.

    Raises UnknownEvent: an event without a calendar would otherwise never be skipped.
    """
    return ", ".join(name for name in sorted(skip_events) if day in _days_of(calendar, name))


def skip_days(calendar: EventCalendar, skip_events: Collection[str]) -> list[date]:
    """Return the days on which an event of ``skip_events`` falls, sorted. Raises UnknownEvent."""
    return sorted({day for name in sorted(skip_events) for day in _days_of(calendar, name)})


def _days_of(calendar: EventCalendar, name: str) -> tuple[date, ...]:
    if name not in calendar.days:
        raise UnknownEvent(
            f"skip_events names {name}, the event calendar holds {sorted(calendar.days) or 'nothing'}. "
            f"Give {name} its dates in configs/events.yaml or the file events.calendar_path names, "
            "or take it out of forecast.skip_events and trading.skip_events."
        )
    return calendar.days[name]


def no_trade_windows(calendar: EventCalendar, *, buffer_min: int) -> pl.DataFrame:
    """Return one row (event, start, end: UTC, both included) per timed event, sorted by start, then event."""
    buffer = timedelta(minutes=buffer_min)
    rows = [(name, at - buffer, at + buffer) for name in sorted(calendar.times) for at in calendar.times[name]]
    schema = pl.Schema({"event": pl.String(), "start": TIME, "end": TIME})
    return pl.DataFrame(rows, schema=schema, orient="row").sort("start", "event")
