"""Gates: verdicts as rows, per symbol and day (eligibility) and per month."""

from collections.abc import Callable, Mapping

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets.declare import Span, declared, judged_months, note_rows, stored_in, trailing
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.gates import eligibility, forecast, trading
from timegpt_assets.core.tables.gates import GATES, SYMBOL_GATES
from timegpt_assets.partitions import GraphContext, days_of, own_symbol_window, symbols_of

FORECAST_TABLES = ("forecast_diagnostics", "comparison")
TRADING_TABLES = ("trading_scores", "cost_sensitivity", "oos_summary")
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

    def judged(span: Span, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        return forecast.forecast_gate(
            *(span.of(tables[name]) for name in FORECAST_TABLES),
            month=span.month,
            as_of=span.as_of,
            symbols=symbols,
            forecasters=forecasters,
            gate=gate,
            promotion=promotion,
        )

    return judged


def forecast_gate(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's verdict on forecasts."""
    judged = of_forecasts(graph)

    @declared(
        GATES,
        name="forecast_gate",
        group="gates",
        partitions=graph.grid.month,
        settings=(
            "gates.lookback_sessions",
            "gates.min_forecasts",
            "gates.forecast_gates",
            "gates.promotion.rmae_lte",
            "gates.promotion.pit_dev_max",
            "gates.promotion.dm_p_lt",
            "forecast.backend",
            "forecast.challengers",
            "universe.tickers",
        ),
        ins={name: stored_in("evaluation", name=name) for name in FORECAST_TABLES}
        | {"day_scores": trailing(graph, "evaluation", "day_scores")},
    )
    def forecast_gate(
        context: dg.AssetExecutionContext, day_scores: Partitions, **tables: pl.DataFrame
    ) -> pl.DataFrame:
        """Each symbol's forecasts against the thresholds and the references; prod, model and prod_live rows only."""
        return judged_months(context, GATES, day_scores, lambda span: judged(span, tables))

    return forecast_gate


def of_trading(graph: GraphContext) -> Judge:
    """Return what makes a month's rows of trading_gate of the tables it reads."""
    gate, promotion = strategy_inputs.trading_gate(graph.settings), strategy_inputs.trading_promotion(graph.settings)
    hard, lookback = strategy_inputs.hard_metrics(graph.settings), graph.settings.gates.lookback_sessions
    books = (LIVE, *graph.settings.forecast.forecasters)

    def judged(span: Span, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        return trading.trading_gate(
            *(span.of(tables[name]) for name in TRADING_TABLES),
            month=span.month,
            as_of=span.as_of,
            books=books,
            completed_runs=len(span.sessions[-lookback:]),
            gate=gate,
            promotion=promotion,
            hard=hard,
        )

    return judged


def trading_gate(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's verdict on the account."""
    judged = of_trading(graph)

    @declared(
        GATES,
        name="trading_gate",
        group="gates",
        partitions=graph.grid.month,
        settings=(
            "gates.lookback_sessions",
            "gates.min_observation_days",
            "gates.hard_metrics",
            "gates.trading_gates",
            "gates.promotion.sharpe_gte",
            "gates.promotion.sharpe_cost_multiplier",
            "gates.promotion.pnl_gt",
            "gates.promotion.pnl_cost_multiplier",
            "forecast.backend",
        ),
        ins={name: stored_in("evaluation", name=name) for name in TRADING_TABLES}
        | {"portfolio": trailing(graph, "backtest", "portfolio")},
    )
    def trading_gate(context: dg.AssetExecutionContext, portfolio: Partitions, **tables: pl.DataFrame) -> pl.DataFrame:
        """The account's trading against the thresholds; prod, model and prod_live rows only."""
        return judged_months(context, GATES, portfolio, lambda span: judged(span, tables))

    return trading_gate
