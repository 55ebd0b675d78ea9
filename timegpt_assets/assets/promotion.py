"""Promotion: what may go live, made of the scores themselves; stored verdicts are compared with it, not believed."""

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.assets.contract import contract_inputs, made_under, of_contract
from timegpt_assets.assets.declare import declared, spans, stored_in
from timegpt_assets.assets.gates import (
    RISK_TABLES,
    TRADING_TABLES,
    forecast_inputs,
    note_verdicts,
    of_forecasts,
    of_risk,
    of_trading,
)
from timegpt_assets.assets.luck import of_luck
from timegpt_assets.assets.trading_scores import account_inputs, asked_of_books
from timegpt_assets.core.gates import counted
from timegpt_assets.core.gates import promotion as promoted
from timegpt_assets.core.tables.gates import GATES, VERDICTS
from timegpt_assets.partitions import GraphContext


def promotion(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the month's promotion verdict; made by ``evaluate`` and ``promote`` alone."""
    settings, champion = graph.settings, graph.settings.forecast.champion
    elsewhere = f"profile {settings.profile} promotes nothing; evaluate in prod"
    withheld = "" if settings.run_source == counted.LIVE["run_source"] else elsewhere
    forecasts, trading, risk, luck = of_forecasts(graph), of_trading(graph), of_risk(graph), of_luck(graph)
    contract = of_contract(graph)

    @declared(
        GATES,
        name="promotion",
        group="gates",
        partitions=graph.grid.month,
        settings=("forecast.backend",),
        ins={name: stored_in("gates", name=name) for name in VERDICTS}
        | {name: stored_in("evaluation", name=name) for name in (*TRADING_TABLES, *RISK_TABLES)}
        | forecast_inputs(graph)
        | account_inputs(graph)
        | contract_inputs(graph),
    )
    def promotion(
        context: dg.AssetExecutionContext,
        portfolio: Partitions,
        day_scores: Partitions,
        answers: Partitions,
        lineage_book: dg.ResourceParam[LineageStore],
        trials: dg.ResourceParam[TrialStore],
        **tables: pl.DataFrame,
    ) -> pl.DataFrame:
        """What may go live: every criterion of the gates, made of the scores again, for the account and each symbol.

        Made by ``evaluate`` and ``promote`` alone: until one of them has made a month, its check is not evaluated.
        """
        asked, answered = asked_of_books(graph, day_scores, portfolio), made_under(answers, lineage_book)
        made = {
            "forecast_gate": [forecasts(span, tables) for span in spans(context, day_scores)],
            "trading_gate": [trading(span, tables) for span in spans(context, portfolio)],
            "hard_metrics": [risk(span, tables) for span in spans(context, portfolio)],
            "contract": [contract(span, day_scores.frame, answered) for span in spans(context, day_scores)],
            "luck_gate": [
                luck(span, portfolio.frame, asked, trials.ever(span.as_of)) for span in spans(context, portfolio)
            ],
        }
        gates = {name: pl.concat([GATES.empty(), *frames]) for name, frames in made.items()}
        made_now = pl.concat(
            [
                GATES.empty(),
                *(
                    promoted.promotion(
                        *(gate.filter(month=span.month) for gate in gates.values()),
                        month=span.month,
                        as_of=span.as_of,
                        champion=champion,
                        withheld=withheld or promoted.mismatch(tables, gates, month=span.month),
                    )
                    for span in spans(context, portfolio)
                ),
            ]
        )
        return note_verdicts(graph, context, made_now)

    return promotion
