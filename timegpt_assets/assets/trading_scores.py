"""Trading scores: what the books earned, at which costs and in which hours, over the sessions up to a month's end."""

from datetime import date

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets.declare import LOOKBACK, SHARES, SURENESS, Span, declared, judged_months, trailing
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.backtest import books
from timegpt_assets.core.evaluation import runs, stress, trading
from timegpt_assets.core.tables.columns import BLEND, ORIGIN_KEY
from timegpt_assets.core.tables.evaluation import (
    BACKTEST_RUNS,
    COST_SENSITIVITY,
    OOS_SUMMARY,
    STRESS_PHASES,
    TRADING_SCORES,
)
from timegpt_assets.partitions import GraphContext

ACCOUNT = ("trading.capital", "universe.tickers", "backtest.annualization_days", "forecast.backend")
"""What the account's returns are measured against, and whose forecasts the book ``live`` holds."""


def account_inputs(graph: GraphContext) -> dict[str, dg.AssetIn]:
    """Return what every table of the account reads: the portfolio, and the days on which forecasts were made."""
    return {
        "portfolio": trailing(graph, "backtest", "portfolio"),
        "day_scores": trailing(graph, "evaluation", "day_scores"),
    }


def asked_of_books(graph: GraphContext, day_scores: Partitions, portfolio: Partitions) -> pl.DataFrame:
    """Return day, forecaster, sources and book, each once: on which sessions whom was asked for a forecast.

    Whose answers ``live`` stood on is what the portfolio's days say of themselves.
    """
    shares = {date.fromisoformat(day): of[SHARES] for day, of in portfolio.facts.items() if SHARES in of}
    asked = day_scores.frame.select("day", "symbol", *ORIGIN_KEY).unique()
    return books.with_books(asked, champion=graph.settings.forecast.champion, shares=shares).drop("symbol").unique()


def trading_scores(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of P&L, Sharpe, drawdown and hit rate, by symbol and for the account."""
    account, lookback = strategy_inputs.account(graph.settings), graph.settings.gates.lookback_sessions
    sampling = strategy_inputs.sampling(graph.settings)

    @declared(
        TRADING_SCORES,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *ACCOUNT, *SURENESS),
        ins=account_inputs(graph),
    )
    def trading_scores(
        context: dg.AssetExecutionContext, portfolio: Partitions, day_scores: Partitions
    ) -> pl.DataFrame:
        """P&L after costs, Sharpe, drawdown and hit rate of admitted trades, by symbol and for the account."""

        asked = asked_of_books(graph, day_scores, portfolio)

        def measured(span: Span) -> pl.DataFrame:
            return trading.trading_scores(
                portfolio.frame,
                asked,
                month=span.month,
                as_of=span.as_of,
                sessions=span.sessions,
                lookback_sessions=lookback,
                account=account,
                sampling=sampling,
            )

        return judged_months(context, TRADING_SCORES, portfolio, measured)

    return trading_scores


def cost_sensitivity(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the account's figures at multiples of the costs."""
    account, lookback = strategy_inputs.account(graph.settings), graph.settings.gates.lookback_sessions
    sampling = strategy_inputs.sampling(graph.settings)
    multipliers = graph.settings.backtest.cost_multipliers

    @declared(
        COST_SENSITIVITY,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *ACCOUNT, *SURENESS, "backtest.cost_multipliers"),
        ins=account_inputs(graph),
    )
    def cost_sensitivity(
        context: dg.AssetExecutionContext, portfolio: Partitions, day_scores: Partitions
    ) -> pl.DataFrame:
        """The account's figures had each cost been a multiple of what it was."""

        asked = asked_of_books(graph, day_scores, portfolio)

        def measured(span: Span) -> pl.DataFrame:
            return trading.cost_sensitivity(
                portfolio.frame,
                asked,
                month=span.month,
                as_of=span.as_of,
                sessions=span.sessions,
                lookback_sessions=lookback,
                account=account,
                sampling=sampling,
                multipliers=multipliers,
            )

        return judged_months(context, COST_SENSITIVITY, portfolio, measured)

    return cost_sensitivity


def backtest_runs(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the sessions that each book was traded on, with the configuration they were traded with."""
    lookback, config = graph.settings.gates.lookback_sessions, strategy_inputs.traded_with(graph.settings)
    # the blend keeps one word whatever its share of the net: which it was is part of what was traded with
    answers = trailing(graph, "forecasts", "local_answers", columns=("day", "forecaster", "model"))

    @declared(
        BACKTEST_RUNS,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *ACCOUNT),
        ins=account_inputs(graph) | ({"local_answers": answers} if BLEND in graph.settings.forecast.ladder else {}),
    )
    def backtest_runs(
        context: dg.AssetExecutionContext, portfolio: Partitions, day_scores: Partitions, **answers: pl.DataFrame
    ) -> pl.DataFrame:
        """On how many complete sessions each book was traded, by source, under which regime and with which rules."""

        blends = [rows.filter(forecaster=BLEND).select("day", policy="model") for rows in answers.values()]
        asked = asked_of_books(graph, day_scores, portfolio)

        def measured(span: Span) -> pl.DataFrame:
            return runs.backtest_runs(
                portfolio.frame,
                asked,
                month=span.month,
                as_of=span.as_of,
                sessions=span.sessions,
                lookback_sessions=lookback,
                config=config,
                blended=pl.concat([runs.NOTHING_BLENDED, *blends]),
            )

        return judged_months(context, BACKTEST_RUNS, portfolio, measured)

    return backtest_runs


def stress_phases(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what the account earned when markets were at their hardest."""
    lookback, sampling = graph.settings.gates.lookback_sessions, strategy_inputs.sampling(graph.settings)

    @declared(
        STRESS_PHASES,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *SURENESS, "forecast.backend", "events.dates", "events.calendar_names"),
        ins=account_inputs(graph) | {"quality_report": trailing(graph, "bars", "quality_report")},
    )
    def stress_phases(
        context: dg.AssetExecutionContext,
        portfolio: Partitions,
        day_scores: Partitions,
        quality_report: Partitions,
        daily_files: dg.ResourceParam[DailyFiles],
    ) -> pl.DataFrame:
        """P&L of admitted trades on event days, in high volatility, after gaps, in the first and the last half hour."""

        asked = asked_of_books(graph, day_scores, portfolio)

        def measured(span: Span) -> pl.DataFrame:
            return stress.stress_phases(
                portfolio.frame,
                asked,
                quality_report.frame,
                month=span.month,
                as_of=span.as_of,
                sessions=span.sessions,
                lookback_sessions=lookback,
                events=daily_files.calendar,
                sampling=sampling,
            )

        return judged_months(context, STRESS_PHASES, portfolio, measured)

    return stress_phases


def oos_summary(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the account's figures after gates.oos_start."""
    account, gates = strategy_inputs.account(graph.settings), graph.settings.gates
    sampling = strategy_inputs.sampling(graph.settings)
    multipliers = strategy_inputs.oos_multipliers(graph.settings)

    @declared(
        OOS_SUMMARY,
        group="evaluation",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *ACCOUNT, *SURENESS, "gates.oos_start", "gates.promotion.sharpe_cost_multiplier"),
        ins=account_inputs(graph),
    )
    def oos_summary(context: dg.AssetExecutionContext, portfolio: Partitions, day_scores: Partitions) -> pl.DataFrame:
        """The account's figures over the sessions after gates.oos_start only; no rows when it is not set."""

        asked = asked_of_books(graph, day_scores, portfolio)

        def measured(span: Span) -> pl.DataFrame:
            return trading.oos_summary(
                portfolio.frame,
                asked,
                month=span.month,
                as_of=span.as_of,
                sessions=span.sessions,
                lookback_sessions=gates.lookback_sessions,
                account=account,
                sampling=sampling,
                oos_start=gates.oos_start,
                multipliers=multipliers,
            )

        return judged_months(context, OOS_SUMMARY, portfolio, measured)

    return oos_summary
