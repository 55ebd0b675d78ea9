"""The contract: whether the window's live answers were asked under what holds now, told by their lineage."""

from collections.abc import Callable, Mapping
from datetime import date

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.assets.declare import LOOKBACK, Span, declared, trailing
from timegpt_assets.assets.gates import told_months
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.evaluation.forecast import window
from timegpt_assets.core.gates import contract as contracts
from timegpt_assets.core.gates import counted
from timegpt_assets.core.tables.gates import GATES
from timegpt_assets.partitions import GraphContext


def made_under(answers: Partitions, lineage_book: LineageStore) -> dict[date, Mapping[str, str]]:
    """Return session -> the contract its answers were stored under; a session whose record is gone has none."""
    records = lineage_book.records()
    return {
        date.fromisoformat(day): records[str(facts["lineage_id"])].contract()
        for day, facts in answers.facts.items()
        if facts.get("lineage_id") in records
    }


def of_contract(graph: GraphContext) -> Callable[[Span, pl.DataFrame, Mapping[date, Mapping[str, str]]], pl.DataFrame]:
    """Return what makes a month's rows of contract: of day_scores, and of what answers were made under."""
    asked, lookback = strategy_inputs.contract(graph.settings), graph.settings.gates.lookback_sessions
    champion = graph.settings.forecast.champion

    def made(span: Span, day_scores: pl.DataFrame, answered: Mapping[date, Mapping[str, str]]) -> pl.DataFrame:
        live = window(day_scores.filter(forecaster=champion, **counted.LIVE), span.as_of, lookback)
        days = live["day"].unique().to_list()
        return contracts.contract(days, answered, month=span.month, as_of=span.as_of, champion=champion, asked=asked)

    return made


def contract_inputs(graph: GraphContext) -> dict[str, dg.AssetIn]:
    """Return what the contract reads: whose days are live, and what answers were stored under, none of their rows."""
    return {
        "day_scores": trailing(graph, "evaluation", "day_scores"),
        "answers": trailing(graph, "forecasts", "answers", columns=(), made_under=True),
    }


def contract(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's verdict on the contract."""
    made = of_contract(graph)

    @declared(
        GATES,
        name="contract",
        group="gates",
        partitions=graph.grid.month,
        settings=(LOOKBACK, "gates.contract", "forecast.backend"),
        ins=contract_inputs(graph),
    )
    def contract(
        context: dg.AssetExecutionContext,
        lineage_book: dg.ResourceParam[LineageStore],
        day_scores: Partitions,
        answers: Partitions,
    ) -> pl.DataFrame:
        """Whether schema, features and model of every live session are those that hold now, and how it was asked."""
        answered = made_under(answers, lineage_book)
        return told_months(graph, context, day_scores, lambda span: made(span, day_scores.frame, answered))

    return contract
