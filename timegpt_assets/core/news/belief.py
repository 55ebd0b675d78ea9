"""Whether a name that stands in a text is meant: its capitals, what stands beside it, whom else it could be.

Belongs here: the cares of names (configs/news_aliases.csv) as rules on words. What is linked then is link.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from timegpt_assets.core.news.directory import Alias
from timegpt_assets.core.news.spotting import Spot
from timegpt_assets.core.news.words import POSSESSIVE, Text, Word

_WITHIN = ("in", "of", "for", "across")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What stands in a text beside names: numbers of the words that are given names and places, and cues by kind."""

    given_names: Collection[int]
    places: Collection[int]
    cues: Mapping[str, Collection[str]]


def believed(text: Text, spot: Spot, alias: Alias, beside: Beside) -> bool:
    """Return whether the words of a spot are meant as this name."""
    if alias.kind in ("indicator", "market") and _abroad(text.words, spot, beside, anywhere=alias.kind == "indicator"):
        return False
    if alias.kind in ("name", "alias") and _is_a_person(text, spot, beside):
        return False
    if not alias.care:
        return True
    written = _as_written(text.words, spot, alias)
    told = _told(text.words, spot, beside, of_a_share=alias.kind == "bare")
    if alias.kind == "bare":
        return written and (told or (alias.care == "proper" and not text.shouted))
    if text.shouted or not written:
        return told and (text.shouted or text.whispered)
    return alias.care != "word" or told or not (text.titled or text.whispered or text.words[spot.first].opens)


def _is_a_person(text: Text, spot: Spot, beside: Beside) -> bool:
    """Return whether a single word is a family name: a given name or a title stands before it."""
    before = spot.first - 1
    if before < 0 or spot.end - spot.first > 1 or text.words[spot.first].opens:
        return False
    known = text.words[before].folded in beside.cues["title"] or before in beside.given_names
    return known and text.words[before].text[0].isupper()


def _as_written(words: tuple[Word, ...], spot: Spot, alias: Alias) -> bool:
    """Return whether the words have the name's capitals; a whole word of them will do unless it is a ticker."""
    return all(
        word.text == written or (alias.kind != "bare" and word.text.isupper() and written[0].isupper())
        for word, written in zip(words[spot.first : spot.end], alias.written, strict=True)
    )


def _told(words: tuple[Word, ...], spot: Spot, beside: Beside, *, of_a_share: bool) -> bool:
    """Return whether what stands beside a name tells that it is one: of a company, or only of a share."""
    behind = words[spot.end].folded if spot.end < len(words) else ""
    before = words[spot.first - 1].folded if spot.first else ""
    if behind in beside.cues["share"]:
        return True
    return not of_a_share and (behind == POSSESSIVE or behind in beside.cues["tells"] or before in beside.cues["sort"])


def _abroad(words: tuple[Word, ...], spot: Spot, beside: Beside, *, anywhere: bool) -> bool:
    """Return whether another country stands just before a name, or behind it as that which it is of.

    ``anywhere``: it may stand wherever it likes, unless the home country does, too.
    """
    places = beside.places
    if anywhere:
        return bool(places) and not any(word.folded in beside.cues["home"] for word in words)
    before = any(nth in places for nth in range(spot.first - 3, spot.first))
    behind = range(spot.end, min(spot.end + 4, len(words)))
    return before or any(nth in places and words[nth - 1].folded in _WITHIN for nth in behind)
