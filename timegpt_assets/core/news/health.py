"""How well each source answers: questions sent, answers, refusals and delays of a session, against what is demanded.

Belongs here: what an attempt is on record as (ATTEMPTS), and SOURCE_HEALTH of them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from itertools import product

import polars as pl

from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.news import SOURCE_HEALTH

ANSWERED, EMPTY, THROTTLED = "answered", "empty", "throttled"
HELD = "held"
"""The outcome of what was not even sent, because the source was being left alone."""
ATTEMPTS = pl.Schema(
    {
        "day": pl.Date(),  # session it was asked about
        "source": pl.String(),
        "asked": pl.String(),
        "at": TIME,  # when it was sent
        "attempt": pl.Int64(),  # 1 for the first of a question
        "outcome": pl.String(),  # answered, empty, throttled, broken, refused, unreached, held
        "why": pl.String(),  # null: answered
        "status": pl.Int64(),  # null: no answer
        "latency_s": pl.Float64(),  # null: nothing was sent
        "size": pl.Int64(),
        "breaker": pl.String(),  # closed, open or probing, after it
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """Who is watched, and what is demanded: share of questions answered, seconds from published to fetched.

    ``sources``: those that are listed; ``live``: whether they are asked live, so that the delay means anything.
    """

    sources: tuple[str, ...]
    primaries: frozenset[str]
    success_min: float
    publish_to_ingest_p95_s: float
    live: bool


def health(
    attempts: pl.DataFrame, raw: pl.DataFrame, normalized: pl.DataFrame, *, days: Collection[date], goals: Goals
) -> pl.DataFrame:
    """Return SOURCE_HEALTH of the days: a row per day and source that is listed, those that were silent too.

    ``attempts``: ATTEMPTS of the days, however often they were materialised; ``raw``: RAW_NEWS and ``normalized``:
    NORMALIZED_NEWS of the days. A source is good when enough of the day's questions have an answer, whenever it came,
    and when 95 in 100 of its news came fast enough, asked live. Where nothing was to be asked nothing was missed.
    """
    keys = pl.DataFrame(
        list(product(sorted(set(days)), sorted(goals.sources))),
        schema={"day": pl.Date, "source": pl.String},
        orient="row",
    )
    parts = (_calls(attempts), _delays(normalized, live=goals.live), _shares(raw))
    for part in parts:
        keys = keys.join(part, on=("day", "source"), how="left")
    counts = pl.col("attempts", "success", "failure", "empty_result_count", "rate_limit_count").fill_null(0)
    late = pl.col("publish_to_ingest_p95_s") > goals.publish_to_ingest_p95_s
    found = keys.with_columns(
        counts,
        pl.col("breaker").fill_null("closed"),
        primary=pl.col("source").is_in(sorted(goals.primaries)),
        good=(pl.col("answered").fill_null(1.0) >= goals.success_min) & ~late.fill_null(value=False),
    )
    return SOURCE_HEALTH.conformed(found.select(*SOURCE_HEALTH.columns))


def _calls(attempts: pl.DataFrame) -> pl.DataFrame:
    """Return what was sent by day and source, and the breaker's last state; what was held back counts in that alone."""
    outcome, latency = pl.col("outcome"), pl.col("latency_s")
    sent = outcome != HELD
    return (
        attempts.sort("at", "attempt", maintain_order=True)
        .group_by("day", "source")
        .agg(
            attempts=sent.sum().cast(pl.Int64),
            success=(outcome == ANSWERED).sum().cast(pl.Int64),
            failure=(sent & (outcome != ANSWERED)).sum().cast(pl.Int64),
            empty_result_count=(outcome == EMPTY).sum().cast(pl.Int64),
            rate_limit_count=(outcome == THROTTLED).sum().cast(pl.Int64),
            fetch_latency_p50_s=latency.quantile(0.5, "linear"),
            fetch_latency_p95_s=latency.quantile(0.95, "linear"),
            breaker=pl.col("breaker").last(),
        )
    )


def _delays(normalized: pl.DataFrame, *, live: bool) -> pl.DataFrame:
    """Return the 95th of 100 delays from published to fetched; in a replay there are none, for it asks years later."""
    delay = (pl.col("fetched_at") - pl.col("published_at")).dt.total_microseconds() / 1e6
    return (
        normalized.filter(pl.col("published_at").is_not_null() & pl.lit(live))
        .group_by("day", "source")
        .agg(publish_to_ingest_p95_s=delay.clip(0.0).quantile(0.95, "linear"))
    )


def _shares(raw: pl.DataFrame) -> pl.DataFrame:
    """Return the share of a day's questions that have an answer."""
    return raw.group_by("day", "source").agg(answered=pl.col("failed").is_null().mean())
