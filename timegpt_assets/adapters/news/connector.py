"""What a source of news says of itself: which questions a session asks, how each is sent, what its answer is worth.

Belongs here: the shapes that every connector and whoever asks share. How patiently is asked is asking.py; what an
answer says is read in core/news/formats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Protocol

from timegpt_assets.adapters.news.raw_store import Answer
from timegpt_assets.core.explained import Explained


class SecretMissing(Explained, RuntimeError):
    """Raised when a source needs a key that the environment does not hold; names it and where to put it."""


class Doubt(StrEnum):
    """Why an answer cannot be used."""

    THROTTLED = "throttled"
    """Asked too often, under whatever status."""
    BROKEN = "broken"
    """Not what the source sends when it is well: half a body, a page, a server's own error. Asking again may help."""
    REFUSED = "refused"
    """The question itself is refused: asking it again changes nothing, and the source is well."""
    EMPTY = "empty"
    """Nothing where there usually is something: counted and not believed; the source may be well or not."""
    UNREACHED = "unreached"
    """No answer at all."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What keeps an answer from being used: its kind, and in the source's words or ours why."""

    doubt: Doubt
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: a GET of ``url`` with ``params``, secrets left out.

    ``asked`` names it for good: a question of the same source and the same name is answered once. ``refused``: why it
    is never sent (its source refuses such words, say). ``whole_at``: before this moment its answer would lack what is
    yet to come, so it is not sent; ``gone_at``: from this moment on its source has forgotten what it asks for.
    ``paged``: a good answer may make further questions necessary.
    """

    source: str
    asked: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None
    whole_at: datetime | None = None
    gone_at: datetime | None = None
    paged: bool = False


def of_status(status: int, body: bytes) -> Verdict | None:
    """Return what a status alone says of an answer, None for 200: what its body says is the connector's affair."""
    if status == HTTPStatus.OK:
        return None
    said = f"HTTP {status}: {body[:200].decode('utf-8', 'replace')}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Verdict(Doubt.THROTTLED, said)
    is_passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (
        HTTPStatus.FORBIDDEN,  # how a wall before the source refuses those who ask too much
        HTTPStatus.REQUEST_TIMEOUT,
    )
    return Verdict(Doubt.BROKEN if is_passing else Doubt.REFUSED, said)


class Connector(Protocol):
    """A source that is asked over the network; frozen, and without a thought of breakers, clocks and stores."""

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        ...

    def questions(self, window: tuple[datetime, datetime], day: date) -> Sequence[Question]:
        """Return what is asked for a session, whose news became known in ``after < known <= by`` of the window (UTC).

        The same session asks the same whenever it is asked.
        """
        ...

    def further(self, question: Question, body: bytes) -> Sequence[Question]:
        """Return what a good answer to a ``paged`` question makes necessary besides: a next page, halves of what was
        cut short.
        """
        ...

    def secret(self) -> Mapping[str, str]:
        """Return query parameters that are sent and never shown, logged or stored. Raises SecretMissing."""
        ...

    def judged(self, question: Question, status: int, headers: Mapping[str, str], body: bytes) -> Verdict | None:
        """Return why an answer cannot be used, None where it can. Names of ``headers`` are in lower case."""
        ...


class Shelf(Protocol):
    """A source whose answers lie on this machine: nobody is asked over the network."""

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        ...

    def answers(self, window: tuple[datetime, datetime], day: date) -> Sequence[Answer]:
        """Return what is kept for a session. Raises Explained where it cannot be read."""
        ...
