"""The trading calendar of the New York Stock Exchange: which days are sessions and when they open and close.

Belongs here: everything the project asks of a calendar. exchange_calendars (which brings pandas and takes over a
second to import) is behind this one door: what its locked version says is kept in xnys.py, another one is asked itself.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.metadata import version
from typing import NamedTuple
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.core import xnys
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.schema import TIME

ZONE = "America/New_York"
EXCHANGE = "XNYS"
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2035, 12, 31)
"""What the calendar covers: a bounded range that holds every day we can ask for."""


class NotASession(Explained, ValueError):
    """Raised for a day on which the exchange does not open; names the day and the nearest sessions."""


class OutsideCalendar(Explained, ValueError):
    """Raised for a day the calendar does not cover, which a clock that was never set also asks for."""


class StillOpen(Explained, ValueError):
    """Raised for a session that has not closed; names it and the newest one that has."""


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day: ``day`` is the New York date, ``open`` and ``close`` are aware UTC times."""

    day: date
    open: datetime
    close: datetime

    @property
    def minutes(self) -> int:
        """Return how many one-minute bars the session has: 390, or 210 on an early close."""
        return int((self.close - self.open) / timedelta(minutes=1))


class _Calendar(NamedTuple):
    days: tuple[date, ...]
    sessions: tuple[Session, ...]
    positions: dict[date, int]


def sessions(first: date, last: date) -> tuple[Session, ...]:
    """Return the sessions from ``first`` to ``last``, both included, oldest first; none when last < first.

    Raises ValueError for days the calendar does not cover.
    """
    calendar = _calendar()
    for day in (first, last):
        _check_covered(day)
    return calendar.sessions[bisect_left(calendar.days, first) : bisect_right(calendar.days, last)]


def session(day: date) -> Session:
    """Return the session of ``day``. Raises NotASession, or ValueError for a day outside the calendar."""
    return _calendar().sessions[_position(day)]


def sessions_frame(days: Iterable[date]) -> pl.DataFrame:
    """Return one row (day, open, close: UTC) per distinct day, sorted. Raises NotASession."""
    chosen = [session(day) for day in sorted(set(days))]
    return pl.DataFrame(
        {"day": [s.day for s in chosen], "open": [s.open for s in chosen], "close": [s.close for s in chosen]},
        schema={"day": pl.Date, "open": TIME, "close": TIME},
    )


def minutes(days: Iterable[date]) -> pl.DataFrame:
    """Return one row per minute of the sessions: day, ts (bar start), known_at (ts + 1 minute), minute (from 0).

    Sorted by ts, each distinct day once, 390 rows for a full session. Raises NotASession.
    """
    count = (pl.col("close") - pl.col("open")).dt.total_minutes()
    since_open = pl.duration(minutes=pl.col("minute"))
    return (
        sessions_frame(days)
        .with_columns(minute=pl.int_ranges(0, count, dtype=pl.Int64))
        .explode("minute", empty_as_null=False)
        .with_columns(ts=(pl.col("open") + since_open).cast(TIME))
        .with_columns(known_at=pl.col("ts").dt.offset_by("1m"))
        .select("day", "ts", "known_at", "minute")
    )


def holidays(first: date, last: date) -> tuple[date, ...]:
    """Return the weekdays from ``first`` to ``last`` (included) on which the exchange does not open."""
    open_days = {s.day for s in sessions(first, last)}
    all_days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return tuple(day for day in all_days if day.weekday() < 5 and day not in open_days)


def shifted(day: date, sessions: int) -> date:
    """Return the session ``sessions`` sessions after ``day`` (negative: before; 0: the day itself).

    Raises NotASession when ``day`` is none, ValueError when the result lies outside the calendar.
    """
    calendar = _calendar()
    position = _position(day) + sessions
    if not 0 <= position < len(calendar.days):
        raise OutsideCalendar(
            f"{sessions:+d} sessions from {day} lies outside the calendar ({FIRST_DAY}..{LAST_DAY}). "
            "Ask for fewer sessions, or widen FIRST_DAY/LAST_DAY in core/calendar.py."
        )
    return calendar.days[position]


def has_closed(day: date, now: datetime) -> bool:
    """Return whether the session of ``day`` is over at ``now``, which must carry a time zone.

    Raises NotASession, or ValueError for a naive ``now``.
    """
    if now.tzinfo is None:
        raise ValueError(f"now={now} has no time zone. Pass an aware time, for example datetime.now(UTC).")
    return now >= session(day).close


def last_closed_session(at: datetime) -> date:
    """Return the newest session that has closed at ``at``, which must carry a time zone."""
    # Two weeks hold a closed session: the longest closure since 2000, September 2001, lasted six days.
    earlier = sessions(at.date() - timedelta(days=14), at.date())
    return next(s.day for s in reversed(earlier) if has_closed(s.day, at))


def refuse_open(days: Iterable[date], at: datetime) -> None:
    """Raise StillOpen for the first of the days whose session has not closed at ``at``."""
    if still := [day for day in sorted(days) if not has_closed(day, at)]:
        raise StillOpen(f"the session of {still[0]} has not closed yet. Ask for {last_closed_session(at)} or earlier.")


def deadline(day: date, sessions_later: int) -> datetime:
    """Return the close of the session so many sessions after ``day``: until then its bars are awaited."""
    return session(shifted(day, sessions_later)).close


def months_later(first: date, months: int) -> date:
    """Return the first of the month that lies so many months after (negative: before) that of ``first``."""
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def month_sessions(month: str) -> tuple[date, ...]:
    """Return the session days of a calendar month given as YYYY-MM. Raises ValueError for another format."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as error:
        raise ValueError(f"{month!r} is not a month. Write it as YYYY-MM, for example 2025-01.") from error
    return tuple(s.day for s in sessions(first, months_later(first, 1) - timedelta(days=1)))


def _position(day: date) -> int:
    calendar = _calendar()
    _check_covered(day)
    if (position := calendar.positions.get(day)) is None:
        after = bisect_left(calendar.days, day)
        nearest = " and ".join(str(d) for d in calendar.days[max(after - 1, 0) : after + 1])
        raise NotASession(f"{day} ({day:%A}) is not a session of {EXCHANGE}. Nearest sessions: {nearest}; ask for one.")
    return position


def _check_covered(day: date) -> None:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise OutsideCalendar(
            f"{day} lies outside the calendar ({FIRST_DAY}..{LAST_DAY}). "
            "Ask for a day inside it (set the machine's clock, if it is today's), or widen FIRST_DAY/LAST_DAY in "
            "core/calendar.py."
        )


@cache
def _calendar() -> _Calendar:
    made = _kept_sessions() if version("exchange_calendars") == xnys.VERSION else exchange_sessions()
    session_days = tuple(s.day for s in made)
    return _Calendar(session_days, made, {day: n for n, day in enumerate(session_days)})


def _kept_sessions() -> tuple[Session, ...]:
    # no polars: its threads would be begun by whoever asks first, and a fork does not survive them
    early, closed = set(xnys.EARLY_CLOSES.split()), set(xnys.HOLIDAYS.split())
    days = (FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1))
    return tuple(
        Session(day, _utc(day, xnys.OPEN), _utc(day, xnys.EARLY_CLOSE if str(day) in early else xnys.CLOSE))
        for day in days
        if day.weekday() < 5 and str(day) not in closed
    )


def _utc(day: date, clock: time) -> datetime:
    """Return a New York time as UTC."""
    return datetime.combine(day, clock, ZoneInfo(ZONE)).astimezone(UTC)


def exchange_sessions() -> tuple[Session, ...]:
    """Return every session from FIRST_DAY to LAST_DAY as exchange_calendars, whatever its version, has them."""
    import exchange_calendars

    exchange = exchange_calendars.get_calendar(EXCHANGE, start=str(FIRST_DAY), end=str(LAST_DAY))
    # Of microseconds numpy makes datetimes, of nanoseconds bare integers.
    days, opens, closes = (
        nanos.view("datetime64[ns]").astype("datetime64[us]").tolist()
        for nanos in (exchange.sessions_nanos, exchange.opens_nanos, exchange.closes_nanos)
    )
    return tuple(
        Session(day.date(), opened.replace(tzinfo=UTC), closed.replace(tzinfo=UTC))
        for day, opened, closed in zip(days, opens, closes, strict=True)
    )
