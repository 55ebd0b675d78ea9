"""Schedules, sensors and the job of the day: when the rectangle runs by itself.

Belongs here: triggers only. Which sessions a day brings along is engine/daily.py, how they run is engine/engine.py.
Every trigger makes what is not finished and skips what is there, so a day is never made twice and none is lost.
"""

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from typing import Any

import dagster as dg

from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.core import calendar
from timegpt_assets.engine import daily, pending
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import Engine, Outcome, RunFailed, asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import everyday, last_closed_session, sessions_asked
from timegpt_assets.instance.failures import Failed, said_plainly
from timegpt_assets.instance.internals import job_about
from timegpt_assets.instance.timeline import USER
from timegpt_assets.partitions import GraphContext, graph_context
from timegpt_assets.runtime import Runtime, now

SESSION = "timegpt_assets/session"
"""The run tag that names the session a daily run was asked for."""
JOB_RUN = "timegpt_assets/asked_by_run"
"""The run tag that names the job's run in which a run of assets was made."""
SCHEDULE, SENSOR = "dagster/schedule_name", "dagster/sensor_name"
"""The run tags by which the UI says who launched a run."""
RECTANGLE = "run_rectangle"


class SessionConfig(dg.Config):
    """The session a daily run makes."""

    day: str


def daily_refresh(whole_day: dg.OpDefinition, assets: Sequence[dg.AssetKey]) -> dg.JobDefinition:
    """Return the job that schedule and sensor launch, which the UI names with them on the pages of ``assets``."""

    @dg.graph(name="daily_refresh")
    def unattended() -> None:
        whole_day()

    return job_about(
        unattended,
        assets,
        description="What schedule and sensor launch: a session from bars to report, and recent unfinished ones. "
        "By hand, launch run_day: there a session is picked, or a range.",
    )


def run_day(whole_day: dg.OpDefinition, graph: GraphContext) -> dg.JobDefinition:
    """Return the same job for people, who pick its sessions in the UI: one, or a range."""

    @dg.job(
        name="run_day",
        config=dg.PartitionedConfig(graph.grid.trading_day, run_config_for_partition_key_fn=_config),
        description="A session from bars to report, and recent unfinished ones: pick it under Partitions, or a range.",
    )
    def picked() -> None:
        whole_day()

    return picked


def whole_day(runtime: Runtime) -> dg.OpDefinition:
    """Return the one op that makes a session, from bars to gates and report, through the rectangle."""
    graph = graph_context(runtime.settings)

    # one op that calls the engine: seven jobs chained by sensors took 75 s for a day, eager conditions minutes
    @dg.op(name=RECTANGLE)
    @said_plainly
    def run_rectangle(context: dg.OpExecutionContext, config: SessionConfig) -> None:
        """Make the session, and recent ones that are not finished or were missed; what is there is left alone."""
        day = date.fromisoformat(config.day)
        days = sessions_asked(runtime.settings, day, day, at=runtime.clock())
        engine = _engine(context, runtime)
        # a session that is asked for by hand when all is finished is still looked at
        days = daily.due(engine, day) or days
        outcome = _made(context, engine, graph, days)
        told = daily.sessions(engine, days, outcome)
        for session, said in told.items():
            context.log.info(f"{session}: {said}")
        context.log.info(f"{outcome.made} partitions made, {outcome.there} already there")
        notes = {"made": outcome.made, "already_there": outcome.there, "sessions": told}
        context.add_output_metadata(notes | ({"waits": outcome.why} if outcome.pending else {}))

    return run_rectangle


def _config(day: str) -> dict[str, Any]:
    return {"ops": {RECTANGLE: {"config": {"day": day}}}}


def _engine(context: dg.OpExecutionContext, runtime: Runtime) -> Engine:
    return Engine(
        runtime=runtime,
        repository=context.repository_def,
        instance=context.instance,
        tags=asked_by(context),
        budget_planner=budget_planner(runtime),
    )


def asked_by(context: dg.OpExecutionContext) -> dict[str, str]:
    """Return the tags that say of a job's runs of assets who asked for them: its schedule or sensor, else the job."""
    tags = context.run.tags
    named = {name: tags[name] for name in (SCHEDULE, SENSOR) if name in tags}
    return {JOB_RUN: context.run_id, **(named or {USER: tags.get(USER, f"job {context.job_name}")})}


def _made(
    context: dg.OpExecutionContext,
    engine: Engine,
    graph: GraphContext,
    days: Sequence[date],
    *,
    assets: Sequence[str] = (),
    symbols: Sequence[str] = (),
) -> Outcome:
    """Return what came of running a rectangle of days; what could not be made is noted to be taken up again."""
    nodes, assets = asset_nodes(context.repository_def), assets or everyday(graph.settings)
    try:
        outcome = engine.run(rectangle(graph, nodes, days=days, assets=assets, symbols=symbols))
    except RunFailed as failure:
        if not symbols:
            pending.note_failed(context.instance, days, f"{failure.asset}: {failure}", assets=assets)
        raise failed_run(failure) from None
    except MarketDataError as error:  # the source cannot be compared with what is stored of it
        raise Failed(str(error)) from None
    pending.note(context.instance, days, outcome, assets=assets, symbols=symbols)
    return outcome


def failed_run(failure: RunFailed) -> Failed:
    """Return what a job ends with when a run of assets has failed: its sentence, and the run to open."""
    return Failed(f"{failure.asset}: {failure}", {"run": dg.MetadataValue.dagster_run(failure.run_id)})


def resume_pending(runtime: Runtime) -> dg.JobDefinition:
    """Return the job that takes up every range that outran its budget, as far as today's budget goes."""
    graph = graph_context(runtime.settings)

    @dg.op(name="resume")
    def resume(context: dg.OpExecutionContext) -> None:
        """Run what waits, earliest asked first; what is paid for already costs nothing."""
        made, engine = 0, _engine(context, runtime)
        for entry in _unpaid(context.instance):
            days = sessions_asked(runtime.settings, entry.first, entry.last, at=runtime.clock())
            made += _made(context, engine, graph, days, assets=entry.assets, symbols=entry.symbols).made
        left = sum(len(calendar.sessions(p.first, p.last)) for p in _unpaid(context.instance))
        context.add_output_metadata({"made": made, "sessions_still_waiting": left})

    @dg.job(name="resume_pending", description="Ranges that outran the call budget, taken up again.")
    def job() -> None:
        resume()

    return job


def _unpaid(instance: dg.DagsterInstance) -> list[pending.Pending]:
    return [entry for entry in pending.waiting(instance) if entry.on == pending.CALLS]


def resume_backfill(runtime: Runtime) -> dg.SensorDefinition:
    """Return the sensor that takes up a range that waits for money once its next session can be paid for."""

    @dg.sensor(
        name="resume_backfill",
        job_name="resume_pending",
        minimum_interval_seconds=runtime.settings.automation.look_every_sec,
        description="Resumes ranges that outran the call budget, when the budget day has turned.",
    )
    def resume_backfill(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        entries, planner = _unpaid(context.instance), budget_planner(runtime)
        if not entries or planner is None:
            return dg.SkipReason("nothing waits for the call budget.")
        # the first alone is priced: a range is paid from its first day on
        first = entries[0].first
        if (payment_plan := planner.payment_plan([first])).pending:
            return dg.SkipReason(f"{first} still waits: {payment_plan.why}")
        # the budget day is in the key: asked for once on each, however often the sensor looks
        return dg.RunRequest(run_key=f"resume-{first}-{planner.today}")

    return resume_backfill


def after_the_close(runtime: Runtime) -> dg.ScheduleDefinition:
    """Return the schedule that asks for today's session after the close, and for nothing on a holiday."""

    # by hand: a schedule built from the partitioned job would ask for one run per symbol
    @dg.schedule(
        name="after_the_close",
        job_name="daily_refresh",
        cron_schedule=runtime.settings.automation.after_the_close,
        execution_timezone=calendar.ZONE,
        description="Today's session, once it has closed; holidays ask for nothing.",
    )
    def after_the_close(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = context.scheduled_execution_time.date()
        if not calendar.sessions(day, day):
            return dg.SkipReason(f"{day} is no session.")
        return _off_the_grid(runtime, day) or _request(day, f"session-{day}")

    return after_the_close


def new_session(runtime: Runtime) -> dg.SensorDefinition:
    """Return the sensor that asks for the newest closed session as long as it, or a recent one, is not finished.

    It asks once for each state of the source's files and of the clock (bars are due, or given up), so bars that come
    an hour or a day later are asked for when they are there; and again, after a while, when a run has failed.
    """

    rest = timedelta(seconds=runtime.settings.automation.retry_after_sec)

    @dg.sensor(
        name="new_session",
        job_name="daily_refresh",
        minimum_interval_seconds=runtime.settings.automation.look_every_sec,
        description="Recent sessions that are not finished: late bars, missed days, runs that failed.",
    )
    def new_session(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = last_closed_session(runtime.clock())
        if skipped := _off_the_grid(runtime, day):
            return skipped
        engine = Engine(runtime=runtime, repository=_repository(context), instance=context.instance)
        try:
            days = daily.due(engine, day)
            state = daily.state(runtime, days) if days else ""
        except (MarketDataError, ObjectStoreError, OSError) as error:
            return dg.SkipReason(f"the source cannot be read now: {error}")
        if not days:
            return dg.SkipReason(f"{day} and the sessions before it are complete.")
        # by tag and not by cursor: a run started by the schedule counts as a try of the same session
        failed = context.instance.get_run_records(
            dg.RunsFilter(job_name="daily_refresh", tags={SESSION: f"{day}"}, statuses=[dg.DagsterRunStatus.FAILURE])
        )
        if failed and now() - failed[0].update_timestamp.replace(tzinfo=UTC) < rest:
            return dg.SkipReason(f"{day}: the last run failed just now; it is tried again in a while.")
        # Dagster runs a key once: without state and failures in it late bars and failed days would be lost
        return _request(day, f"session-{day}-{state}-{len(failed)}")

    return new_session


def _repository(context: dg.SensorEvaluationContext) -> dg.RepositoryDefinition:
    if (repository := context.repository_def) is None:
        raise dg.DagsterInvariantViolationError("the sensor new_session was evaluated outside its repository.")
    return repository


def _off_the_grid(runtime: Runtime, day: date) -> dg.SkipReason | None:
    data = runtime.settings.data
    if day < data.start_date or (data.end_date and day > data.end_date):
        return dg.SkipReason(f"{day} lies outside the grid of profile {runtime.settings.profile}.")
    return None


def _request(day: date, run_key: str) -> dg.RunRequest:
    said = day.isoformat()
    return dg.RunRequest(run_key=run_key, run_config=_config(said), tags={SESSION: said})
