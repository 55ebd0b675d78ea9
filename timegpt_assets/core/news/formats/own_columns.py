"""Which column of a user's file is what: by the names that are usual, or as he says.

Belongs here: names. Which of a kind wins is the order in which they stand.
"""

import re
from collections.abc import Mapping, Sequence

from timegpt_assets.core.news.formats.unreadable import Unreadable

ALIASES: Mapping[str, tuple[str, ...]] = {
    "time": (
        "published_at", "publishedat", "published", "published_utc", "pubdate", "pub_date", "publish_date",
        "publish_time", "published_date", "publication_date", "publication_time", "time_published", "timepublished",
        "datetime", "date_time", "timestamp", "ts", "seendate", "created_at", "createdat", "created", "zeitpunkt",
        "zeitstempel", "veröffentlicht", "veröffentlicht_am", "datum_uhrzeit",
    ),
    "date": ("date", "day", "datum", "tag"),
    "clock": ("time", "clock", "time_of_day", "uhrzeit", "zeit"),
    "title": ("title", "headline", "titel", "überschrift", "schlagzeile", "subject", "betreff", "news", "text"),
    "url": ("url", "link", "href", "article_url", "source_url", "web_url", "adresse"),
    "tickers": ("tickers", "ticker", "symbols", "symbol", "stocks", "stock", "instruments", "related", "kürzel"),
}  # fmt: skip
"""Role -> names of a column, in small letters with _ for what is no letter; an earlier one wins."""
_AE = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_SPELLINGS = {
    name: (role, place)
    for role, aliases in ALIASES.items()
    for place, alias in enumerate(aliases)
    for name in (alias, alias.translate(_AE))
}


def wanted(names: Sequence[str]) -> int:
    """Return how many roles have a column among these names."""
    return len(_known(names))


def columns(names: Sequence[str], said: Mapping[str, str]) -> dict[str, str]:
    """Return role -> column: as said, else by name. A date with a clock beside it is a time where no other is.

    Raises Unreadable for a column that is said and not there, and where no time or title is found.
    """
    for role, name in said.items():
        if role not in ALIASES or name not in names:
            what = f"no column {name!r}" if role in ALIASES else f"nothing that is called {role!r}"
            raise Unreadable(f"has {what}. {_choose(names)}")
    found = _known(names) | dict(said)
    if "time" in said or ("time" in found and not {"date", "clock"} & said.keys()):
        found = {role: name for role, name in found.items() if role not in ("date", "clock")}
    elif {"date", "clock"} & said.keys():
        found.pop("time", None)
    if "clock" in found and not {"time", "date"} & found.keys():
        found["time"] = found.pop("clock")
    if "title" not in found or not {"time", "date"} & found.keys():
        missing = "title" if "title" not in found else "time"
        raise Unreadable(f"has no column that is known as {missing}. {_choose(names)}")
    return found


def _known(names: Sequence[str]) -> dict[str, str]:
    best: dict[str, tuple[int, str]] = {}
    for name in names:
        role, place = _SPELLINGS.get(_spelled(name), ("", 0))
        if role and (role not in best or place < best[role][0]):
            best[role] = place, name
    return {role: best[role][1] for role in ALIASES if role in best}


def _spelled(name: str) -> str:
    plain = re.sub(r"\s*[(\[].*[)\]]$", "", name.strip().strip("\"'")).lower()
    return re.sub(r"[^\w]+", "_", plain).strip("_")


def _choose(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return f"Its columns are {shown[:300] or 'none'}. Name them with --columns time=NAME,title=NAME."
