"""Paying for a range: the price is known beforehand, a range that outruns the budget stops cleanly and is resumed.

The provider is the local server; what it received is what was sent. Days are asked by the product's own engine,
sensor and verbs, with a clock that is moved by hand.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import sqlalchemy as sa
from dagster._core.code_pointer import CustomPointer, ModuleCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository

from timegpt_assets.adapters.ledger.ledger import LONGEST_WAIT_SEC
from timegpt_assets.automation import day as automation
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine import pending
from timegpt_assets.engine.call_budget import BudgetPlanner, budget_planner
from timegpt_assets.engine.engine import RANGE_END, RANGE_START, RunFailed, asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.partitions import graph_context
from timegpt_assets.runtime import ledger
from timegpt_assets_tests.markets import DAYS
from timegpt_assets_tests.roads import TINY, Road, load_runtime, road, sessions
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")

FORECAST, PARAMS = "/v2/forecast", "/model_params"
ASKED = [day for day in DAYS if day != date(2025, 1, 29)]
"""Sessions on which something is asked: not that of a rate decision."""
SIX = list(DAYS[:6])
FIVE = ASKED[:5]
ANSWERS, RAW = dg.AssetKey(["forecasts", "answers"]), dg.AssetKey(["forecasts", "raw_forecasts"])
OPTIONS: dict[str, Any] = {"profile": "dev", "base": TINY, "environment": {"TIMEGPT_API_KEY": KEY}}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 6, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def next_day(self) -> None:
        self.at += timedelta(days=1)


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60) as running:
        yield running


@contextmanager
def house(
    folder: Path, server: TimeGPTServer, *overrides: str, clock: Clock | None = None, **options: Any
) -> Iterator[Road]:
    """Yield a small house that asks the local server, two snapshots a day, within a budget."""
    with road(
        folder, *modest(server.url), *overrides, pictures=False, clock=clock or Clock(), **OPTIONS, **options
    ) as built:
        yield built


def modest(url: str) -> tuple[str, ...]:
    return (
        "data.source=synthetic",
        "universe.context=[SPY]",
        "forecast.backend=nixtla",
        f"forecast.base_url={url}",
        "forecast.snapshot_preset=baseline",
        "forecast.framing.provider_min_samples=100",
        "forecast.api_budget.cooldown_sec=0",
        "forecast.api_budget.per_run=5",
    )


def planner(built: Road) -> BudgetPlanner:
    found = budget_planner(built.runtime)
    assert found is not None
    return found


def made(built: Road, key: dg.AssetKey) -> set[str]:
    return set(built.engine.instance.get_materialized_partitions(key))


def keys(days: list[date]) -> set[str]:
    return {day.isoformat() for day in days}


def test_the_price_is_known_before_there_are_bars_and_is_what_is_sent(server: TimeGPTServer, tmp_path: Path) -> None:
    with house(tmp_path, server) as built:
        before = planner(built)
        day_calls = before.day_calls(DAYS)
        assert [calls.needed for calls in day_calls] == [2, 0, 2, 2, 2, 2, 2, 2]
        assert before.params_needed() == 1
        assert server.received == []
        built.run(FIVE, assets=["answers"])
        assert server.counts == {FORECAST: 10, PARAMS: 1}
        after = planner(built)
        assert [(p.needed, p.cached) for p in after.day_calls(ASKED)] == [(0, 2)] * 5 + [(2, 0)] * 2
        assert after.params_needed() == 0
        assert all(len(one.body) <= day_calls[0].max_bytes for one in server.received)
        assert [p.needed for p in after.day_calls(FIVE, reask=True)] == [2] * 5


@pytest.mark.parametrize(
    "spoilt", [pytest.param("nothing", marks=pytest.mark.whole), "one answer", "the model's parameters"]
)
def test_what_reask_is_planned_to_cost_is_what_it_sends(spoilt: str, server: TimeGPTServer, tmp_path: Path) -> None:
    with house(tmp_path, server, "forecast.api_budget.per_run=9") as built:
        built.run(FIVE[:2], assets=["answers"])
        files = {len(file.read_bytes()): file for file in (tmp_path / "artifacts").rglob("*.zst")}
        if spoilt == "one answer":
            files[max(files)].write_bytes(b"spoilt")
        if spoilt == "the model's parameters":
            files[min(files)].write_bytes(b"spoilt")
            with planner(built).ledger.store.writing() as connection:
                connection.execute(sa.text("update snapshots set record = '{}' where record like '%\"body\"%'"))
        plan, before = planner(built), sum(server.counts.values())
        needed = sum(calls.needed for calls in plan.day_calls(FIVE[:2], reask=True)) + plan.params_needed(reask=True)
        assert needed == {"nothing": 4, "one answer": 3, "the model's parameters": 3}[spoilt]
        asked = {"days": FIVE[:2], "symbols": (), "assets": ["answers"], "force": False, "reask": True}
        graph, nodes = graph_context(built.runtime.settings), asset_nodes(built.engine.repository)
        built.engine.run(rectangle(graph, nodes, **asked))
        assert sum(server.counts.values()) - before == needed


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        pytest.param("forecast.framing.max_stale_min=7", 0, marks=pytest.mark.whole),
        ("forecast.target.mode=log_return_5m", 4),
    ],
)
def test_settings_that_shape_the_same_bytes_are_planned_to_cost_nothing(
    change: str, needed: int, server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(tmp_path, server) as built:
        built.run(FIVE[:2], assets=["answers"])
    with house(tmp_path, server, change) as other:
        assert sum(calls.needed for calls in planner(other).day_calls(FIVE[:2])) == needed
        before = sum(server.counts.values())
        other.run(FIVE[:2], assets=["answers"])
        assert sum(server.counts.values()) - before == needed


def test_a_run_never_holds_more_calls_than_per_run(server: TimeGPTServer, tmp_path: Path) -> None:
    with house(tmp_path, server) as built:
        assert [len(run) for run in planner(built).payment_plan(SIX).runs] == [3, 2, 1]
        built.run(SIX, assets=["answers"])
        view = planner(built).ledger.view(planner(built).account)
        assert sorted(view["by_run"].values()) == [2, 4, 5]


def test_a_backfill_that_outruns_the_day_stops_cleanly_and_the_sensor_resumes_it(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    clock = Clock()
    with house(tmp_path, server, "forecast.api_budget.per_day=5", clock=clock) as built:
        outcome = built.run(SIX, assets=["raw_forecasts"])
        pending.note(built.engine.instance, SIX, outcome, assets=["raw_forecasts"])
        assert outcome.pending == SIX[3:]
        assert "2 calls needed for the next session, 0 left" in outcome.why
        assert made(built, ANSWERS) == keys(SIX[:3])
        assert {key.split("|")[0] for key in made(built, RAW)} == keys(SIX[:3])
        assert sum(server.counts.values()) == 5
        assert "still waits" in str(sensed(built).skip_message), "the day has not turned"
        days_taken = 1
        while not isinstance(asked_again := sensed_after_midnight(built, clock), dg.SkipReason):
            assert asked_again.run_key == f"resume-{pending.waiting(built.engine.instance)[0].first}-{clock.at.date()}"
            resumed(built, clock)
            days_taken += 1
            assert days_taken < 9, "it never ends"
        assert days_taken == 3
        assert "nothing waits" in str(asked_again.skip_message)
        assert made(built, ANSWERS) == keys(SIX)
        assert server.counts == {FORECAST: 10, PARAMS: 1}


def sensed(built: Road) -> dg.RunRequest | dg.SkipReason:
    return automation.resume_backfill(built.runtime)(dg.build_sensor_context(instance=built.engine.instance))


def sensed_after_midnight(built: Road, clock: Clock) -> dg.RunRequest | dg.SkipReason:
    clock.next_day()
    return sensed(built)


def resumed(built: Road, clock: Clock, *overrides: str) -> None:
    """Run the job the sensor asks for as the daemon would, loaded with its repository, in this process."""
    options = [str(built.runtime.root), str(built.runtime.settings.forecast.base_url), clock.at.isoformat(), *overrides]
    pointer = CustomPointer(ModuleCodePointer(__name__, "repository", working_directory=None), options, [])
    job = ReconstructableRepository(pointer).get_reconstructable_job("resume_pending")
    assert dg.execute_job(job, instance=built.engine.instance, run_config=QUIET, raise_on_error=False).success


def repository(folder: str, url: str, at: str, *overrides: str) -> dg.RepositoryDefinition:
    """Return the repository of the house in a folder at a moment: what a code location would load."""
    chosen = (*modest(url), "forecast.api_budget.per_day=5", *overrides)
    runtime = load_runtime(Path(folder), *chosen, **OPTIONS, clock=lambda: datetime.fromisoformat(at))
    return build_definitions(runtime).get_repository_def()


MONTH = sessions(date(2025, 3, 1), date(2025, 3, 31))
AT_FIVE = ("data.end_date=2025-03-31", "forecast.snapshot_preset=liquidity_profile", "forecast.skip_events=[]")


def test_a_month_at_five_a_day_under_a_hundred_calls_a_day_is_planned_over_two_days(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(
        tmp_path, server, *AT_FIVE, "forecast.api_budget.per_day=100", "forecast.api_budget.per_run=25"
    ) as built:
        found = planner(built)
        day_calls = found.day_calls(MONTH)
        assert sum(calls.needed for calls in day_calls) == 105
        assert found.finish(day_calls) == date(2026, 6, 2)
        assert [len(run) for run in found.payment_plan(MONTH).runs] == [4, 5, 5, 5]
        assert len(found.payment_plan(MONTH).pending) == 2


def test_a_month_is_paid_in_as_many_days_as_were_planned(
    server: TimeGPTServer, tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    days = MONTH[: repetitions(40)]
    per_day = 100 if len(days) == len(MONTH) else 6
    limits = (f"forecast.api_budget.per_day={per_day}", "forecast.api_budget.per_run=25")
    clock, taken = Clock(), 1
    with house(tmp_path, server, *AT_FIVE, *limits, clock=clock) as built:
        planned = planner(built).finish(planner(built).day_calls(days))
        outcome = built.run(days, assets=["answers"])
        pending.note(built.engine.instance, days, outcome, assets=["answers"])
        while not isinstance(sensed_after_midnight(built, clock), dg.SkipReason):
            resumed(built, clock, *AT_FIVE, *limits)
            taken += 1
            assert taken < 9, "it never ends"
        assert made(built, ANSWERS) == keys(days)
    assert server.counts == {FORECAST: 5 * len(days), PARAMS: 1}
    assert (taken, planned) == (2, date(2026, 6, 2))


def test_a_range_from_the_ui_that_outruns_its_run_keeps_each_paid_day_and_fails_with_the_remedy(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(tmp_path, server) as built:
        built.run([*sessions(date(2025, 1, 21), date(2025, 1, 27)), *SIX], assets=["snapshots", "panel"])
        assert not launched(built, SIX)
        assert made(built, ANSWERS) == keys(SIX[:3]), "paid days are marked, unpaid ones are not"
        kept = built.tables()["forecasts/answers"]
        assert kept["day"].unique().sort().to_list() == [SIX[0], SIX[2]]
        assert kept["lineage_id"].null_count() == 0
        assert server.counts == {FORECAST: 4, PARAMS: 1}
        assert not launched(built, SIX)
        assert server.counts == {FORECAST: 8, PARAMS: 1}, "its re-run pays for the next days alone"
        assert launched(built, SIX)
        assert server.counts == {FORECAST: 10, PARAMS: 1}
        assert made(built, ANSWERS) == keys(SIX)
        again = built.tables()["forecasts/answers"]
        assert again.filter(pl.col("day").is_in(SIX[:3])).equals(kept)


def launched(built: Road, days: list[date]) -> bool:
    """Run the range as the UI does and return whether it succeeded; a failure must say what to do."""
    job = built.engine.repository.get_implicit_global_asset_job_def()
    tags = {RANGE_START: min(days).isoformat(), RANGE_END: max(days).isoformat()}
    result = job.execute_in_process(
        instance=built.engine.instance, asset_selection=[ANSWERS], tags=tags, run_config=QUIET, raise_on_error=False
    )
    if not result.success:
        (failure,) = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
        error = failure.step_failure_data.error
        while error.cause:
            error = error.cause
        assert "left under per_run; nothing was sent. Launch the rest as another run" in error.message
    return result.success


def test_a_session_that_no_budget_day_could_pay_says_so_and_never_finishes(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(tmp_path, server, "forecast.api_budget.per_day=1") as built:
        assert planner(built).finish(planner(built).day_calls(FIVE)) is None
        assert "per_day allows 1. Raise it." in planner(built).payment_plan(FIVE).why


def test_a_symbol_added_to_the_universe_is_a_request_of_its_own_in_the_plan_and_on_the_wire(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with house(tmp_path, server) as built:
        built.run(FIVE[:1], assets=["answers"])
    with house(tmp_path, server, "universe.tickers=[AAPL, META, NVDA, MSFT]", "data.storage_root=data/4") as larger:
        assert [(p.needed, p.cached) for p in planner(larger).day_calls(FIVE[:2])] == [(2, 2), (2, 0)]
        larger.run(FIVE[:1], assets=["answers"])
        rows = larger.tables()["forecasts/answers"]
    assert server.counts == {FORECAST: 4, PARAMS: 1}
    assert [len(body["series"]["sizes"]) for body in server.bodies()] == [3, 3, 1, 1]
    assert rows["symbol"].unique().sort().to_list() == ["AAPL", "META", "MSFT", "NVDA"]
    assert not rows["stale_input"].any()


@pytest.mark.parametrize(("timeout_s", "cooldown_sec"), [(600, 0), (60, 900)])
def test_a_reservation_outlasts_the_slowest_request_and_the_longest_pause(
    tmp_path: Path, timeout_s: int, cooldown_sec: int
) -> None:
    slow = (f"forecast.timeout_s={timeout_s}", f"forecast.api_budget.cooldown_sec={cooldown_sec}")
    assert ledger(load_runtime(tmp_path, *slow)).lease_sec > timeout_s + cooldown_sec + LONGEST_WAIT_SEC


def test_a_fault_in_the_middle_keeps_the_days_before_it(server: TimeGPTServer, tmp_path: Path) -> None:
    from timegpt_assets_tests.servers.timegpt import status

    with house(tmp_path, server, "forecast.api_budget.per_run=50") as built:
        built.run(SIX, assets=["snapshots", "panel"])
        server.faults.extend([*[None] * 4, status(401)])  # type: ignore[list-item]
        with pytest.raises(RunFailed, match="TIMEGPT_API_KEY"):
            built.run(SIX, assets=["answers"])
        assert made(built, ANSWERS) == keys(SIX[:3])
