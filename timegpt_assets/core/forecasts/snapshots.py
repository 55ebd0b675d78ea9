"""When forecasts are asked: a preset's New York times turned into the snapshots of each session.

Belongs here: which snapshots exist and which are asked. A snapshot that is not asked stays a row and says why.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.core import calendar as trading_calendar
from timegpt_assets.core.calendar import ZONE, Session
from timegpt_assets.core.events import EventCalendar, skip_reason
from timegpt_assets.core.tables.forecasts import SNAPSHOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Named snapshot times (New York) with the windows they must lie in (ends included; none: anywhere)."""

    name: str
    times: tuple[time, ...]
    windows: tuple[tuple[time, time], ...] = ()
    max_per_day: int | None = None
    horizon_min: int | None = None
    """What the preset asks for; whoever resolves the settings decides whether it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSpec:
    """When forecasts are asked: the preset, how far ahead, on which days not, and how many in all since a day."""

    preset: Preset
    horizon_min: int
    calendar: EventCalendar
    skip_events: tuple[str, ...] = ()
    max_total: int | None = None
    since: date | None = None


def snapshots(days: Iterable[date], spec: SnapshotSpec) -> pl.DataFrame:
    """Return the SNAPSHOTS rows of the days, one per distinct time of the preset, earliest first.

    Times are taken in order until ``max_per_day`` are asked on a day and ``max_total`` in all, counted over every
    session from ``since`` on (the days given alone when it is None), so that a day is the same asked alone or in a
    range. Raises NotASession, UnknownEvent.
    """
    preset, horizon_min, rows, total = spec.preset, spec.horizon_min, [], 0
    wanted = sorted(set(days))
    counted = wanted
    if spec.max_total is not None and spec.since is not None and wanted:
        counted = sorted({*wanted, *(s.day for s in trading_calendar.sessions(spec.since, wanted[-1]))})
    for day in counted:
        session, today = trading_calendar.session(day), 0
        skipped = skip_reason(spec.calendar, day, spec.skip_events)
        for at in sorted(set(preset.times)):
            reason = (
                skipped
                or _impossible(session, at, preset, horizon_min)
                or _over("max_per_day", preset.max_per_day, today)
                or _over("max_total", spec.max_total, total)
            )
            today, total = today + (not reason), total + (not reason)
            rows.append((day, _utc(day, at), _utc(day, at) + timedelta(minutes=horizon_min), horizon_min, reason))
    columns = ["day", "snapshot_ts", "target_ts", "horizon_min", "reason"]
    schema = {name: SNAPSHOTS.schema[name] for name in columns}
    frame = pl.DataFrame(rows, schema=schema, orient="row").filter(pl.col("day").is_in(wanted))
    return SNAPSHOTS.conformed(frame.with_columns(preset=pl.lit(preset.name), asked=pl.col("reason") == ""))


def _impossible(session: Session, at: time, preset: Preset, horizon_min: int) -> str:
    snapshot, horizon = _utc(session.day, at), timedelta(minutes=horizon_min)
    if preset.windows and not any(start <= at <= end for start, end in preset.windows):
        return "outside the active windows"
    # Returns do not cross a session: the first over the whole horizon is known one horizon after the open.
    if snapshot < session.open + horizon:
        return f"earlier than {horizon_min} minutes after the open"
    if snapshot + horizon > session.close:
        return "target_ts passes the close"
    return ""


def _over(limit: str, most: int | None, asked: int) -> str:
    return f"over {limit} {most}" if most is not None and asked >= most else ""


def _utc(day: date, at: time) -> datetime:
    return datetime.combine(day, at, ZoneInfo(ZONE)).astimezone(ZoneInfo("UTC"))
