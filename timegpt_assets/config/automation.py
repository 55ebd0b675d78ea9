"""The section about what starts by itself: when the schedule asks, how often sensors look.

Belongs here: automation. What each key means stands in configs/automation.yaml.
"""

from typing import Annotated

from pydantic import Field

from timegpt_assets.config.base import PLACE, Count, Section

# as Dagster takes owners: a team, or somebody's address
Owner = Annotated[str, Field(pattern=r"^(team:[A-Za-z0-9_-]+|[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+[.][A-Za-z0-9.-]+)$"), PLACE]
Cron = Annotated[str, Field(pattern=r"^\S+( \S+){4}$"), PLACE]


class WeeklyGrid(Section):
    """The forecast grid that is made once a week, where its schedule is switched on."""

    at: Cron
    file: Annotated[str, Field(min_length=1), PLACE]
    sessions: Annotated[Count, PLACE]


class Automation(Section):
    """When schedule and sensors ask; no number depends on it."""

    owners: tuple[Owner, ...]
    after_the_close: Cron
    look_every_sec: Annotated[Count, PLACE]
    retry_after_sec: Annotated[Count, PLACE]
    backfill_days: Annotated[Count | None, PLACE]
    keep_events_days: Annotated[Count, PLACE]
    forget_events_at: Annotated[Cron | None, PLACE]
    forecast_grid: WeeklyGrid
