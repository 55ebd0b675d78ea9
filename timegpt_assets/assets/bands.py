"""What was forecast of prediction markets, what became of it, what was learnt from that, and which prices alarm."""

import math
from datetime import date

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, PartitionStream
from timegpt_assets.adapters.storage.rollout_record import RolloutRecord
from timegpt_assets.adapters.tollama.answer_store import BandForecaster
from timegpt_assets.adapters.tollama.runner import counted, warned
from timegpt_assets.assets.daywise import OWN, Made
from timegpt_assets.assets.declare import declared
from timegpt_assets.assets.tsfm import BEFORE, GRID, GROUP, reads, utc_days
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.tables.tsfm import ALERTS, BANDS, CONFORMAL_PARAMETERS, TSFM_FORECASTS, TSFM_OUTCOMES
from timegpt_assets.core.tsfm import alerts as alerting
from timegpt_assets.core.tsfm import assignment, conformal, forecasts, outcomes, rollout, window
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.partitions import GraphContext

DAY_MIN = 24 * 60
ALERTING = ("horizon_step", "open_interest_change_max", "volume_velocity_min", "ambiguity_max", "cooldown_s")


def tsfm_forecasts(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what was answered about the markets of each cycle."""
    spec, quantiles = tsfm_inputs.series_spec(graph.settings), graph.settings.tsfm.quantiles
    past = (-math.ceil(spec.freq_min * spec.input_len / DAY_MIN), 0)

    @declared(
        TSFM_FORECASTS,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=(*GRID, *tsfm_inputs.ANSWERED),
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
            return Made(found, {"asked": len(asked), "reasons": counted(answers), "warnings": warned(answers)})

        layers = {"selection": (selection, OWN), "market_series": (market_series, past), "markets": (markets, OWN)}
        return utc_days(context, forecast, **layers)

    return tsfm_forecasts


def tsfm_outcomes(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what became of forecasts."""
    hours = graph.settings.tsfm.evaluation.follow_through_hours

    @declared(
        TSFM_OUTCOMES,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=("tsfm.evaluation.follow_through_hours",),
        ins={"tsfm_forecasts": reads("tsfm_forecasts", BEFORE), "market_series": reads("market_series")},
    )
    def tsfm_outcomes(
        context: dg.AssetExecutionContext, tsfm_forecasts: LazyPartitions, market_series: LazyPartitions
    ) -> PartitionStream:
        """The price at the moment that was forecast, of the forecasts whose moment lies in the day."""

        def came(day: date, made: pl.DataFrame, prices: pl.DataFrame) -> Made:
            return Made(outcomes.outcomes(made, prices, [day], follow_through_hours=hours))

        return utc_days(context, came, tsfm_forecasts=(tsfm_forecasts, BEFORE), market_series=(market_series, OWN))

    return tsfm_outcomes


def conformal_parameters(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what the days before teach about the width of bands."""
    spec = tsfm_inputs.conformal_spec(graph.settings)
    learnt = (-spec.window_days, -1)

    @declared(
        CONFORMAL_PARAMETERS,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=(
            *("tsfm.conformal.rolling_window_days", "tsfm.conformal.target_coverage", "tsfm.conformal.min_samples"),
            *("tsfm.conformal.segments", "tsfm.conformal.price_cuts", "tsfm.conformal.least_scale"),
            "tsfm.evaluation.levels",
        ),
        ins={"tsfm_outcomes": reads("tsfm_outcomes", learnt)},
    )
    def conformal_parameters(context: dg.AssetExecutionContext, tsfm_outcomes: LazyPartitions) -> PartitionStream:
        """By how much bands made on the day are widened or narrowed, learnt from days that are over."""

        def taught(day: date, came: pl.DataFrame) -> Made:
            return Made(conformal.fitted(came, day, spec), {"outcomes": came.height, "days": came["day"].n_unique()})

        return utc_days(context, taught, tsfm_outcomes=(tsfm_outcomes, learnt))

    return conformal_parameters


def bands(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the bands that are there of each forecast, and which of them is used."""
    settings = graph.settings.tsfm
    spec, source = tsfm_inputs.conformal_spec(graph.settings), settings.alerts.band_source
    is_adjusted = settings.conformal.enabled

    @declared(
        BANDS,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=("tsfm.conformal.enabled", "tsfm.alerts.band_source"),
        ins={name: reads(name) for name in ("tsfm_forecasts", "conformal_parameters")},
    )
    def bands(
        context: dg.AssetExecutionContext,
        tsfm_forecasts: LazyPartitions,
        conformal_parameters: LazyPartitions,
        band_rollout: dg.ResourceParam[RolloutRecord],
    ) -> PartitionStream:
        """Raw, adjusted and baseline bands; markets of the rollout's share of the cycle use the model's."""
        recorded = band_rollout.recorded()

        def banded(day: date, made: pl.DataFrame, taught: pl.DataFrame) -> Made:
            told = taught if is_adjusted else taught.clear()
            found = conformal.adjusted(made, told, spec, level=spec.target)
            shares = {at: rollout.share_at(recorded, at) for at in found["as_of"].unique().sort()}
            ends = {name: f"raw_{name}" for name in ("lower", "median", "upper")}
            used = assignment.used(found.rename(ends), shares, source)
            return Made(BANDS.conformed(used.select(*BANDS.columns)), {"shares": sorted({*shares.values()})})

        layers = {"tsfm_forecasts": (tsfm_forecasts, OWN), "conformal_parameters": (conformal_parameters, OWN)}
        return utc_days(context, banded, **layers)

    return bands


def alerts(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of prices that left their band."""
    spec = tsfm_inputs.alert_spec(graph.settings)
    window = (-spec.reach - 1, 0)  # a price in the first hours was forecast the day before

    @declared(
        ALERTS,
        group=GROUP,
        partitions=graph.grid.utc_day,
        settings=tuple(f"tsfm.alerts.{name}" for name in ALERTING),
        ins={name: reads(name, window) for name in ("bands", "market_series", "markets")},
    )
    def alerts(
        context: dg.AssetExecutionContext,
        bands: LazyPartitions,
        market_series: LazyPartitions,
        markets: LazyPartitions,
    ) -> PartitionStream:
        """Prices outside the band that was forecast for them, with what else speaks for them, one at a time a market.

        Those of the days before are worked out again, for a market may still be silent after one.
        """

        def rung(day: date, used: pl.DataFrame, prices: pl.DataFrame, told: pl.DataFrame) -> Made:
            found = alerting.alerts(used, prices, told, day, spec)
            return Made(found, {"severities": dict(found.group_by("severity").len().sort("severity").iter_rows())})

        layers = {"bands": (bands, window), "market_series": (market_series, window), "markets": (markets, window)}
        return utc_days(context, rung, **layers)

    return alerts
