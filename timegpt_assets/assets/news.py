"""News: what was delivered, what it says, whom it is about, what each is worth, and how well those asked answer."""

from collections.abc import Callable
from datetime import date
from typing import Any, get_args

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.news.desk import HeadlineReader, Newswire
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, PartitionStream
from timegpt_assets.assets import daywise, glimpses
from timegpt_assets.assets.daywise import Made
from timegpt_assets.assets.declare import declared, note_rows, stored_in
from timegpt_assets.config import news_inputs
from timegpt_assets.config.news import SourceName
from timegpt_assets.core import calendar
from timegpt_assets.core.news import attribute, cluster, health, link, normalise, project, quality
from timegpt_assets.core.news.directory import Directory
from timegpt_assets.core.tables.news import (
    EVENT_ATTRIBUTION,
    LINKED_NEWS,
    NEWS_CLUSTERS,
    NEWS_FEATURES,
    NORMALIZED_NEWS,
    RAW_NEWS,
    SCORED_NEWS,
    SOURCE_HEALTH,
)
from timegpt_assets.partitions import GraphContext, by_day, day_window, days_of, symbols_of

EVENTS = ("events.dates", "events.times", "events.calendar_names")
"""What the calendar says, as a source of its own and of the moments at which values and releases come."""
ASKED = (
    *("news.sources", "news.clock", "news.fred_series", "news.fred_releases"),
    *("universe.tickers", "universe.context", *EVENTS),
)
"""What a session asks about, and whose news an answer is that came later."""


def of_sources(*fields: str) -> tuple[str, ...]:
    """Return the keys of these fields of every source."""
    return tuple(f"news.source.{name}.{one}" for name in get_args(SourceName) for one in fields)


def raw_news(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what every source that is listed delivered."""

    @declared(
        RAW_NEWS,
        group="news",
        partitions=graph.grid.trading_day,
        settings=ASKED,
    )
    def raw_news(context: dg.AssetExecutionContext, news_sources: dg.ResourceParam[Newswire]) -> pl.DataFrame:
        """What was asked about the session and what came, failures too; what was answered before is asked of nobody."""
        frame = news_sources.deliver(days_of(context.partition_keys))
        failed = frame.group_by("day").agg(pl.col("failed").count())
        note_rows(context, frame, {"failed": {str(day): count for day, count in failed.iter_rows()}})
        return frame

    return raw_news


def normalized_news(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of events, each dated by when it became known."""
    clock = news_inputs.clock_spec(graph.settings)

    @declared(
        NORMALIZED_NEWS,
        group="news",
        partitions=graph.grid.trading_day,
        settings=(
            *("news.clock", "news.ahead_tolerance_s", "news.fred_series", "news.fred_releases"),
            *("news.surprise_changes", "news.extractor.model", *of_sources("latency_s"), *EVENTS),
        ),
        ins={"raw_news": with_before("raw_news")},
    )
    def normalized_news(
        context: dg.AssetExecutionContext,
        raw_news: LazyPartitions,
        news_sources: dg.ResourceParam[Newswire],
        headline_reader: dg.ResourceParam[HeadlineReader | None],
        daily_files: dg.ResourceParam[DailyFiles],
    ) -> PartitionStream:
        """What became known after the previous close and by this one, as the sources tell it."""
        readers = news_inputs.readers(graph.settings, daily_files.calendar)

        def told(day: date, raw: pl.DataFrame) -> Made:
            found = normalise.normalised(news_sources.delivered(raw), readers=readers, clock=clock, days=[day])
            return Made(headline_reader.read(found.frame) if headline_reader else found.frame, unread(found))

        return day_by_day(context, told, back=1, raw_news=raw_news)

    return normalized_news


def unread(found: normalise.Normalised) -> dict[str, Any]:
    """Return what of a day's deliveries became no event: bodies nobody could read, and events by why they are none."""
    bodies = [f"{one.source} {one.asked}: {one.why}" for one in found.unreadable]
    return {"unreadable": bodies, "refused": {f"{source}: {why}": n for (source, why), n in found.refused.items()}}


def linked_news(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of whom each event is about."""
    least = graph.settings.news.min_confidence

    @declared(
        LINKED_NEWS,
        group="news",
        partitions=graph.grid.trading_day,
        settings=("news.min_confidence", "universe.tickers", "universe.context"),
        ins={"normalized_news": stored_in("news", name="normalized_news")},
    )
    def linked_news(
        context: dg.AssetExecutionContext, normalized_news: LazyPartitions, news_names: dg.ResourceParam[Directory]
    ) -> PartitionStream:
        """Companies, shares and indexes that each event of the day names, by the names of that day."""

        def linked(day: date, events: pl.DataFrame) -> Made:
            return Made(link.linked(events, news_names, min_confidence=least))

        return day_by_day(context, linked, normalized_news=normalized_news)

    return linked_news


def news_clusters(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of which events tell the same."""
    spec = news_inputs.cluster_spec(graph.settings)

    @declared(
        NEWS_CLUSTERS,
        group="news",
        partitions=graph.grid.trading_day,
        settings=("news.cluster",),
        ins={"normalized_news": with_before("normalized_news")},
    )
    def news_clusters(context: dg.AssetExecutionContext, normalized_news: LazyPartitions) -> PartitionStream:
        """Which story each event tells, and how many had told it by then; stories of the session before go on."""

        def clustered(day: date, events: pl.DataFrame) -> Made:
            return Made(cluster.clustered(events, days=[day], spec=spec))

        return day_by_day(context, clustered, back=1, normalized_news=normalized_news)

    return news_clusters


def scored_news(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what each event is worth."""
    spec = news_inputs.quality_spec(graph.settings)

    @declared(
        SCORED_NEWS,
        group="news",
        partitions=graph.grid.trading_day,
        settings=(
            *("news.tier_weights", "news.min_quality", "news.exclude_synthetic"),
            *of_sources("tier", "confidence"),
        ),
        ins={name: with_before(name) for name in ("normalized_news", "linked_news", "news_clusters")},
    )
    def scored_news(
        context: dg.AssetExecutionContext,
        normalized_news: LazyPartitions,
        linked_news: LazyPartitions,
        news_clusters: LazyPartitions,
    ) -> PartitionStream:
        """Tier, confidence, novelty and quality of each event of the day and of the session before."""

        def scored(day: date, events: pl.DataFrame, links: pl.DataFrame, stories: pl.DataFrame) -> Made:
            return Made(quality.scored(events, links, stories, days=[day], spec=spec))

        layers = {"normalized_news": normalized_news, "linked_news": linked_news, "news_clusters": news_clusters}
        return day_by_day(context, scored, back=1, **layers)

    return scored_news


def source_health(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of how well each source answers."""
    goals = news_inputs.goals(graph.settings)

    @declared(
        SOURCE_HEALTH,
        group="news",
        partitions=graph.grid.trading_day,
        settings=("news.sources", "news.clock", "news.goals", *of_sources("primary")),
        ins={name: stored_in("news", name=name) for name in ("raw_news", "normalized_news")},
    )
    def source_health(
        context: dg.AssetExecutionContext,
        raw_news: LazyPartitions,
        normalized_news: LazyPartitions,
        news_sources: dg.ResourceParam[Newswire],
    ) -> PartitionStream:
        """Questions, answers, failures, refusals and delays of each source that is listed, silent ones too."""

        def healthy(day: date, raw: pl.DataFrame, events: pl.DataFrame) -> Made:
            found = health.health(news_sources.attempts([day]), raw, events, days=[day], goals=goals)
            glimpse = {name: noted[str(day)] for name, noted in glimpses.of_sources(found).items() if str(day) in noted}
            return Made(found, {"not_good": found.filter(~pl.col("good"))["source"].to_list()} | glimpse)

        return day_by_day(context, healthy, raw_news=raw_news, normalized_news=normalized_news)

    return source_health


def news_features(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what was known of each symbol at each minute."""

    @declared(
        NEWS_FEATURES,
        group="news",
        partitions=graph.grid.day_symbol,
        settings=(),
        ins={name: stored_in("news", by_day(), name=name) for name in ("scored_news", "raw_news")},
    )
    def news_features(
        context: dg.AssetExecutionContext, scored_news: LazyPartitions, raw_news: LazyPartitions
    ) -> PartitionStream:
        """How much news, of which kind, how weighty and how old, from what was known by each minute."""
        symbols = symbols_of(context.partition_keys)

        def projected(day: date, scored: pl.DataFrame, raw: pl.DataFrame) -> Made:
            return Made(project.projected(scored, raw, days=[day], symbols=symbols))

        return day_by_day(context, projected, scored_news=scored_news, raw_news=raw_news)

    return news_features


def event_attribution(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of which events are behind the news that a forecast was made with."""
    top = graph.settings.models.attribution_top

    @declared(
        EVENT_ATTRIBUTION,
        group="news",
        partitions=graph.grid.day_symbol,
        settings=("models.attribution_top",),
        ins={name: stored_in("news", by_day(), name=name) for name in ("scored_news", "raw_news")}
        | {"snapshots": stored_in("forecasts", by_day(), name="snapshots")},
    )
    def event_attribution(
        context: dg.AssetExecutionContext,
        scored_news: LazyPartitions,
        raw_news: LazyPartitions,
        snapshots: LazyPartitions,
    ) -> PartitionStream:
        """The events behind each feature of the news at each snapshot, and how much of it is each one's."""
        symbols = symbols_of(context.partition_keys)

        def attributed(day: date, *layers: pl.DataFrame) -> Made:
            return Made(attribute.attributed(*layers, days=[day], symbols=symbols, top=top))

        return day_by_day(context, attributed, scored_news=scored_news, raw_news=raw_news, snapshots=snapshots)

    return event_attribution


def with_before(name: str) -> dg.AssetIn:
    """Return the input of a layer's session and the one before it, which may lie before the grid."""
    return stored_in("news", day_window(-1), name=name, missing="ok")


def day_by_day(
    context: dg.AssetExecutionContext, made: Callable[..., Made], *, back: int = 0, **layers: LazyPartitions
) -> PartitionStream:
    """Return what is ``made`` of each of the run's days and of the layers' rows of it and of ``back`` sessions before.

    Raises MissingPartition where a layer has nothing of a day of the run's.
    """
    of_news = {f"news/{name}": layer for name, layer in layers.items()}
    return daywise.day_by_day(
        context, made, of_news, shifted=calendar.shifted, windows=dict.fromkeys(of_news, (-back, 0))
    )
