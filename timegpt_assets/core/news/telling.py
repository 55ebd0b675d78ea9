"""What a headline tells, apart from how it says it: words, figures, names, and who does what to whom.

Belongs here: reading one title, whatever others there are. Whether two can tell the same is core/news/contradiction.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from timegpt_assets.core.news import kinds, wording
from timegpt_assets.core.news.figures import Figure, figure

_TOKEN = re.compile(r"(?:[^\W\d_]\.){2,}|\d[\d,]*(?:\.\d+)?|[^\W\d_]+(?:[&'’][^\W\d_]+)*|%|…|\.\.\.")
_OPENING = re.compile(
    r"^(?:(?:update|wrapup|rpt|refile|brief|corrected|correction|exclusive|breaking|breaking news|just in|alert|urgent)"
    r"\s*\d*\s*[-:–—|]+\s*)+",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"\s+(?:[-–—|]+|:)\s*([^-–—|:]{2,40})$")
_SITE = re.compile(r"\s+\|\s+[^|]{2,40}$")
_CUT = ("...", "…")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One way of telling a story, the same whatever other titles there are.

    ``told``: all that it tells as one text; equal texts tell the same. ``spoken``: its words, each put in the place of
    those that say the same, without those that make no difference; ``words``: the same, sorted, each once. ``cut``: its
    end is missing. ``names``: words that are names or may be; ``sure``: those that are. ``marks``: words that have an
    opposite, in order. ``modes``: how it is said, and how far things have come. ``doers``: (relation, word) -> whether
    the word does it or has it done to it. ``tickers``: whom its source names.
    """

    told: str
    spoken: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    cut: bool = False
    names: frozenset[str] = frozenset()
    sure: frozenset[str] = frozenset()
    figures: Mapping[str, frozenset[Figure]] = field(default_factory=dict)
    topics: frozenset[str] = frozenset()
    marks: tuple[str, ...] = ()
    modes: frozenset[str] = frozenset()
    doers: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    tickers: frozenset[str] = frozenset()


class Token(NamedTuple):
    """A word or a number as written; ``low``: in lower case; ``glued``: no blank stands before it."""

    text: str
    low: str
    glued: bool


@dataclass(slots=True)
class _Reading:
    """A title on its way to a Telling; ``words`` holds those that make no difference, too: who does what needs them."""

    words: list[str] = field(default_factory=list)
    figures: dict[str, set[Figure]] = field(default_factory=dict)
    maybe: set[str] = field(default_factory=set)
    sure: set[str] = field(default_factory=set)
    modes: set[str] = field(default_factory=set)

    def say(self, word: str) -> None:
        mode = kinds.modes().get(word)
        if mode:
            self.modes.add(mode)
        else:
            self.words.append(word)
        if word in kinds.NAMES:
            self.sure.add(word)


def read(title: str, tickers: frozenset[str] = frozenset()) -> Telling:
    """Return what a title tells; one of fewer than two words tells nothing but its letters."""
    tokens, cut = _tokens(_stripped(title))
    capitals = _tell_names(tokens)
    reading = _Reading(modes={"comment"} if _comments(tokens) else set())
    at = 0
    while at < len(tokens):
        at += _figure(tokens, at, reading) or _phrase(tokens, at, reading) or _word(tokens, at, reading, capitals)
    return _telling(reading, title, tickers, cut=cut)


def literal(text: str) -> Telling:
    """Return a telling that nothing is like but the same text."""
    return Telling(told=text)


def _stripped(title: str) -> str:
    """Return a title without what desks put before and behind it: UPDATE 1-, - Reuters, | a site."""
    bare = _SITE.sub("", _OPENING.sub("", unicodedata.normalize("NFKC", title).strip()))
    closing = _CLOSING.search(bare)
    if closing and all(word in kinds.DESKS or word in kinds.SILENT for word in closing[1].casefold().split()):
        return bare[: closing.start()]
    return bare


def _tokens(title: str) -> tuple[list[Token], bool]:
    """Return the words and numbers of a title, and whether its end is cut off: then half a word is none."""
    found, end = [], -1
    for match in _TOKEN.finditer(title):
        text, start = match[0], match.start()
        if text[0].isalpha():
            text = text.replace(".", "")
        low = text.casefold().replace("’", "'").removesuffix("'s").replace("'", "")
        found.append(Token(text, low or text, start == end))
        end = match.end()
    cut = bool(found) and found[-1].text in _CUT
    if cut and found.pop().glued and found:
        found.pop()
    if cut and found and found[-1].low[0].isdigit():
        found.pop()  # its unit is missing
    return [token for token in found if token.text not in _CUT], cut


def _tell_names(tokens: Sequence[Token]) -> bool:
    """Return whether capital letters tell names from words: not where nearly every word has one, or none has."""
    words = [token.text for token in tokens if token.text[0].isalpha()]
    capital = [word[0].isupper() for word in words[1:] if len(word) > 3]
    return sum(capital) < 0.7 * len(capital) and not all(word.islower() for word in words)


def _comments(tokens: Sequence[Token]) -> bool:
    """Return whether a title comments on a story instead of telling it."""
    return any(token.low in kinds.ASKS for token in tokens[:1]) or any(
        token.low in kinds.COMMENTS for token in tokens[:2]
    )


def _figure(tokens: Sequence[Token], at: int, reading: _Reading) -> int:
    """Take a figure in; return how many tokens it is, 0 for none."""
    found = figure(tokens, at)
    if found is None:
        return 0
    kind, (value, off), length = found
    reading.figures.setdefault(kind, set()).add((value, off))
    if kind != "weekday":
        reading.words.append(f"{value:g}{'' if kind == 'n' else kind}")
    return length


def _phrase(tokens: Sequence[Token], at: int, reading: _Reading) -> int:
    """Take words in that say one thing together; return how many they are, 0 for none."""
    for words, instead in wording.phrases().get(tokens[at].low, ()):
        if tuple(token.low for token in tokens[at : at + len(words)]) == words:
            for word in instead:
                reading.say(word)
            return len(words)
    return 0


def _word(tokens: Sequence[Token], at: int, reading: _Reading, capitals: bool) -> int:
    """Take a word in, as a name if it is one; return 1."""
    text, low, _ = tokens[at]
    same = _ended(tokens, at) or wording.canonical().get(low)
    if same or low in kinds.SILENT or low in kinds.modes():
        reading.say(same or low)
        return 1
    stem = low[:-1] if len(low) > 3 and low.endswith("s") and not low.endswith("ss") else low
    plain = low in kinds.PLAIN or stem in kinds.PLAIN
    if capitals and text[0].isupper() and not (plain and at == 0):
        reading.sure.add(stem)
    elif not capitals and not plain:
        reading.maybe.add(stem)
    reading.say(stem)
    return 1


def _ended(tokens: Sequence[Token], at: int) -> str | None:
    """Return stop where what drops is a bid, a plan or a case, and no price."""
    if tokens[at].low not in ("drop", "drops", "dropped"):
        return None
    return None if kinds.DROPPED.isdisjoint(token.low for token in tokens[at + 1 : at + 7]) else "stop"


def _telling(reading: _Reading, title: str, tickers: frozenset[str], *, cut: bool) -> Telling:
    told_of, buyer = _bought(reading)
    spoken = tuple(word for word in told_of if word not in kinds.SILENT)
    doers = dict(_doers(told_of, buyer))
    names, figures = reading.maybe | reading.sure, {kind: frozenset(all_) for kind, all_ in reading.figures.items()}
    modes = frozenset(kinds.STATES[word] for word in spoken if word in kinds.STATES) | reading.modes
    facts = (sorted(modes), sorted(names), sorted(reading.sure), sorted(doers.items()), sorted(tickers), cut)
    numbers = [(kind, sorted(figures[kind])) for kind in sorted(figures)]
    return Telling(
        told=f"{' '.join(spoken) if len(set(spoken)) > 1 else title.casefold()} {facts} {numbers}",
        spoken=spoken,
        words=tuple(sorted(set(spoken))),
        cut=cut,
        names=frozenset(names),
        sure=frozenset(reading.sure),
        figures=figures,
        topics=kinds.TOPICS.intersection(spoken),
        marks=tuple(dict.fromkeys(word for word in spoken if word in kinds.opposites())),
        modes=modes,
        doers=doers,
        tickers=tickers,
    )


def _bought(reading: _Reading) -> tuple[list[str], int]:
    """Return the words, of what is sold to a name as what it buys, and the buyer's place; their number: nowhere."""
    words = reading.words
    for at, word in enumerate(words[:-1]):
        if word == "to" and "sell" in words[: max(at - 1, 0)] and words[at + 1] in reading.maybe | reading.sure:
            return ["buy" if one == "sell" else one for one in words], at + 1
    return words, len(words)


def _doers(words: Sequence[str], buyer: int) -> Iterator[tuple[tuple[str, str], bool]]:
    """Yield each word beside the first relation and whether it stands for who does it."""
    for at, relation in enumerate(words):
        if relation in kinds.RELATIONS:
            passive = not kinds.PASSIVE.isdisjoint(words[at + 1 : at + 3])
            for place, word in enumerate(words):
                if place != at and word not in kinds.SILENT:
                    does = place == buyer if buyer < len(words) else (place < at) != passive
                    yield (relation, word), does
            return
