"""Everything, assembled: the only file that knows the whole house.

Belongs here: the list of assets, what they are stored with, and where settings and secrets come from.
"""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg

from timegpt_assets import checks, resources
from timegpt_assets.adapters import stage_logs
from timegpt_assets.adapters.standard_streams import redact_streams
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.assets import (
    attribution,
    backtest,
    bands,
    bars,
    calibration,
    contract,
    evaluation,
    exports,
    features,
    forecasts,
    gates,
    information_value,
    luck,
    models,
    news,
    promotion,
    reports,
    research,
    search,
    trading_scores,
    tsfm,
    tsfm_evaluation,
)
from timegpt_assets.assets.catalog import catalogued
from timegpt_assets.assets.declare import in_blocks
from timegpt_assets.automation import alarms as watch
from timegpt_assets.automation import day as automation
from timegpt_assets.automation import forecast_grid, forgetting, rollout, source, tsfm_rollout
from timegpt_assets.automation import tsfm as tsfm_by_itself
from timegpt_assets.engine.home_owner import claim
from timegpt_assets.engine.lineages import lineage_records
from timegpt_assets.engine.stages import everyday
from timegpt_assets.instance import packed_events
from timegpt_assets.instance.run_launcher import owned_in_process
from timegpt_assets.io_managers import TableIOManager
from timegpt_assets.partitions import graph_context
from timegpt_assets.runtime import Runtime, load_runtime

ASSETS = (
    bars.raw_bars,
    bars.bars,
    bars.quality_report,
    news.raw_news,
    news.normalized_news,
    news.linked_news,
    news.news_clusters,
    news.scored_news,
    news.source_health,
    news.news_features,
    news.event_attribution,
    features.market_context,
    features.features,
    features.panel,
    features.labels,
    forecasts.snapshots,
    forecasts.answers,
    models.training_set,
    models.tabular_model,
    models.neural_model,
    forecasts.base_answers,
    evaluation.base_scores,
    models.ensemble_policy,
    forecasts.local_answers,
    forecasts.raw_forecasts,
    forecasts.outcomes,
    calibration.calibration_models,
    calibration.forecasts,
    evaluation.forecast_scores,
    evaluation.day_scores,
    gates.symbol_gates,
    backtest.trades,
    backtest.book,
    backtest.portfolio,
    backtest.funnel,
    evaluation.forecast_diagnostics,
    evaluation.pit_reliability,
    evaluation.coverage_report,
    evaluation.interval_widths,
    evaluation.coverage_drift,
    trading_scores.trading_scores,
    trading_scores.cost_sensitivity,
    trading_scores.stress_phases,
    trading_scores.oos_summary,
    trading_scores.backtest_runs,
    evaluation.comparison,
    models.model_report,
    models.feature_drift,
    attribution.attribution,
    information_value.information_value,
    gates.forecast_gate,
    gates.trading_gate,
    gates.hard_metrics,
    contract.contract,
    luck.luck_gate,
    promotion.promotion,
    reports.report,
    exports.run_export,
    research.grid_days,
    research.trading_grid,
    search.search_stage_1,
    search.search_stage_2,
    search.search_stage_3,
    tsfm.markets,
    tsfm.market_series,
    tsfm.selection,
    bands.tsfm_forecasts,
    bands.tsfm_outcomes,
    bands.conformal_parameters,
    bands.bands,
    bands.alerts,
    tsfm_evaluation.tsfm_evaluation,
)


def build_definitions(runtime: Runtime | None = None, *, overriding: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return fresh definitions for this runtime; ``overriding`` replaces resources by name (tests, tools)."""
    runtime = replace(runtime or load_runtime(), buckets=resources.bucket_client)
    with warnings.catch_warnings():
        # partitioned checks and two-dimensional mappings are marked beta; the lock pins the version they were tested on
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _definitions(runtime, dict(overriding or {}))


def _definitions(runtime: Runtime, overriding: Mapping[str, Any]) -> dg.Definitions:
    graph, daily = graph_context(runtime.settings), everyday(runtime.settings)
    assets = [
        catalogued(
            in_blocks(asset, graph),
            runtime.settings,
            Path(__file__).resolve().parents[1],
            everyday=asset.key.path[-1] in daily,
        )
        for asset in (make(graph) for make in ASSETS)
    ]
    book = LineageStore(runtime.storage)
    records = lineage_records(
        runtime.settings,
        {asset.key: set(asset.dependency_keys) for asset in assets},
        {asset.key: asset.metadata_by_key[asset.key]["settings"] for asset in assets},
    )
    by_id = {record.lineage_id: record for record in records.values()}
    manager = TableIOManager(
        store=ParquetStore(runtime.storage),
        tables=checks.BY_NAME,
        lineage=lambda key: book.record_road(by_id, records[key].lineage_id),
    )
    standing = resources.resources(runtime, manager)
    made = {asset.key.path[-1]: asset.key for asset in assets}
    day = automation.whole_day(runtime)
    of_bars = [made[name] for name in ("raw_bars", "bars")]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks.checks(graph, assets),
        resources=standing | dict(overriding),
        jobs=[
            automation.daily_refresh(day, [made[name] for name in daily]),
            automation.run_day(day, graph),
            automation.resume_pending(runtime),
            source.refresh_bars(runtime, of_bars),
            forecast_grid.sweep_forecast_grid(runtime),
            forgetting.forget_events(runtime),
            tsfm_by_itself.tsfm_cycle(runtime),
        ],
        schedules=[
            automation.after_the_close(runtime),
            forecast_grid.weekly_forecast_grid(runtime),
            tsfm_by_itself.every_cycle(runtime),
            *forgetting.at_its_time(runtime),
        ],
        sensors=[
            automation.new_session(runtime),
            automation.resume_backfill(runtime),
            source.revised_source(runtime),
            rollout.judge_rollouts(runtime),
            tsfm_rollout.judge_tsfm_rollout(runtime),
            watch.raise_alarms(runtime),
        ],
        executor=owned_in_process,  # a range is one step and never splits; a process per step costs seconds
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions the UI, the daemon and ``dg`` load; HomeOfAnother in another profile's DAGSTER_HOME."""
    runtime = load_runtime()
    home = runtime.environment.get("DAGSTER_HOME")
    # the UI and the daemon open a home without the command line: it must be theirs, too
    if home and Path(home).is_dir():
        claim(Path(home), runtime)
    stage_logs.begin(runtime.logs, redacted=runtime.redacted)
    packed_events.redact_records(runtime.redacted.record)
    redact_streams(runtime.redacted)
    return build_definitions(runtime)
