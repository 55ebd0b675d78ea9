"""Evaluation: how good forecasts and trades were, per forecast, per day and over the sessions up to a month's end."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets import previews
from timegpt_assets.assets.declare import declared, judged_months, note_rows, stored_in, trailing
from timegpt_assets.config import core_inputs, strategy_inputs
from timegpt_assets.core.evaluation import diagnostics, forecast, intervals, trading
from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables.evaluation import (
    COST_SENSITIVITY,
    COVERAGE_DRIFT,
    COVERAGE_REPORT,
    DAY_SCORES,
    FORECAST_DIAGNOSTICS,
    FORECAST_SCORES,
    INTERVAL_WIDTHS,
    OOS_SUMMARY,
    PIT_RELIABILITY,
    TRADING_SCORES,
)
from timegpt_assets.partitions import GraphContext, by_day


def forecast_scores(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of each forecast's losses."""
    target = core_inputs.target(graph.settings)

    @declared(
        FORECAST_SCORES,
        group="evaluation",
        partitions=graph.grid.day_symbol,
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
        note_rows(context, frame)
        return frame

    return forecast_scores


def day_scores(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of every symbol's scores and forecasts of the day; its picture is the day's fan."""

    @declared(
        DAY_SCORES,
        group="evaluation",
        partitions=graph.grid.trading_day,
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
        note_rows(context, frame, previews.coverages(frame) | previews.fans(context, forecasts, panel))
        return Partitions(frame, {key: {"complete": True} for key in context.partition_keys})

    return day_scores


def forecast_diagnostics(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of losses, ratios and coverage over the sessions up to a month's end."""
    gates, asked = graph.settings.gates, graph.settings.calibration.evaluation
    doc = "Losses, bands and coverage against persistence, zero return, climatology and uncalibrated, by symbol."
    return _forecast_asset(
        graph,
        FORECAST_DIAGNOSTICS,
        diagnostics.diagnostics,
        doc,
        warmup=gates.climatology_days,
        lookback_sessions=gates.lookback_sessions,
        climatology_days=gates.climatology_days,
        draws=asked.bootstrap_draws,
        cluster_days=asked.block_days,
    )


def pit_reliability(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of how often outcomes fall below each quantile."""
    lookback, asked = graph.settings.gates.lookback_sessions, graph.settings.calibration.evaluation
    doc = "Observed against nominal probability of every stored quantile, and between them, raw and calibrated."
    spans = {"lookback_sessions": lookback, "draws": asked.bootstrap_draws, "cluster_days": asked.block_days}
    return _forecast_asset(graph, PIT_RELIABILITY, forecast.reliability, doc, **spans)


def coverage_report(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of a month's scores by symbol and snapshot time."""
    days = graph.settings.gates.climatology_days
    doc = "The month's own losses, bands and coverage by symbol and snapshot time, before and after calibration."
    return _forecast_asset(graph, COVERAGE_REPORT, intervals.coverage_report, doc, climatology_days=days)


def interval_widths(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of band widths by volatility."""
    lookback = graph.settings.gates.lookback_sessions
    doc = "Mean band widths and coverage in each tenth of a symbol's volatility: wide where it is wild."
    return _forecast_asset(graph, INTERVAL_WIDTHS, intervals.widths, doc, lookback_sessions=lookback)


def coverage_drift(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of rolling coverage with its alarm."""
    settings = graph.settings.calibration
    doc = "Coverage of the sessions up to each one of the month, and whether it has drifted from what was promised."
    return _forecast_asset(
        graph,
        COVERAGE_DRIFT,
        intervals.drift,
        doc,
        sessions=settings.evaluation.drift_days,
        tolerance=settings.pit_deviation_threshold,
    )


def _forecast_asset(
    graph: GraphContext,
    table: Table,
    measured: Callable[..., pl.DataFrame],
    doc: str,
    *,
    warmup: int = 0,
    **options: Any,
) -> dg.AssetsDefinition:
    """Return a month asset about forecasts: all read the scores of the days they look back on, and of the warm-up."""

    @declared(
        table,
        group="evaluation",
        partitions=graph.grid.month,
        ins={"day_scores": trailing(graph, "evaluation", "day_scores", warmup=warmup)},
        description=doc,
    )
    def asset(context: dg.AssetExecutionContext, day_scores: Partitions) -> pl.DataFrame:
        frame = judged_months(
            context,
            table,
            day_scores,
            lambda span: measured(day_scores.frame, month=span.month, as_of=span.as_of, **options),
        )
        previews.of_months(context, frame, table.name)
        return frame

    return asset


def _trading_asset(
    graph: GraphContext, table: Table, measured: Callable[..., pl.DataFrame], doc: str, **options: Any
) -> dg.AssetsDefinition:
    """Return a month asset of the account: all read the portfolio and the days on which forecasts were made."""
    account, lookback = strategy_inputs.account(graph.settings), graph.settings.gates.lookback_sessions

    @declared(
        table,
        group="evaluation",
        partitions=graph.grid.month,
        ins={
            "portfolio": trailing(graph, "backtest", "portfolio"),
            "day_scores": trailing(graph, "evaluation", "day_scores"),
        },
        description=doc,
    )
    def asset(context: dg.AssetExecutionContext, portfolio: Partitions, day_scores: Partitions) -> pl.DataFrame:
        return judged_months(
            context,
            table,
            portfolio,
            lambda span: measured(
                portfolio.frame,
                day_scores.frame,
                month=span.month,
                as_of=span.as_of,
                sessions=span.sessions,
                lookback_sessions=lookback,
                account=account,
                **options,
            ),
        )

    return asset


def trading_scores(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of P&L, Sharpe, drawdown and hit rate, by symbol and for the account."""
    doc = "P&L after costs, Sharpe, drawdown and hit rate of admitted trades, by symbol and for the account."
    return _trading_asset(graph, TRADING_SCORES, trading.trading_scores, doc)


def cost_sensitivity(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the account's figures at multiples of the costs."""
    doc = "The account's figures had each cost been a multiple of what it was."
    multipliers = graph.settings.backtest.cost_multipliers
    return _trading_asset(graph, COST_SENSITIVITY, trading.cost_sensitivity, doc, multipliers=multipliers)


def oos_summary(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the account's figures after gates.oos_start."""
    doc = "The account's figures over the sessions after gates.oos_start only; no rows when it is not set."
    settings = graph.settings
    return _trading_asset(
        graph,
        OOS_SUMMARY,
        trading.oos_summary,
        doc,
        oos_start=settings.gates.oos_start,
        multipliers=strategy_inputs.oos_multipliers(settings),
    )
