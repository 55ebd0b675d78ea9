"""Labelled headlines, and how well they are linked: what docs/explanation/news.md shows.

Only ids (sha256 of the text, 16 digits) and labels lie in the repository; the texts, which nobody licenses, are read
from the folder of real data. A label is a company that the text names: itself, or by a product or company that is its
alone; no person, and nobody who is only the source (": Bloomberg"). ``=`` stands before an index, a figure or the
market, ``~`` before a company that the directory does not know.
Run: python -m timegpt_assets_tests.linking_samples prints the tables.
"""

import csv
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path

import polars as pl

from timegpt_assets.core.news.directory import ALIASES, OF_NOBODY, Directory, directory
from timegpt_assets.core.news.link import linked
from timegpt_assets.core.news.title import mended
from timegpt_assets_tests.core.bars.bars_factory import REAL_DATA
from timegpt_assets_tests.core.news.linking import EVENTS, shipped, shipped_rows

LABELS = Path(__file__).parent / "fixtures" / "news_links"
EXTRAS = Path(REAL_DATA) / "extras"
SAMPLES = {
    "us_2018": (date(2018, 2, 16), date(2018, 4, 20), 180, 40),
    "us_later": (date(2018, 5, 1), date(2020, 7, 18), 150, 30),
}
"""Sample -> first and last day, and how many headlines with and without a word that begins a company's name."""
WORDS = (
    "facebook google youtube instagram whatsapp twitter jpmorgan jp morgan ge hp bofa citi exxon raytheon walgreens "
    "monsanto celgene aetna dupont fox cbs snap alibaba spotify samsung toyota volkswagen tesla bank"
)
SHARE_CLASSES = {"GOOG": "GOOGL", "FOX": "FOXA", "BRK.A": "BRK.B", "NWS": "NWSA", "UA": "UAA", "RDS.A": "RDS.B"}


@dataclass
class Measured:
    """What became of a sample: right and wrong links by method, labels that no link has, by text's id."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    confused: list[tuple[str, str, str]] = field(default_factory=list)
    missed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Return the share of links that are labelled."""
        return self.right.total() / (self.right.total() + self.wrong.total())

    @property
    def recall(self) -> float:
        """Return the share of labels that are linked."""
        return self.right.total() / (self.right.total() + len(self.missed))


def digest(text: str) -> str:
    """Return the id of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def headlines() -> dict[str, tuple[date, str]]:
    """Return id -> (first day, text) of the dated headlines."""
    frame = pl.read_parquet(EXTRAS / "headlines_2017_2020" / "reuters_cnbc_guardian_2017_2020.parquet")
    rows = frame.drop_nulls("headline").sort("date", "headline").select("date", "headline").iter_rows()
    found: dict[str, tuple[date, str]] = {}
    for day, text in rows:
        found.setdefault(digest(text), (day, text))
    return found


def sampled(sample: str, texts: Mapping[str, tuple[date, str]]) -> list[str]:
    """Return the ids of a sample by the rule that was fixed before a text was looked at: the first by their hashes."""
    first, last, named, others = SAMPLES[sample]
    names = csv.DictReader((EXTRAS / "entity_lists" / "sp500_constituents.csv").read_text().splitlines())
    heads = (re.sub(r"[^a-z0-9&']", "", row["Security"].lower().split()[0]) for row in names)
    words = {head for head in heads if len(head) > 2 or head == "3m"} | set(WORDS.split())
    ids = sorted(key for key, (day, _) in texts.items() if first <= day <= last)
    told = {key for key in ids if words & set(re.findall(r"[a-z0-9&']+?(?='s\b|[^a-z0-9&']|$)", texts[key][1].lower()))}
    return [key for key in ids if key in told][:named] + [key for key in ids if key not in told][:others]


def labels(sample: str) -> dict[str, set[str]]:
    """Return id -> labels of a sample."""
    rows = csv.DictReader((LABELS / f"{sample}.csv").read_text().splitlines())
    return {row["id"]: set(filter(None, row["about"].split(";"))) for row in rows}


def american(sample: str, *, macro: bool = False) -> Measured:
    """Return how well a sample's companies (or what is ``macro``) are linked by the names that are shipped."""
    said = {
        key: {label[macro:] for label in about if (label[0] == "=" if macro else label[0] not in "=~")}
        for key, about in labels(sample).items()
    }
    kind = pl.col("entity_kind") == "macro"
    return _measured(_american(sample).filter(kind if macro else ~kind), said)


@lru_cache(maxsize=len(SAMPLES))
def _american(sample: str) -> pl.DataFrame:
    """Return the links of a sample, one for all classes of a share."""
    texts = headlines()
    found = _found({key: texts[key] for key in labels(sample)}, shipped())
    return found.with_columns(pl.col("entity").replace(SHARE_CLASSES)).unique(["event_id", "entity"])


def british(half: str, *, strict: bool) -> Measured:
    """Return how well a half of the SemEval headlines is linked by the names of their own labels.

    ``strict``: by their labels alone, of which most texts have one, whoever else they name; else also by companies that
    are named beside it.
    """
    canon = {row["label"]: row for row in csv.DictReader((LABELS / "semeval_labels.csv").read_text().splitlines())}
    said: dict[str, set[str]] = defaultdict(set)
    texts: dict[str, tuple[date, str]] = {}
    for row in json.loads((EXTRAS / "headlines_2017_2020" / "SemEval2017Task5Headlines.json").read_text()):
        key = digest(row["title"])
        if (int(hashlib.sha256(row["title"].encode()).hexdigest()[-4:], 16) % 2 == 1) is (half == "report"):
            said[key].add(canon[row["company"]]["company"])
            texts[key] = (date(2016, 1, 4), row["title"])
    if not strict:
        for row in csv.DictReader((LABELS / "semeval_left_out.csv").read_text().splitlines()):
            if row["id"] in said:
                said[row["id"]].add(row["company"])
    return _measured(_found(texts, _of_labels(canon.values())), said)


def _of_labels(rows: Iterable[Mapping[str, str]]) -> Directory:
    """Return a directory of the label set's own names and the shipped words that are nobody's name."""
    named = [
        (row["label"], f"company {row['company']}", None, None, "name" if row["label"] == row["company"] else "alias",
         row["care"])
        for row in rows if not row["spelling"]
    ]  # fmt: skip
    cues = shipped_rows().filter(pl.col("kind").is_in(OF_NOBODY) & (pl.col("kind") != "not"))
    return directory(pl.concat([pl.DataFrame(named, schema=ALIASES, orient="row"), cues]), cues.head(0), ())


def _found(texts: Mapping[str, tuple[date, str]], names: Directory) -> pl.DataFrame:
    rows = [(day, key, mended(text), [], None, None) for key, (day, text) in texts.items()]
    return linked(pl.DataFrame(rows, schema=EVENTS, orient="row"), names, min_confidence=0.0)


def _measured(found: pl.DataFrame, said: Mapping[str, set[str]]) -> Measured:
    result = Measured()
    linked_to: dict[str, dict[str, str]] = defaultdict(dict)
    for key, entity, method in found.select("event_id", "entity", "method").iter_rows():
        linked_to[key][entity] = method
    for key in sorted(said):
        for entity, method in sorted(linked_to[key].items()):
            (result.right if entity in said[key] else result.wrong)[method] += 1
            if entity not in said[key]:
                result.confused.append((key, entity, method))
        result.missed += [(key, entity) for entity in sorted(said[key] - set(linked_to[key]))]
    return result


def every() -> dict[str, Measured]:
    """Return every sample's measure, in the order they are shown."""
    return {
        "US, February to April 2018 (developed on)": american("us_2018"),
        "US, May 2018 to July 2020 (never developed on)": american("us_later"),
        "SemEval, half that was developed on": british("dev", strict=False),
        "SemEval, other half": british("report", strict=False),
        "SemEval, other half, by its own labels alone": british("report", strict=True),
        "indices, figures and the market, both US samples": _joined(
            american("us_2018", macro=True), american("us_later", macro=True)
        ),
    }


def _joined(one: Measured, other: Measured) -> Measured:
    return Measured(
        one.right + other.right, one.wrong + other.wrong, one.confused + other.confused, one.missed + other.missed
    )


def by_method(found: Mapping[str, Measured]) -> dict[str, tuple[int, int]]:
    """Return method -> right and wrong links of all samples; those of SemEval by its own labels alone are no sample."""
    counted = [measured for name, measured in found.items() if not name.endswith("alone")]
    right, wrong = (sum((getattr(one, side) for one in counted), Counter()) for side in ("right", "wrong"))
    return {method: (right[method], wrong[method]) for method in sorted(right | wrong)}


def tables() -> str:
    """Return both tables as docs/explanation/news.md shows them."""
    found = every()
    lines = ["| sample | links right | wrong | labels missed | precision | recall |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {one.right.total()} | {one.wrong.total()} | {len(one.missed)} "
        f"| {one.precision:.3f} | {one.recall:.3f} |"
        for name, one in found.items()
    ]
    lines += ["", "| method | right | wrong | share right |", "|---|---|---|---|"]
    lines += [
        f"| {method} | {right} | {wrong} | {right / (right + wrong):.3f} |"
        for method, (right, wrong) in by_method(found).items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())  # noqa: T201
    for sample, one in every().items():
        print(sample, one.confused, one.missed, sep="\n")  # noqa: T201
