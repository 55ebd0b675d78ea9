"""Evaluation: how good forecasts were, per forecast, per day and over the sessions up to a month's end."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets import glimpses, previews
from timegpt_assets.assets.declare import (
    LOOKBACK,
    SURENESS,
    Span,
    declared,
    judged_months,
    note_rows,
    stored_in,
    trailing,
)
from timegpt_assets.assets.trading_scores import account_inputs
from timegpt_assets.config import core_inputs, strategy_inputs
from timegpt_assets.core.evaluation import base_scores as scored
from timegpt_assets.core.evaluation import comparison as compared
from timegpt_assets.core.evaluation import diagnostics, forecast, intervals
from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables.evaluation import (
    COMPARISON,
    COVERAGE_DRIFT,
    COVERAGE_REPORT,
    DAY_SCORES,
    FORECAST_DIAGNOSTICS,
    FORECAST_SCORES,
    INTERVAL_WIDTHS,
    PIT_RELIABILITY,
)
from timegpt_assets.core.tables.models import BASE_SCORES
from timegpt_assets.partitions import GraphContext, by_day


def base_scores(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what the forecasters on this machine lost, before anything is calibrated."""
    target, levels = core_inputs.target(graph.settings), core_inputs.levels(graph.settings)

    @declared(
        BASE_SCORES,
        group="evaluation",
        partitions=graph.grid.trading_day,
        settings=("forecast.target", "forecast.horizon_min", "forecast.quantiles", "forecast.levels"),
        ins={
            "base_answers": stored_in("forecasts", name="base_answers"),
            "labels": stored_in("features", by_day(), name="labels"),
        },
    )
    def base_scores(context: dg.AssetExecutionContext, base_answers: pl.DataFrame, labels: pl.DataFrame) -> Partitions:
        """Answers beside their labels, with the loss of each in volatilities: what a blend is chosen on."""
        frame = scored.base_scores(base_answers, labels, target=target, levels=levels)
        lost = frame.group_by("day", "forecaster").agg(pl.col("pinball").mean().round(4)).sort("day", "forecaster")
        told = {str(day): dict(own.select("forecaster", "pinball").iter_rows()) for (day,), own in lost.group_by("day")}
        note_rows(context, frame, {"pinball": told})
        return Partitions(frame, {key: {"complete": True} for key in context.partition_keys})

    return base_scores


def forecast_scores(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of each forecast's losses."""
    target, champion = core_inputs.target(graph.settings), graph.settings.forecast.champion

    @declared(
        FORECAST_SCORES,
        group="evaluation",
        partitions=graph.grid.day_symbol,
        settings=("forecast.target", "forecast.horizon_min"),
        ins={
            "forecasts": stored_in("calibration", name="forecasts"),
            "labels": stored_in("features", name="labels"),
        },
    )
    def forecast_scores(
        context: dg.AssetExecutionContext, forecasts: pl.DataFrame, labels: pl.DataFrame
    ) -> pl.DataFrame:
        """Losses of each calibrated forecast beside those of persistence and of a zero return."""
        frame = forecast.scores(forecasts, labels, target=target)
        note_rows(context, frame, glimpses.of_forecasts(forecasts.filter(forecaster=champion), frame))
        return frame

    return forecast_scores


def day_scores(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of every symbol's scores and forecasts of the day; its picture is the day's fan."""
    champion = graph.settings.forecast.champion

    @declared(
        DAY_SCORES,
        group="evaluation",
        partitions=graph.grid.trading_day,
        settings=(),
        ins={
            "forecast_scores": stored_in("evaluation", by_day(), name="forecast_scores"),
            "forecasts": stored_in("calibration", by_day(), name="forecasts"),
            "panel": stored_in("features", name="panel", columns=previews.PATH),
        },
    )
    def day_scores(
        context: dg.AssetExecutionContext,
        forecast_scores: pl.DataFrame,
        forecasts: pl.DataFrame,
        panel: pl.DataFrame,
    ) -> Partitions:
        """Every symbol's scores of the day with the quantiles behind them, and a picture of fans and outcomes."""
        frame = forecast.day_scores(forecast_scores, forecasts)
        # what is drawn and told beside the day is about what is traded
        traded = frame.filter(forecaster=champion)
        told = previews.coverages(traded) | glimpses.of_days(traded)
        note_rows(context, frame, told | previews.fans(context, forecasts.filter(forecaster=champion), panel))
        return Partitions(frame, {key: {"complete": True} for key in context.partition_keys})

    return day_scores


def forecast_diagnostics(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of losses, ratios and coverage over the sessions up to a month's end."""
    gates, asked = graph.settings.gates, graph.settings.calibration.evaluation

    @declared(
        FORECAST_DIAGNOSTICS,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *SURENESS),
        ins={"day_scores": trailing(graph, "evaluation", "day_scores")},
    )
    def forecast_diagnostics(context: dg.AssetExecutionContext, day_scores: Partitions) -> pl.DataFrame:
        """Losses, bands and coverage against persistence, a zero return and uncalibrated, by symbol."""

        def measured(span: Span) -> pl.DataFrame:
            return diagnostics.diagnostics(
                day_scores.frame,
                month=span.month,
                as_of=span.as_of,
                lookback_sessions=gates.lookback_sessions,
                draws=asked.bootstrap_draws,
                cluster_days=asked.block_days,
            )

        return drawn_months(graph, context, FORECAST_DIAGNOSTICS, day_scores, measured)

    return forecast_diagnostics


def pit_reliability(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of how often outcomes fall below each quantile."""
    gates, asked = graph.settings.gates, graph.settings.calibration.evaluation

    @declared(
        PIT_RELIABILITY,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *SURENESS),
        ins={"day_scores": trailing(graph, "evaluation", "day_scores")},
    )
    def pit_reliability(context: dg.AssetExecutionContext, day_scores: Partitions) -> pl.DataFrame:
        """Observed against nominal probability of every stored quantile, and between them, raw and calibrated."""

        def measured(span: Span) -> pl.DataFrame:
            return forecast.reliability(
                day_scores.frame,
                month=span.month,
                as_of=span.as_of,
                lookback_sessions=gates.lookback_sessions,
                draws=asked.bootstrap_draws,
                cluster_days=asked.block_days,
            )

        return drawn_months(graph, context, PIT_RELIABILITY, day_scores, measured)

    return pit_reliability


def coverage_report(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of a month's scores by symbol and snapshot time."""

    @declared(
        COVERAGE_REPORT,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK,),
        ins={"day_scores": trailing(graph, "evaluation", "day_scores")},
    )
    def coverage_report(context: dg.AssetExecutionContext, day_scores: Partitions) -> pl.DataFrame:
        """The month's own losses, bands and coverage by symbol and snapshot time, before and after calibration."""

        def measured(span: Span) -> pl.DataFrame:
            return intervals.coverage_report(day_scores.frame, month=span.month, as_of=span.as_of)

        return judged_months(context, COVERAGE_REPORT, day_scores, measured)

    return coverage_report


def interval_widths(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of band widths by volatility."""
    lookback = graph.settings.gates.lookback_sessions

    @declared(
        INTERVAL_WIDTHS,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK,),
        ins={"day_scores": trailing(graph, "evaluation", "day_scores")},
    )
    def interval_widths(context: dg.AssetExecutionContext, day_scores: Partitions) -> pl.DataFrame:
        """Mean band widths and coverage in each tenth of a symbol's volatility: wide where it is wild."""

        def measured(span: Span) -> pl.DataFrame:
            return intervals.widths(day_scores.frame, month=span.month, as_of=span.as_of, lookback_sessions=lookback)

        return drawn_months(graph, context, INTERVAL_WIDTHS, day_scores, measured)

    return interval_widths


def coverage_drift(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of rolling coverage with its alarm."""
    asked = graph.settings.calibration

    @declared(
        COVERAGE_DRIFT,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, "calibration.evaluation.drift_days", "calibration.pit_deviation_threshold"),
        ins={"day_scores": trailing(graph, "evaluation", "day_scores")},
    )
    def coverage_drift(context: dg.AssetExecutionContext, day_scores: Partitions) -> pl.DataFrame:
        """Coverage of the sessions up to each one of the month, and whether it has drifted from what was promised."""

        def measured(span: Span) -> pl.DataFrame:
            return intervals.drift(
                day_scores.frame,
                month=span.month,
                as_of=span.as_of,
                sessions=asked.evaluation.drift_days,
                tolerance=asked.pit_deviation_threshold,
            )

        return drawn_months(graph, context, COVERAGE_DRIFT, day_scores, measured)

    return coverage_drift


def drawn_months(
    graph: GraphContext,
    context: dg.AssetExecutionContext,
    table: Table,
    read: Partitions,
    measured: Callable[[Span], pl.DataFrame],
) -> pl.DataFrame:
    """Return ``measured`` of every month, and put the table's pictures beside the newest one."""
    frame = judged_months(context, table, read, measured)
    previews.of_months(context, frame, table.name, champion=graph.settings.forecast.champion)
    return frame


def comparison(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of forecasters in pairs: who is better, how surely, at what price."""
    terms, lookback = strategy_inputs.terms(graph.settings), graph.settings.gates.lookback_sessions

    @declared(
        COMPARISON,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *SURENESS, "forecast.backend", "forecast.api_budget.price_per_call"),
        ins=account_inputs(graph),
    )
    def comparison(context: dg.AssetExecutionContext, portfolio: Partitions, day_scores: Partitions) -> pl.DataFrame:
        """Every forecaster against champion, control arm and references, on common rows: losses, money, price."""

        def measured(span: Span) -> pl.DataFrame:
            return compared.comparison(
                day_scores.frame,
                portfolio.frame,
                month=span.month,
                as_of=span.as_of,
                lookback_sessions=lookback,
                terms=terms,
            )

        return drawn_months(graph, context, COMPARISON, day_scores, measured)

    return comparison
