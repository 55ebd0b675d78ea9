"""Gates: verdicts as rows, per symbol and day (eligibility), per month, and the promotion that reads them."""

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets.declare import declared, judged_months, note_rows, stored_in, trailing
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.gates import counted, eligibility, forecast, trading
from timegpt_assets.core.gates import promotion as promoted
from timegpt_assets.core.tables.gates import GATES, SYMBOL_GATES
from timegpt_assets.partitions import GraphContext, days_of, own_symbol_window, symbols_of


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


def forecast_gate(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's verdict on forecasts."""
    gate, promotion = strategy_inputs.forecast_gate(graph.settings), strategy_inputs.forecast_promotion(graph.settings)
    symbols = graph.settings.universe.tickers

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
        ins={
            "forecast_diagnostics": stored_in("evaluation", name="forecast_diagnostics"),
            "comparison": stored_in("evaluation", name="comparison"),
            "day_scores": trailing(graph, "evaluation", "day_scores"),
        },
    )
    def forecast_gate(
        context: dg.AssetExecutionContext,
        forecast_diagnostics: pl.DataFrame,
        comparison: pl.DataFrame,
        day_scores: Partitions,
    ) -> pl.DataFrame:
        """Each symbol's forecasts against the thresholds and the references; prod, model and prod_live rows only."""
        return judged_months(
            context,
            GATES,
            day_scores,
            lambda span: forecast.forecast_gate(
                span.of(forecast_diagnostics),
                span.of(comparison),
                month=span.month,
                as_of=span.as_of,
                symbols=symbols,
                forecasters=graph.settings.forecast.forecasters,
                gate=gate,
                promotion=promotion,
            ),
        )

    return forecast_gate


def trading_gate(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's verdict on the account."""
    gate, promotion = strategy_inputs.trading_gate(graph.settings), strategy_inputs.trading_promotion(graph.settings)
    hard = strategy_inputs.hard_metrics(graph.settings)
    lookback = graph.settings.gates.lookback_sessions

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
        ins={
            "trading_scores": stored_in("evaluation", name="trading_scores"),
            "cost_sensitivity": stored_in("evaluation", name="cost_sensitivity"),
            "oos_summary": stored_in("evaluation", name="oos_summary"),
            "portfolio": trailing(graph, "backtest", "portfolio"),
        },
    )
    def trading_gate(
        context: dg.AssetExecutionContext,
        trading_scores: pl.DataFrame,
        cost_sensitivity: pl.DataFrame,
        oos_summary: pl.DataFrame,
        portfolio: Partitions,
    ) -> pl.DataFrame:
        """The account's trading against the thresholds; prod, model and prod_live rows only."""
        return judged_months(
            context,
            GATES,
            portfolio,
            lambda span: trading.trading_gate(
                *(span.of(frame) for frame in (trading_scores, cost_sensitivity, oos_summary)),
                month=span.month,
                as_of=span.as_of,
                books=(LIVE, *graph.settings.forecast.forecasters),
                completed_runs=len(span.sessions[-lookback:]),
                gate=gate,
                promotion=promotion,
                hard=hard,
            ),
        )

    return trading_gate


def promotion(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's promotion verdict; made by ``evaluate`` and ``promote`` alone."""
    profile = graph.settings.profile
    withheld = (
        ""
        if graph.settings.run_source == counted.LIVE["run_source"]
        else f"profile {profile} promotes nothing; evaluate in prod"
    )

    @declared(
        GATES,
        name="promotion",
        group="gates",
        partitions=graph.grid.month,
        settings=("forecast.backend",),
        ins={
            "forecast_gate": stored_in("gates", name="forecast_gate"),
            "trading_gate": stored_in("gates", name="trading_gate"),
        },
    )
    def promotion(
        context: dg.AssetExecutionContext, forecast_gate: pl.DataFrame, trading_gate: pl.DataFrame
    ) -> pl.DataFrame:
        """What may go live: every criterion of both gates, for the account and for each symbol."""
        gates = (forecast_gate, trading_gate)
        judged = pl.concat(gates).select("month", "as_of").unique().sort("month")
        frames = [
            promoted.promotion(
                *(gate.filter(month=month) for gate in gates),
                month=month,
                as_of=as_of,
                champion=graph.settings.forecast.champion,
                withheld=withheld,
            )
            for month, as_of in judged.iter_rows()
        ]
        return pl.concat([GATES.empty(), *frames])

    return promotion
