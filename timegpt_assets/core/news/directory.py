"""Who is called what, and when: names of companies, their tickers, and names of what moves all of them.

Belongs here: dated names and what is valid on a day. How they are found in a text is spotting.py, whether one that was
found is believed is link.py.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import polars as pl

from timegpt_assets.core.news.words import POSSESSIVE, folded, plain, words

ALIASES = {"name": pl.String, "ticker": pl.String, "from": pl.Date, "to": pl.Date, "kind": pl.String, "care": pl.String}
"""Columns of names: one name of one company, its first and last day. Their words: configs/news_aliases.csv."""
OPTIONAL = ("kind", "care")
CARES = ("", "proper", "word", "whole")
CUES = ("tells", "share", "sort", "title", "home", "general", "tail")
"""Kinds of single words that say something of a name beside which they stand, or of which they are a part."""
OF_NOBODY = ("not", "abroad", "given_name", *CUES)
"""Kinds whose rows name no company: their ticker is empty."""
_OF_COMPANIES = ("name", "alias", "ticker", "bare")
KINDS = (*_OF_COMPANIES, "macro", "indicator", "series", "market", *OF_NOBODY)
_TICKER = re.compile(r"[A-Z]{1,5}(\.[A-Z])?")
_SHORTEST_BARE, _SURELY_BARE = 3, 4
"""Letters of a ticker that is read as a word of a text where its shares are spoken of, and anywhere: shorter ones are
abbreviations of something else."""


@dataclass(frozen=True, slots=True, order=True)
class Alias:
    """One name: whose it is (``key``), of which kind, with which care it is read, and how its words are written."""

    key: str
    kind: str
    care: str
    written: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is valid on one day: ``patterns`` are folded words, joined by blanks, and whose name they are.

    ``listings``: company -> its tickers; ``tickers``: ticker -> its companies; ``called``: company -> its name;
    ``series``: economic series -> what it is of; ``cues``: kind of CUES -> folded words.
    """

    patterns: Mapping[str, tuple[Alias, ...]]
    listings: Mapping[str, tuple[str, ...]]
    tickers: Mapping[str, tuple[str, ...]]
    called: Mapping[str, str]
    series: Mapping[str, str]
    cues: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of names, its company resolved; ``own``: it is the user's and beats what is shipped."""

    name: str
    key: str
    first: date
    last: date
    kind: str
    care: str
    own: bool


@dataclass(frozen=True, slots=True)
class Directory:
    """All names of all days."""

    rows: tuple[Row, ...] = field(repr=False)
    symbols: tuple[str, ...]

    def as_of(self, day: date) -> Names:
        """Return the names that are valid on a day: one of tomorrow is nobody's yet."""
        valid = [row for row in self.rows if row.first <= day <= row.last]
        listings = self._listings(day)
        tickers = defaultdict(list)
        for key, traded in listings.items():
            for ticker in traded:
                tickers[ticker].append(key)
        called: dict[str, str] = {}
        for row in sorted(valid, key=lambda row: row.kind != "name"):
            if row.kind in ("name", "alias"):
                called.setdefault(row.key, row.name)
        cues = {kind: frozenset(folded(row.name) for row in valid if row.kind == kind) for kind in CUES}
        return Names(
            patterns=_patterns(valid, listings, cues),
            listings=listings,
            tickers={ticker: tuple(keys) for ticker, keys in tickers.items()},
            called=called,
            series={row.name: row.key for row in valid if row.kind == "series"},
            cues=cues,
        )

    def era(self, day: date) -> date:
        """Return the first day since which the same names are valid as on ``day``."""
        changes = {row.first for row in self.rows} | {date.fromordinal(row.last.toordinal() + 1) for row in self.rows
                                                      if row.last != date.max}  # fmt: skip
        return max((change for change in changes if change <= day), default=date.min)

    def _listings(self, day: date) -> dict[str, tuple[str, ...]]:
        """Return company -> tickers of a day; who has no row of a ticker always traded as its key."""
        dated = defaultdict(list)
        for row in self.rows:
            if row.kind == "ticker":
                dated[row.key].append(row)
        keys = {row.key for row in self.rows if row.kind in _OF_COMPANIES} | set(self.symbols)
        found = {
            key: tuple(row.name for row in dated[key] if row.first <= day <= row.last)
            if key in dated
            else (key,) * bool(_TICKER.fullmatch(key) or key in self.symbols)
            for key in sorted(keys)
        }
        return {key: tuple(dict.fromkeys(traded)) for key, traded in found.items() if traded}


def directory(shipped: pl.DataFrame, own: pl.DataFrame, symbols: Collection[str]) -> Directory:
    """Return the directory of two frames of ALIASES. ``symbols`` that no row speaks of trade as they are, always."""
    listed = (frame.filter(pl.col("kind") == "ticker").sort("to", nulls_last=True) for frame in (shipped, own))
    traded = {row["name"]: row["ticker"] for frame in listed for row in frame.iter_rows(named=True)}
    keys = set(shipped["ticker"])
    rows = [
        Row(name=row["name"], key=row["ticker"] if row["ticker"] in keys else traded.get(row["ticker"], row["ticker"]),
            first=row["from"] or date.min, last=row["to"] or date.max, kind=row["kind"] or "alias",
            care=row["care"] or "", own=theirs)
        for frame, theirs in ((shipped, False), (own, True))
        for row in frame.iter_rows(named=True)
    ]  # fmt: skip
    unknown = set(symbols) - set(traded) - {row.key for row in rows}
    return Directory(tuple(rows), tuple(sorted(unknown)))


def _patterns(
    valid: Iterable[Row], listings: Mapping[str, tuple[str, ...]], cues: Mapping[str, frozenset[str]]
) -> dict[str, tuple[Alias, ...]]:
    """Return the patterns of a day's rows and of its tickers as words; a name of one's own is nobody else's."""
    said: dict[str, dict[Alias, bool]] = defaultdict(dict)
    derived: dict[str, dict[Alias, bool]] = defaultdict(dict)
    for row in valid:
        if row.kind in ("ticker", "series", *CUES) or (
            row.kind == "bare" and row.name not in listings.get(row.key, ())
        ):
            continue
        for nth, (pattern, alias) in enumerate(_forms(row, cues)):
            (derived if nth else said)[pattern][alias] = row.own
    for pattern, aliases in derived.items():
        said.setdefault(pattern, aliases)
    for key, traded in listings.items():
        for ticker in traded:
            if len(ticker) >= _SHORTEST_BARE:
                care = "proper" if len(ticker) >= _SURELY_BARE else "word"
                alias = Alias(key, "bare", care, tuple(word.text for word in words(ticker)))
                said.setdefault(" ".join(folded(part) for part in alias.written), {alias: False})
    return {
        pattern: tuple(sorted(alias for alias, own in aliases.items() if own == any(aliases.values())))
        for pattern, aliases in said.items()
    }


def _forms(row: Row, cues: Mapping[str, frozenset[str]]) -> list[tuple[str, Alias]]:
    """Return the forms a name is read in, itself first: without its legal form, and with its 's written together."""
    texts = [row.name]
    if row.kind in ("name", "alias") and row.care != "whole":
        texts += _shortened(row.name, cues["tail"], cues["general"])
    found = []
    for nth, text in enumerate(texts):
        parts = words(plain(text))
        if len(parts) > 1 and parts[0].folded == "the":
            parts = parts[1:]
        alone = nth and len(parts) == 1 and not row.care  # what is left of a name is careful with itself
        alias = Alias(row.key, row.kind, "proper" if alone else row.care, tuple(part.text for part in parts))
        found.append((" ".join(part.folded for part in parts), alias))
        if parts[-1].folded == POSSESSIVE:
            joined = Alias(row.key, row.kind, row.care, (*alias.written[:-2], alias.written[-2] + "s"))
            found.append((" ".join(folded(part) for part in joined.written), joined))
    return [form for form in dict.fromkeys(found) if form[0]]


@lru_cache(maxsize=65536)
def _shortened(name: str, tails: frozenset[str], general: frozenset[str]) -> tuple[str, ...]:
    """Return a name without its legal form, and without what says only that it is a company."""
    from cleanco import basename

    bare = basename(name)
    shorter = bare.split()
    while len(shorter) > 1 and folded(shorter[-1]) in tails:
        shorter.pop()
    texts = dict.fromkeys((bare, " ".join(shorter)))
    return tuple(text for text in texts if text and text != name and folded(text) not in general)
