"""News of one's own: which of the files that timegpt-assets import-news took in answer for a session.

Belongs here: the source own. Taking files in is imports.py, what they tell core/news/formats/own.py.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from timegpt_assets.adapters.news.imports import SOURCE, counting
from timegpt_assets.adapters.news.raw_store import Answer, RawStore


@dataclass(frozen=True, kw_only=True)
class Own:
    """The imported files. ``live``: nothing is known before it was imported, so that decides whose a file is."""

    raw: RawStore
    live: bool

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        return SOURCE

    def answers(self, window: tuple[datetime, datetime], day: date) -> Sequence[Answer]:
        """Return the files whose news spans a session, asked for that session's; live, those that came in its window.

        A session inside a file's span about which it tells nothing is one without news, not one without an answer.
        """
        after, by = window
        if self.live:
            return [answer for answer, _ in counting(self.raw, by=by) if answer.fetched_at > after]
        spanning = ((answer, one) for answer, one in counting(self.raw) if one.first <= day <= one.last)
        return [dataclasses.replace(answer, asked=one.of(day)) for answer, one in spanning]
