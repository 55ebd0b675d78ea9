"""What old runs logged is let go; what they made stays recorded, on SQLite and on PostgreSQL."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml
from typer.testing import CliRunner

import timegpt_assets as ta
from timegpt_assets.cli.app import app
from timegpt_assets.definitions import build_definitions
from timegpt_assets.instance.old_events import FORGOTTEN, forget
from timegpt_assets.runtime import load_runtime as load_house
from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.instance.test_run_owners import begun, status
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY, load_runtime

NOW = datetime.now(UTC)
SMALL = 24_000
"""Bytes of a run's file that says of the run how it ended."""
DAYS = dg.StaticPartitionsDefinition([f"day-{number}" for number in range(20)])


@dg.asset(partitions_def=DAYS)
def prices(context: dg.AssetExecutionContext) -> None:
    for number, key in enumerate(context.partition_keys):
        context.log.info(f"a line about {key}")
        context.add_asset_metadata({"rows": number}, partition_key=key)


@dg.asset_check(asset=prices)
def prices_are_well() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@pytest.fixture
def sqlite_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """Yield an instance with this project's storage."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    (tmp_path / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def instance(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """Yield an instance with this project's storage, or in PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_home")
        return
    if not postgres.is_there():
        pytest.skip(f"no PostgreSQL at {postgres.URL}")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "1000")
    with postgres.database() as url:
        told = {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(told))
        with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
            yield opened


def ran(instance: dg.DagsterInstance) -> str:
    """Return a run of all partitions."""
    job = dg.Definitions(assets=[prices], asset_checks=[prices_are_well]).resolve_implicit_global_asset_job_def()
    tags = {"dagster/asset_partition_range_start": "day-0", "dagster/asset_partition_range_end": "day-19"}
    result = job.execute_in_process(instance=instance, tags=tags)
    assert result.success
    return result.run_id


def told(instance: dg.DagsterInstance) -> list[tuple[str | None, object]]:
    """Return what is recorded of each partition: its metadata, as the UI shows it."""
    records = instance.fetch_materializations(prices.key, limit=100).records
    made = [record.asset_materialization for record in records]
    return [(one.partition, one.metadata["rows"].value) for one in made if one]


def test_what_old_runs_logged_is_let_go_and_what_they_made_is_told_as_before(instance: dg.DagsterInstance) -> None:
    run, before = ran(instance), NOW + timedelta(days=1)
    made, logged = told(instance), len(instance.all_logs(run))
    going_on = begun(instance)
    assert len(made) == 20
    assert forget(instance, before=NOW - timedelta(days=1), now=NOW) == (0, 0), "it is not old"
    runs, events = forget(instance, before=before, now=NOW)
    assert (runs, events > 20) == (1, True)
    assert len(instance.all_logs(run)) <= logged - events
    assert told(instance) == made
    assert set(instance.get_materialized_partitions(prices.key)) == set(DAYS.get_partition_keys())
    check = instance.event_log_storage.get_latest_asset_check_execution_by_key([prices_are_well.check_key])
    assert [found.status.value for found in check.values()] == ["SUCCEEDED"]
    assert status(instance, run) == "SUCCESS"
    assert FORGOTTEN in (instance.get_run_by_id(run) or pytest.fail("it is gone")).tags
    assert instance.get_run_stats(run).end_time, "how it ended is kept"
    assert len(instance.all_logs(going_on)) > 0, "a run that goes on is not touched"
    assert forget(instance, before=before, now=NOW) == (0, 0), "once is enough"


def in_the_middle_of(file: Path) -> closing[sqlite3.Connection]:
    """Return a connection that reads a run's file and has not come to its end."""
    reading = sqlite3.connect(file, isolation_level=None)
    reading.execute("begin")
    reading.execute("select count(*) from event_logs").fetchone()
    return closing(reading)


@pytest.mark.parametrize("is_read", [False, True])
def test_the_file_of_a_run_is_small_once_its_events_are_let_go_and_is_dagsters_own_still(
    is_read: bool, sqlite_home: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = ran(sqlite_home)
    file = tmp_path / "history" / "runs" / f"{run}.db"
    before = file.stat().st_size
    with in_the_middle_of(file) if is_read else nullcontext():
        forget(sqlite_home, before=NOW + timedelta(days=1), now=NOW)
    if not is_read:
        assert file.stat().st_size < SMALL < before
    ended = [entry.dagster_event_type for entry in sqlite_home.all_logs(run)]
    assert ended == [dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_SUCCESS]
    sqlite_home.report_engine_event("a word more", sqlite_home.get_run_by_id(run))
    assert len(sqlite_home.all_logs(run)) == 3
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)


def test_there_is_a_schedule_where_somebody_said_when(tmp_path: Path) -> None:
    def schedules(*told: str) -> dict[str, dg.ScheduleDefinition]:
        repository = build_definitions(load_runtime(tmp_path, *told)).get_repository_def()
        assert repository.has_job("forget_events")
        return {one.name: one for one in repository.schedule_defs if one.job_name == "forget_events"}

    assert schedules() == {}
    (found,) = schedules("automation.forget_events_at=0 5 * * 0").values()
    assert (found.cron_schedule, found.execution_timezone) == ("0 5 * * 0", "America/New_York")
    assert found.default_status is dg.DefaultScheduleStatus.RUNNING


@pytest.mark.timeout(300)
def test_a_house_makes_nothing_again_and_tells_the_same_after_its_old_events_are_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *places]))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "demo")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    def asked(*words: str) -> dict[str, object]:
        found = CliRunner().invoke(app, [*words, "--json"])
        assert found.exit_code == 0, found.output
        return dict(json.loads(found.stdout))

    window = ("backfill", "--start", "2025-01-30", "--end", "2025-01-30", "--assets", "features")
    asked(*window)
    before = asked("status")
    row = ta.open("demo").features().head(1).collect()
    traced = ta.open("demo").trace(row)
    assert traced["what"].to_list()[-1] == "source of the bars"
    history = tmp_path / "dagster_home" / "history" / "runs"
    size = sum(file.stat().st_size for file in history.glob("*.db"))
    assert asked("forget-events") == {"runs": 0, "events": 0, "older_than_days": 90}
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_home"))
    later = replace(load_house(), clock=lambda: NOW + timedelta(days=91))
    job = build_definitions(later).get_repository_def().get_job("forget_events")
    with dg.DagsterInstance.get() as opened:
        said = job.execute_in_process(instance=opened).filter_events(lambda event: event.is_successful_output)
        told = {name: one.value for name, one in said[0].event_specific_data.metadata.items()}
    assert told["events"] > 50
    assert sum(file.stat().st_size for file in history.glob("*.db")) < size
    assert asked("status") == before
    assert ta.open("demo").trace(row).equals(traced), "a number is traced to its bars as before"
    assert asked(*window)["partitions_made"] == 0
