"""The batched event log against Dagster's own, row by row in every table of every database."""

import json
import random
import re
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import BATCH_WRITABLE_EVENTS, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._daemon.types import DaemonHeartbeat
from dagster._utils.error import SerializableErrorInfo
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from timegpt_assets import event_storage
from timegpt_assets.config.redaction import Redaction
from timegpt_assets.event_storage import DAGSTER_VERSION, BatchedSqliteEventLogStorage
from timegpt_assets.instance import packed_events
from timegpt_assets_tests.adapters import postgres

pytestmark = pytest.mark.filterwarnings(
    "ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning", "ignore:unclosed database:ResourceWarning"
)

BATCHED = """
event_log_storage:
  module: timegpt_assets.event_storage
  class: BatchedSqliteEventLogStorage
  config:
    home:
      env: DAGSTER_HOME
"""
Tables = dict[str, list[tuple[Any, ...]]]


@contextmanager
def home(folder: Path, monkeypatch: pytest.MonkeyPatch, yaml: str = BATCHED) -> Iterator[dg.DagsterInstance]:
    """Yield the instance of a new DAGSTER_HOME, made from its dagster.yaml as every process makes it."""
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(yaml + "telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with dg.DagsterInstance.get() as instance:
        yield instance


def grid() -> dg.MultiPartitionsDefinition:
    """Return six days x eight symbols."""
    days = dg.DailyPartitionsDefinition(start_date="2025-01-01", end_date="2025-01-07")
    return dg.MultiPartitionsDefinition({"day": days, "symbol": dg.StaticPartitionsDefinition(list("ABCDEFGH"))})


def job(passed: bool = True, named: Sequence[str] = ()) -> dg.JobDefinition:
    """Return two assets of six days x eight symbols, a check of the second, and a third without partitions."""

    @dg.asset(partitions_def=grid())
    def first(context: dg.AssetExecutionContext) -> None:
        for key in context.partition_keys:
            context.add_asset_metadata({"key": key}, partition_key=key)

    @dg.asset(partitions_def=grid(), deps=[first])
    def second(context: dg.AssetExecutionContext) -> None:
        context.log_event(dg.AssetObservation("first", partition=context.partition_keys[0]))

    @dg.asset
    def alone() -> None:
        pass

    @dg.asset_check(asset=second, partitions_def=grid())
    def check() -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
        for bad in named:
            yield dg.AssetCheckEvaluation(dg.AssetKey("second"), "check", False, {"why": "late"}, partition=bad)
        yield dg.AssetCheckResult(passed=passed, metadata={"rows": 96})

    return dg.Definitions(assets=[first, second, alone], asset_checks=[check]).resolve_implicit_global_asset_job_def()


def run(
    instance: dg.DagsterInstance,
    *assets: str,
    first: str = "2025-01-01|A",
    last: str = "2025-01-06|H",
    of: dg.JobDefinition | None = None,
) -> str:
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    selection = [dg.AssetKey(asset) for asset in assets]
    return (
        (of or job())
        .execute_in_process(instance=instance, asset_selection=selection, tags={} if "alone" in assets else tags)
        .run_id
    )


def as_text(cell: Any) -> Any:
    return packed_events.unpacked(cell) if isinstance(cell, bytes) else cell


def rows(base_dir: Path) -> Tables:
    """Return every row of every table, by database and table, events as text; the database's clock is left out."""
    found: Tables = {}
    for path in sorted(base_dir.glob("*.db")):
        with closing(sqlite3.connect(path)) as connection:
            names = [n for (n,) in connection.execute("select name from sqlite_master where type = 'table' order by 1")]
            for name in names:
                columns = [c for _, c, *_ in connection.execute(f"pragma table_info({name})")]
                kept = ", ".join(f'"{c}"' for c in columns if c not in ("create_timestamp", "migration_completed"))
                stored = connection.execute(f"select {kept} from {name}").fetchall()  # noqa: S608
                found[f"{path.stem}.{name}"] = [tuple(map(as_text, row)) for row in stored]
    return found


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> list[list[EventLogEntry]]:
    """Return what three real runs hand to the storage, in order: batches, and single events as lists of one."""
    handed: list[list[EventLogEntry]] = []
    store_event, store_event_batch = SqliteEventLogStorage.store_event, BatchedSqliteEventLogStorage.store_event_batch

    def one(self: SqliteEventLogStorage, event: EventLogEntry) -> None:
        handed.append([event])
        store_event(self, event)

    def many(self: BatchedSqliteEventLogStorage, events: Sequence[EventLogEntry]) -> None:
        handed.append(list(events))
        store_event_batch(self, events)

    with pytest.MonkeyPatch.context() as patch, home(tmp_path_factory.mktemp("home"), patch) as instance:
        patch.setattr(BatchedSqliteEventLogStorage, "store_event", one)
        patch.setattr(BatchedSqliteEventLogStorage, "store_event_batch", many)
        run(instance, "first", "second")
        run(instance, "alone")
        run(instance, "first", "second", first="2025-01-03|B", last="2025-01-04|C")
    return handed


def replayed(
    folder: Path, make: Callable[[str], SqliteEventLogStorage], batches: Sequence[Sequence[EventLogEntry]]
) -> Tables:
    """Return the rows that a new storage holds after it was handed these batches."""
    storage = make(str(folder))
    for events in batches:
        if len(events) == 1:
            storage.store_event(events[0])
        else:
            storage.store_event_batch(events)
    storage.dispose()
    return rows(folder)


EXECUTIONS = "index.asset_check_executions"


def without_lists(tables: Tables) -> Tables:
    """Return the rows with the list of a check's planned partitions, which stock repeats in each of them, taken out."""

    def plain(cell: Any) -> Any:
        if not (isinstance(cell, str) and '"AssetCheckEvaluationPlanned"' in cell):
            return cell
        event = json.loads(cell)
        event["dagster_event"]["event_specific_data"]["partitions_subset"] = None
        return json.dumps(event, sort_keys=True)

    return tables | {EXECUTIONS: [tuple(map(plain, row)) for row in tables[EXECUTIONS]]}


def without_partitions(tables: Tables) -> Tables:
    """Return the rows without what a check's range says of its partitions, which stock leaves planned."""
    return tables | {EXECUTIONS: [row[:5] if row[3] else row for row in tables[EXECUTIONS]]}


def only_planned(batches: Sequence[Sequence[EventLogEntry]]) -> list[list[EventLogEntry]]:
    """Return the batches without evaluations: what a run leaves that dies before its checks."""
    kept = [
        [
            e
            for e in batch
            if not (e.is_dagster_event and e.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION)
        ]
        for batch in batches
    ]
    return [batch for batch in kept if batch]


def test_every_row_of_every_table_equals_the_stock_storages(tmp_path: Path, batches: list[list[EventLogEntry]]) -> None:
    stock = replayed(tmp_path / "stock", SqliteEventLogStorage, batches)
    batched = replayed(tmp_path / "batched", BatchedSqliteEventLogStorage, batches)

    assert max(map(len, batches)) >= 96, "no large batch was written, so nothing was compared"
    assert {"ASSET_CHECK_EVALUATION_PLANNED", "ASSET_OBSERVATION"} <= {row[3] for row in stock["index.event_logs"]}
    assert len(stock["index.event_logs"]) > 200
    assert len(stock["index.asset_event_tags"]) > 200
    assert len(stock["index.asset_keys"]) == 3
    assert stock[EXECUTIONS]
    assert batched.keys() == stock.keys()
    for table, expected in without_partitions(stock).items():
        assert without_partitions(batched)[table] == expected, table


def test_what_is_planned_equals_the_stock_storages_but_for_the_list_in_every_row(
    tmp_path: Path, batches: list[list[EventLogEntry]]
) -> None:
    stock = replayed(tmp_path / "stock", SqliteEventLogStorage, only_planned(batches))
    batched = replayed(tmp_path / "batched", BatchedSqliteEventLogStorage, only_planned(batches))
    lists = [cell for row in stock[EXECUTIONS] for cell in row if "2025-01-03|C" in str(cell)]
    assert len(lists) > 10, "stock repeats the range in every row"
    assert not [row for row in batched[EXECUTIONS] if "PartitionsSubset" in str(row)]
    assert without_lists(batched) == without_lists(stock)


@pytest.mark.parametrize(
    ("passed", "named", "failed"),
    [(True, [], set()), (False, ["2025-01-02|C", "2025-01-05|H"], {"2025-01-02|C", "2025-01-05|H"}), (False, [], None)],
)
def test_a_check_of_a_range_is_told_of_each_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: bool, named: list[str], failed: set[str] | None
) -> None:
    """Stock calls all of them skipped; None: no partition was named, so that the range's failure is everybody's."""
    key = dg.AssetCheckKey(dg.AssetKey("second"), "check")
    with home(tmp_path / "home", monkeypatch) as instance:
        run(instance, "first", "second", of=job(passed, named))
        run(instance, "first", "second", first="2025-01-06|H", of=job())
        told = instance.event_log_storage.get_asset_check_state([(key, grid())])[key].subsets
        of = {
            status.name: {str(k) for k in subset.subset_value.get_partition_keys()} for status, subset in told.items()
        }
        everybody = set(grid().get_partition_keys())
        want = everybody - {"2025-01-06|H"} if failed is None else failed
        assert {status: keys for status, keys in of.items() if keys} == {
            status: keys for status, keys in (("FAILED", want), ("SUCCEEDED", everybody - want)) if keys
        }
        last = instance.event_log_storage.get_asset_check_execution_history(key, limit=100)
        ours = [one.evaluation for one in last if one.partition == "2025-01-03|C"]
        assert [one.description for one in ours if one] == [event_storage.TOGETHER]
        assert [dict(one.metadata) for one in ours if one] == [{}], "96 rows are the range's, not the partition's"


def test_batches_of_mixed_assets_types_and_runs_leave_the_same_rows_too(
    tmp_path: Path, batches: list[list[EventLogEntry]]
) -> None:
    """Dagster makes no such batches today; the storage does not depend on it."""
    events = [
        e for batch in batches for e in batch if e.is_dagster_event and e.dagster_event_type in BATCH_WRITABLE_EVENTS
    ]
    chance = random.Random(3)
    chance.shuffle(events)
    mixed = []
    while events:
        size = chance.randint(2, 30)
        mixed, events = [*mixed, events[:size]], events[size:]
    stock = replayed(tmp_path / "stock", SqliteEventLogStorage, mixed)
    batched = replayed(tmp_path / "batched", BatchedSqliteEventLogStorage, mixed)
    assert len(mixed) > 10
    assert without_partitions(batched) == without_partitions(stock)


def test_a_batch_that_fails_in_the_index_leaves_nothing_there(
    tmp_path: Path, batches: list[list[EventLogEntry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = BatchedSqliteEventLogStorage(str(tmp_path / "batched"))

    def refused(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(storage, "_get_asset_entry_values", refused)
    with pytest.raises(OSError, match="disk full"):
        storage.store_event_batch(max(batches, key=len))
    found = rows(tmp_path / "batched")
    assert found["index.event_logs"] == found["index.asset_event_tags"] == found["index.asset_keys"] == []


def test_a_database_keeps_its_engine_and_those_of_old_runs_are_let_go(tmp_path: Path) -> None:
    """An engine compiles each statement once; a daemon meets runs without end."""
    storage = BatchedSqliteEventLogStorage(str(tmp_path / "batched"))
    with storage.index_connection() as connection:
        of_index = connection.engine
    for number in range(2 * event_storage.HELD):
        of_run = set()
        for _ in range(2):
            with storage.run_connection(f"run {number}") as connection:
                of_run.add(connection.engine)
                assert connection.exec_driver_sql("pragma database_list").one()[2].endswith(f"run {number}.db")
        with storage.index_connection() as connection:
            assert connection.engine is of_index
        assert len(of_run) == 1
        assert len(storage._held) <= event_storage.HELD


def events(home: Path) -> list[str | bytes]:
    """Return every stored event and evaluation of a DAGSTER_HOME as it lies there."""
    found = []
    for path in sorted((home / "history" / "runs").glob("*.db")):
        with closing(sqlite3.connect(path)) as connection:
            for table, column in packed_events.COLUMNS.items():
                found += [e for (e,) in connection.execute(f"select {column} from {table}") if e]  # noqa: S608
    return found


@pytest.fixture
def in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what the storage did to this process's tables: the next one is as in a process of its own."""
    monkeypatch.setattr(SqlEventLogStorageTable.c.event, "type", sa.Text())
    monkeypatch.setattr(AssetCheckExecutionsTable.c.evaluation_event, "type", sa.Text())


def test_what_a_home_keeps_of_a_partition_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 14 KB a partition, as stock writes it, most are the same words; an instance of 96 partitions has its own."""
    with home(tmp_path / "home", monkeypatch) as instance:
        run(instance, "first", "second")
        run(instance, "first", "second", of=job(named=["2025-01-02|C"], passed=False))
    lying = events(tmp_path / "home")
    assert {type(event) for event in lying} == {bytes}
    assert sum(map(len, lying)) < 0.2 * sum(len(as_text(event)) for event in lying)


def test_a_home_that_was_written_in_text_is_read_on_and_goes_back_to_stock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_text: None
) -> None:
    key, folder = dg.AssetKey("first"), tmp_path / "home"
    with home(folder, monkeypatch, yaml="") as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        run(instance, "first", first="2025-01-01|A", last="2025-01-02|H")
    with home(folder, monkeypatch) as instance:
        assert type(instance.event_log_storage) is BatchedSqliteEventLogStorage
        run(instance, "first", first="2025-01-03|A", last="2025-01-03|H")
        assert len(instance.get_materialized_partitions(key)) == 24
        assert {type(event) for event in events(folder)} == {str, bytes}
        told = [record.asset_materialization for record in instance.fetch_materializations(key, limit=100).records]
    command = [sys.executable, "-m", "timegpt_assets.instance.packed_events", str(folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert re.fullmatch(r"\d+ events are text again\.\n", said)
    assert {type(event) for event in events(folder)} == {str}
    monkeypatch.setattr(SqlEventLogStorageTable.c.event, "type", sa.Text())
    with home(folder, monkeypatch, yaml="") as instance:
        records = instance.fetch_materializations(key, limit=100).records
        assert [record.asset_materialization for record in records] == told
        run(instance, "first", first="2025-01-04|A", last="2025-01-04|H")
        assert len(instance.get_materialized_partitions(key)) == 32


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    assert packed_events.unpacked(packed_events.packed(text)) == text


@pytest.mark.parametrize("data", [b"", b"\x02abc", packed_events.packed("{}" * 99)[:-2], b"\x01\xff"])
def test_what_was_not_packed_here_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"an event begins with|is damaged"):
        packed_events.unpacked(data)


def test_another_database_is_given_text() -> None:
    """PostgreSQL keeps its own large values small, and its text columns take no bytes."""
    packs = packed_events.Packed()
    assert packs.process_bind_param("text", postgresql.dialect()) == "text"
    assert packs.process_bind_param("text", sqlite.dialect()) == packed_events.packed("text")


def test_on_another_dagster_the_stock_storage_is_used_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_storage.dagster, "__version__", "1.13.28")
    with pytest.warns(UserWarning, match=rf"Dagster is 1\.13\.28.*Install dagster=={DAGSTER_VERSION}") as caught:
        storage = BatchedSqliteEventLogStorage.from_config_value(None, {"home": str(tmp_path)})
    assert type(storage) is SqliteEventLogStorage
    assert len(caught) == 1
    assert (tmp_path / "history" / "runs" / "index.db").exists()


def test_the_pinned_dagster_is_the_one_that_is_installed() -> None:
    assert dg.__version__ == DAGSTER_VERSION, "read its store_event again, then move the pin"


class Leaks(RuntimeError):
    """Raised with a secret in its text."""


SPREAD = "dagster\\run"  # part of it is a word that records are made of
NO_POSTGRES = pytest.mark.skipif(not postgres.is_there(), reason=f"no PostgreSQL at {postgres.URL}")


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield a secret that this process hides in every record meanwhile."""
    before = [(column, column.type) for column in (*packed_events.EVENTS, *packed_events.OTHERS)]
    monkeypatch.setattr(packed_events.Packed, "redacted", packed_events.Packed.redacted)
    packed_events.redact_records(Redaction({"PGPASSWORD": SPREAD, "ALARMS_WEBHOOK_URL": f"http://h/{SPREAD}"}).record)
    yield SPREAD
    for column, kind in before:
        column.type = kind


def spread(instance: dg.DagsterInstance, secret: str) -> str:
    """Have the secret be in whatever an asset, a library or the daemon leaves in the records; return the run's id."""

    @dg.asset
    def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        context.log.warning(f"said {secret}")
        at = dg.MetadataValue.url(secret)
        context.log_event(dg.AssetObservation("elsewhere", metadata={"why": secret, "at": at}))
        return dg.MaterializeResult(metadata={"why": secret, "at": at})

    @dg.asset(deps=[made])
    def leaking() -> None:
        raise Leaks(f"asked http://h/{secret}")

    job = dg.Definitions(assets=[made, leaking]).resolve_implicit_global_asset_job_def()
    ran = job.execute_in_process(instance=instance, raise_on_error=False)
    error = SerializableErrorInfo(f"refused {secret}", [f"at {secret}\n"], "Leaks")
    skipped = TickData("o", "leaking_sensor", InstigatorType.SENSOR, TickStatus.SKIPPED, 1.0, skip_reason=secret)
    instance.create_tick(skipped)
    instance.add_daemon_heartbeat(DaemonHeartbeat(1.0, "SENSOR", "one", [error]))
    instance.add_backfill(PartitionBackfill("b", BulkActionStatus.FAILED, False, {}, 1.0, error=error))
    return ran.run_id


@pytest.mark.parametrize("storage", ["ours", "stock", pytest.param("postgresql", marks=NO_POSTGRES)])
def test_a_secret_that_somebody_repeats_is_in_no_record(
    storage: str, hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as held:
        url = held.enter_context(postgres.database()) if storage == "postgresql" else None
        told = {"ours": BATCHED, "stock": "", "postgresql": f'storage: {{postgres: {{postgres_url: "{url}"}}}}\n'}
        with home(tmp_path, monkeypatch, told[storage]) as instance:
            run = spread(instance, hidden)
            said = [str(record.event_log_entry) for record in instance.get_records_for_run(run).records]
            ticks = [tick.tick_data.skip_reason for tick in instance.get_ticks("o", "o")]
            beat = instance.get_daemon_heartbeats()["SENSOR"].errors or []
            backfill = instance.get_backfill("b")
        kept = list(texts(url) if url else texts_below(tmp_path))
    assert len(kept) > 20
    assert [row[:300] for row in kept if json.dumps(hidden)[1:-1] in row or hidden in row] == []
    assert any("Leaks: asked [REDACTED]" in line for line in said), "the error itself stays"
    assert ticks == ["[REDACTED]"]
    assert [(error.message, *error.stack) for error in beat] == [("refused [REDACTED]", "at [REDACTED]\n")]
    assert "refused [REDACTED]" in str(backfill)


def texts_below(home: Path) -> Iterator[str]:
    """Yield every row of every SQLite database of a DAGSTER_HOME as text."""
    for file in home.rglob("*.db"):
        with closing(sqlite3.connect(file)) as connection:
            for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
                for row in connection.execute(f"select * from {table}"):  # noqa: S608
                    yield " ".join(map(_readable, row))


def _readable(value: object) -> str:
    """Return a value as text: events are packed by us, and the form of a job by Dagster."""
    if not isinstance(value, bytes):
        return str(value)
    return packed_events.unpacked(value) if value[:1] == packed_events.FORM else zlib.decompress(value).decode()


def texts(url: str) -> Iterator[str]:
    """Yield every row of every table of a PostgreSQL database as text."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            yield from connection.execute(sa.text(f"select found::text from {table} as found")).scalars()  # noqa: S608
