"""A text as words: as they are written, and as they are compared.

Belongs here: what a word is. Dotted initials are one (J.P. is jp), a hyphen parts two, an ending 's is one of its own.
"""

import re
import unicodedata
from dataclasses import dataclass

_WORD = re.compile(r"(?:[^\W\d_]\.){2,}(?:[^\W\d_](?!\w))?|(?<=\w)'[sS](?!\w)|(?<=\w) '[sS](?!\w)|[^\W_]+\+?|&")
_BREAK = re.compile(r"[:;?!|\"“”–—]| '|\. ")
_QUOTES = str.maketrans({"’": "'", "‘": "'", "`": "'", "´": "'", "ʼ": "'"})
POSSESSIVE = "'s"


@dataclass(frozen=True, slots=True)
class Word:
    """``text`` as it is written, ``folded`` as it is compared; ``opens``: it begins a text, a part or a quote."""

    text: str
    folded: str
    opens: bool


@dataclass(frozen=True, slots=True)
class Text:
    """The words of a text, and what its capitals are worth.

    ``shouted``: all words are of capitals; ``whispered``: none but the first begins with one; ``titled``: most do.
    """

    words: tuple[Word, ...]
    shouted: bool
    whispered: bool
    titled: bool


def plain(text: str) -> str:
    """Return the text in compatible characters (NFKC), one form of apostrophe, and nothing that is not seen."""
    if text.isascii():
        return text.translate(_QUOTES)
    shown = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return "".join(letter for letter in shown if unicodedata.category(letter) != "Cf")


def words(text: str) -> tuple[Word, ...]:
    """Return the words of a ``plain`` text."""
    found: list[Word] = []
    end = 0
    for match in _WORD.finditer(text):
        between = text[end : match.start()]
        opens = not found or (between not in ("", " ", "-", ", ") and bool(_BREAK.search(between)))
        found.append(Word(match.group().strip(), folded(match.group()), opens))
        end = match.end()
    return tuple(found)


def read(text: str) -> Text:
    """Return the words of a ``plain`` text and what its capitals are worth."""
    found = words(text)
    bare = [word.text.replace(".", "") for word in found]
    letters = [text for text in bare if len(text) > 1 and text.isalpha()]
    shouted = bool(letters) and all(text.isupper() for text in letters)
    whispered = not any(text[0].isupper() for text in bare[1:])
    long = [text for text in letters[1:] if len(text) > 3]
    titled = len(long) > 2 and sum(text[0].isupper() for text in long) >= 0.8 * len(long)
    return Text(found, shouted, whispered, titled)


def folded(word: str) -> str:
    """Return a word as it is compared: without case, accents or dots; & is and."""
    if word == "&":
        return "and"
    lowered = word.strip().casefold().replace(".", "")
    if lowered.isascii():
        return lowered
    return "".join(letter for letter in unicodedata.normalize("NFD", lowered) if unicodedata.category(letter) != "Mn")
