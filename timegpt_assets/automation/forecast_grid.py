"""The week by itself: a forecast grid over the newest sessions, within the budget. Off until it is switched on.

Belongs here: the schedule and its job. What a forecast grid is, and what it costs, is said by the command it runs.
"""

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import dagster as dg
import orjson

from timegpt_assets.core import calendar
from timegpt_assets.runtime import Runtime

TOLD = 2_000
"""Letters of what a command that failed said last."""


def sweep_forecast_grid(runtime: Runtime) -> dg.JobDefinition:
    """Return the job that runs the command over the newest sessions."""

    @dg.op(name="sweep_forecasts")
    def sweep_forecasts(context: dg.OpExecutionContext) -> None:
        """Make the grid as far as the budget goes; what waits is taken up by the next run."""
        words = command(runtime)
        context.log.info(" ".join(words))
        # a process of its own: the grid's house has its own records, and a process keeps to one home
        ran = subprocess.run(words, capture_output=True, env=dict(runtime.environment), check=False)  # noqa: S603 - ours
        found = _figures(ran.stdout)
        if not found or found["failed"] or found["missing"] or (ran.returncode and not found["waiting"]):
            raise dg.Failure(ran.stderr.decode(errors="replace")[-TOLD:], allow_retries=False)
        told = ("combinations", "made", "waiting", "calls_needed", "finished_on", "scoreboard.csv")
        context.add_output_metadata({name: found[name] for name in told if found.get(name) is not None})

    @dg.job(name="sweep_forecast_grid", description="A forecast grid over the newest sessions, within the call budget.")
    def job() -> None:
        sweep_forecasts()

    return job


def command(runtime: Runtime) -> Sequence[str]:
    """Return the command: the grid of the settings, its sessions up to the newest closed one."""
    asked = runtime.settings.automation.forecast_grid
    last = calendar.last_closed_session(runtime.clock())
    last = min(last, runtime.settings.data.end_date or last)
    first = max(calendar.shifted(last, 1 - asked.sessions), runtime.settings.data.start_date)
    span = ("--start", str(first), "--end", str(last), "--profile", runtime.settings.profile)
    file = str(runtime.path(asked.file))
    sweep = ("-m", "timegpt_assets.cli.app", "sweep", "--forecast-grid", file)
    return [sys.executable, *sweep, *span, "--execute", "--json"]


def _figures(printed: bytes) -> dict[str, Any] | None:
    """Return the one JSON object that a command printed, None where it printed none."""
    try:
        found: dict[str, Any] = orjson.loads(printed)
    except orjson.JSONDecodeError:
        return None
    return found


def weekly_forecast_grid(runtime: Runtime) -> dg.ScheduleDefinition:
    """Return the schedule, off until somebody switches it on: it spends."""
    return dg.ScheduleDefinition(
        name="weekly_forecast_grid",
        job_name="sweep_forecast_grid",
        cron_schedule=runtime.settings.automation.forecast_grid.at,
        execution_timezone=calendar.ZONE,
        description="The forecast grid of automation.forecast_grid, once a week. Spends from the call budget.",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
