"""Models: what the ladder learns from, month by month, and what it has learnt."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.models.publishing import NoTeacher, Publisher
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, Partitions, PartitionStream
from timegpt_assets.assets.declare import LOOKBACK, Span, declared, in_chunks, judged_months, stored_in
from timegpt_assets.assets.trading_scores import ACCOUNT, account_inputs
from timegpt_assets.config import core_inputs, strategy_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.evaluation import ladder
from timegpt_assets.core.models import blend, drift, folds, net, rows, stated, tree
from timegpt_assets.core.models.folds import TooFewSessions
from timegpt_assets.core.models.rows import RowSpec
from timegpt_assets.core.models.stated import Taught
from timegpt_assets.core.tables.columns import BLEND, CONTROL, LADDER, NET, TREE
from timegpt_assets.core.tables.models import FEATURE_DRIFT, MODEL, MODEL_REPORT, TRAINING_SET
from timegpt_assets.partitions import GraphContext, by_day, month_window, months_before, months_of

ROW = (
    "forecast.horizon_min",
    "forecast.sigma_column",
    "models.snapshot_every_min",
    "models.net.n_tokens",
    "models.net.channels",
)
"""What a row of the ladder holds beside the features."""
LEARNING = (
    *("forecast.baseline", "forecast.zero", "forecast.quantiles", "forecast.levels"),
    *("models.window_months", "models.embargo_days", "models.min_sessions", "models.validation_sessions"),
    *("models.folds", "models.seed", "models.road", "models.tree", "models.snapshot_every_min"),
)
"""How a rung learns from rows, and whom it is judged against; the net as its teacher does."""
PARTS = {TREE: "tabular_model", NET: "neural_model"}
"""What a blend is made of -> the asset that holds its models."""
POLICY = "ensemble_policy"
"""The asset that holds the blends themselves."""


def training_set(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of a month's rows to learn from."""

    @declared(
        TRAINING_SET,
        group="models",
        partitions=graph.grid.month,
        settings=ROW,
        ins={
            "panel": stored_in("features", month_window(0), name="panel", missing="ok"),
            "labels": stored_in("features", by_day(), name="labels", missing="ok"),
        },
    )
    def training_set(
        context: dg.AssetExecutionContext,
        panel: LazyPartitions,
        labels: LazyPartitions,
        daily_files: dg.ResourceParam[DailyFiles],
    ) -> PartitionStream:
        """Each symbol at each snapshot of the month's grid: what was known of it then, and what came after."""
        spec = core_inputs.row_spec(graph.settings, daily_files.calendar)

        def parts() -> Iterator[tuple[Sequence[str], Partitions]]:
            for key in context.partition_keys:
                days = own_sessions(key[:7], panel)
                frame = learnable(panel, labels, days, spec).with_columns(month=pl.lit(key[:7]))
                context.add_asset_metadata({"rows": frame.height, "sessions": len(days)}, partition_key=key)
                yield [key[:7]], Partitions(frame)

        return PartitionStream(parts())

    return training_set


def own_sessions(month: str, panel: LazyPartitions) -> list[date]:
    """Return the sessions of the month whose panel is there."""
    # its own: where the 1st is no session, Dagster hands over the last of the month before, too
    return [day for day in calendar.month_sessions(month) if str(day) in panel.facts]


def learnable(panel: LazyPartitions, labels: LazyPartitions, days: Sequence[date], spec: RowSpec) -> pl.DataFrame:
    """Return TRAINING_SET of the days, a few of them held at a time."""
    # without rows it has the features' columns too: whoever reads some months asks for them by name
    nothing = TRAINING_SET.empty().with_columns(pl.lit(None, pl.Float32).alias(name) for name in spec.features)
    return pl.concat([nothing, *(rows.training_rows(panel.of(p), labels.of(p), spec) for p in in_chunks(days))])


def tabular_model(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of each month's tree."""
    months = graph.settings.models.window_months

    @declared(
        MODEL,
        name="tabular_model",
        group="models",
        partitions=graph.grid.month,
        settings=LEARNING,
        ins={"training_set": learnt_from(graph, tokens=False)},
    )
    def tabular_model(
        context: dg.AssetExecutionContext,
        training_set: pl.DataFrame,
        daily_files: dg.ResourceParam[DailyFiles],
        publisher: dg.ResourceParam[Publisher],
    ) -> pl.DataFrame:
        """The tree of the months before: which artifact it is and how it did in validation, or why there is none."""
        spec = core_inputs.tree_spec(graph.settings, daily_files.calendar)

        def taught(month: str) -> Taught:
            return Taught.of(TREE, tree.learn_tree(folds.months_before(training_set, month, months), spec))

        return _stated(graph, context, publisher, TREE, taught)

    return tabular_model


def neural_model(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of each month's net."""
    months = graph.settings.models.window_months

    @declared(
        MODEL,
        name="neural_model",
        group="models",
        partitions=graph.grid.month,
        settings=(*LEARNING, "models.net"),
        ins={
            "training_set": learnt_from(graph, tokens=True),
            "tabular_model": stored_in("models", name="tabular_model"),
        },
    )
    def neural_model(
        context: dg.AssetExecutionContext,
        training_set: pl.DataFrame,
        tabular_model: pl.DataFrame,
        daily_files: dg.ResourceParam[DailyFiles],
        publisher: dg.ResourceParam[Publisher],
    ) -> pl.DataFrame:
        """The net of the months before, the tree's student: its artifact and validation, or why there is none."""
        spec = core_inputs.net_spec(graph.settings, daily_files.calendar)

        def taught(month: str) -> Taught:
            own, teacher = folds.months_before(training_set, month, months), publisher.teacher(tabular_model, month)
            return Taught.of(NET, net.learn_net(own, teacher, spec))

        return _stated(graph, context, publisher, NET, taught)

    return neural_model


def ensemble_policy(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of each month's blend of tree and net."""
    models = graph.settings.models
    spec = blend.BlendSpec(months=models.blend.months, min_sessions=models.min_sessions)

    @declared(
        MODEL,
        name=POLICY,
        group="models",
        partitions=graph.grid.month,
        settings=("models.blend", "models.min_sessions", "models.seed", "models.tree.window_min", "forecast.baseline"),
        ins={
            "base_scores": stored_in("evaluation", months_before(spec.months), name="base_scores", missing="ok"),
            **{name: stored_in("models", name=name) for name in PARTS.values()},
        },
    )
    def ensemble_policy(
        context: dg.AssetExecutionContext,
        base_scores: pl.DataFrame,
        publisher: dg.ResourceParam[Publisher],
        **parts: pl.DataFrame,
    ) -> pl.DataFrame:
        """How much of the net the blend takes, chosen on earlier months alone, or why there is no blend."""

        def taught(month: str) -> Taught:
            chosen = blend.policy(base_scores, month=month, spec=spec, control=CONTROL)
            own = folds.months_before(base_scores, month, spec.months)
            return stated.of_blend(
                chosen, own, pl.concat(parts.values()).filter(month=month), window_min=models.tree.window_min
            )

        return _stated(graph, context, publisher, BLEND, taught)

    return ensemble_policy


def learnt_from(graph: GraphContext, *, tokens: bool) -> dg.AssetIn:
    """Return the input of the training sets that a month learns from; ``tokens``: with what a net sees."""
    spec = core_inputs.row_spec(graph.settings, core_inputs.event_calendar(graph.settings))
    columns = (name for name in TRAINING_SET.columns if tokens or name != "tokens")
    months = months_before(graph.settings.models.window_months)
    return stored_in("models", months, name="training_set", missing="ok", columns=(*columns, *spec.features))


def _stated(
    graph: GraphContext,
    context: dg.AssetExecutionContext,
    publisher: Publisher,
    forecaster: str,
    taught: Callable[[str], Taught],
) -> pl.DataFrame:
    """Return the MODEL rows of the run's months, each one's artifact published before its row is."""
    control, made = core_inputs.ladder_control(graph.settings).settings, [MODEL.empty()]
    for month in months_of(context.partition_keys):
        began = time.perf_counter()
        try:
            found = taught(month)
        except (NoTeacher, TooFewSessions) as reason:
            found = Taught(found=stated.nothing_learnt(str(reason)), losses=stated.NOTHING_LOST, own={})
        seconds = time.perf_counter() - began
        digest = publisher.published(forecaster, month, found, seconds=seconds)
        row = stated.row(
            month, forecaster, found, name=publisher.name(forecaster), digest=digest, control_settings=control
        )
        # how long it took is said beside the row: the same rows learnt again give the same bytes
        note = row.select("digest", "reason", "policy", "sessions", "rows", "pinball", "control_pinball").row(
            0, named=True
        )
        context.add_asset_metadata({**note, "seconds": round(seconds, 2)}, partition_key=f"{month}-01")
        made.append(row)
    return pl.concat(made)


def model_report(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of whether each rung of the ladder is better than those below it."""
    terms, lookback = strategy_inputs.ladder_terms(graph.settings), graph.settings.gates.lookback_sessions

    @declared(
        MODEL_REPORT,
        group="models",
        partitions=graph.grid.month,
        settings=(LOOKBACK, *ACCOUNT, "forecast.baseline", "gates.ladder.dm_p_lt"),
        ins={name: stored_in("models", name=name) for name in (*PARTS.values(), POLICY)} | account_inputs(graph),
    )
    def model_report(
        context: dg.AssetExecutionContext, portfolio: Partitions, day_scores: Partitions, **models: pl.DataFrame
    ) -> pl.DataFrame:
        """Each rung against every one below it, in validation and on sessions it was never shown: losses and money."""
        learnt = pl.concat(models.values())

        def measured(span: Span) -> pl.DataFrame:
            return ladder.model_report(
                span.of(learnt),
                day_scores.frame,
                portfolio.frame,
                month=span.month,
                as_of=span.as_of,
                lookback_sessions=lookback,
                terms=terms,
            )

        return judged_months(context, MODEL_REPORT, portfolio, measured)

    return model_report


def feature_drift(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of how far a month's features lie from those learnt from."""
    models = graph.settings.models

    @declared(
        FEATURE_DRIFT,
        group="models",
        partitions=graph.grid.month,
        settings=(*ROW, "models.window_months", "models.embargo_days", "models.drift_psi_max"),
        ins={
            "training_set": learnt_from(graph, tokens=False),
            # no labels: what came after says nothing of the features, and an open month has sessions without them
            "panel": stored_in("features", month_window(0), name="panel", missing="ok"),
        },
    )
    def feature_drift(
        context: dg.AssetExecutionContext,
        training_set: pl.DataFrame,
        panel: LazyPartitions,
        daily_files: dg.ResourceParam[DailyFiles],
    ) -> pl.DataFrame:
        """Each feature of the month so far against what the month's models learnt from: its stability index."""
        spec, made = core_inputs.row_spec(graph.settings, daily_files.calendar), [FEATURE_DRIFT.empty()]
        for key in context.partition_keys:
            own, month = own_sessions(key[:7], panel), key[:7]
            learnt = folds.learnt_from(
                folds.months_before(training_set, month, models.window_months), embargo_days=models.embargo_days
            )
            if own:
                seen = pl.concat(rows.grid_rows(panel.of(part), spec) for part in in_chunks(own))
                about = {"month": month, "as_of": own[-1], "forecasters": LADDER, "features": spec.features}
                known = learnt if learnt.height else seen.clear()  # before the first month nothing is, not a column
                made.append(drift.feature_drift(known, seen, psi_max=models.drift_psi_max, **about))
            told = {"rows": made[-1].height, "drifted": made[-1].filter("drifted")["feature"].unique().sort().to_list()}
            context.add_asset_metadata(told, partition_key=key)
        return pl.concat(made)

    return feature_drift
