"""Which goals a primary source has missed: the alarm's sentences, and what to do about each.

Belongs here: words. Whether a source is good is decided where its health is made (core/news/health.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl


def missed(health: pl.DataFrame, *, success_min: float, publish_to_ingest_p95_s: float) -> list[str]:
    """Return a sentence for each session and primary source of SOURCE_HEALTH that is not good, the newest first.

    Each names the session, the source, the goal, the value, how its questions failed, and the remedy.
    """
    amiss = health.filter("primary", ~pl.col("good")).sort("day", "source", descending=[True, False])
    said = []
    for row in amiss.iter_rows(named=True):
        faults = [*_unanswered(row, success_min), *_late(row, publish_to_ingest_p95_s)]
        said.append(f"{row['source']} on {row['day']}: {'; '.join(faults)}")
    return said


def _unanswered(row: Mapping[str, Any], least: float) -> Iterator[str]:
    """Yield that too few questions have an answer, with what can be done about the way in which they failed."""
    share = row["answered"]
    if share is None or share >= least:
        return
    refused, empty = row["rate_limit_count"], row["empty_result_count"]
    how = f"{row['failure']} of {row['attempts']} attempts failed ({refused} refused for being too many, {empty} empty)"
    if refused:
        remedy = f"ask it less often: raise news.spacing_s.{row['source']}"
    elif row["breaker"] != "closed":
        remedy = f"its breaker is {row['breaker']}: wait for the probe, or look whether its address answers"
    else:
        remedy = f"look at raw_news.failed of the day and at news.source.{row['source']}.base_url"
    again = f"then timegpt-assets fetch-news --start {row['day']} --end {row['day']}"
    yield f"{share:.1%} of its questions are answered, news.goals.success_min is {least:.1%}: {how}; {remedy}, {again}"


def _late(row: Mapping[str, Any], most: float) -> Iterator[str]:
    delay = row["publish_to_ingest_p95_s"]
    if delay is not None and delay > most:
        yield (
            f"95 in 100 of its news came within {delay:,.0f} s of being published, "
            f"news.goals.publish_to_ingest_p95_s is {most:,.0f} s: ask sooner, or do not mark it primary "
            f"(news.source.{row['source']}.primary)"
        )
