"""Retention by itself: what old runs logged is let go. There is a schedule where automation.forget_events_at says when.

Belongs here: the job and its schedule. What is let go and what stays is instance/old_events.py.
"""

from datetime import timedelta

import dagster as dg

from timegpt_assets.core import calendar
from timegpt_assets.instance.old_events import forget
from timegpt_assets.runtime import Runtime

JOB = "forget_events"


def forget_events(runtime: Runtime) -> dg.JobDefinition:
    """Return the job that does what the verb forget-events does, on the instance that runs it."""

    @dg.op(name="let_go_of_old_events")
    def let_go_of_old_events(context: dg.OpExecutionContext) -> None:
        """Let go of what runs older than automation.keep_events_days logged; what they made stays recorded."""
        now, days = runtime.clock(), runtime.settings.automation.keep_events_days
        runs, events = forget(context.instance, before=now - timedelta(days=days), now=now)
        context.add_output_metadata({"runs": runs, "events": events, "older_than_days": days})

    @dg.job(name=JOB, description="Lets go of what old runs logged; what they made stays recorded.")
    def job() -> None:
        let_go_of_old_events()

    return job


def at_its_time(runtime: Runtime) -> list[dg.ScheduleDefinition]:
    """Return the schedule, on from the start: who sets when has asked for it; none where nothing is set."""
    if (when := runtime.settings.automation.forget_events_at) is None:
        return []
    return [
        dg.ScheduleDefinition(
            name="forget_old_events",
            job_name=JOB,
            cron_schedule=when,
            execution_timezone=calendar.ZONE,
            description="Lets go of what runs older than automation.keep_events_days logged.",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
    ]
