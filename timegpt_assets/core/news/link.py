"""Whom an event is about: companies, indices and the market as a whole, each with how it was found and how surely.

Belongs here: methods in the order of their trust, and what a link is worth. What a name is: directory.py; where it
stands: spotting.py; whether it is meant: belief.py.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from timegpt_assets.core.news.belief import Beside, believed
from timegpt_assets.core.news.directory import Directory, Names
from timegpt_assets.core.news.spotting import Spot, Spotter, spotter
from timegpt_assets.core.news.words import plain, read
from timegpt_assets.core.tables.news import LINKED_NEWS

CONFIDENCE = {
    "given": 0.99,
    "cashtag": 0.98,
    "name": 0.98,
    "alias": 0.97,
    "ticker": 0.9,
    "extracted": 0.75,
    "market": 0.7,
}
"""Method -> share of its links that are right, in the order of trust; measured in docs/explanation/news.md, but for
extracted: what a language model says counts less than any name that is read."""
WHOLE = 3
"""Companies of one event that are each linked in full; of more each has its share of these."""
_ORDER = {method: nth for nth, method in enumerate(CONFIDENCE)}
_CASHTAG = re.compile(r"(?<![\w$])\$([A-Z]{1,5}(?:[.\-/][A-Z])?)(?!\w)")
_BRACKET = re.compile(
    r"(?i:\b(?:NYSE(?: ?American| ?Arca|MKT)?|NASDAQ(?:GS|GM|CM)?|AMEX|CBOE|BATS))"
    r"\s*:\s*([A-Z]{1,5}(?:[.\-/][A-Z])?)(?!\w)"
    r"|[(<\[]([A-Z]{1,5}(?:[a-z])?)\.(?:N|O|OQ|K|P|A|PK)[)>\]]"
)
_PLACE = re.compile(r"^.*:|\.(?:N|O|OQ|US)$")
_MACRO = ("macro", "indicator")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads texts with the names of one time."""

    names: Names
    spotter: Spotter

    def about(self, title: str) -> dict[tuple[str, str], str]:
        """Return (company, index or market, its kind) -> the most trusted method by which a text names it."""
        shown = plain(title)
        found = [*self._tickers(shown)]
        # a ticker that is nobody's that day is no word either: $META in 2018, the Nasdaq of (NASDAQ: AAPL)
        text = read(_BRACKET.sub(" ", _CASHTAG.sub(" ", shown)))
        spots = self.spotter.spots(text.words)
        beside = Beside(
            given_names=_words_of("given_name", spots), places=_words_of("abroad", spots), cues=self.names.cues
        )
        found += [
            _named(alias.key, alias.kind)
            for spot in spots
            for alias in spot.aliases
            if alias.key and believed(text, spot, alias, beside)
        ]
        named = [link for link in found if link[2] != "market"]
        return _best(named or found)

    def given(self, tickers: list[str], method: str = "given") -> dict[tuple[str, str], str]:
        """Return the companies of tickers that a source, or a model, names; one that nobody trades as is nobody's."""
        plain_ones = (re.sub(r"[-/]", ".", _PLACE.sub("", ticker.strip().lstrip("$")).upper()) for ticker in tickers)
        return {(key, "company"): method for ticker in plain_ones for key in self.names.tickers.get(ticker, ())}

    def _tickers(self, text: str) -> Iterator[tuple[str, str, str]]:
        for pattern, method in ((_CASHTAG, "cashtag"), (_BRACKET, "ticker")):
            for match in pattern.finditer(text):
                ticker = re.sub(r"[-/]", ".", next(group for group in match.groups() if group).upper())
                for key in self.names.tickers.get(ticker, ()):
                    yield key, "company", method


def linked(normalized: pl.DataFrame, directory: Directory, *, min_confidence: float) -> pl.DataFrame:
    """Return LINKED_NEWS of NORMALIZED_NEWS: a row per event and whom it is about, by names valid on the event's day.

    A company has a row for each of its tickers of that day, class shares too, and one without a symbol where it has
    none. An event of more than WHOLE companies is linked to each with WHOLE / their number of the confidence.
    """
    eras = {day: directory.era(day) for day in normalized["day"].unique()}
    readers: dict[date, Reader] = {}
    read_before: dict[tuple[date, str], dict[tuple[str, str], str]] = {}
    rows = []
    for event in normalized.select("day", "event_id", "title", "tickers", "series", "extracted_by").iter_rows(
        named=True
    ):
        era = eras[event["day"]]
        if era not in readers:
            names = directory.as_of(event["day"])
            readers[era] = Reader(names, spotter(names.patterns))
        reader, said = readers[era], (era, event["title"])
        if event["series"]:
            found = {(reader.names.series.get(event["series"], event["series"]), "macro"): "given"}
        else:
            if said not in read_before:
                read_before[said] = reader.about(event["title"])
            method = "extracted" if event["extracted_by"] else "given"
            found = _best_of(read_before[said], reader.given(event["tickers"], method))
        rows += [(event["day"], event["event_id"], *row) for row in _rows(found, reader.names)]
    schema = {name: LINKED_NEWS.schema[name] for name in _COLUMNS}
    frame = pl.DataFrame(rows, schema=schema, orient="row").filter(pl.col("confidence") >= min_confidence)
    return LINKED_NEWS.conformed(frame)


def shares(normalized: pl.DataFrame, directory: Directory) -> list[str]:
    """Return the events (event_id) of NORMALIZED_NEWS that are about somebody's shares."""
    found = linked(normalized, directory, min_confidence=0.0)
    return found.filter(pl.col("symbol").is_not_null())["event_id"].unique().sort().to_list()


_COLUMNS = ("day", "event_id", "entity", "entity_kind", "symbol", "method", "confidence", "synthetic_link")


def _rows(found: Mapping[tuple[str, str], str], names: Names) -> list[tuple[object, ...]]:
    """Return [entity, entity_kind, symbol, method, confidence, synthetic_link] of whom an event is about."""
    companies = sum(kind == "company" for _, kind in found)
    share = min(1.0, WHOLE / companies) if companies else 1.0
    rows: dict[str, tuple[object, ...]] = {}
    # the most trusted first: two companies may have traded as one ticker
    for (key, kind), method in sorted(found.items(), key=lambda item: (_ORDER[item[1]], item[0])):
        sure = CONFIDENCE[method]
        if kind == "macro":
            rows.setdefault(key, (key, "macro", None, method, sure, method == "market"))
            continue
        for ticker in names.listings.get(key, ()):
            rows.setdefault(ticker, (ticker, "symbol", ticker, method, sure * share, False))
        if key not in names.listings:
            name = names.called.get(key, key)
            rows.setdefault(name, (name, "company", None, method, sure * share, False))
    return list(rows.values())


def _best_of(read: Mapping[tuple[str, str], str], given: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
    """Return whom the text and the source name, most trusted; the market alone is nobody beside a company."""
    named = {link: method for link, method in read.items() if not given or method != "market"}
    return named | {link: method for link, method in given.items() if link not in named or method == "given"}


def _named(key: str, kind: str) -> tuple[str, str, str]:
    """Return whom a name of a kind is of, of what kind that is, and by which method it was found."""
    if kind in _MACRO:
        return key, "macro", "name"
    if kind == "market":
        return key, "macro", "market"
    return key, "company", "ticker" if kind == "bare" else kind


def _best(found: list[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    best: dict[tuple[str, str], str] = {}
    for key, kind, method in sorted(found, key=lambda link: _ORDER[link[2]]):
        best.setdefault((key, kind), method)
    return best


def _words_of(kind: str, spots: list[Spot]) -> set[int]:
    """Return the numbers of the words that are of a kind."""
    found = [spot for spot in spots if any(alias.kind == kind for alias in spot.aliases)]
    return {nth for spot in found for nth in range(spot.first, spot.end)}
