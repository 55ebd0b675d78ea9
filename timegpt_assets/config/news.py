"""The section about news: who is asked for it, how patiently, whom it is about, and what it is worth.

Belongs here: news. What each key means stands in configs/news.yaml.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from timegpt_assets.config.base import PLACE, Count, EventName, Name, NotNegative, Positive, Section, Share, _unique

Tier = Annotated[int, Field(ge=1, le=3)]
ReleaseNumber = Annotated[str, Field(pattern=r"^release_[1-9]\d*$")]
SourceName = Literal["fred", "calendar", "own", "gdelt_files", "gdelt_doc"]


class Source(Section):
    """One source: what its word is worth, how late it is, and where it is asked."""

    tier: Tier
    confidence: Share
    latency_s: NotNegative
    primary: bool
    base_url: Annotated[str | None, PLACE]


class Retry(Section):
    """How long one question is asked again before it has failed."""

    budget_s: Annotated[Positive, PLACE]
    max_attempts: Annotated[Count, PLACE]
    retry_after_cap_s: Annotated[Positive, PLACE]
    timeout_s: Annotated[Positive, PLACE]


class Breaker(Section):
    """When a source is left alone, and how it is tried again."""

    failures: Annotated[Count, PLACE]
    cooldown_s: Annotated[Positive, PLACE]
    successes: Annotated[Count, PLACE]


class Cluster(Section):
    """Which events tell the same story."""

    similarity: Annotated[float, Field(gt=0, le=100)]
    window_min: Count


class TierWeights(Section):
    """What an event of each tier counts."""

    tier_1: NotNegative
    tier_2: NotNegative
    tier_3: NotNegative


class Goals(Section):
    """What a primary source must do."""

    success_min: Share
    publish_to_ingest_p95_s: Positive


class Extractor(Section):
    """A language model that reads what no parser can."""

    base_url: Annotated[str | None, PLACE]
    model: str | None
    max_calls_per_day: Annotated[Count, PLACE]
    timeout_s: Annotated[Positive, PLACE]


class News(Section):
    """What is asked for, and what becomes of it."""

    sources: Annotated[tuple[SourceName, ...], AfterValidator(_unique)]
    clock: Literal["replay", "live"]
    ahead_tolerance_s: NotNegative
    aliases_path: Annotated[str | None, PLACE]
    source: Mapping[SourceName, Source]
    retry: Retry
    breaker: Mapping[Literal["default", "gdelt_doc", "gdelt_files", "fred"], Breaker]
    spacing_s: Annotated[Mapping[Literal["gdelt_doc", "gdelt_files", "fred"], NotNegative], PLACE]
    goals: Goals
    fred_series: Mapping[Name, EventName | None]
    fred_releases: Mapping[ReleaseNumber, EventName | None]
    surprise_changes: Annotated[int, Field(ge=2)]
    extractor: Extractor
    min_confidence: Share
    cluster: Cluster
    tier_weights: TierWeights
    min_quality: Share
    exclude_synthetic: bool
