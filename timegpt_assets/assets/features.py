"""Features: what is known at each minute, the market around it, and (apart) the labels of what came after."""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, Partitions, PartitionStream
from timegpt_assets.assets.declare import declared, in_chunks, note_rows, refuse_absent, stored_in
from timegpt_assets.config import core_inputs
from timegpt_assets.core import targets
from timegpt_assets.core.features import context as market
from timegpt_assets.core.features import matrix
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.tables.features import FEATURES, LABELS, MARKET_CONTEXT, PANEL
from timegpt_assets.core.targets import Target
from timegpt_assets.partitions import GraphContext, by_day, days_of, own_symbol_window, symbols_of


def market_context(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the market around every symbol."""
    universe = graph.settings.universe

    @declared(
        MARKET_CONTEXT,
        group="features",
        partitions=graph.grid.trading_day,
        settings=("universe.context", "universe.sectors"),
        ins={"bars": stored_in("bars", by_day(), name="bars")},
    )
    def market_context(
        context: dg.AssetExecutionContext, bars: LazyPartitions, daily_files: dg.ResourceParam[DailyFiles]
    ) -> pl.DataFrame:
        """Context symbols' moves, dispersion, each sector's mean, regimes and VIX, lagged one minute."""
        made = [
            market.market_context(
                bars.of(days),
                days=days,
                context=universe.context,
                vix=daily_files.vix,
                sectors=universe.sectors,
            )
            for days in in_chunks(days_of(context.partition_keys))
        ]
        frame = pl.concat(made)
        note_rows(context, frame)
        return frame

    return market_context


def features(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of past-only features."""
    warmup = graph.settings.features.warmup_sessions
    is_told = "news" in graph.settings.features.groups
    news = {"news_features": stored_in("news", name="news_features", lazy=True)} if is_told else {}

    @declared(
        FEATURES,
        group="features",
        partitions=graph.grid.day_symbol,
        settings=(
            "features",
            "forecast.horizon_min",
            "forecast.sigma_column",
            "forecast.target.volatility_column",
            "trading.filters.enabled",
            "universe.context",
            "universe.sectors",
            "events.dates",
            "events.times",
            "events.calendar_names",
        ),
        ins={
            "bars": stored_in("bars", own_symbol_window(-warmup, 0), name="bars", missing="ok"),
            "market_context": stored_in("features", by_day(), name="market_context"),
            **news,
        },
    )
    def features(
        context: dg.AssetExecutionContext,
        bars: LazyPartitions,
        market_context: pl.DataFrame,
        daily_files: dg.ResourceParam[DailyFiles],
        **news: LazyPartitions,
    ) -> PartitionStream:
        """Features of each minute from bars that ended by then; earlier sessions serve as warm-up only."""
        spec = core_inputs.feature_spec(graph.settings, daily_files.calendar)
        # the warm-up may lie before the grid and be absent; the run's own bars may not
        refuse_absent(context, bars.facts, "bars/bars")
        keys = context.partition_keys
        told_of = news["news_features"].of if news else matrix.nothing_told
        made = matrix.chunks(
            bars.of, market_context, days=days_of(keys), symbols=symbols_of(keys), spec=spec, told_of=told_of
        )
        return PartitionStream(_noted(context, made))

    return features


def _noted(
    context: dg.AssetExecutionContext, made: Iterator[matrix.Made]
) -> Iterator[tuple[Sequence[str], Partitions]]:
    """Yield each chunk as it is stored, its rows and dropped rows noted beside the partitions' materialisations."""
    asked = list(context.partition_keys)
    for chunk in made:
        days = [str(day) for day in chunk.days]
        dropped = {f"{day}|{symbol}": n for day, symbol, n in chunk.dropped.iter_rows()}
        keys = [key for key in asked if key[:10] in days]
        note_rows(context, chunk.frame, {"dropped": {key: dropped.get(key, 0) for key in keys}}, of=keys)
        yield days, Partitions(chunk.frame)


def panel(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of every symbol's features of the day in one table."""
    tickers = pl.col("symbol").is_in(list(graph.settings.universe.tickers))

    @declared(
        PANEL,
        group="features",
        partitions=graph.grid.trading_day,
        settings=("universe.tickers",),
        ins={
            "features": stored_in("features", by_day(), name="features"),
            "bars": stored_in("bars", by_day(), name="bars"),
        },
    )
    def panel(context: dg.AssetExecutionContext, features: LazyPartitions, bars: LazyPartitions) -> PartitionStream:
        """Every forecast symbol of the day with its clock price: the door to the batch."""

        def parts() -> Iterator[tuple[Sequence[str], Partitions]]:
            for days in in_chunks(days_of(context.partition_keys)):
                keys = [str(day) for day in days]
                frame = matrix.panel(features.of(days).filter(tickers), bars.of(days).filter(tickers), days=days)
                note_rows(context, frame, of=keys)
                yield keys, Partitions(frame)

        return PartitionStream(parts())

    return panel


def labels(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of realised outcomes, upstream of no forecast."""
    target, spec = core_inputs.target(graph.settings), core_inputs.volatility_spec(graph.settings)

    @declared(
        LABELS,
        group="features",
        partitions=graph.grid.day_symbol,
        settings=("forecast.horizon_min", "forecast.target"),
        # not of the features, where the volatility stands too: what other symbols do would make labels stale
        ins={"bars": stored_in("bars", own_symbol_window(-spec.sessions, 0), name="bars", missing="ok")},
    )
    def labels(context: dg.AssetExecutionContext, bars: LazyPartitions) -> PartitionStream:
        """What came after each minute, keyed by when it became known; never read by anything a forecast reads."""
        refuse_absent(context, bars.facts, "bars/bars")
        return PartitionStream(_labelled(context, bars, target, spec))

    return labels


def _labelled(
    context: dg.AssetExecutionContext, bars: LazyPartitions, target: Target, spec: FeatureSpec
) -> Iterator[tuple[Sequence[str], Partitions]]:
    """Yield the labels of a few days at a time, rows noted beside the partitions' materialisations."""
    asked, horizons = list(context.partition_keys), {target.horizon_min, target.label_horizon_min}
    for days in in_chunks(days_of(asked)):
        files = [str(day) for day in days]
        nothing, names = MARKET_CONTEXT.empty(), symbols_of(asked)
        known = pl.concat(m.frame for m in matrix.chunks(bars.of, nothing, days=days, symbols=names, spec=spec))
        frame = targets.labels(bars.of(days), known, horizons=horizons, target=target)
        note_rows(context, frame, of=[key for key in asked if key[:10] in files])
        yield files, Partitions(frame)
