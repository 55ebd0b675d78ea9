"""What was forecast of prediction markets, what became of it, what was learnt from that, and which prices alarm."""

import math
from datetime import date

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, PartitionStream
from timegpt_assets.adapters.tollama.answer_store import BandForecaster
from timegpt_assets.adapters.tollama.runner import counted
from timegpt_assets.assets.daywise import OWN, Made
from timegpt_assets.assets.declare import declared
from timegpt_assets.assets.tsfm import GRID, GROUP, reads, utc_days
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.tables.tsfm import TSFM_FORECASTS
from timegpt_assets.core.tsfm import forecasts, window
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.partitions import GraphContext

DAY_MIN = 24 * 60
ANSWERED = (
    *("tsfm.quantiles", "tsfm.transform", "tsfm.model", "tsfm.series.min_points", "tsfm.fallback", "tsfm.guards"),
    *("tsfm.series.max_gap_minutes", "tsfm.liquidity.baseline_only_below"),
)
"""What shapes an answer, whoever makes it."""


def tsfm_forecasts(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what was answered about the markets of each cycle."""
    spec, quantiles = tsfm_inputs.series_spec(graph.settings), graph.settings.tsfm.quantiles
    past = (-math.ceil(spec.freq_min * spec.input_len / DAY_MIN), 0)

    @declared(
        TSFM_FORECASTS,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=(*GRID, *ANSWERED),
        ins={
            "selection": reads("selection"),
            "market_series": reads("market_series", past),
            "markets": reads("markets"),
        },
    )
    def tsfm_forecasts(
        context: dg.AssetExecutionContext,
        selection: LazyPartitions,
        market_series: LazyPartitions,
        markets: LazyPartitions,
        band_forecaster: dg.ResourceParam[BandForecaster],
    ) -> PartitionStream:
        """The model's answer, or the fallback's and why; what was answered before is asked of nobody."""

        def forecast(day: date, chosen: pl.DataFrame, rows: pl.DataFrame, told: pl.DataFrame) -> Made:
            asked = window.asked(chosen, rows, spec, quantiles)
            answers = band_forecaster.forecast(asked)
            good = {(one.market_id, one.as_of): one for one in answers if isinstance(one, Answered)}
            live = told.select("market_id", "as_of", "live")
            found = forecasts.forecasts(chosen.join(live, on=["market_id", "as_of"]), asked, good)
            return Made(found, {"asked": len(asked), "reasons": dict(counted(answers))})

        layers = {"selection": (selection, OWN), "market_series": (market_series, past), "markets": (markets, OWN)}
        return utc_days(context, forecast, **layers)

    return tsfm_forecasts
