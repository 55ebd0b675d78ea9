"""The offline evaluation of bands for prediction markets as a page: what they held, where they fail, what it rests on.

Belongs here: words, figures and their order, for the page and for the command line. The numbers are made in
core/tsfm/evaluation.py, the pictures in pictures/bands.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from html import escape
from typing import Any

import polars as pl

from timegpt_assets.core.tsfm.evaluation import EvaluationSpec
from timegpt_assets.reports import html
from timegpt_assets.reports.interactive import Album
from timegpt_assets.reports.pictures.bands import ARMS, SPLITS, arms, cost, coverage

ADJUSTED = ("conformal", "baseline_conformal")
"""Arms that promise a coverage."""
HEAD = ("split", "floor", "band", "held", "width", "pinball", "Winkler", "followed", "prices", "events", "promise")
FAILED_HEAD = ("split", "segment", "band", "held", "width", "prices", "events")
EVERY_HEAD = ("split", "floor", "segment", "level", *HEAD[2:])
MOST = 4_000
"""Rows of the table of everything."""
HELD, OFF = "holds", "off"


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """An offline evaluation: TSFM_EVALUATION with and without the floor, by which rules, and what it rests on.

    ``prices``: outcomes from the first day to the last; ``fallbacks`` and ``widened``: the share of them that the model
    did not answer, and of which a band stands at the floor. ``categories``: category -> events, and those held out.
    """

    profile: str
    rows: pl.DataFrame
    spec: EvaluationSpec
    first_day: date
    last_day: date
    first_held: date
    prices: int
    fallbacks: float
    widened: float
    categories: Mapping[str, tuple[int, int]]

    @property
    def target(self) -> pl.DataFrame:
        """Return the rows at the level that is served."""
        return self.rows.filter(level=self.spec.conformal.target)

    @property
    def floor(self) -> bool:
        """Return whether the verdict is of bands with the floor: where there is one, for it is what is served."""
        return bool(self.rows["floor"].any())

    @property
    def judged(self) -> pl.DataFrame:
        """Return the rows that the verdict is of."""
        return self.target.filter(floor=self.floor)


def verdict(found: Evaluated) -> str:
    """Return whether the model's bands hold what they promise, in a sentence."""
    whole = _whole(found)
    held = "; ".join(f"{row['coverage']:.1%} on {SPLITS[row['split']]}" for row in whole)
    word = "hold" if all(row["within_tolerance"] for row in whole) else "do not hold"
    return f"Bands {word} the {found.spec.conformal.target:.0%} that they promise: {held}."


def basis(found: Evaluated) -> str:
    """Return on how much the verdict rests, how far off it allows, and which segments are further off than that."""
    n = ", ".join(f"{row['samples']:,} prices of {row['events']:,} events ({row['split']})" for row in _whole(found))
    off = [*dict.fromkeys(row["segment"] for row in _off(found).iter_rows(named=True))]
    named = f"Further off, in some split or band: {', '.join(off)}." if off else "No segment is further off."
    return f"Of the model's bands after conformal: {n}; tolerance {found.spec.scoring.tolerance:g}. {named}"


def holds(found: Evaluated) -> bool:
    """Return whether the model's bands after conformal are within the tolerance in every split."""
    return all(row["within_tolerance"] for row in _whole(found))


def table(found: Evaluated) -> list[tuple[object, ...]]:
    """Return the figures of everything below HEAD: by split, with and without the floor, each band on the same rows."""
    return [
        (row["split"], _floor(row), *_figures(row)) for row in _ordered(found.target.filter(segment="all")).to_dicts()
    ]


def failed(found: Evaluated) -> list[tuple[object, ...]]:
    """Return the segments below FAILED_HEAD whose bands after conformal are further off than the tolerance."""
    return [
        (row["split"], row["segment"], _arm(row), _held(row), row["width"], row["samples"], row["events"])
        for row in _off(found).to_dicts()
    ]


def rests_on(found: Evaluated) -> list[tuple[str, str]]:
    """Return names and values of what was judged and learnt from."""
    spec = found.spec
    learnt = spec.conformal
    every, held = (sum(counts[n] for counts in found.categories.values()) for n in (0, 1))
    return [
        ("profile", found.profile),
        ("days", f"{found.first_day} to {found.last_day}, {found.prices:,} prices"),
        ("held-out days", f"from {found.first_held} on (tsfm.evaluation.time_holdout {spec.time_share:g})"),
        ("held-out events", f"{held:,} of {every:,} (tsfm.evaluation.event_holdout {spec.event_share:g})"),
        ("embargo", f"{spec.embargo_days} days (of time and event; time_rolling has none, as what is served)"),
        ("learnt from", f"{learnt.window_days} days, pools of {learnt.min_samples:,} scores or more"),
        ("segments of pools", ", ".join(learnt.segments) or "none"),
        ("floor of the width", f"{spec.min_width:g}; {found.widened:.1%} of the prices have a band at it"),
        ("not answered by the model", f"{found.fallbacks:.1%} of the prices: their band is the fallback's"),
    ]


def page(found: Evaluated) -> str:
    """Return the evaluation as one HTML file that fetches nothing; a part that fails is a sentence in its place."""
    album, target = Album(), found.target
    made = [
        html.section(
            "What was held",
            album.figure("held by split", lambda: arms(target)),
            html.part("figures", lambda: html.table(HEAD, table(found))),
            html.said(_READ),
        ),
        html.section("What it costs", album.figure("width and coverage", lambda: cost(target)), html.said(_COST)),
        html.section(
            "Where it fails", html.part("failed segments", lambda: _failed(found)), *_by_segment(found, album)
        ),
        html.section("What was held out", *_rests_on(found)),
        html.section("Everything", html.part("everything", lambda: _everything(found))),
    ]
    tone = "good" if holds(found) else "bad"
    told = html.part("verdict", lambda: f"<p><strong>{escape(verdict(found))}</strong></p>{html.said(basis(found))}")
    head = f'<div class="verdict {tone}" role="note">{told}</div>'
    title = f"Bands of prediction markets, {found.first_day} to {found.last_day}, profile {found.profile}"
    return html.document(title, [head, html.contents(made), *made], last=album.scripts())


_READ = (
    "held: share of prices inside the band, with its 95 % interval over whole events. time: the latest days, by what "
    "was learnt once before them; time_rolling: the same prices, by what each day had learnt, as bands are served; "
    "event: events left out whole. All bands of a split and choice of floor are judged on the same prices. Without the "
    "floor: prices none of whose bands stands at the floor, so others and fewer. followed: breaches that went on."
)
_COST = "A band that is wide enough holds anything: of two that hold what they promise the narrower one says more."


def _by_segment(found: Evaluated, album: Album) -> list[str]:
    return [
        album.figure(f"held by segment, {split}", partial(coverage, own))
        for split in ("time_rolling", "event")
        if (own := found.judged.filter(split=split)).height
    ]


def _failed(found: Evaluated) -> str:
    rows = failed(found)
    if not rows:
        return html.said("No segment is further from the promise than the tolerance, in any split or band.")
    said = html.said("Bands after conformal, the furthest first. Few events make wide intervals: read them first.")
    return said + html.table(FAILED_HEAD, rows, sortable=True)


def _rests_on(found: Evaluated) -> tuple[str, ...]:
    rows = [(name, every, held) for name, (every, held) in found.categories.items()]
    return (
        html.part("what it rests on", lambda: html.pairs(rests_on(found))),
        html.part("categories", lambda: html.table(("category", "events", "held out"), rows)),
    )


def _everything(found: Evaluated) -> str:
    rows = [
        (row["split"], _floor(row), row["segment"], f"{row['level']:.0%}", *_figures(row))
        for row in _ordered(found.rows).to_dicts()
    ]
    return html.folded("every segment and level", html.table(EVERY_HEAD, rows, sortable=True, most=MOST), printed=False)


def _whole(found: Evaluated) -> Sequence[dict[str, Any]]:
    return _ordered(found.judged.filter(segment="all", arm="conformal")).to_dicts()


def _off(found: Evaluated) -> pl.DataFrame:
    """Return the rows of segments that are off, the furthest first."""
    own = found.judged.filter(pl.col("arm").is_in(ADJUSTED), ~pl.col("within_tolerance"), pl.col("segment") != "all")
    return own.sort(
        (pl.col("coverage") - pl.col("level")).abs(), "split", "segment", "arm", descending=[True, *[False] * 3]
    )


def _ordered(rows: pl.DataFrame) -> pl.DataFrame:
    places = {name: place for place, name in enumerate((*SPLITS, *ARMS))}
    split, arm = (pl.col(name).replace_strict(places, return_dtype=pl.Int64) for name in ("split", "arm"))
    return rows.sort(split, ~pl.col("floor"), "segment", "level", arm)


def _figures(row: Mapping[str, Any]) -> tuple[object, ...]:
    followed = row["follow_through_rate"]
    return (
        _arm(row),
        _held(row),
        *(row[name] for name in ("width", "pinball", "winkler")),
        "–" if followed is None else f"{followed:.1%}",
        row["samples"],
        row["events"],
        (HELD if row["within_tolerance"] else OFF) if row["arm"] in ADJUSTED else "",
    )


def _floor(row: Mapping[str, Any]) -> str:
    return "with" if row["floor"] else "without"


def _arm(row: Mapping[str, Any]) -> str:
    return str(row["arm"]).replace("_", ", ")


def _held(row: Mapping[str, Any]) -> str:
    ends = "" if row["coverage_lo"] is None else f" [{row['coverage_lo']:.1%}, {row['coverage_hi']:.1%}]"
    return f"{row['coverage']:.1%}{ends}"
