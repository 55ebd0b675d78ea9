"""Automation: who asks for which session, how often, and that the daily job stores what the command line stores."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.code_pointer import CustomPointer, ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository

from timegpt_assets.automation import day as automation
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.stages import EVERYDAY
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.roads import LATER, SMALL, Road, road

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

DAY = date(2025, 1, 16)
PORTFOLIO = dg.AssetKey(["backtest", "portfolio"])
TWO = "universe.tickers=[AAPL, NVDA]"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield a small house in which nothing has run, on a grid without an end."""
    with road(tmp_path_factory.mktemp("house"), TWO, "data.end_date=null", pictures=False) as house:
        yield house


def asked(evaluated: dg.RunRequest | dg.SkipReason) -> str:
    """Return the session a request is for, or "" when it asks for nothing."""
    if isinstance(evaluated, dg.SkipReason):
        return ""
    return evaluated.run_config["ops"]["run_rectangle"]["config"]["day"]


def scheduled(house: Road, day: str) -> dg.RunRequest | dg.SkipReason:
    """Return what the schedule says at 18:30 New York time of that day."""
    at = datetime.fromisoformat(f"{day}T18:30").replace(tzinfo=ZoneInfo(calendar.ZONE))
    context = dg.build_schedule_context(scheduled_execution_time=at)
    return automation.after_the_close(house.runtime)(context)


def sensed(
    house: Road, at: datetime, instance: dg.DagsterInstance, overrides: Mapping[str, object] | None = None
) -> dg.RunRequest | dg.SkipReason:
    """Return what the sensor says at that moment."""
    given = {"settings": house.runtime.settings, **(overrides or {})}
    runtime = Runtime(root=house.runtime.root, environment={}, clock=lambda: at, **given)
    context = dg.build_sensor_context(instance=instance, repository_def=house.engine.repository)
    return automation.new_session(runtime)(context)


@pytest.mark.parametrize(
    ("day", "session"),
    [
        ("2025-01-16", "2025-01-16"),
        ("2025-07-03", "2025-07-03"),  # closes at 13:00
        ("2025-01-20", ""),  # a Monday without a session
        ("2025-07-04", ""),
    ],
)
def test_the_schedule_asks_for_today_s_session_and_for_nothing_on_a_holiday(found, day, session):
    assert asked(scheduled(found, day)) == session


def test_at_the_scheduled_time_every_session_of_a_year_has_closed():
    at_close = load_settings(profile="demo", config_dir=None, environment={}).automation.after_the_close
    (hour, minute) = (int(part) for part in reversed(at_close.split()[:2]))
    for session in calendar.sessions(date(2024, 1, 1), date(2025, 12, 31)):
        at = datetime(
            session.day.year, session.day.month, session.day.day, hour, minute, tzinfo=ZoneInfo(calendar.ZONE)
        )
        assert calendar.has_closed(session.day, at)
        assert session.day.weekday() < 5


@pytest.mark.parametrize("day", ["2024-12-31", "2025-03-03"])
def test_the_schedule_asks_for_nothing_outside_the_grid(tmp_path, day):
    with road(tmp_path, TWO) as bounded:
        assert "outside the grid of profile demo" in str(scheduled(bounded, day).skip_message)


@pytest.mark.parametrize(
    ("at", "session"),
    [
        ("2025-01-16T20:59", "2025-01-15"),
        ("2025-01-16T21:00", "2025-01-16"),
        ("2025-01-18T12:00", "2025-01-17"),
        ("2025-07-03T17:00", "2025-07-03"),
    ],
)
def test_the_sensor_asks_for_the_newest_session_that_has_closed(found, at, session):
    with dg.DagsterInstance.ephemeral() as instance:
        assert asked(sensed(found, datetime.fromisoformat(at).replace(tzinfo=UTC), instance)) == session


def test_the_sensor_asks_under_one_key_until_something_changes_and_a_bare_record_is_nothing_that_is_there(found):
    at = datetime(2025, 1, 16, 23, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        first, second = sensed(found, at, instance), sensed(found, at, instance)
        assert first.run_key == second.run_key, "the daemon launches a run key once"
        instance.report_runless_asset_event(dg.AssetMaterialization(PORTFOLIO, partition="2025-01-16"))
        assert sensed(found, at, instance).run_key == first.run_key
        late = sensed(found, at + timedelta(days=3), instance)
    assert late.tags == {"timegpt_assets/session": "2025-01-17"}


def test_a_run_that_failed_is_asked_for_again_after_a_while(found, monkeypatch):
    at = datetime(2025, 1, 16, 23, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        first = sensed(found, at, instance)
        instance.add_run(dg.DagsterRun("daily_refresh", status=dg.DagsterRunStatus.FAILURE, tags=first.tags))
        assert "is tried again in a while" in str(sensed(found, at, instance).skip_message)
        settings = replace(
            found.runtime.settings,
            automation=found.runtime.settings.automation.model_copy(update={"retry_after_sec": 3600}),
        )
        monkeypatch.setattr(automation, "now", lambda: datetime.now(UTC) + timedelta(minutes=31))
        assert sensed(found, at, instance).run_key not in ("", first.run_key)
        assert isinstance(sensed(found, at, instance, {"settings": settings}), dg.SkipReason), (
            "as long as the setting says"
        )


def test_the_sensor_asks_for_nothing_outside_the_grid(tmp_path):
    with road(tmp_path, TWO) as bounded, dg.DagsterInstance.ephemeral() as instance:
        skipped = sensed(bounded, datetime(2025, 3, 3, 23, tzinfo=UTC), instance)
    assert isinstance(skipped, dg.SkipReason)
    assert "outside the grid of profile demo" in str(skipped.skip_message)


def test_the_requests_of_both_triggers_start_the_daily_job(found):
    job = found.engine.repository.get_job("daily_refresh")
    request = scheduled(found, "2025-01-16")
    assert dg.validate_run_config(job, request.run_config)
    assert request.tags == {"timegpt_assets/session": "2025-01-16"}


def stored(house: Road) -> dict[str, bytes]:
    """Return what is stored, reports aside: they name the folder they lie in."""
    return {name: content for name, content in house.bytes().items() if not name.startswith("reports")}


def repository(folder: str, *overrides: str) -> dg.RepositoryDefinition:
    """Return the repository of a small house in a folder: what a code location would load."""
    settings = load_settings(profile="demo", config_dir=None, overrides=[*SMALL, *overrides], environment={})
    runtime = Runtime(settings=settings, root=Path(folder), environment={}, clock=lambda: LATER)
    return build_definitions(runtime).get_repository_def()


def refreshed(
    house: Road, day: date, *overrides: str, name: str = "daily_refresh", tags: Mapping[str, str] | None = None
) -> dg.JobExecutionResult:
    """Run the daily job as the daemon would, loaded with its repository, in this process."""
    make = ModuleCodePointer(__name__, "repository", working_directory=None)
    pointer = CustomPointer(make, [str(house.runtime.root), *overrides], [])
    job = ReconstructableRepository(pointer).get_reconstructable_job(name)
    config = {"ops": {"run_rectangle": {"config": {"day": day.isoformat()}}}}
    return dg.execute_job(
        job, instance=house.engine.instance, run_config=config | QUIET, raise_on_error=False, tags=dict(tags or {})
    )


def test_the_daily_job_stores_what_the_command_line_stores_and_does_it_once(tmp_path: Path):
    with (
        road(tmp_path / "by hand", TWO, pictures=False) as by_hand,
        road(tmp_path / "by night", TWO, pictures=False) as by_night,
    ):
        made = by_hand.run([DAY]).made
        first = refreshed(by_night, DAY, TWO)
        assert first.success
        assert _noted(first) == (made, 0)
        assert stored(by_night) == stored(by_hand)
        assert len(stored(by_hand)) > 30
        assert (by_night.root / "reports" / "report" / "2025-01.parquet").exists()
        again = refreshed(by_night, DAY, TWO)
        assert _noted(again)[0] == 0
        runs = by_night.engine.instance.get_runs(dg.RunsFilter(job_name="__ASSET_JOB"))
        assert {run.tags["user"] for run in runs} == {"job daily_refresh"}
        assert {run.tags[automation.JOB_RUN] for run in runs} == {first.run_id}
        made_keys = by_night.engine.instance.get_materialized_partitions(PORTFOLIO)
        assert made_keys == {DAY.isoformat()}
        content = sensed(by_night, datetime(2025, 1, 16, 23, tzinfo=UTC), by_night.engine.instance)
        assert content.skip_message == f"{DAY} and the sessions before it are complete."


def _noted(result: dg.JobExecutionResult) -> tuple[object, object]:
    """Return partitions made and already there, as the job's output says."""
    (output,) = (e.step_output_data for e in result.all_events if e.event_type_value == "STEP_OUTPUT")
    return output.metadata["made"].value, output.metadata["already_there"].value


def test_a_session_that_has_not_closed_is_refused_by_the_job(tmp_path):
    with road(tmp_path, TWO, "data.end_date=null") as house:
        result = refreshed(house, date(2026, 6, 1), TWO, "data.end_date=null")
        assert LATER.date() == date(2026, 6, 1)
        assert not result.success
        error = result.failure_data_for_node("run_rectangle").error
        assert error.message == "the session of 2026-06-01 has not closed yet. Ask for 2026-05-29 or earlier.\n"
        assert error.stack == []
        assert house.bytes() == {}


def test_a_failing_asset_fails_the_daily_job_with_its_own_words(tmp_path):
    local = ("data.source=local", f"data.root={tmp_path / 'nowhere'}")
    with road(tmp_path, TWO, *local) as house:
        result = refreshed(house, DAY, TWO, *local)
    assert not result.success
    failure = result.failure_data_for_node("run_rectangle").user_failure_data
    assert failure.description.startswith("bars/raw_bars: ")
    assert failure.description.endswith("is no folder of bars. Set data.root to the folder above stocks/.")
    assert failure.metadata["run"].value, "the run to open"
    error = result.failure_data_for_node("run_rectangle").error
    assert (error.stack, error.cause) == ([], None), "no trace, of the run's neither"


def test_people_pick_a_session_of_the_same_job_in_the_ui(found):
    job, daily = (found.engine.repository.get_job(name) for name in ("run_day", "daily_refresh"))
    assert job.partitions_def == found.engine.repository.asset_graph.get(PORTFOLIO).partitions_def
    picked = job.partitioned_config.get_run_config_for_partition_key("2025-01-16")
    assert picked == scheduled(found, "2025-01-16").run_config
    assert dg.validate_run_config(job, picked)
    assert job.graph.node_defs == daily.graph.node_defs, "one op"


def test_the_pages_of_assets_name_the_job_and_its_triggers_and_the_job_still_runs(found):
    repository = found.engine.repository
    named = {
        name: {key.path[-1] for key in repository.get_job(name).asset_layer.external_job_asset_keys}
        for name in ("daily_refresh", "refresh_bars", "run_day")
    }
    # the UI hides the partitions of a job that assets name
    assert named == {"daily_refresh": set(EVERYDAY), "refresh_bars": {"raw_bars", "bars"}, "run_day": set()}


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"dagster/schedule_name": "after_the_close"}, {"dagster/schedule_name": "after_the_close"}),
        ({"dagster/sensor_name": "new_session", "other": "x"}, {"dagster/sensor_name": "new_session"}),
        ({"user": "ops@example.org"}, {"user": "ops@example.org"}),
        ({}, {"user": "job daily_refresh"}),
    ],
)
def test_runs_of_assets_say_who_asked_for_their_job(tags, told):
    context = SimpleNamespace(run=SimpleNamespace(tags=tags), run_id="abc", job_name="daily_refresh")
    assert automation.asked_by(context) == {automation.JOB_RUN: "abc", **told}
