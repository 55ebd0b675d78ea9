"""Letting go of what old runs logged on their way, and of nothing that says what is there.

Belongs here: which events stay. What was made, checked and observed, and how each run ended, is kept for ever: the
engine, the UI's assets and what traces a number back read that. Lineage lies beside the tables and is not touched.
"""

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa
from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, EVENT_TYPE_TO_PIPELINE_RUN_STATUS
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

from timegpt_assets.instance.empty_log import shrink

FORGOTTEN = "timegpt_assets/events"
"""Tag of a run whose events were let go, and when: whoever opens it in the UI sees why its log is short."""
ENDS = {kind.value for kind in EVENT_TYPE_TO_PIPELINE_RUN_STATUS}
PAGE_BYTES = 512
"""Of a page. Each of the 25 tables and indexes of a run's file is one at least, and SQLite's own page has 4,096."""
KEPT = ENDS | {kind.value for kind in (*ASSET_EVENTS, *ASSET_CHECK_EVENTS)}


def forget(instance: DagsterInstance, *, before: datetime, now: datetime) -> tuple[int, int]:
    """Let go of the events of runs created before a moment and over; return how many runs and events that were."""
    storage, runs, events = instance.event_log_storage, 0, 0
    if not isinstance(storage, SqlEventLogStorage):
        return 0, 0
    for run in list(_old(instance, before)):
        events += _deleted(storage, run.run_id)
        instance.add_run_tags(run.run_id, {FORGOTTEN: f"let go on {now:%Y-%m-%d}"})
        runs += 1
    return runs, events


def _old(instance: DagsterInstance, before: datetime) -> Iterator[DagsterRun]:
    filters = RunsFilter(statuses=list(FINISHED_STATUSES), created_before=before)
    for record in instance.get_run_records(filters):
        if FORGOTTEN not in record.dagster_run.tags:
            yield record.dagster_run


def _deleted(storage: SqlEventLogStorage, run_id: str) -> int:
    """Delete a run's events but those kept; on SQLite a run has a file of its own, and all assets' events another."""
    has_own_file = isinstance(storage, SqliteEventLogStorage)
    table, kept = SqlEventLogStorageTable, ENDS if has_own_file else KEPT
    # told apart from what has no kind: lines of a log have none
    others = table.c.dagster_event_type.is_(None) | table.c.dagster_event_type.not_in(kept)
    with storage.run_connection(run_id) as connection:
        count = connection.execute(sa.delete(table).where((table.c.run_id == run_id) & others)).rowcount
    if has_own_file:
        with storage.run_connection(run_id) as connection:
            driver = connection.connection.driver_connection
            assert driver is not None  # noqa: S101 - a connection that is open has one
            shrink(driver, PAGE_BYTES)
    return int(count)
