"""What should be there by when, of each system that runs by itself: sessions, their news, prediction markets.

Belongs here: the moment by which each is due, and how it stands. A system is watched from the first time it ran by
itself on; what nobody switched on is not missed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core import calendar
from timegpt_assets.core.tables.tsfm import MARKETS
from timegpt_assets.engine import daily
from timegpt_assets.engine.engine import Engine
from timegpt_assets.engine.stages import last_closed_session

DAILY, CYCLE = ("daily_refresh", "resume_pending"), "tsfm_cycle"
RAW_NEWS, TSFM_MARKETS = "news/raw_news", "tsfm/markets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One thing that should be there by a moment: how it stands, and whether it is missed at ``at``."""

    what: str
    by: datetime
    state: str
    is_there: bool
    at: datetime

    @property
    def is_overdue(self) -> bool:
        """Return whether it should be there, and is not."""
        return not self.is_there and self.at >= self.by


def due(engine: Engine) -> list[Due]:
    """Return what is watched, oldest first: the recent sessions, their news, the newest look at prediction markets."""
    return [*_sessions(engine), *_cycles(engine)]


def _began(engine: Engine, *jobs: str) -> datetime | None:
    """Return when one of the jobs ran first; None where none did."""
    asked = (dg.RunsFilter(job_name=job) for job in jobs)
    first = [record for one in asked for record in engine.instance.get_run_records(one, limit=1, ascending=True)]
    return min((record.create_timestamp.replace(tzinfo=UTC) for record in first), default=None)


def _sessions(engine: Engine) -> Iterator[Due]:
    runtime, at = engine.runtime, engine.runtime.clock()
    newest = last_closed_session(at)
    began = _began(engine, *DAILY)
    if began is None or newest < runtime.settings.data.start_date:
        return
    after = timedelta(minutes=runtime.settings.alarms.session_due_min)
    there = {*ParquetStore(runtime.storage).files(RAW_NEWS)} if runtime.settings.news.sources else None
    for day, state in daily.standing(engine, newest).items():
        # what was over before anything ran by itself is made up, and was not missed
        by = max(calendar.session(day).close, began) + after
        done = state == daily.COMPLETE
        yield Due(what=f"session {day}", by=by, state=state, is_there=done, at=at)
        if there is not None:
            made = str(day) in there
            yield Due(what=f"news {day}", by=by, state="there" if made else "not made", is_there=made, at=at)


def _cycles(engine: Engine) -> Iterator[Due]:
    runtime, at = engine.runtime, engine.runtime.clock()
    if (began := _began(engine, CYCLE)) is None:
        return
    settings, seen = runtime.settings.tsfm, _seen(ParquetStore(runtime.storage))
    if settings.end_date and at.astimezone(UTC).date() > settings.end_date:
        return
    since = seen or began
    # one more: the next cycle is not missed before it could have been looked at
    by = since + timedelta(minutes=settings.cycle_min * (runtime.settings.alarms.tsfm_cycles_missed + 1))
    state = f"last looked at {seen:%Y-%m-%d %H:%M} UTC" if seen else "never looked at"
    yield Due(what="prediction markets", by=by, state=state, is_there=at < by, at=at)


def _seen(store: ParquetStore) -> datetime | None:
    """Return the newest snapshot of prediction markets that is stored."""
    empty = MARKETS.empty()
    days = [date.fromisoformat(day) for day in store.files(TSFM_MARKETS)]
    for day in sorted(days, reverse=True)[:2]:  # a day that has just begun may have no snapshot yet
        found = store.read(TSFM_MARKETS, [str(day)], missing="ok", columns=["as_of"], empty=empty.select("as_of"))
        if found.height:
            newest: datetime = max(found["as_of"].to_list())
            return newest
    return None
