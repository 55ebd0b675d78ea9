"""GDELT's search (DOC 2.0): which articles of a session name a company, asked once a company.

Belongs here: the questions, and what its answers in words mean: it refuses, throttles and fails under status 200. What
a list of articles tells is in core/news/formats/gdelt_doc.py.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from timegpt_assets.adapters.news.connector import Doubt, Question, Verdict, of_status

URL = "https://api.gdeltproject.org"
MOST = 250
"""Articles of one answer; a question that has more is asked again in halves."""
REACH = timedelta(days=90)
"""How far back it searches: the last three months."""
LATE = timedelta(minutes=15)
"""Until when an article that was seen may still be missing."""
SHORTEST = 5
"""Letters of a quoted word; it refuses one that has fewer."""
_MOMENT = "%Y%m%d%H%M%S"
_THROTTLED = re.compile(rb"limit requests|too many requests|rate limit", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class GdeltDoc:
    """The search, asked for the companies of some symbols. ``names``: symbol -> what its company is called on a day."""

    names: Callable[[date], Mapping[str, str]] = field(repr=False)
    base_url: str = URL

    @property
    def name(self) -> str:
        """Return the source's name in news.sources."""
        return "gdelt_doc"

    def questions(self, window: tuple[datetime, datetime], day: date) -> Sequence[Question]:
        """Return a question per company, those that cannot be asked with the reason."""
        after, by = window
        searched = dict.fromkeys(self.names(day).values())
        return [self._question(quoted, after + timedelta(seconds=1), by) for quoted in searched]

    def _question(self, quoted: str, first: datetime, last: datetime) -> Question:
        words = re.sub(r"[^\w&.' -]", " ", quoted).strip()
        query = f'"{words}" sourcelang:english'
        span = {"startdatetime": f"{first:{_MOMENT}}", "enddatetime": f"{last:{_MOMENT}}"}
        shape = {"mode": "artlist", "format": "json", "maxrecords": str(MOST), "sort": "dateasc"}
        is_short = len(words) < SHORTEST
        return Question(
            source=self.name,
            asked=f"{span['startdatetime']}-{span['enddatetime']} {query}",
            url=f"{self.base_url}/api/v2/doc/doc",
            params={"query": query} | span | shape,
            refused=f"{words!r} has fewer than {SHORTEST} letters, which GDELT refuses to search" if is_short else None,
            whole_at=last + LATE,
            gone_at=first + REACH,
            paged=True,
        )

    def further(self, question: Question, body: bytes) -> Sequence[Question]:
        """Return both halves of a question whose answer was cut short, until halves of it are a second long."""
        first, last = (
            datetime.strptime(question.params[name], _MOMENT).replace(tzinfo=UTC)
            for name in ("startdatetime", "enddatetime")
        )
        if body.count(b'"seendate"') < MOST or last <= first:
            return ()
        middle = first + timedelta(seconds=(last - first) // timedelta(seconds=2))
        quoted = question.params["query"].split('"')[1]
        return [self._question(quoted, first, middle), self._question(quoted, middle + timedelta(seconds=1), last)]

    def secret(self) -> Mapping[str, str]:
        """Return nothing: everybody may search."""
        return {}

    def judged(self, question: Question, status: int, headers: Mapping[str, str], body: bytes) -> Verdict | None:
        """Return why an answer cannot be used.

        Nothing found for a company that the market trades is not believed: a throttled answer may look like that.
        """
        said = body.strip()
        if _THROTTLED.search(said[:400]) and not said.startswith(b"{"):
            return Verdict(Doubt.THROTTLED, said[:200].decode("utf-8", "replace"))
        if found := of_status(status, body):
            return found
        if not said or re.fullmatch(rb'\{\s*("articles"\s*:\s*\[\s*\]\s*)?\}', said):
            return Verdict(Doubt.EMPTY, f"no article at all ({len(body)} bytes)")
        if said.startswith(b"{"):
            return None if said.endswith(b"}") else Verdict(Doubt.BROKEN, f"half an answer: {len(body)} bytes")
        doubt = Doubt.BROKEN if said.startswith(b"<") else Doubt.REFUSED
        return Verdict(doubt, f"no list of articles: {said[:200].decode('utf-8', 'replace')}")
