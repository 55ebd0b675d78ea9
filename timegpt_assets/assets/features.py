"""Features: what is known at each minute, the market around it, and (apart) the labels of what came after."""

import dagster as dg
import polars as pl

from timegpt_assets.adapters.parquet_store import Stored
from timegpt_assets.assets.declare import House, declared, note_rows, stored_in, with_own
from timegpt_assets.config import core_values
from timegpt_assets.core import tables, targets
from timegpt_assets.core.features import context as market
from timegpt_assets.core.features import matrix
from timegpt_assets.partitions import by_day, days_of, own_symbol_window


def market_context(house: House) -> dg.AssetsDefinition:
    """Return the asset of the market around every symbol."""
    symbols = house.settings.universe.context

    @declared(
        tables.MARKET_CONTEXT,
        group="features",
        partitions=house.grid.trading_day,
        ins={"bars": stored_in("bars", by_day(), name="bars")},
    )
    def market_context(context: dg.AssetExecutionContext, bars: pl.DataFrame) -> pl.DataFrame:
        """Context symbols' returns and volatility and the cross-section's dispersion, lagged one minute."""
        frame = market.market_context(bars, days=days_of(context.partition_keys), context=symbols)
        note_rows(context, frame)
        return frame

    return market_context


def features(house: House) -> dg.AssetsDefinition:
    """Return the asset of past-only features."""
    warmup, horizon = house.settings.features.warmup_sessions, house.settings.forecast.horizon_min

    @declared(
        tables.FEATURES,
        group="features",
        partitions=house.grid.day_symbol,
        ins={
            "bars": stored_in("bars", own_symbol_window(-warmup, 0), name="bars", missing="ok"),
            "market_context": stored_in("features", by_day(), name="market_context"),
        },
    )
    def features(context: dg.AssetExecutionContext, bars: Stored, market_context: pl.DataFrame) -> pl.DataFrame:
        """Features of each minute from bars that ended by then; earlier sessions serve as warm-up only."""
        days = days_of(context.partition_keys)
        known = with_own(context, bars, "bars/bars")
        frame = matrix.features(known, market_context, days=days, horizon_min=horizon)
        note_rows(context, frame)
        return frame

    return features


def panel(house: House) -> dg.AssetsDefinition:
    """Return the asset of every symbol's features of the day in one table."""
    tickers = pl.col("symbol").is_in(list(house.settings.universe.tickers))

    @declared(
        tables.PANEL,
        group="features",
        partitions=house.grid.trading_day,
        ins={
            "features": stored_in("features", by_day(), name="features"),
            "bars": stored_in("bars", by_day(), name="bars"),
        },
    )
    def panel(context: dg.AssetExecutionContext, features: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
        """Every forecast symbol of the day with its clock price: the door to the batch."""
        days = days_of(context.partition_keys)
        frame = matrix.panel(features.filter(tickers), bars.filter(tickers), days=days)
        note_rows(context, frame)
        return frame

    return panel


def labels(house: House) -> dg.AssetsDefinition:
    """Return the asset of realised outcomes, upstream of no forecast."""
    target = core_values.target(house.settings)
    horizons = sorted({target.horizon_min, target.label_horizon_min})

    @declared(
        tables.LABELS,
        group="features",
        partitions=house.grid.day_symbol,
        ins={"bars": stored_in("bars", name="bars")},
    )
    def labels(context: dg.AssetExecutionContext, bars: pl.DataFrame) -> pl.DataFrame:
        """What came after each minute, keyed by when it became known; never read by anything a forecast reads."""
        frame = targets.labels(bars, horizons=horizons)
        note_rows(context, frame)
        return frame

    return labels
