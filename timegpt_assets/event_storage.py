"""Dagster's SQLite event log: batches in one transaction per database, and slots of pools that the dead do not hold.

Belongs here: nothing but that. Select it in dagster.yaml; the files are those of the stock storage, their events packed
(instance/packed_events.py has the road back):

    event_log_storage:
      module: timegpt_assets.event_storage
      class: BatchedSqliteEventLogStorage

Dagster makes batches only where ``DAGSTER_EVENT_BATCH_SIZE`` (use 1000) is in the environment of the process.
It stands on private methods of one Dagster version; on any other the stock storage is used, with a warning.
"""

import logging
import os
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster
from dagster import AssetCheckEvaluation, Field, StringSource
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    DagsterEventType,
)
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, AssetKeyTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._record import copy
from dagster._serdes import ConfigurableClassData, serialize_value
from dagster._utils.concurrency import ConcurrencyClaimStatus
from sqlalchemy import Connection, Engine, ScalarSelect, and_, func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.pool import QueuePool

from timegpt_assets.instance import empty_log, packed_events, run_owners

HOMELESS = ".dagster/homeless"
"""Where events go when a tool (``dg check defs``) opens an instance of its own without a DAGSTER_HOME."""
DAGSTER_VERSION = "1.13.27"
"""The version whose private methods were read, and against which the tests compare row by row."""

LOOKED_EVERY_SEC, SAID_EVERY_SEC = 1.0, 60.0
"""How often a step that waits for a slot looks again, and says for whom it waits."""

HELD = 8
"""Databases that are held open: the index, and those of the last runs."""

TOGETHER = "Judged together with the run's other partitions: the run's own evaluation has the figures."
_MIRRORED = (ASSET_EVENTS, ASSET_CHECK_EVENTS, EVENT_TYPE_TO_PIPELINE_RUN_STATUS)


class BatchedSqliteEventLogStorage(SqliteEventLogStorage):
    """SqliteEventLogStorage whose batches leave the same rows with one transaction per database.

    And whose slots of pools are not held by the dead.
    """

    _silent_until = 0.0

    @cached_property
    def _held(self) -> dict[str, tuple[Engine, tuple[int, int] | None]]:
        return {}

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """Yield the one connection that a database has here, which is open until others are asked for more.

        Stock opens and closes one each time. With the last of them SQLite clears its log away, and a run writes to its
        database seven hundred times, and asks the index two thousand.
        """
        with self._db_lock:
            engine, there = self._held.pop(shard, (None, None))
            # a file that was put back, or taken away: what is held open has no name any more
            if engine and _number(self.path_for_shard(shard)) != there:
                engine.dispose()
                engine = None
            engine = engine or self._engine(shard)
            if shard not in self._initialized_dbs:
                if not empty_log.place(Path(self.path_for_shard(shard))):
                    self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.connect() as connection, connection.begin():
                self._hold(shard, engine)
                yield connection

    def _hold(self, shard: str, engine: Engine) -> None:
        self._held[shard] = engine, _number(self.path_for_shard(shard))
        while len(self._held) > HELD:
            longest = next(name for name in self._held if name != INDEX_SHARD_NAME)
            self._held.pop(longest)[0].dispose()

    def _engine(self, shard: str) -> Engine:
        # one is enough, for stock's lock has them take turns; stock's making of tables alone takes more at once
        return create_engine(
            self.conn_string_for_shard(shard),
            poolclass=QueuePool,
            pool_size=1,
            max_overflow=-1,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )

    def dispose(self) -> None:
        """Let go of the files too."""
        with self._db_lock:
            while self._held:
                self._held.popitem()[1][0].dispose()
        super().dispose()

    @classmethod
    def config_type(cls) -> dict[str, Field]:
        """Return the configuration: the folder that holds dagster.yaml, by default the environment's DAGSTER_HOME."""
        about = "DAGSTER_HOME; shards lie in history/runs as stock's do"
        return {"home": Field(StringSource, is_required=False, description=about)}

    @classmethod
    def from_config_value(  # type: ignore[override]  # the stock one is not a subclass of this one
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> SqliteEventLogStorage:
        """Return the storage of that home: this one on the pinned Dagster, else the stock one with a warning."""
        home = config_value.get("home") or os.environ.get("DAGSTER_HOME", HOMELESS)
        base_dir = str(Path(home) / "history" / "runs")
        packed_events.pack_events()
        # made here: the stock method builds the stock class, whatever class is asked
        if dagster.__version__ == DAGSTER_VERSION:
            return cls(base_dir, inst_data)
        warnings.warn(
            f"Dagster is {dagster.__version__}, timegpt_assets.event_storage knows {DAGSTER_VERSION}: events are "
            f"written by the stock storage, one by one. Install dagster=={DAGSTER_VERSION} to write them in batches.",
            stacklevel=2,
        )
        return SqliteEventLogStorage(base_dir, inst_data)

    def store_event(self, event: EventLogEntry) -> None:
        """Store the event as stock does, and have whoever watches the run see it."""
        super().store_event(event)
        self._told(event.run_id)

    def _told(self, run_id: str) -> None:
        """Touch a run's database once its events can be read.

        The UI reads a run on when that file changes, and what a connection that stays open writes lies beside it.
        """
        with suppress(FileNotFoundError):  # the run was deleted meanwhile
            os.utime(self.path_for_shard(run_id))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the events: each run's shard, then what is queried across runs in the index, as ``store_event`` does.

        As with stock, a process that dies between the two leaves the shard ahead of the index.
        """
        rows = [(event, self._event_to_row(event)) for event in events]
        # a run has a database of its own: one transaction for each
        for run_id in dict.fromkeys(event.run_id for event in events):
            with self.run_connection(run_id) as connection:
                _insert(connection, [row for event, row in rows if event.run_id == run_id])
            self._told(run_id)
        mirrored = [(event, row) for event, row in rows if _is_any(event, *_MIRRORED)]
        if not mirrored:
            return
        with self.index_connection() as connection:
            ids = _insert(connection, [row for _, row in mirrored])
            stored = list(zip(ids, (event for event, _ in mirrored), strict=True))
            self._store_assets(connection, [(i, event) for i, event in stored if _is_any(event, ASSET_EVENTS)])
        # after the transaction: these open a connection of their own, and SQLite lets one write at a time
        for event_id, event in stored:
            if _is_any(event, ASSET_CHECK_EVENTS):
                self.store_asset_check_event(event, event_id)

    def claim_concurrency_slot(
        self, concurrency_key: str, run_id: str, step_key: str, priority: int | None = None
    ) -> ConcurrencyClaimStatus:
        """Claim a slot as stock does; where it is held, free what the dead hold, say who lives, and rest a moment.

        Stock leaves the slot to a killed run for ever and asks again without a pause, a core at full load.
        """
        status = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        if not status.is_claimed and self.has_instance:
            for line in run_owners.free_dead(self._instance):
                self._say(run_id, line)
            status = super().claim_concurrency_slot(concurrency_key, run_id, step_key, priority)
        if status.is_claimed or not self.has_instance:
            return status
        if time.monotonic() >= self._silent_until:
            self._silent_until = time.monotonic() + SAID_EVERY_SEC
            held = run_owners.holders(self._instance, concurrency_key, but=run_id) or "a run that just ended"
            self._say(run_id, f"waits for {held}: it holds pool {concurrency_key}, and lives.")
        time.sleep(LOOKED_EVERY_SEC)
        # slept here already: the loop that asks need not wait as well
        resting: ConcurrencyClaimStatus = status.with_sleep_interval(0.0)
        return resting

    def _say(self, run_id: str, line: str) -> None:
        """Say it where a person looks: in the run's own log, and to whoever started it."""
        logging.getLogger("timegpt_assets").warning("run %s: %s", run_id[:8], line)
        if run := self._instance.get_run_by_id(run_id):
            self._instance.report_engine_event(line, run)

    def _store_asset_check_evaluation_planned(self, event: EventLogEntry, event_id: int | None) -> None:
        """Write the row of each planned partition of a check, as stock does, without the list of all in every row.

        Stock repeats the whole event, which names every partition of the range, in the row of each: minutes and
        hundreds of megabytes for 3,000. The event log has the list once.
        """
        planned = event.get_dagster_event().asset_check_planned_data
        subset = planned.partitions_subset
        if subset is None or len(subset) < 2:
            super()._store_asset_check_evaluation_planned(event, event_id)
            return
        # the list of all partitions, in the row of each, grows with the square of the range (docs/adr/0010)
        plain = event.get_dagster_event()._replace(event_specific_data=copy(planned, partitions_subset=None))
        common = {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(event._replace(dagster_event=plain)),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]  # Dagster's own
            "evaluation_event_storage_id": event_id,
        }
        rows = [common | {"partition": str(key)} for key in subset.get_partition_keys()]
        with self.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.insert(), rows)

    def _update_asset_check_evaluation(self, event: EventLogEntry, event_id: int | None) -> None:
        """Write an evaluation's row as stock does; one of a whole range then stands for its partitions, too.

        Stock leaves their planned rows as they are, and the UI calls the check of each of them skipped. Where the check
        named partitions that failed (an evaluation of their own, before this one), the others passed.
        """
        super()._update_asset_check_evaluation(event, event_id)
        evaluation: AssetCheckEvaluation = event.get_dagster_event().asset_check_evaluation_data
        if evaluation.partition is not None:
            return
        table, row = AssetCheckExecutionsTable, AssetCheckExecutionsTable.c
        of_check = (row.asset_key == evaluation.asset_key.to_string(), row.check_name == evaluation.check_name)
        own = and_(*of_check, row.run_id == event.run_id, row.partition.is_not(None))
        failed, planned = AssetCheckExecutionRecordStatus.FAILED.value, AssetCheckExecutionRecordStatus.PLANNED.value
        with self.index_connection() as connection:
            named = connection.execute(select(row.id).where(own, row.execution_status == failed).limit(1)).first()
            passed = evaluation.passed or named is not None
            said = {
                "execution_status": AssetCheckExecutionRecordStatus.SUCCEEDED.value if passed else failed,
                "evaluation_event": serialize_value(_of_each_partition(event, evaluation, passed=passed)),
                "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]  # Dagster's own
                "evaluation_event_storage_id": event_id,
            }
            connection.execute(update(table).where(own, row.execution_status == planned).values(said))
            connection.execute(
                update(table)
                .where(own, row.materialization_event_storage_id.is_(None))
                .values(materialization_event_storage_id=_newest_materialization())
            )

    def _store_assets(self, connection: Connection, stored: Sequence[tuple[int, EventLogEntry]]) -> None:
        """Write the tags of each event, and each asset's row once, as its last event of each type leaves it."""
        self._store_asset_event_tags(connection, [event for _, event in stored], [event_id for event_id, _ in stored])
        has_columns = self._has_asset_key_index_cols_on_connection(connection)
        # the last of each type: written one after the other, the earlier ones would be overwritten anyway
        last = {(_asset(event), event.dagster_event_type): (event_id, event) for event_id, event in stored}
        values: dict[str, dict[str, Any]] = {_asset(event): {} for _, event in stored}
        for (asset, _), (event_id, event) in sorted(last.items(), key=lambda item: item[1][0]):
            values[asset] |= self._get_asset_entry_values(event, event_id, has_columns)
        for asset, changed in values.items():
            if changed:
                row = insert(AssetKeyTable).values(asset_key=asset, **changed)
                connection.execute(row.on_conflict_do_update(index_elements=["asset_key"], set_=changed))


def _of_each_partition(event: EventLogEntry, evaluation: AssetCheckEvaluation, *, passed: bool) -> EventLogEntry:
    """Return the range's evaluation as it stands beside each partition: without the range's figures."""
    plain = copy(evaluation, passed=passed, metadata={}, description=TOGETHER)
    return event._replace(dagster_event=event.get_dagster_event()._replace(event_specific_data=plain))


def _number(path: str) -> tuple[int, int] | None:
    """Return device and number of the file of a name; None where there is none."""
    with suppress(FileNotFoundError):
        found = Path(path).stat()
        return found.st_dev, found.st_ino
    return None


def _newest_materialization() -> ScalarSelect[int]:
    """Return the query, beside a row of a check's partition, for what the check looked at: the UI asks for it."""
    log, row = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    kind = DagsterEventType.ASSET_MATERIALIZATION.value
    of_row = (log.asset_key == row.asset_key, log.dagster_event_type == kind, log.partition == row.partition)
    return select(func.max(log.id)).where(*of_row).correlate(AssetCheckExecutionsTable).scalar_subquery()


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> list[int]:
    """Insert the rows, and return their ids in the same order."""
    event_id = SqlEventLogStorageTable.c.id
    statement = insert(SqlEventLogStorageTable).returning(event_id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())


def _is_any(event: EventLogEntry, *kinds: Collection[DagsterEventType]) -> bool:
    return any(event.dagster_event_type in kind for kind in kinds)


def _asset(event: EventLogEntry) -> str:
    key = event.get_dagster_event().asset_key
    if key is None:
        raise ValueError(f"{event.dagster_event_type} of run {event.run_id} names no asset: report it to Dagster.")
    return key.to_string()
