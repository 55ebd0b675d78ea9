"""How good a band was: whether it held the price, how wide it was, what both cost together, and what breaches led to.

Belongs here: the measures of TSFM_EVALUATION over rows that have one band for each arm. Which rows, and which
parameters adjusted them, is evaluation.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from timegpt_assets.core.pinball import pinball
from timegpt_assets.core.significance import bootstrap
from timegpt_assets.core.tables.tsfm import SEGMENT, TSFM_EVALUATION
from timegpt_assets.core.tsfm.segments import price_bucket

PRICE_CUTS = (0.001, 0.05, 0.95)
"""Where last prices are cut for the segment ``price``: nobody's guess, at the ends, between, and nearly sure."""
_CUTS = (*SEGMENT, "step", "price")
_SUMS = ("samples", "inside", "width", "pinball", "winkler", "breaches", "judged", "followed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringSpec:
    """What counts as moving on, how far coverage may be off, and how many samples of events make an interval."""

    move: float
    tolerance: float
    draws: int


def scored(
    rows: pl.DataFrame, arms: Mapping[str, str], spec: ScoringSpec, *, level: float, split: str, floor: bool
) -> pl.DataFrame:
    """Return TSFM_EVALUATION without its month: each arm (name -> how its columns begin) by segment, at a level.

    ``rows``: TSFM_OUTCOMES with the columns of each arm; all arms are judged on all of them.
    """
    return judged(summed(rows, arms, spec, level=level), spec, level=level, split=split, floor=floor)


def summed(rows: pl.DataFrame, arms: Mapping[str, str], spec: ScoringSpec, *, level: float) -> pl.DataFrame:
    """Return the measures of each arm summed by event and by everything that segments are cut by.

    Sums of several days, one under another, are those of all of them: no more than a day has to be held.
    """
    told = rows.with_columns(price=price_bucket(PRICE_CUTS))
    return pl.concat(
        told.select("event_id", *_CUTS, arm=pl.lit(arm), **measures(prefix, level, spec.move))
        .group_by("arm", "event_id", *_CUTS, maintain_order=True)
        .agg(pl.col(_SUMS).sum().cast(pl.Float64))
        for arm, prefix in arms.items()
    )


def judged(sums: pl.DataFrame, spec: ScoringSpec, *, level: float, split: str, floor: bool) -> pl.DataFrame:
    """Return TSFM_EVALUATION without its month, of what ``summed`` gives.

    Segments: all of them, each value of a column of SEGMENT, step=, and price= by the last price. The ends of coverage
    are the 2.5 and 97.5 % points over samples of whole events.
    """
    of_events = pl.concat(_by_event(sums, segment) for segment in (None, *_CUTS)).sort("arm", "segment", "event_id")
    rows = [
        {"arm": arm, "segment": segment} | _row(own, spec, level)
        for (arm, segment), own in of_events.group_by("arm", "segment", maintain_order=True)
    ]
    schema = {column: dtype for column, dtype in TSFM_EVALUATION.schema.items() if column in _MEASURED}
    told = {"split": pl.lit(split), "floor": pl.lit(floor), "level": pl.lit(level)}
    return pl.DataFrame(rows, schema=schema).with_columns(**told)


def _by_event(sums: pl.DataFrame, segment: str | None) -> pl.DataFrame:
    name = pl.lit("all") if segment is None else pl.format(f"{segment}={{}}", pl.col(segment))
    return sums.group_by("arm", "event_id", segment=name, maintain_order=True).agg(pl.col(_SUMS).sum())


def measures(prefix: str, level: float, move: float) -> dict[str, pl.Expr]:
    """Return name -> expression of a row for the band that begins so, promising the level.

    Pinball: mean over the quantiles (1 - level) / 2, .5 and (1 + level) / 2. Winkler (1972): width and 2 / (1 - level)
    times the distance outside. ``judged``: a breach whose hours to move on are over; ``followed``: it did.
    """
    lower, median, upper, y = (pl.col(name) for name in (f"{prefix}lower", f"{prefix}median", f"{prefix}upper", "y"))
    above, below = y > upper, y < lower
    outside = pl.when(above).then(y - upper).when(below).then(lower - y).otherwise(0.0)
    # twelve digits: .53 less .5 is a move of .03
    moved = pl.when(above).then("rise").when(below).then("fall").round_sig_figs(12)
    tail = (1 - level) / 2
    losses = [pinball(y, end, share) for end, share in ((lower, tail), (median, 0.5), (upper, 1 - tail))]
    return {
        "samples": pl.lit(1),
        "inside": ~(above | below),
        "width": upper - lower,
        "pinball": pl.sum_horizontal(losses) / len(losses),
        "winkler": upper - lower + outside * (2 / (1 - level)),
        "breaches": above | below,
        "judged": moved.is_not_null(),
        "followed": (moved >= move).fill_null(False),
    }


_MEASURED = (
    *("arm", "segment", "samples", "events", "coverage", "coverage_lo", "coverage_hi", "width", "pinball", "winkler"),
    *("breach_rate", "follow_through_rate", "within_tolerance"),
)


def _row(of_event: pl.DataFrame, spec: ScoringSpec, level: float) -> dict[str, object]:
    total = {name: float(of_event[name].sum()) for name in _SUMS}
    n = total["samples"]
    held = bootstrap(of_event["inside"].to_numpy(), of_event["samples"].to_numpy(), draws=spec.draws)
    coverage = total["inside"] / n
    return {
        "samples": int(n),
        "events": of_event.height,
        "coverage": coverage,
        "coverage_lo": held.low,
        "coverage_hi": held.high,
        **{name: total[name] / n for name in ("width", "pinball", "winkler")},
        "breach_rate": total["breaches"] / n,
        "follow_through_rate": total["followed"] / total["judged"] if total["judged"] else None,
        # twelve digits: .93 is within .03 of .9
        "within_tolerance": float(f"{abs(coverage - level):.12g}") <= spec.tolerance,
    }
