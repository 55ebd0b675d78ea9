"""How an import of a user's news is named, so that a session's news is found in its bytes again.

Belongs here: what the user says of a file, and the text that keeps it beside the bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from timegpt_assets.core.news.formats.own_times import DateOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the user says of a file. ``zone``: IANA zone of times that name none. ``columns``: role -> column."""

    zone: str | None = None
    date_order: DateOrder | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One file that was taken in: its name, the sessions its news spans, how it is read, and its bytes' sha256.

    ``instead``: how many earlier imports of the same name it stands in the place of; 0: beside them.
    """

    name: str
    first: date
    last: date
    reading: Reading
    content_hash: str
    instead: int = 0

    @property
    def asked(self) -> str:
        """Return the question that its bytes answer; ``imported`` reads it back."""
        said = {"zone": self.reading.zone, "date_order": self.reading.date_order, "instead": self.instead or None}
        said["sha256"] = self.content_hash
        named = [(f"column_{role}", name) for role, name in sorted(self.reading.columns.items())]
        words = urlencode([*((key, str(word)) for key, word in said.items() if word is not None), *named])
        return f"{self.first}..{self.last} {quote(self.name, safe='/ ')}?{words}"

    def of(self, session: date) -> str:
        """Return the question for the news of one session of it."""
        return f"{session} {self.asked}"


def imported(asked: str) -> tuple[date | None, Import]:
    """Return the session that a question is about, None where it is about all, and the import it names."""
    span, _, rest = asked.partition(" ")
    if ".." not in span:
        return date.fromisoformat(span), imported(rest)[1]
    name, _, words = rest.rpartition("?")
    first, _, last = span.partition("..")
    said = dict(parse_qsl(words, keep_blank_values=True))
    order: Any = said.get("date_order")
    named = {key.removeprefix("column_"): word for key, word in said.items() if key.startswith("column_")}
    return None, Import(
        name=unquote(name),
        first=date.fromisoformat(first),
        last=date.fromisoformat(last),
        reading=Reading(zone=said.get("zone"), date_order=order, columns=named),
        content_hash=said["sha256"],
        instead=int(said.get("instead", 0)),
    )
