"""The weekly forecast grid: off until it is switched on, asking for the newest sessions, and honest about its end."""

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from timegpt_assets.automation import forecast_grid
from timegpt_assets.cli.app import app
from timegpt_assets.definitions import build_definitions
from timegpt_assets_tests.roads import load_runtime

FRIDAY = datetime(2025, 2, 14, 23, tzinfo=UTC)


def house(folder: Path, *overrides: str):
    return load_runtime(folder, "data.end_date=null", *overrides, clock=lambda: FRIDAY)


def test_it_is_off_and_asks_once_a_week_on_new_yorks_clock(tmp_path: Path) -> None:
    repository = build_definitions(house(tmp_path)).get_repository_def()
    schedule = repository.get_schedule_def("weekly_forecast_grid")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 6 * * 6", "America/New_York")
    assert schedule.job_name == "sweep_forecast_grid"
    assert repository.has_job("sweep_forecast_grid")


def test_it_launches_the_command_over_the_newest_sessions_of_the_grid(tmp_path: Path) -> None:
    words = forecast_grid.command(house(tmp_path, "automation.forecast_grid.sessions=5"))
    span = ["--start", "2025-02-10", "--end", "2025-02-14", "--profile", "demo"]
    grid = str(tmp_path.resolve() / "configs" / "forecast_grid.yaml")
    assert words[1:] == ["-m", "timegpt_assets.cli.app", "sweep", "--forecast-grid", grid, *span, "--execute", "--json"]
    assert "sweep" in {command.name or command.callback.__name__ for command in app.registered_commands}
    early = forecast_grid.command(house(tmp_path, "automation.forecast_grid.sessions=500", "data.end_date=2025-02-05"))
    assert early[7:10:2] == ["2025-01-02", "2025-02-05"]


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> dg.ExecuteInProcessResult:
    """Return what came of the job where the command is this script."""
    words = [forecast_grid.sys.executable, "-c", script]
    monkeypatch.setattr(forecast_grid, "command", lambda _: words)
    job = forecast_grid.sweep_forecast_grid(house(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, raise_on_error=False)


SAID = {"combinations": 48, "made": 40, "waiting": 8, "failed": 0, "missing": 0, "calls_needed": 80}


@pytest.mark.parametrize(
    ("said", "code", "good"),
    [
        (SAID | {"waiting": 0, "made": 48}, 0, True),
        (SAID, 5, True),
        (SAID | {"failed": 1}, 1, False),
        (SAID | {"missing": 1, "waiting": 0}, 1, False),
        (None, 2, False),
    ],
)
def test_what_waits_is_no_failure_and_a_failure_says_what_the_command_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, int] | None, code: int, good: bool
) -> None:
    printed = "" if said is None else json.dumps(said)
    script = f"import sys; print({printed!r}); print('the grid is wrong', file=sys.stderr); sys.exit({code})"
    result = run(tmp_path, monkeypatch, script)
    assert result.success is good
    if not good:
        (failed,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
        assert "the grid is wrong" in str(failed.step_failure_data.user_failure_data)
