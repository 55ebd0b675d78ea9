"""Bands for prediction markets: who was traded, at which prices, who was forecast, and what became of it."""

from collections.abc import Callable
from datetime import date

import dagster as dg
import polars as pl

from timegpt_assets.adapters.prediction_markets.source import MarketDays
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, PartitionStream
from timegpt_assets.assets import daywise
from timegpt_assets.assets.daywise import OWN, Made
from timegpt_assets.assets.declare import declared, stored_in
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.tables.tsfm import MARKET_SERIES, MARKETS, SELECTION
from timegpt_assets.core.tsfm import selection as choosing
from timegpt_assets.core.tsfm import series
from timegpt_assets.partitions import GraphContext, day_window

GROUP = "tsfm"
GRID = (
    *("tsfm.series.freq", "tsfm.series.input_len_steps", "tsfm.series.horizon_steps"),
    *("tsfm.series.last_trade_max_age_min", "tsfm.series.max_gap_minutes"),
)
CUTS = ("tsfm.liquidity.low_below", "tsfm.liquidity.high_from", "tsfm.conformal.tte_bounds_h")
BEFORE = (-1, 0)


def markets(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what was traded in each cycle of a UTC day."""

    @declared(
        MARKETS,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=("tsfm.markets.source", "tsfm.markets.known_after_s", "tsfm.cycle_min"),
    )
    def markets(context: dg.AssetExecutionContext, market_days: dg.ResourceParam[MarketDays]) -> PartitionStream:
        """Every market of every cycle as it was told then: by the tape of a live source, or by files."""

        def told(day: date) -> Made:
            found = market_days.day(day).markets
            return Made(found, {"cycles": found["as_of"].n_unique(), "markets": found["market_id"].n_unique()})

        return utc_days(context, told)

    return markets


def market_series(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of each market's price at every moment of the grid."""
    spec = tsfm_inputs.series_spec(graph.settings)

    @declared(
        MARKET_SERIES,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=GRID,
        ins={"markets": reads("markets", BEFORE)},
    )
    def market_series(
        context: dg.AssetExecutionContext, markets: LazyPartitions, market_days: dg.ResourceParam[MarketDays]
    ) -> PartitionStream:
        """What was known of each price at each moment of the day; what was refused of the prices is noted."""

        def gridded(day: date, told: pl.DataFrame) -> Made:
            found = series.series(told, market_days.day(day).prices, [day], spec)
            return Made(found.rows, {"refused": dict(found.refused)})

        return utc_days(context, gridded, markets=(markets, BEFORE))

    return market_series


def selection(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of which markets are forecast in each cycle."""
    spec, cuts = tsfm_inputs.selection_spec(graph.settings), tsfm_inputs.segment_spec(graph.settings)

    @declared(
        SELECTION,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=("tsfm.selection", *CUTS),
        ins={"markets": reads("markets")},
    )
    def selection(context: dg.AssetExecutionContext, markets: LazyPartitions) -> PartitionStream:
        """The markets of each cycle that are open, ranked by volume and open interest, each with its segment."""

        def chosen(day: date, told: pl.DataFrame) -> Made:
            found = choosing.selection(told, spec, cuts)
            return Made(found, {"selected": found["selected"].sum()})

        return utc_days(context, chosen, markets=(markets, OWN))

    return selection


def reads(name: str, window: daywise.Window = OWN) -> dg.AssetIn:
    """Return the input of another table of the second system: the day's, or that of a window of days around it."""
    if window == OWN:
        return stored_in(GROUP, name=name)
    return stored_in(GROUP, day_window(*window), name=name, missing="ok")


def utc_days(
    context: dg.AssetExecutionContext,
    made: Callable[..., Made],
    **layers: tuple[LazyPartitions, daywise.Window],
) -> PartitionStream:
    """Return what is ``made`` of each UTC day of the run, and of the layers' rows in their windows around it."""
    read = {f"{GROUP}/{name}": layer for name, (layer, _) in layers.items()}
    windows = {f"{GROUP}/{name}": window for name, (_, window) in layers.items()}
    return daywise.day_by_day(context, made, read, shifted=daywise.utc_shifted, windows=windows)
