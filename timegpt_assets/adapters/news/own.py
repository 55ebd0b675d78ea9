"""News of one's own: what timegpt-assets import-news took in, piece by piece.

Belongs here: which pieces are a session's. A piece holds the news of one session, is named ``<session> <sha256>`` and
was kept when it was imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from timegpt_assets.adapters.news.raw_store import Answer, RawStore


@dataclass(frozen=True, kw_only=True)
class Own:
    """The imported pieces. ``live``: nothing is known before it was imported, so that decides whose a piece is."""

    raw: RawStore
    live: bool

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        return "own"

    def answers(self, window: tuple[datetime, datetime], day: date) -> Sequence[Answer]:
        """Return the pieces of a session: those about it, or live those that were imported in its window."""
        if not self.live:
            return list(self.raw.listed(self.name, f"{day} "))
        return [answer for answer in self.raw.listed(self.name) if window[0] < answer.fetched_at <= window[1]]
