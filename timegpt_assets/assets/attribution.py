"""Attribution: what moved each forecast of the ladder."""

import dagster as dg
import polars as pl

from timegpt_assets.adapters.models.attributed import attributed
from timegpt_assets.adapters.models.ladder import Ladder
from timegpt_assets.assets.declare import declared, note_rows, stored_in
from timegpt_assets.assets.forecasts import of_its_month
from timegpt_assets.assets.models import PARTS, POLICY, ROW
from timegpt_assets.config import core_inputs
from timegpt_assets.core.tables.columns import BLEND
from timegpt_assets.core.tables.models import ATTRIBUTION, MODEL
from timegpt_assets.partitions import GraphContext, days_of


def attribution(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what moved the ladder's forecasts of a day."""
    forecast, top = graph.settings.forecast, graph.settings.models.attribution_top
    levels, of_month = core_inputs.levels(graph.settings), PARTS | {BLEND: POLICY}
    rungs = [name for word, name in of_month.items() if word in forecast.ladder]
    answered = "local_answers" if BLEND in forecast.ladder else "base_answers"

    @declared(
        ATTRIBUTION,
        group="models",
        partitions=graph.grid.trading_day,
        settings=("forecast.quantiles", "forecast.levels", "models.attribution_top")
        + ((*ROW, "models.public_keys") if rungs else ()),
        ins={
            "answers": stored_in("forecasts", name=answered),
            "panel": stored_in("features", name="panel"),
            **{name: of_its_month(name) for name in rungs},
        },
    )
    def attribution(
        context: dg.AssetExecutionContext,
        answers: pl.DataFrame,
        panel: pl.DataFrame,
        ladder: dg.ResourceParam[Ladder],
        **models: pl.DataFrame,
    ) -> pl.DataFrame:
        """For each forecast of the ladder the features that moved its centre and its width most."""
        learnt, made, silent = pl.concat([MODEL.empty(), *models.values()]), [ATTRIBUTION.empty()], {}
        for day in days_of(context.partition_keys) if models else ():
            found, why = attributed(ladder, answers, learnt, panel, day=day, levels=levels, top=top)
            made.append(found)
            silent[str(day)] = why
        rows = pl.concat(made)
        note_rows(context, rows, {"not_explained": silent})
        return rows

    return attribution
