"""What an event is worth about each whom it is about: how official, how sure, how new, and whether it counts at all.

Belongs here: SCORED_NEWS from events, links and stories. The formulas stand in docs/explanation/news.md, too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from timegpt_assets.core.news.cluster import seen
from timegpt_assets.core.tables.news import SCORED_NEWS


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySpec:
    """What each source's word is worth.

    ``tiers`` and ``confidence``: by source. ``weights``: what an event of each tier counts. What is of less than
    ``min_quality`` is not used, nor where ``exclude_synthetic`` what is about the market for want of anybody else.
    """

    tiers: Mapping[str, int]
    confidence: Mapping[str, float]
    weights: Mapping[int, float]
    min_quality: float
    exclude_synthetic: bool


def scored(
    normalized: pl.DataFrame,
    linked: pl.DataFrame,
    clusters: pl.DataFrame,
    *,
    days: Collection[date],
    spec: QualitySpec,
) -> pl.DataFrame:
    """Return SCORED_NEWS: each link of the events that each of ``days`` sees, its own and the session before's.

    ``normalized``, ``linked`` and ``clusters`` are those of ``days`` and of the sessions before them. Raises KeyError
    for a source that ``spec`` does not know.
    """
    told = linked.rename({"confidence": "link_confidence"})
    worth = _sources(normalized, spec)
    frames = [
        seen(normalized, day)
        .select("day", "event_id", "source", "type", "title", "known_at", "surprise")
        .join(clusters.select("day", "event_id", "cluster_id", "copies"), on=["day", "event_id"], how="left")
        .join(told, on=["day", "event_id"])
        .join(worth, on="source")
        .with_columns(day=pl.lit(day))
        for day in sorted(set(days))
    ]
    if not frames:
        return SCORED_NEWS.empty()
    valued = pl.concat(frames).with_columns(
        confidence=pl.col("source_confidence") * pl.col("link_confidence"), novelty=novelty(pl.col("copies"))
    )
    valued = valued.with_columns(quality=quality(pl.col("weight"), pl.col("confidence"), pl.col("novelty")))
    return SCORED_NEWS.conformed(valued.with_columns(used=_used(spec)))


def novelty(copies: pl.Expr) -> pl.Expr:
    """Return 1 for the first of a story, 1/2 for the second that tells it, 1/n for the nth."""
    return 1.0 / copies


def quality(weight: pl.Expr, confidence: pl.Expr, novelty: pl.Expr) -> pl.Expr:
    """Return the geometric mean of the three, each 0 to 1: (weight x confidence x novelty) ** (1/3).

    ``weight``: of the tier, in parts of the greatest. None of them makes up for another that is 0.
    """
    return (weight * confidence * novelty).clip(0.0, 1.0).pow(1.0 / 3.0)


def _used(spec: QualitySpec) -> pl.Expr:
    return (pl.col("quality") >= spec.min_quality) & ~(pl.col("synthetic_link") & spec.exclude_synthetic)


def _sources(normalized: pl.DataFrame, spec: QualitySpec) -> pl.DataFrame:
    """Return [source, tier, weight, source_confidence] of the sources that told anything."""
    names = normalized["source"].unique().sort().to_list()
    if unknown := [name for name in names if name not in spec.tiers]:
        raise KeyError(f"no tier is known of {', '.join(unknown)}: add it to news.source in configs/news.yaml")
    greatest = max(spec.weights.values()) or 1.0
    rows = [(name, tier, spec.weights[tier] / greatest, spec.confidence[name]) for name, tier in spec.tiers.items()]
    schema = {"source": pl.String, "tier": pl.Int64, "weight": pl.Float64, "source_confidence": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
