"""What the calendar tells of a session: what is due, when it is due, and nothing of a release that never came."""

from datetime import UTC, date, datetime, time

import pytest

from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar, with_dates, with_earnings
from timegpt_assets.core.news.formats.calendar import scheduled, told
from timegpt_assets.core.news.formats.unreadable import Unreadable

SHUTDOWN = (date(2025, 10, 1), date(2025, 12, 31))


def due(events: EventCalendar, day: date) -> list[tuple[str, datetime | None, datetime | None]]:
    return [(event.title, event.published_at, event.known_from) for event in told(scheduled(events, day))]


def test_a_timed_event_is_told_at_its_moment_and_a_date_from_the_open_of_its_session() -> None:
    events = with_dates(EventCalendar({}), {"event_cpi": [(date(2025, 1, 15), time(8, 30)), (date(2025, 1, 16), None)]})
    assert due(events, date(2025, 1, 15)) == [
        ("cpi: due on 2025-01-15", datetime(2025, 1, 15, 13, 30, tzinfo=UTC), None)
    ]
    assert due(events, date(2025, 1, 16)) == [
        ("cpi: due on 2025-01-16", None, datetime(2025, 1, 16, 14, 30, tzinfo=UTC))
    ]
    assert due(events, date(2025, 1, 17)) == []


def test_what_is_due_after_the_close_or_at_a_weekend_belongs_to_the_next_session() -> None:
    events = with_dates(
        EventCalendar({}), {"event_x": [(date(2025, 1, 10), time(16, 1)), (date(2025, 1, 11), None)]}
    )  # Friday evening, Saturday
    assert due(events, date(2025, 1, 10)) == []
    assert due(events, date(2025, 1, 13)) == [
        ("x: due on 2025-01-10", datetime(2025, 1, 10, 21, 1, tzinfo=UTC), None),
        ("x: due on 2025-01-11", None, calendar.session(date(2025, 1, 13)).open),
    ]  # fmt: skip


def test_every_event_is_told_once_in_all_sessions() -> None:
    events = with_earnings(
        core_inputs.event_calendar(load_settings(profile="demo", config_dir=None, environment={})),
        [("AAPL", date(2025, 1, 30), True)],
    )
    sessions = [session.day for session in calendar.sessions(date(2025, 1, 2), date(2025, 12, 31))]
    found = [event for day in sessions for event in told(scheduled(events, day))]
    of_2025 = sum(day.year == 2025 for days in events.days.values() for day in days)
    assert len(found) == of_2025 + len(events.symbols["event_earnings"]["AAPL"])
    own = [event for event in found if event.tickers]
    assert [(event.title, event.tickers) for event in own] == [
        ("earnings of AAPL: due on 2025-01-30", ("AAPL",)),
        ("earnings of AAPL: due on 2025-01-31", ("AAPL",)),
    ]


def test_a_shutdown_of_the_government_leaves_moved_releases_where_they_came_and_none_where_none_came() -> None:
    events = core_inputs.event_calendar(load_settings(profile="demo", config_dir=None, environment={}))
    sessions = [session.day for session in calendar.sessions(*SHUTDOWN)]
    cpi = [event.published_on for day in sessions for event in told(scheduled(events, day)) if "cpi" in event.title]
    assert cpi == [date(2025, 10, 24), date(2025, 12, 18)]  # scheduled once for 15 October, 13 November, 10 December
    assert not any("cpi" in event.title for event in told(scheduled(events, date(2025, 11, 13))))


@pytest.mark.parametrize(
    "body", [b"{}", b"[1]", b'{"session": "2025-01-11", "events": []}', b'{"session": "2025-01-10"}']
)
def test_what_is_no_schedule_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable, match="is no schedule of a session"):
        told(body)


def test_the_same_calendar_is_the_same_bytes() -> None:
    days = {f"event_{name}": (date(2025, 1, 15),) for name in "abc"}
    assert scheduled(EventCalendar(days), date(2025, 1, 15)) == scheduled(
        EventCalendar(dict(reversed(days.items()))), date(2025, 1, 15)
    )
