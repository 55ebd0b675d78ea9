"""Alarms: what somebody must see, told once, and again only when it changes or is over.

Belongs here: which of the alarms of now are news to whoever was told before. What is an alarm is engine/alarms.py; an
alarm of ours is about this house, an alert (core/tsfm/alerts.py) about a market.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from timegpt_assets.core.explained import Explained

Kind = Literal["run", "check", "drift", "news", "budget", "quota", "source", "due", "rollout", "channel"]
Change = Literal["new", "changed", "over"]
TOLD = 500
"""Letters of what is said of an alarm."""


class ChannelFailed(Explained, RuntimeError):
    """Raised when a channel could not be told; names it, why, and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that is the matter now: of what kind, with whom or what, and in words that change when it does."""

    kind: Kind
    name: str
    said: str

    @property
    def subject(self) -> str:
        """Return what the alarm is known by."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one who is told hears of an alarm; ``said`` of one that is over is what was said of it last."""

    change: Change
    subject: str
    said: str

    @property
    def line(self) -> str:
        """Return the notice as a line of text."""
        return f"[{self.change}] {self.subject}: {self.said}"


def notices(told: Mapping[str, str], alarms: Iterable[Alarm], *, unread: Collection[str] = ()) -> list[Notice]:
    """Return what is news to one who was told ``told`` (subject -> what was said): first what began, then what ended.

    Of the kinds ``unread`` nobody knows now whether they are over, so nothing is said of their end.
    """
    now = {alarm.subject: alarm.said[:TOLD] for alarm in alarms}
    begun = [
        Notice(change="changed" if subject in told else "new", subject=subject, said=said)
        for subject, said in now.items()
        if told.get(subject) != said
    ]
    ended = [
        Notice(change="over", subject=subject, said=said)
        for subject, said in told.items()
        if subject not in now and subject.partition(" ")[0] not in unread
    ]
    return begun + ended


def heard(told: Mapping[str, str], news: Sequence[Notice]) -> dict[str, str]:
    """Return what one was told who has heard these notices, too."""
    gone = {notice.subject for notice in news if notice.change == "over"}
    kept = {subject: said for subject, said in told.items() if subject not in gone}
    return kept | {notice.subject: notice.said for notice in news if notice.change != "over"}
