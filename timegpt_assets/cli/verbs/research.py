"""The verbs that try many settings on stored forecasts: sweep and search.

Belongs here: options and help. What they do is cli/sweeping.py, cli/forecast_grid_run.py and cli/searching.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from timegpt_assets.cli.asked import started
from timegpt_assets.cli.options import ConfigDir, Force, Json, MaybeDay, Profile, RunId, Set

GridName = Annotated[str | None, typer.Option("--grid", help="named grid; default: trading_grid.grid")]
Forecasters = Annotated[
    list[str] | None, typer.Option("--forecaster", help="write and show this one alone; repeatable; default: everyone")
]
Across = Annotated[str, typer.Option(help="comma-separated: the two rules of the picture; default: most values")]
ForecastGridFile = Annotated[
    Path | None, typer.Option("--forecast-grid", help="file of a forecast grid: plan it, or make it with --execute")
]
PlanOnly = Annotated[bool, typer.Option("--plan-only", help="of a forecast grid: the plan alone, as without --execute")]
Execute = Annotated[bool, typer.Option("--execute", help="of a forecast grid: ask, pay within the budget, and rank")]
ReuseBaseline = Annotated[
    bool, typer.Option("--reuse-baseline", help="of a forecast grid: take over bars and features that are stored")
]
BaselineRun = Annotated[
    str | None, typer.Option("--baseline-run", help="storage root they lie in; default: the profile's own")
]
Month = Annotated[str | None, typer.Option(help="YYYY-MM, up to whose end sessions are seen; default: the grid's last")]
Forecaster = Annotated[str | None, typer.Option("--forecaster", help="default: search.forecaster, or the champion")]


def sweep(
    start: MaybeDay = None,
    end: MaybeDay = None,
    grid: GridName = None,
    forecaster: Forecasters = None,
    across: Across = "",
    forecast_grid: ForecastGridFile = None,
    plan_only: PlanOnly = False,
    execute: Execute = False,
    reuse_baseline: ReuseBaseline = False,
    baseline_run: BaselineRun = None,
    force: Force = False,
    run_id: RunId = "",
    json: Json = False,
    settings: Set = None,
    config_dir: ConfigDir = None,
    profile: Profile = None,
) -> None:
    """Try every combination of a trading grid on stored forecasts, or of a forecast grid, which asks and may pay."""
    trading = {"--grid": grid, "--forecaster": forecaster, "--across": across, "--force": force}
    asking = {"--plan-only": plan_only, "--execute": execute, "--reuse-baseline": reuse_baseline}
    _refuse_strange(trading if forecast_grid else asking | {"--baseline-run": baseline_run}, forecast_grid)
    if forecast_grid:
        if plan_only and execute:
            raise typer.BadParameter("--plan-only sends nothing and --execute does. Say one of them.")
        if run_id and not execute:
            raise typer.BadParameter("--run-id keeps what was made, and a plan makes nothing. Say --execute, too.")
        if baseline_run and not reuse_baseline:
            raise typer.BadParameter("--baseline-run names what --reuse-baseline stands on. Say both, or neither.")
        from timegpt_assets.cli.forecast_grid_run import sweep_forecasts

        sweep_forecasts(
            forecast_grid,
            start,
            end,
            execute=execute,
            baseline=baseline_run or ("" if reuse_baseline else None),
            run_id=run_id,
            as_json=json,
            settings=settings or (),
            profile=profile,
            config_dir=config_dir,
        )
        return
    chosen = [f"trading_grid.grid={grid}"] if grid else []
    runtime = started([*(settings or ()), *chosen], profile, config_dir)
    from timegpt_assets.cli import sweeping

    sweeping.sweep(
        runtime, start, end, forecasters=forecaster or (), across=across, force=force, run_id=run_id, as_json=json
    )


def _refuse_strange(options: Mapping[str, object], forecast_grid: Path | None) -> None:
    """Raise typer.BadParameter for an option that means nothing to the grid that is asked for."""
    if strange := ", ".join(name for name, said in options.items() if said):
        whose = "trading" if forecast_grid else "forecast"
        remedy = "Leave them out" if forecast_grid else "Name its file with --forecast-grid, or leave them out"
        raise typer.BadParameter(f"{strange} say something of a {whose} grid. {remedy}.")


def search(
    month: Month = None,
    forecaster: Forecaster = None,
    force: Force = False,
    json: Json = False,
    settings: Set = None,
    profile: Profile = None,
) -> None:
    """Search for trading rules in three stages on stored forecasts; nobody is asked and nothing is paid."""
    chosen = [f"search.forecaster={forecaster}"] if forecaster else []
    runtime = started([*(settings or ()), *chosen], profile)
    from timegpt_assets.cli import searching

    searching.search(runtime, month, force=force, as_json=json)
