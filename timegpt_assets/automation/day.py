"""Schedules, sensors and the job of the day: when the rectangle runs by itself.

Belongs here: triggers only. What a day means is stages.py, how it runs is engine.py. Both triggers ask for the same
session under the same run key, and the rectangle skips what is there, so a day is never made twice.
"""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from timegpt_assets.core import calendar
from timegpt_assets.engine import pending
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import Engine, Outcome, RunFailed, asset_nodes
from timegpt_assets.engine.stages import EVERYDAY, last_closed_session, rectangle, sessions_asked
from timegpt_assets.partitions import GraphContext, graph_context
from timegpt_assets.runtime import Runtime

CLOSE_OF_BUSINESS = "30 18 * * 1-5"
"""18:30 New York time: after the close of every session, early ones included."""


class SessionConfig(dg.Config):
    """The session a daily run makes."""

    day: str


def daily_refresh(runtime: Runtime) -> dg.JobDefinition:
    """Return the job that makes one session, from bars to gates and report, through the rectangle."""
    graph = graph_context(runtime.settings)

    @dg.op(name="run_rectangle")
    def run_rectangle(context: dg.OpExecutionContext, config: SessionConfig) -> None:
        """Run the rectangle of one session and every symbol; nothing that is there is made again."""
        day = date.fromisoformat(config.day)
        days = sessions_asked(graph, day, day, at=runtime.clock())
        outcome = _made(context, runtime, graph, days)
        context.log.info("%s: %d partitions made, %d already there", day, outcome.made, outcome.there)
        notes = {"made": outcome.made, "already_there": outcome.there}
        context.add_output_metadata(notes | ({"waits": outcome.why} if outcome.pending else {}))

    @dg.job(name="daily_refresh", description="One session, from bars to report, through the rectangle.")
    def job() -> None:
        run_rectangle()

    return job


def _made(
    context: dg.OpExecutionContext,
    runtime: Runtime,
    graph: GraphContext,
    days: Sequence[date],
    *,
    assets: Sequence[str] = EVERYDAY,
    symbols: Sequence[str] = (),
) -> Outcome:
    """Return what came of running a rectangle of days; what could not be paid for is noted to be resumed."""
    engine = Engine(
        repository=context.repository_def, instance=context.instance, budget_planner=budget_planner(runtime)
    )
    nodes = asset_nodes(context.repository_def)
    try:
        outcome = engine.run(rectangle(graph, nodes, days=days, assets=assets, symbols=symbols))
    except RunFailed as failure:
        message = f"{failure.asset}: {failure}"
        raise dg.Failure(message, metadata={"run": failure.run_id}, allow_retries=False) from failure
    pending.note(context.instance, days, outcome, assets=assets, symbols=symbols)
    return outcome


def resume_pending(runtime: Runtime) -> dg.JobDefinition:
    """Return the job that takes up every range that outran its budget, as far as today's budget goes."""
    graph = graph_context(runtime.settings)

    @dg.op(name="resume")
    def resume(context: dg.OpExecutionContext) -> None:
        """Run what waits, earliest asked first; what is paid for already costs nothing."""
        made = 0
        for entry in pending.waiting(context.instance):
            days = sessions_asked(graph, entry.first, entry.last, at=runtime.clock())
            made += _made(context, runtime, graph, days, assets=entry.assets, symbols=entry.symbols).made
        left = sum(len(calendar.sessions(p.first, p.last)) for p in pending.waiting(context.instance))
        context.add_output_metadata({"made": made, "sessions_still_waiting": left})

    @dg.job(name="resume_pending", description="Ranges that outran the call budget, taken up again.")
    def job() -> None:
        resume()

    return job


def resume_backfill(runtime: Runtime) -> dg.SensorDefinition:
    """Return the sensor that takes up a range that waits for money once its next session can be paid for."""

    @dg.sensor(
        name="resume_backfill",
        job_name="resume_pending",
        minimum_interval_seconds=300,
        description="Resumes ranges that outran the call budget, when the budget day has turned.",
    )
    def resume_backfill(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        entries, planner = pending.waiting(context.instance), budget_planner(runtime)
        if not entries or planner is None:
            return dg.SkipReason("nothing waits for the call budget.")
        first = entries[0].first
        if (payment_plan := planner.payment_plan([first])).pending:
            return dg.SkipReason(f"{first} still waits: {payment_plan.why}")
        return dg.RunRequest(run_key=f"resume-{first}-{planner.today}")

    return resume_backfill


def after_the_close(runtime: Runtime) -> dg.ScheduleDefinition:
    """Return the schedule that asks for today's session at 18:30 New York time, and for nothing on a holiday."""

    @dg.schedule(
        name="after_the_close",
        job_name="daily_refresh",
        cron_schedule=CLOSE_OF_BUSINESS,
        execution_timezone=calendar.ZONE,
        description="Today's session, once it has closed; holidays ask for nothing.",
    )
    def after_the_close(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.date()
        if not calendar.sessions(day, day):
            return dg.SkipReason(f"{day} is no session.")
        return _off_the_grid(runtime, day) or _request(day)

    return after_the_close


def new_session(runtime: Runtime) -> dg.SensorDefinition:
    """Return the sensor that asks for the newest closed session when its portfolio is not there yet."""

    @dg.sensor(
        name="new_session",
        job_name="daily_refresh",
        minimum_interval_seconds=300,
        description="The newest closed session, if it has not been made: catches up after a night without a daemon.",
    )
    def new_session(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = last_closed_session(runtime.clock())
        if skipped := _off_the_grid(runtime, day):
            return skipped
        made = context.instance.get_materialized_partitions(dg.AssetKey(["backtest", "portfolio"]))
        if day.isoformat() in made:
            return dg.SkipReason(f"{day} is there.")
        return _request(day)

    return new_session


def _off_the_grid(runtime: Runtime, day: date) -> dg.SkipReason | None:
    data = runtime.settings.data
    if day < data.start_date or (data.end_date and day > data.end_date):
        return dg.SkipReason(f"{day} lies outside the grid of profile {runtime.settings.profile}.")
    return None


def _request(day: date) -> dg.RunRequest:
    config = {"ops": {"run_rectangle": {"config": {"day": day.isoformat()}}}}
    return dg.RunRequest(run_key=f"session-{day}", run_config=config, tags={"timegpt_assets/session": day.isoformat()})
