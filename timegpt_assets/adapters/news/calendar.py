"""The event calendar as a source of news: nobody is asked, what settings and files say of a session is kept.

Belongs here: keeping a session's schedule like any other answer. A calendar that says something else of a session since
then is another question: what was kept before stays under its own name.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from timegpt_assets.adapters.news.raw_store import Answer, RawStore
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.news.formats.calendar import scheduled


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """What the calendar says is due in a session."""

    events: Callable[[], EventCalendar]
    store: RawStore
    clock: Callable[[], datetime] = field(repr=False)

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        return "calendar"

    def answers(self, window: tuple[datetime, datetime], day: date) -> Sequence[Answer]:
        """Return the one answer about a session. Raises DailyFileError where a calendar file cannot be read."""
        body = scheduled(self.events(), day)
        asked = f"{day} {hashlib.sha256(body).hexdigest()[:16]}"
        known = self.store.answered(self.name, asked)
        return [known or self.store.keep(self.name, asked, body, day=day, fetched_at=self.clock(), status=200)]
