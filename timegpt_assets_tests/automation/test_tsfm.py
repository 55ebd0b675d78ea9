"""The cycle by itself: how often, never two at once, and what it runs."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from timegpt_assets.automation.tsfm import JOB, command, cron, every_cycle, tsfm_cycle
from timegpt_assets_tests.roads import load_runtime


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(5, "*/5 * * * *"), (1, "*/1 * * * *"), (60, "0 */1 * * *"), (240, "0 */4 * * *"), (1440, "0 0 * * *")],
)
def test_cycles_begin_on_the_moments_of_the_grid(minutes: int, said: str) -> None:
    assert cron(minutes) == said


def test_it_is_off_until_it_is_switched_on_and_asks_for_one_cycle(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    schedule = every_cycle(load_runtime(tmp_path))
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    with dg.build_schedule_context(instance=instance) as context:
        (asked,) = schedule.evaluate_tick(context).run_requests or []
    assert asked.run_key is None, "a key would keep the next cycle from being asked for"


def test_a_cycle_that_overlaps_the_one_before_is_left_out_and_not_queued(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    runtime = load_runtime(tmp_path)
    run = instance.create_run_for_job(tsfm_cycle(runtime), status=dg.DagsterRunStatus.STARTED)
    schedule = every_cycle(runtime)
    with dg.build_schedule_context(instance=instance) as context:
        skipped = schedule.evaluate_tick(context)
        assert not skipped.run_requests
        assert run.run_id[:8] in (skipped.skip_message or "")
        instance.report_run_canceled(run)
        assert schedule.evaluate_tick(context).run_requests
    assert schedule.job_name == JOB


def test_the_command_is_the_one_that_a_person_types(tmp_path: Path) -> None:
    assert list(command(load_runtime(tmp_path)))[1:] == [
        *("-m", "timegpt_assets.cli.app", "tsfm", "cycle"), *("--profile", "demo", "--json"),
    ]  # fmt: skip
