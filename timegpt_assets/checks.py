"""Asset checks: what is stored compared with what is declared, and the verdicts a person should see.

Belongs here: facts -> verdict -> result. A check is never the only guard: downstream assets read verdicts from data,
because a failed check is forgotten by the next run of the asset below it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, Partitions
from timegpt_assets.core.calibration import samples
from timegpt_assets.core.news.goals import missed
from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.every import ALL
from timegpt_assets.instance.failures import Failed
from timegpt_assets.partitions import GraphContext

Evaluated = dg.AssetCheckEvaluation | dg.AssetCheckResult
USABLE, ABSENT = ("ok", "warned"), ("no_data", "late")
SPOKEN = 3
"""Offenders named in a check's own sentence."""
SHOWN = 50
"""Offenders listed in a check's metadata; all are counted."""
MEND = "Mend what is named, then materialise raw_bars and bars of it again."
BY_NAME = {table.name: table for table in ALL}


def checks(graph: GraphContext, assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetChecksDefinition]:
    """Return every check of the graph: one against its table per asset, bar quality, and the gate on promotion."""
    return [
        *(matches_table(asset) for asset in assets),
        bars_quality(graph),
        embargo_kept(graph),
        coverage_holds(graph),
        features_hold(graph),
        gates_passed(graph),
        primary_sources_meet_their_goals(graph),
    ]


def matches_table(asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    """Return the blocking check that compares the run's stored partitions with the asset's table."""
    table: Table = BY_NAME[asset.metadata_by_key[asset.key]["table"]]

    @dg.asset_check(  # type: ignore[arg-type]  # yields, as quality does
        asset=asset.key,
        name="matches_table",
        blocking=True,
        partitions_def=asset.partitions_def,
        description=f"Columns, key and row rules of {table.name} as declared in core/tables/.",
    )
    def matches_table(stored: LazyPartitions) -> Iterator[dg.AssetCheckResult]:
        rows, errors = 0, list[str]()
        # a few files at a time: a check of a range of years must not hold it all
        for frame in stored.chunks():
            rows += len(frame)
            errors += [error for error in table.errors(frame) if error not in errors]
        result = dg.AssetCheckResult(
            passed=not errors, description=_sentence(errors), metadata={"rows": rows, "errors": errors}
        )
        yield from _blocking(result, f"{table.name} is not stored as it is declared")

    return matches_table


def bars_quality(graph: GraphContext) -> dg.AssetChecksDefinition:
    """Return the check of the bars' verdicts: blocking for one partition, a warning in a range (of one, too).

    In a range one bad partition must not stop the others; what it holds (zero bars, a verdict) is the same either way.
    It is named by an evaluation of its own, before that of the range. Sessions of a range before data.start_date that
    have no rows are outside the data, which is no failure.
    """
    since = str(graph.settings.data.start_date)
    of_bars = dg.AssetKey(["bars", "bars"])

    @dg.asset_check(  # type: ignore[arg-type]  # Dagster runs a generator of evaluations; its type knows one result
        asset=of_bars,
        name="quality",
        blocking=True,
        partitions_def=graph.grid.day_symbol,
        description="The quality verdict stored with the bars is ok or warned.",
    )
    def quality(context: dg.AssetCheckExecutionContext, bars: Partitions) -> Iterator[Evaluated]:
        alone = context.op_execution_context.has_partition_key  # a range of one, as the rectangle asks, is a range
        amiss = {k: f for k, f in bars.facts.items() if f["verdict"] not in USABLE}
        outside = set() if alone else {k for k, f in amiss.items() if k[:10] < since and f["verdict"] in ABSENT}
        bad = {k: f"{f['verdict']}: {f['reason']}" for k, f in amiss.items() if k not in outside}
        # an error in a range would stop the good partitions with the bad
        severity = dg.AssetCheckSeverity.ERROR if alone else dg.AssetCheckSeverity.WARN
        # Dagster's evaluation of a range names no partition: those that are bad get one of their own
        for key, why in [] if alone else sorted(bad.items()):
            yield dg.AssetCheckEvaluation(of_bars, "quality", False, severity=severity, description=why, partition=key)
        shown = dict(sorted(bad.items())[:SHOWN])
        late = sum(amiss[key]["verdict"] == "late" for key in bad)
        told: dict[str, Any] = {"unusable": shown, "count": len(bad), "outside": len(outside), "late": late}
        said = _sentence([why if alone else f"{key} {why}" for key, why in sorted(bad.items())])
        result = dg.AssetCheckResult(passed=not bad, severity=severity, description=said, metadata=told)
        yield from _blocking(result, f"{', '.join(sorted(bad)[:SPOKEN])} has no usable bars", MEND)

    return quality


def embargo_kept(graph: GraphContext) -> dg.AssetChecksDefinition:
    """Return the blocking check of calibration's windows: nothing was learnt inside the embargo."""
    settings = graph.settings.calibration

    @dg.asset_check(  # type: ignore[arg-type]  # yields, as quality does
        asset=dg.AssetKey(["calibration", "calibration_models"]),
        name="embargo_kept",
        blocking=True,
        partitions_def=graph.grid.trading_day,
        description="Every model's window, and the newest outcome it was fitted on, end before the embargo of its day.",
    )
    def embargo_kept(models: pl.DataFrame) -> Iterator[dg.AssetCheckResult]:
        spans = {"window_days": settings.window_days, "embargo_days": settings.embargo_days}
        found = samples.breaches(models, **spans)
        told: dict[str, Any] = {"rows": models.height, "breaches": found[:SHOWN]}
        result = dg.AssetCheckResult(passed=not found, description=_sentence(found), metadata=told)
        yield from _blocking(result, "a model has learnt inside the embargo")

    return embargo_kept


def coverage_holds(graph: GraphContext) -> dg.AssetChecksDefinition:
    """Return the drift alarm as a warning: rolling coverage, all symbols pooled, has left what was promised."""

    @dg.asset_check(
        asset=dg.AssetKey(["evaluation", "coverage_drift"]),
        name="coverage_holds",
        partitions_def=graph.grid.month,
        description="On the month's last session no band's rolling coverage, all symbols pooled, has drifted.",
    )
    def coverage_holds(drift: pl.DataFrame) -> dg.AssetCheckResult:
        last = drift.filter(pl.col("symbol") == WILDCARD, pl.col("day") == pl.col("day").max())
        ringing = [
            f"{row['level']} % band: {row['coverage']:.3f} of {row['n']} outcomes, {row['score_source']}"
            for row in last.filter("alarm").iter_rows(named=True)
        ]
        return dg.AssetCheckResult(
            passed=not ringing,
            severity=dg.AssetCheckSeverity.WARN,
            description=_sentence(ringing),
            metadata={"drifted": ringing},
        )

    return coverage_holds


def features_hold(graph: GraphContext) -> dg.AssetChecksDefinition:
    """Return the alarm of features as a warning: some lie further from those learnt from than models.drift_psi_max."""

    @dg.asset_check(
        asset=dg.AssetKey(["models", "feature_drift"]),
        name="features_hold",
        partitions_def=graph.grid.month,
        description="No feature of the month has drifted from what the month's models learnt from.",
    )
    def features_hold(drift: pl.DataFrame) -> dg.AssetCheckResult:
        far = drift.filter("drifted").unique("feature").sort("psi", "feature", descending=[True, False])
        ringing = [f"{feature}: {psi:.2f}" for feature, psi in far.select("feature", "psi").iter_rows()]
        return dg.AssetCheckResult(
            passed=not ringing,
            severity=dg.AssetCheckSeverity.WARN,
            description=_sentence(ringing),
            metadata={"drifted": ringing[:SHOWN]},
        )

    return features_hold


def primary_sources_meet_their_goals(graph: GraphContext) -> dg.AssetChecksDefinition:
    """Return the alarm of news as a warning: a source that is marked primary misses news.goals."""
    goals = graph.settings.news.goals

    @dg.asset_check(
        asset=dg.AssetKey(["news", "source_health"]),
        name="primary_sources_meet_their_goals",
        partitions_def=graph.grid.trading_day,
        description="Every source marked primary answered as much, and as soon, as news.goals demand.",
    )
    def primary_sources_meet_their_goals(health: pl.DataFrame) -> dg.AssetCheckResult:
        ringing = missed(health, **goals.model_dump())
        return dg.AssetCheckResult(
            passed=not ringing,
            severity=dg.AssetCheckSeverity.WARN,
            description=_sentence(ringing),
            metadata={"missed": ringing[:SHOWN]},
        )

    return primary_sources_meet_their_goals


def gates_passed(graph: GraphContext) -> dg.AssetChecksDefinition:
    """Return the one blocking gate check, on promotion: every criterion of the month holds."""

    @dg.asset_check(  # type: ignore[arg-type]  # yields, as quality does
        asset=dg.AssetKey(["gates", "promotion"]),
        name="gates_passed",
        blocking=True,
        partitions_def=graph.grid.month,
        description="Every criterion of every gate holds for the month.",
    )
    def gates_passed(promotion: pl.DataFrame) -> Iterator[dg.AssetCheckResult]:
        failed = promotion.filter(~pl.col("passed"))
        reasons = [f"{row['gate']} {row['criterion']}: {row['reason']}" for row in failed.iter_rows(named=True)]
        result = dg.AssetCheckResult(
            passed=not reasons, description=_sentence(reasons), metadata={"failed": reasons[:SHOWN]}
        )
        yield from _blocking(result, "this is a verdict and no fault, nothing is promoted")

    return gates_passed


def _blocking(result: dg.AssetCheckResult, meaning: str, remedy: str = "") -> Iterator[dg.AssetCheckResult]:
    """Yield a blocking check's result; one that failed then ends its step with our sentence.

    Dagster's own error names the check alone, under a trace. What stands on the asset is stopped either way.
    """
    yield result
    if not result.passed and result.severity == dg.AssetCheckSeverity.ERROR:
        said = f"{meaning}: {result.description}. {remedy}".strip()
        raise Failed(said.replace("..", "."))


def _sentence(found: Sequence[str]) -> str | None:
    """Return what is wrong as the UI shows it beside the check, without a click: the first few, and how many more."""
    more = f" And {len(found) - SPOKEN} more." if len(found) > SPOKEN else ""
    return "; ".join(found[:SPOKEN]) + more if found else None
