"""What GDELT's export files tell: a zip of rows of 61 fields, one for each event of the last quarter of an hour.

Belongs here: the zip, the rows, and a title for what has none. The order of fields is GDELT 2.0's (wire formats).
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from timegpt_assets.core.news.delivered import Told
from timegpt_assets.core.news.formats.text import decoded, is_page
from timegpt_assets.core.news.formats.unreadable import Unreadable

FIELDS = 61
ACTOR_1, ACTOR_2, ROOT_CODE, ADDED, URL = 6, 16, 28, 59, 60
"""Where a row has the two actors' names, the first two digits of what they did, when it was added, and the article."""
MAX_BYTES = 512 << 20
"""Most that a file may unpack to: a quarter of an hour takes 1 MB."""
WORDS = 3
"""Least words of an address that make a title."""
AGAIN = "Fetch the file again, and compare its md5 with the one in masterfilelist.txt."
EVENTS = {
    "01": "makes a statement",
    "02": "appeals",
    "03": "wants to cooperate",
    "04": "consults",
    "05": "cooperates diplomatically",
    "06": "cooperates materially",
    "07": "provides aid",
    "08": "yields",
    "09": "investigates",
    "10": "demands",
    "11": "disapproves",
    "12": "rejects",
    "13": "threatens",
    "14": "protests",
    "15": "shows force",
    "16": "reduces relations",
    "17": "coerces",
    "18": "assaults",
    "19": "fights",
    "20": "uses mass violence",
}
"""The twenty kinds of events of CAMEO, the code that GDELT writes."""
_ID = re.compile(r"\d{5,}|(?=[a-z]*\d)[a-z\d]{8,}|[a-z]\d[a-z]", re.IGNORECASE)
_ENDING = re.compile(r"\.(?:s?html?|php|aspx?|jsp|cms|ece|amp|story)$", re.IGNORECASE)


def told(body: bytes) -> list[Told]:
    """Return the events, one for each article and title. Raises Unreadable, with the line that is none."""
    found: dict[tuple[str, str, datetime], Told] = {}
    for number, fields in _rows(_unpacked(body)):
        added, url = _added(fields[ADDED], number), fields[URL].strip()
        title = slug_words(url) or _event(fields)
        key = (url, title, added)
        if key not in found:  # dozens of rows tell of one article
            found[key] = Told(type="headline", title=title, url=url or None, published_at=added, seen_at=added)
    return list(found.values())


def slug_words(url: str) -> str:
    """Return the words of the address's wordiest part as a sentence; "" where none has three."""
    parts = [_words(part) for part in urlsplit(url).path.split("/")] if _is_address(url) else []
    best = max(parts, key=len, default=[])
    text = " ".join(best)
    return text[:1].upper() + text[1:] if len(best) >= WORDS else ""


def _is_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https")
    except ValueError:  # an address with half a bracket
        return False


def _words(part: str) -> list[str]:
    plain = _ENDING.sub("", unquote(part, errors="ignore"))
    words = [word for word in re.split(r"[-_+., ]+", plain) if word]
    # what names the article in the publisher's books says nothing to people; other numbers do
    while words and _ID.fullmatch(words[-1]):
        words.pop()
    while words and _ID.fullmatch(words[0]):
        words.pop(0)
    return words if sum(word.isalpha() for word in words) >= WORDS else []


def _event(fields: list[str]) -> str:
    """Return who did what, in GDELT's own names: for what it gives no words."""
    actors = [fields[at].strip().capitalize() for at in (ACTOR_1, ACTOR_2)]
    did = EVENTS.get(fields[ROOT_CODE].strip(), "acts")
    return " ".join([actors[0] or "Somebody", did, *([f"({actors[1]})"] if actors[1] else [])])


def _unpacked(body: bytes) -> bytes:
    if not body:
        raise Unreadable(f"is empty. {AGAIN}")
    if is_page(body[:200].decode("utf-8", "replace")):
        raise Unreadable(f"is a page of HTML that begins {body[:60].decode('utf-8', 'replace').strip()!r}. {AGAIN}")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            if len(members) != 1 or members[0].file_size > MAX_BYTES:
                raise Unreadable(f"holds {len(members):,} files, or one of over {MAX_BYTES >> 20} MiB. {AGAIN}")
            return archive.read(members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"is no whole zip: {error}. {AGAIN}") from error


def _rows(table: bytes) -> Iterator[tuple[int, list[str]]]:
    # an hour without events is a file without rows
    for number, line in enumerate(decoded(table, AGAIN).split("\n") if table.strip() else (), 1):
        if not line.strip():
            continue
        fields = line.rstrip("\r").split("\t")
        if len(fields) != FIELDS:
            raise Unreadable(f"has {len(fields)} fields in line {number:,}, not {FIELDS}. {AGAIN}")
        yield number, fields


def _added(said: str, number: int) -> datetime:
    try:
        if len(said) != 14:
            raise ValueError(said)
        return datetime.strptime(said, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise Unreadable(
            f"has {said[:40]!r} in line {number:,} where a time as 20180301141500 belongs. {AGAIN}"
        ) from None
