"""Against luck: the verdict on what books earned, with all that was ever tried on the storage root beside it."""

from collections.abc import Callable

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.assets import previews
from timegpt_assets.assets.declare import LOOKBACK, Span, declared, spans
from timegpt_assets.assets.gates import told_months
from timegpt_assets.assets.trading_scores import account_inputs, asked_of_books
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.backtest.books import LIVE
from timegpt_assets.core.gates import luck
from timegpt_assets.core.gates.luck import Choice, Trials
from timegpt_assets.core.tables.gates import GATES
from timegpt_assets.partitions import GraphContext


def of_luck(graph: GraphContext) -> Callable[[Span, pl.DataFrame, pl.DataFrame, Trials], pl.DataFrame]:
    """Return what makes a month's rows of luck_gate: of portfolio, days asked, and every trial recorded by now."""
    asked, lookback = strategy_inputs.luck(graph.settings), graph.settings.gates.lookback_sessions
    forecast = graph.settings.forecast
    books = {name: name for name in forecast.forecasters} | {LIVE: forecast.champion}

    def judged(span: Span, portfolio: pl.DataFrame, asked_on: pl.DataFrame, trials: Trials) -> pl.DataFrame:
        return luck.luck_gate(
            portfolio,
            asked_on,
            trials,
            month=span.month,
            as_of=span.as_of,
            sessions=span.sessions,
            lookback_sessions=lookback,
            books=books,
            asked=asked,
        )

    return judged


def luck_gate(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of promotion's criteria on luck."""
    judged, asked_of_luck = of_luck(graph), strategy_inputs.luck(graph.settings)
    champion = graph.settings.forecast.champion

    @declared(
        GATES,
        name="luck_gate",
        group="gates",
        partitions=graph.grid.month,
        settings=(LOOKBACK, "gates.min_observation_days", "gates.oos_start", "gates.luck", "forecast.backend"),
        ins=account_inputs(graph),
    )
    def luck_gate(
        context: dg.AssetExecutionContext,
        portfolio: Partitions,
        day_scores: Partitions,
        trials: dg.ResourceParam[TrialStore],
    ) -> pl.DataFrame:
        """What each book earned against the best of as many tried by luck, and on sessions no trial has seen."""
        asked = asked_of_books(graph, day_scores, portfolio)
        ever = {span.month: trials.ever(span.as_of) for span in spans(context, portfolio)}

        def chosen(span: Span) -> Choice | None:
            return luck.worst_choice(ever[span.month].of(champion, until=span.as_of), asked_of_luck)

        def verdict(span: Span) -> pl.DataFrame:
            return judged(span, portfolio.frame, asked, ever[span.month])

        previews.choice(context, spans(context, portfolio), chosen)
        return told_months(graph, context, portfolio, verdict)

    return luck_gate
