"""Everything, assembled: the only file that knows the whole house.

Belongs here: the list of assets, what they are stored with, and where settings and secrets come from.
"""

import io
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from dotenv import dotenv_values

from timegpt_assets import checks, resources
from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.assets import (
    backtest,
    bars,
    calibration,
    contract,
    evaluation,
    features,
    forecasts,
    gates,
    luck,
    promotion,
    reports,
    research,
    search,
    trading_scores,
)
from timegpt_assets.automation import day as automation
from timegpt_assets.automation import forecast_grid, source
from timegpt_assets.config import files
from timegpt_assets.config.errors import ConfigError, Fault
from timegpt_assets.config.settings import load_settings
from timegpt_assets.engine.home_owner import claim
from timegpt_assets.engine.lineages import lineage_records
from timegpt_assets.instance.run_launcher import owned_in_process
from timegpt_assets.io_managers import TableIOManager
from timegpt_assets.partitions import graph_context
from timegpt_assets.runtime import Runtime

PROJECT = Path(__file__).resolve().parents[1]
ASSETS = (
    bars.raw_bars,
    bars.bars,
    bars.quality_report,
    features.market_context,
    features.features,
    features.panel,
    features.labels,
    forecasts.snapshots,
    forecasts.answers,
    forecasts.base_answers,
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
    gates.forecast_gate,
    gates.trading_gate,
    gates.hard_metrics,
    contract.contract,
    luck.luck_gate,
    promotion.promotion,
    reports.report,
    research.grid_days,
    research.trading_grid,
    search.search_stage_1,
    search.search_stage_2,
    search.search_stage_3,
)


def environment(root: Path = PROJECT) -> dict[str, str]:
    """Return the process environment, with what ``.env`` in the project folder adds to it."""
    # what the process was given stands over the file
    return _dotenv(root / ".env") | dict(os.environ)


def _dotenv(file: Path) -> dict[str, str]:
    """Return what the file gives, nothing where there is none. Raises ConfigError for one that cannot be read."""
    try:
        found = dotenv_values(stream=io.StringIO(files.text(file)), interpolate=False)  # a key may hold a $
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Mend the file, or take it away."
        fault = Fault(file=str(file), key=".env", value=str(error), allowed="NAME=value lines in UTF-8", remedy=remedy)
        raise ConfigError([fault]) from error
    return {name: value for name, value in found.items() if value is not None}


def load_runtime(
    overrides: Sequence[str] = (),
    *,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    grid: Mapping[str, Any] | None = None,
) -> Runtime:
    """Return the settings and places of this process: profile and folder from the environment unless given.

    Relative places start from the folder that holds ``configs``. ``grid`` is one combination of a forecast grid (dotted
    key -> value). ``TIMEGPT_ASSETS_SET`` carries --set values, one a
    line, from the command line to the processes it starts.
    """
    found = environment() if environ is None else environ
    folder = Path(found.get("TIMEGPT_ASSETS_CONFIG_DIR", PROJECT / "configs")).expanduser().resolve()
    settings = load_settings(
        profile=profile or found.get("TIMEGPT_ASSETS_PROFILE"),
        config_dir=folder,
        overrides=[*said_before(found), *overrides],
        environment=found,
        grid=grid,
    )
    return Runtime(settings=settings, root=folder.parent, environment=found)


def said_before(environ: Mapping[str, str]) -> list[str]:
    """Return the --set values that the environment carries."""
    return [line for line in environ.get("TIMEGPT_ASSETS_SET", "").splitlines() if line]


def inherited_settings(said: Sequence[str]) -> str:
    """Return --set values as the environment carries them to processes that are started, one a line."""
    return "\n".join(" ".join(value.split("\n")) for value in said)


def build_definitions(runtime: Runtime | None = None, *, overriding: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return fresh definitions for this runtime; ``overriding`` replaces resources by name (tests, tools)."""
    runtime = replace(runtime or load_runtime(), buckets=resources.bucket_client)
    with warnings.catch_warnings():
        # partitioned checks and two-dimensional mappings are marked beta; the lock pins the version they were tested on
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return _definitions(runtime, dict(overriding or {}))


def _definitions(runtime: Runtime, overriding: Mapping[str, Any]) -> dg.Definitions:
    graph = graph_context(runtime.settings)
    assets = [make(graph) for make in ASSETS]
    book = LineageStore(runtime.storage)
    records = lineage_records(
        runtime.settings,
        {asset.key: set(asset.dependency_keys) for asset in assets},
        {asset.key: asset.metadata_by_key[asset.key]["settings"] for asset in assets},
    )
    manager = TableIOManager(
        store=ParquetStore(runtime.storage),
        tables=checks.BY_NAME,
        lineage=lambda key: book.record(records[key]),
    )
    standing = resources.resources(runtime, manager)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks.checks(graph, assets),
        resources=standing | dict(overriding),
        jobs=[
            automation.daily_refresh(runtime),
            automation.resume_pending(runtime),
            source.refresh_bars(runtime),
            forecast_grid.sweep_forecast_grid(runtime),
        ],
        schedules=[automation.after_the_close(runtime), forecast_grid.weekly_forecast_grid(runtime)],
        sensors=[
            automation.new_session(runtime),
            automation.resume_backfill(runtime),
            source.revised_source(runtime),
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
    return build_definitions(runtime)
