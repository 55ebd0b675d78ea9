"""The cycle of prediction markets by itself: every few minutes, off until it is switched on, and never two at once.

Belongs here: the schedule and its job. What a cycle does is engine/tsfm_cycle.py, run by the command a person types.
"""

import subprocess
import sys
from collections.abc import Sequence

import dagster as dg
import orjson

from timegpt_assets.runtime import Runtime

JOB = "tsfm_cycle"
TOLD = 2_000
"""Letters of what a command that failed said last."""
SHOWN = ("at", "first_look", "markets", "selected", "histories_fetched", "partitions_made", "seconds", "within_slo")
UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def tsfm_cycle(runtime: Runtime) -> dg.JobDefinition:
    """Return the job that runs one cycle of now."""

    @dg.op(name="run_cycle")
    def run_cycle(context: dg.OpExecutionContext) -> None:
        """Look at the markets, and make the day's tables again from all that was kept."""
        words = command(runtime)
        context.log.info(" ".join(words))
        # a process of its own: what it loads (a client, a model) is gone with it, and a cycle that hangs can be killed
        ran = subprocess.run(words, capture_output=True, env=dict(runtime.environment), check=False)  # noqa: S603 - ours
        if ran.returncode:
            raise dg.Failure(ran.stderr.decode(errors="replace")[-TOLD:], allow_retries=False)
        found = orjson.loads(ran.stdout)
        context.add_output_metadata({name: found[name] for name in SHOWN} | {"forecasts": found["forecasts"]})

    @dg.job(name=JOB, description="One cycle of the live prediction markets: snapshot, prices, the day's tables.")
    def job() -> None:
        run_cycle()

    return job


def command(runtime: Runtime) -> Sequence[str]:
    """Return the command of one cycle."""
    words = ("-m", "timegpt_assets.cli.app", "tsfm", "cycle", "--profile", runtime.settings.profile, "--json")
    return [sys.executable, *words]


def every_cycle(runtime: Runtime) -> dg.ScheduleDefinition:
    """Return the schedule, off until somebody switches it on: it asks a venue and a model server."""
    minutes = runtime.settings.tsfm.cycle_min

    @dg.schedule(
        name="every_tsfm_cycle",
        job_name=JOB,
        cron_schedule=cron(minutes),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="A cycle of the live prediction markets every tsfm.cycle_min minutes; one that overlaps is left "
        "out.",
    )
    def every_tsfm_cycle(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        running = context.instance.get_runs(dg.RunsFilter(job_name=JOB, statuses=list(UNFINISHED)), limit=1)
        if running:
            return dg.SkipReason(f"run {running[0].run_id[:8]} is still at the cycle before: this one is left out.")
        return dg.RunRequest(run_key=None)

    return every_tsfm_cycle


def cron(minutes: int) -> str:
    """Return when cycles begin: by the hour where minutes divide it, and else once an hour, or each whole hour."""
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < DAY_MIN else "0 0 * * *"


DAY_MIN = 24 * 60
