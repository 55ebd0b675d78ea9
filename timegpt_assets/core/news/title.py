"""A title as people read it: entities, control characters, blanks and the signs that a tokeniser tore off.

Belongs here: the text of a title. What is kept is what the source wrote; nothing is translated, cut or lower-cased.
"""

import html
import re
import unicodedata

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_ABBREVIATION = re.compile(r"\b[A-Za-z](?: \. [A-Za-z](?![A-Za-z]))+(?: \.)?(?= |$)")
_BEHIND = re.compile(r" +([,;:!?%)\]}…’”](?!\S)|\.{1,3}(?!\S))")
_BEFORE = re.compile(r"(?<!\S)([(\[{$£€“‘#]) +(?=\S)")
_SUFFIX = re.compile(r" (['’](?:s|S|re|ve|ll|d|m|t)|n['’]t)(?![\w])")
_THOUSANDS = re.compile(r"(?<=\d) ?, (?=\d{3}(?!\d))")
_DECIMALS = re.compile(r"(?<=\d) \. (?=\d)")
_CLOCKS = re.compile(r"(?<=\d) : (?=\d\d(?!\d))")
_HYPHEN = re.compile(r"(?<=\w\.) -(?=[A-Za-z])")
_TORN = re.compile(rf"\S [,.;:!?](?!\S)|{_SUFFIX.pattern}")


def mended(title: str) -> str:
    """Return the title on one line, in composed unicode, with torn-off punctuation where it belongs.

    Mending a mended title changes nothing. Signs are only moved where the title was tokenised; a word is never changed.
    """
    return _joined(_plain(title))


def is_tokenised(title: str) -> bool:
    """Return whether some sign that belongs to the word before it stands apart from it."""
    return _TORN.search(title) is not None


def _plain(title: str) -> str:
    # twice: feeds escape what was escaped already (&amp;amp;)
    text = html.unescape(html.unescape(title))
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    seen = "".join(" " if c.isspace() else c for c in text if c.isspace() or not _is_hidden(c))
    return " ".join(unicodedata.normalize("NFC", seen).split())


def _is_hidden(character: str) -> bool:
    """Return whether a character shows nothing, or nothing that everybody sees: joiners inside words, too."""
    return unicodedata.category(character) in _HIDDEN


def _joined(title: str) -> str:
    if not is_tokenised(title):
        return title
    text = _ABBREVIATION.sub(lambda found: found[0].replace(" ", ""), title)
    text = _DECIMALS.sub(".", _CLOCKS.sub(":", _THOUSANDS.sub(",", text)))
    text = _SUFFIX.sub(r"\1", text)
    return _HYPHEN.sub("-", _BEFORE.sub(r"\1", _BEHIND.sub(r"\1", text)))
