"""Gates: verdicts as rows, per symbol and day (eligibility) and per month."""

from collections.abc import Callable, Mapping

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets import logged
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
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.gates import counted, eligibility, forecast, ladder, trading
from timegpt_assets.core.gates import hard_metrics as metrics
from timegpt_assets.core.tables.gates import GATES, SYMBOL_GATES
from timegpt_assets.partitions import GraphContext, days_of, own_symbol_window, symbols_of

FORECAST_TABLES = ("forecast_diagnostics", "comparison", "interval_widths")
TRADING_TABLES = ("trading_scores", "cost_sensitivity", "oos_summary")
RISK_TABLES = ("trading_scores", "backtest_runs")
COUNTED = ("gates.include_sources", "gates.include_regimes")
"""Which rows monthly gates judge."""
LADDER_ASKED = ("gates.ladder", "models.validation_sessions")
"""What rungs of the model ladder are asked on top."""
Judge = Callable[[Span, Mapping[str, pl.DataFrame]], pl.DataFrame]
"""Makes the rows of a month of tables by name: the gate's own asset, and promotion, which believes no stored row."""


def symbol_gates(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of each symbol's eligibility, from earlier days only."""
    asked = strategy_inputs.eligibility(graph.settings)
    tickers = set(graph.settings.universe.tickers)
    window = own_symbol_window(-asked.lookback_sessions, -1)

    @declared(
        SYMBOL_GATES,
        group="gates",
        partitions=graph.grid.day_symbol,
        settings=(
            "gates.symbol_lookback_sessions",
            "gates.symbol_min_forecasts",
            "gates.trade_eligibility",
            "gates.bootstrap",
            *SURENESS,
            "forecast.backend",
            "forecast.challengers",
            "universe.tickers",
        ),
        ins={"forecast_scores": stored_in("evaluation", window, name="forecast_scores", missing="ok")},
    )
    def symbol_gates(context: dg.AssetExecutionContext, forecast_scores: pl.DataFrame) -> pl.DataFrame:
        """Whether a symbol may trade today, by what its forecasts showed on earlier days, per source of numbers."""
        symbols = [s for s in symbols_of(context.partition_keys) if s in tickers]
        days = days_of(context.partition_keys)
        frame = pl.concat(
            # day by day: a range is handed all of its days' windows at once, later days among them
            [
                eligibility.symbol_gates(
                    forecast_scores,
                    day=day,
                    symbols=symbols,
                    forecasters=graph.settings.forecast.forecasters,
                    eligibility=asked,
                )
                for day in days
            ]
        )
        note_rows(context, frame)
        return frame

    return symbol_gates


def of_forecasts(graph: GraphContext) -> Judge:
    """Return what makes a month's rows of forecast_gate of the tables it reads."""
    gate, promotion = strategy_inputs.forecast_gate(graph.settings), strategy_inputs.forecast_promotion(graph.settings)
    symbols, forecasters = graph.settings.universe.tickers, graph.settings.forecast.forecasters
    judged, rungs = strategy_inputs.judged(graph.settings), graph.settings.forecast.ladder
    of_rungs = strategy_inputs.ladder(graph.settings)

    def on_the_ladder(span: Span, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        return ladder.ladder_gate(
            span.of(tables["model_report"]),
            month=span.month,
            as_of=span.as_of,
            forecasters=rungs,
            judged=judged,
            asked=of_rungs,
        )

    def made(span: Span, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        diagnostics, comparison, widths = (span.of(tables[name]) for name in FORECAST_TABLES)
        rows = forecast.forecast_gate(
            forecast.Measured(diagnostics=diagnostics, comparison=comparison, widths=widths),
            month=span.month,
            as_of=span.as_of,
            symbols=symbols,
            forecasters=forecasters,
            judged=judged,
            gate=gate,
            promotion=promotion,
        )
        return pl.concat([rows, on_the_ladder(span, tables)]) if rungs else rows

    return made


def forecast_inputs(graph: GraphContext) -> dict[str, dg.AssetIn]:
    """Return the tables that the month's verdict on forecasts is made of: the ladder's, too, where it is seated."""
    of_ladder = {"model_report": stored_in("models", name="model_report", missing="ok")}
    return {name: stored_in("evaluation", name=name) for name in FORECAST_TABLES} | (
        of_ladder if graph.settings.forecast.ladder else {}
    )


def forecast_gate(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's verdict on forecasts."""
    made = of_forecasts(graph)

    @declared(
        GATES,
        name="forecast_gate",
        group="gates",
        partitions=graph.grid.month,
        settings=(
            LOOKBACK,
            *COUNTED,
            "gates.min_forecasts",
            "gates.forecast_gates",
            "gates.promotion.rmae_lte",
            "gates.promotion.pit_dev_max",
            "gates.promotion.dm_p_lt",
            *(LADDER_ASKED if graph.settings.forecast.ladder else ()),
            "forecast.backend",
            "forecast.challengers",
            "universe.tickers",
        ),
        ins=forecast_inputs(graph) | {"day_scores": trailing(graph, "evaluation", "day_scores")},
    )
    def forecast_gate(
        context: dg.AssetExecutionContext, day_scores: Partitions, **tables: pl.DataFrame
    ) -> pl.DataFrame:
        """Each symbol's forecasts against the thresholds and the references; of the sources counted only."""
        return told_months(graph, context, day_scores, lambda span: made(span, tables))

    return forecast_gate


def of_trading(graph: GraphContext) -> Judge:
    """Return what makes a month's rows of trading_gate of the tables it reads."""
    gate, promotion = strategy_inputs.trading_gate(graph.settings), strategy_inputs.trading_promotion(graph.settings)
    judged, books = strategy_inputs.judged(graph.settings), (LIVE, *graph.settings.forecast.forecasters)

    def made(span: Span, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        scores, costs, oos = (span.of(tables[name]) for name in TRADING_TABLES)
        return trading.trading_gate(
            trading.Measured(scores=scores, costs=costs, oos=oos),
            month=span.month,
            as_of=span.as_of,
            books=books,
            judged=judged,
            gate=gate,
            promotion=promotion,
        )

    return made


def trading_gate(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's verdict on the account."""
    made = of_trading(graph)

    @declared(
        GATES,
        name="trading_gate",
        group="gates",
        partitions=graph.grid.month,
        settings=(
            LOOKBACK,
            *COUNTED,
            "gates.min_observation_days",
            "gates.trading_gates",
            "gates.promotion.sharpe_gte",
            "gates.promotion.sharpe_cost_multiplier",
            "gates.promotion.pnl_gt",
            "gates.promotion.pnl_cost_multiplier",
            "forecast.backend",
            "forecast.challengers",
        ),
        ins={name: stored_in("evaluation", name=name) for name in TRADING_TABLES}
        | {"portfolio": trailing(graph, "backtest", "portfolio", columns=())},
    )
    def trading_gate(context: dg.AssetExecutionContext, portfolio: Partitions, **tables: pl.DataFrame) -> pl.DataFrame:
        """The account's trading against the thresholds; of the sources counted only."""
        return told_months(graph, context, portfolio, lambda span: made(span, tables))

    return trading_gate


def of_risk(graph: GraphContext) -> Judge:
    """Return what makes a month's rows of hard_metrics of the tables it reads."""
    asked, judged = strategy_inputs.hard_metrics(graph.settings), strategy_inputs.judged(graph.settings)
    books = (LIVE, *graph.settings.forecast.forecasters)

    def made(span: Span, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        scores, runs = (span.of(tables[name]) for name in RISK_TABLES)
        return metrics.hard_metrics(
            scores, runs, month=span.month, as_of=span.as_of, books=books, judged=judged, asked=asked
        )

    return made


def hard_metrics(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's verdict on observation and risk."""
    made = of_risk(graph)

    @declared(
        GATES,
        name="hard_metrics",
        group="gates",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *COUNTED, "gates.hard_metrics", "forecast.backend", "forecast.challengers"),
        ins={name: stored_in("evaluation", name=name) for name in RISK_TABLES}
        | {"portfolio": trailing(graph, "backtest", "portfolio", columns=())},
    )
    def hard_metrics(context: dg.AssetExecutionContext, portfolio: Partitions, **tables: pl.DataFrame) -> pl.DataFrame:
        """Enough completed runs and days, and Sharpe, drawdown and reject rate within their bounds."""
        return told_months(graph, context, portfolio, lambda span: made(span, tables))

    return hard_metrics


def told_months(
    graph: GraphContext,
    context: dg.AssetExecutionContext,
    complete: Partitions,
    verdict: Callable[[Span], pl.DataFrame],
) -> pl.DataFrame:
    """Return ``verdict`` of every month, with what it says noted beside each."""
    return note_verdicts(graph, context, judged_months(context, GATES, complete, verdict))


def note_verdicts(graph: GraphContext, context: dg.AssetExecutionContext, frame: pl.DataFrame) -> pl.DataFrame:
    """Put the champion's verdict, its figures and what was counted beside each month, and return the frame."""
    logged.judged(frame, table=context.asset_key.path[-1], run=context.run.run_id)
    for key in context.partition_keys:
        own = frame.filter(month=key[:7], forecaster=graph.settings.forecast.champion)
        context.add_asset_metadata(counted.status(own), partition_key=key)
    return frame
