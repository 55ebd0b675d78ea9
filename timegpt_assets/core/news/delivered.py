"""What a source delivered, and what an event of it says before anybody knows whom it is about.

Belongs here: the two shapes that connectors, parsers and the first layer share.
"""

from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One answer as it came: who gave it to which question, when, its bytes and their sha256."""

    source: str
    asked: str
    fetched_at: datetime
    content_hash: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event as a source tells it.

    ``published_at``: aware; None where the source says ``published_on``, a date, alone. ``seen_at``: when the source
    says it saw the event itself, never earlier than it could be known. ``known_from``: the moment before which nobody
    outside could know it, where the parser can tell (the next session's open of a date without a clock time).
    ``surprise``: how far a value lies from what its own history let expect (surprise.py); None where nobody can say.
    """

    type: str
    title: str
    published_at: datetime | None = None
    published_on: date | None = None
    seen_at: datetime | None = None
    known_from: datetime | None = None
    url: str | None = None
    tickers: tuple[str, ...] = ()
    series: str | None = None
    value: float | None = None
    surprise: float | None = None
