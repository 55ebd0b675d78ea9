"""The watch over a house: each kind of alarm from what really is the matter, told once to log, file, webhook and mail.

The sensor is evaluated as the daemon does, its cursor carried from tick to tick, against local servers.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.test_utils import freeze_time

from timegpt_assets.adapters.alarms.channels import URL
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.storage.rollout_record import NAME, TSFM_NAME, RolloutRecord
from timegpt_assets.automation.alarms import Told, raise_alarms, remembered, shown, tell, written
from timegpt_assets.config.redaction import Redaction
from timegpt_assets.core.alarms import Alarm, ChannelFailed, Notice
from timegpt_assets.core.tables.tsfm import MARKETS
from timegpt_assets.engine import pending
from timegpt_assets.engine.alarms import Found, alarms
from timegpt_assets.engine.due import due
from timegpt_assets.engine.stages import EVERYDAY
from timegpt_assets_tests.automation.test_day import TWO, refreshed
from timegpt_assets_tests.automation.test_week import CLOCK, SYMBOLS, deliver
from timegpt_assets_tests.engine.test_call_budget import modest
from timegpt_assets_tests.roads import TINY, Road, road
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.webhook import WebhookServer

pytestmark = pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated")
DAY = date(2025, 1, 16)
CLOSE = datetime(2025, 1, 16, 21, tzinfo=UTC)
EVENING, NIGHT = datetime(2025, 1, 16, 22, tzinfo=UTC), datetime(2025, 1, 17, 3, tzinfo=UTC)


@dataclass
class Watch:
    """The sensor of a house, its cursor carried on."""

    house: Road
    cursor: str = ""
    said: list[str] = field(default_factory=list)

    def tick(self) -> str:
        """Evaluate the sensor once, and return what it says."""
        engine = self.house.engine
        context = dg.build_sensor_context(
            instance=engine.instance, repository_def=engine.repository, cursor=self.cursor or None
        )
        skipped = raise_alarms(self.house.runtime)(context)
        assert isinstance(skipped, dg.SkipReason)
        self.cursor = str(context.cursor)
        return str(skipped.skip_message)

    def ringing(self) -> dict[str, str]:
        """Return what rings now, by subject."""
        return {alarm.subject: alarm.said for alarm in alarms(self.house.engine).alarms}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Road]:
    """Yield a house whose source does not exist, so that whatever is asked of it fails."""
    CLOCK.now = EVENING
    local = ("data.source=local", f"data.root={tmp_path / 'nowhere'}", "data.end_date=null")
    told = ("alarms.channels=[file, webhook]", "alarms.file=alarms.jsonl", f"automation.look_every_sec={60}")
    with WebhookServer() as server:
        environment = {URL: server.url}
        with road(tmp_path, TWO, *local, *told, environment=environment, clock=CLOCK, pictures=False) as found:
            yield found


def fail(house: Road) -> None:
    """Let the daily job fail as the daemon would, at the time of the clock."""
    settings = house.runtime.settings.data
    with freeze_time(CLOCK.now):
        assert not refreshed(house, DAY, TWO, "data.source=local", f"data.root={settings.root}").success


def lines(house: Road) -> list[tuple[str, str]]:
    """Return change and subject of every line of the file."""
    file = house.runtime.root / "alarms.jsonl"
    found = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
    return [(line["change"], line["subject"]) for line in found]


def test_a_run_that_failed_and_a_source_that_is_silent_go_out_once_and_their_end_too(house: Road) -> None:
    watch = Watch(house)
    fail(house)
    assert watch.ringing()["run daily_refresh"].startswith("bars/raw_bars: ")
    assert watch.tick().startswith("2 alarms ring.")
    watch.tick()
    assert lines(house) == [("new", "run daily_refresh"), ("new", "source bars")]
    fail(house)
    watch.tick()
    assert len(lines(house)) == 2, "it failed again with the same words"
    house.engine.instance.add_run(dg.DagsterRun("daily_refresh", status=dg.DagsterRunStatus.SUCCESS))
    watch.tick()
    assert lines(house)[2:] == [("over", "run daily_refresh")]


def test_a_run_that_failed_between_two_looks_goes_out_although_the_next_one_was_well(house: Road) -> None:
    watch, well = Watch(house), dg.DagsterRun("daily_refresh", status=dg.DagsterRunStatus.SUCCESS)
    house.engine.instance.add_run(well)
    watch.tick()
    before = len(lines(house))
    fail(house)
    house.engine.instance.add_run(dg.DagsterRun("daily_refresh", status=dg.DagsterRunStatus.SUCCESS))
    watch.tick()
    assert lines(house)[before:] == [("new", "run daily_refresh")]
    watch.tick()
    assert lines(house)[before + 1 :] == [("over", "run daily_refresh")], "once"
    last = json.loads((house.runtime.root / "alarms.jsonl").read_text().splitlines()[-1])
    assert last["said"].endswith(" It has run well since.")


def test_bars_that_nobody_had_to_deliver_by_now_are_no_alarm_and_those_that_are_due_are_one(tmp_path: Path) -> None:
    (source := tmp_path / "source").mkdir()
    deliver(source, dict.fromkeys(SYMBOLS, date(2025, 1, 15)))
    settings = ("universe.tickers=[AAPL, META]", "data.source=local", f"data.root={source}", "data.end_date=null")
    CLOCK.now = datetime(2025, 1, 16, 21, 5, tzinfo=UTC)
    with road(tmp_path, *settings, clock=CLOCK, pictures=False) as early:
        early.run([DAY], assets=("raw_bars", "bars", "quality_report"))
        assert Watch(early).ringing() == {}, "they come within two hours"
        CLOCK.now = datetime(2025, 1, 16, 23, 5, tzinfo=UTC)
        ringing = Watch(early).ringing()
    assert [*ringing] == ["check quality of bars/bars"]
    assert "2025-01-16|AAPL late" in ringing["check quality of bars/bars"]


def test_a_session_that_nobody_made_is_overdue_from_its_moment_on_and_only_where_days_run_by_themselves(
    house: Road,
) -> None:
    CLOCK.now = NIGHT
    assert due(house.engine) == [], "nobody has switched it on"
    CLOCK.now = CLOSE
    fail(house)
    CLOCK.now = NIGHT
    (session,) = [one for one in due(house.engine) if one.what == f"session {DAY}"]
    assert (session.by, session.is_overdue) == (datetime(2025, 1, 17, 1, tzinfo=UTC), True)
    assert Watch(house).ringing()[f"due session {DAY}"].startswith("was due by 2025-01-17 01:00 UTC: bars/raw_bars: ")
    CLOCK.now = EVENING
    assert f"due session {DAY}" not in Watch(house).ringing(), "it is awaited, and not missed"


def test_what_was_over_before_anything_ran_by_itself_was_not_missed_and_is_due_from_then_on(house: Road) -> None:
    CLOCK.now = NIGHT
    fail(house)
    with freeze_time(NIGHT):
        house.engine.instance.add_run(dg.DagsterRun("tsfm_cycle", status=dg.DagsterRunStatus.STARTED))
    found = {one.what: one for one in due(house.engine)}
    assert not any(one.is_overdue for one in found.values())
    assert found[f"session {DAY}"].by == NIGHT + timedelta(minutes=240)
    assert found["prediction markets"].by == NIGHT + timedelta(minutes=20)
    CLOCK.now = NIGHT + timedelta(minutes=240)
    assert all(one.is_overdue for one in due(house.engine))


def test_a_channel_that_is_dead_stops_nobody_is_an_alarm_and_hears_all_when_it_is_back(house: Road) -> None:
    url = house.runtime.environment[URL]
    watch = Watch(house)
    fail(house)
    house.runtime.environment.pop(URL)  # type: ignore[attr-defined]  # a dict, taken away as an operator may
    said = watch.tick()
    assert f"Not told: webhook: {URL} is not set." in said
    assert lines(house)[-1] == ("new", "channel webhook"), "in the same breath"
    watch.tick()
    assert len(lines(house)) == 3, "once, however often it is tried again"
    house.runtime.environment[URL] = url  # type: ignore[index]  # the same dict
    assert "Not told" not in watch.tick()
    assert lines(house)[3:] == [("over", "channel webhook")]
    assert set(remembered(watch.cursor).by_channel["webhook"]) == {"run daily_refresh", "source bars"}


def test_what_cannot_be_read_is_an_alarm_and_ends_none(house: Road) -> None:
    watch, root = Watch(house), house.root
    fail(house)
    CLOCK.now = NIGHT
    watch.tick()
    before = len(lines(house))
    torn = root / "tsfm" / "markets" / "2025-01-16.parquet"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"PAR1 torn")
    house.engine.instance.add_run(dg.DagsterRun("tsfm_cycle", status=dg.DagsterRunStatus.SUCCESS))
    watch.tick()
    after = lines(house)[before:]
    assert after == [("new", "source for due")]


def test_a_check_that_failed_is_an_alarm_with_its_words_and_gates_are_none(house: Road) -> None:
    instance, keys = house.engine.instance, house.engine.repository.asset_graph.asset_check_keys
    failing = ["coverage_holds", "primary_sources_meet_their_goals", "quality", "gates_passed", "features_hold"]
    for key in keys:
        if key.name in failing:
            told = dg.AssetCheckEvaluation(key.asset_key, key.name, passed=False, description=f"{key.name} is not well")
            instance.report_runless_asset_event(told)
    ringing = {subject.partition(" of ")[0]: said for subject, said in Watch(house).ringing().items()}
    assert {s: said for s, said in ringing.items() if not s.startswith("source")} == {
        "drift coverage_holds": "coverage_holds is not well",
        "drift features_hold": "features_hold is not well",
        "news primary_sources_meet_their_goals": "primary_sources_meet_their_goals is not well",
        "check quality": "quality is not well",
    }


def test_prediction_markets_are_missed_after_some_cycles_once_they_ran_by_themselves(house: Road) -> None:
    store, seen = ParquetStore(LocalStore(house.root)), datetime(2025, 1, 16, 21, 40, tzinfo=UTC)
    row = dict.fromkeys(MARKETS.columns) | {"day": seen.date(), "market_id": "m", "as_of": seen}
    store.write("tsfm/markets", "2025-01-16", pl.DataFrame([row], MARKETS.schema))
    assert due(house.engine) == []
    house.engine.instance.add_run(dg.DagsterRun("tsfm_cycle", status=dg.DagsterRunStatus.SUCCESS))
    (cycle,) = due(house.engine)
    assert (cycle.state, cycle.is_overdue) == ("last looked at 2025-01-16 21:40 UTC", True)
    CLOCK.now = datetime(2025, 1, 16, 21, 59, tzinfo=UTC)
    assert not due(house.engine)[0].is_overdue, "three may fail to come"


def test_a_rollout_that_a_sensor_took_back_rings_for_three_days_or_until_somebody_moves_it(house: Road) -> None:
    def step(what: str, forecaster: str, who: str, record: str, at: datetime) -> None:
        said = {"phase": "shadow", "share": 0, "why": "it fell", "evidence": {}}
        RolloutRecord(LocalStore(house.root), record).add(
            what, forecaster=forecaster, who=who, allowed=lambda known: None, clock=lambda: at, **said
        )  # fmt: skip

    def ringing() -> dict[str, str]:
        return {subject: said for subject, said in Watch(house).ringing().items() if subject.startswith("rollout")}

    CLOCK.now = EVENING
    step("rollback", "tsfm", "sensor judge_tsfm_rollout", TSFM_NAME, EVENING)
    step("rollback", "ridge", "sensor judge_rollout", NAME, EVENING)
    step("rollback", "climatology", "me", NAME, EVENING)
    said = "went back to shadow by itself. it fell. See: timegpt-assets"
    assert ringing() == {
        "rollout tsfm": f"{said} tsfm rollout status", "rollout ridge": f"{said} rollout status",
    }, "who took one back by hand knows of it"  # fmt: skip
    CLOCK.now = EVENING + timedelta(days=2)
    step("advance", "ridge", "me", NAME, CLOCK.now)
    assert [*ringing()] == ["rollout tsfm"]
    CLOCK.now = EVENING + timedelta(days=3)
    assert ringing() == {}


def test_what_waits_for_money_and_calls_that_are_nearly_used_up_are_alarms(tmp_path: Path) -> None:
    CLOCK.now = EVENING
    settings = (*modest("http://127.0.0.1:9"), "forecast.api_budget.per_day=4", "forecast.api_budget.per_month=400")
    with road(tmp_path, *settings, base=TINY, profile="dev", environment={"TIMEGPT_API_KEY": KEY}, clock=CLOCK) as poor:
        watch, planner = Watch(poor), poor.engine.budget_planner
        assert planner is not None
        assert watch.ringing() == {}
        planner.ledger.freeze("a bill nobody knows")
        pending._note(
            poor.engine.instance,
            [DAY],
            [(pending.CALLS, [DAY], "2 calls needed for the next session, 0 left")],
            assets=EVERYDAY,
            symbols=(),
        )
        ringing = watch.ringing()
        assert ringing[f"budget {DAY} to {DAY}"] == "waits: 2 calls needed for the next session, 0 left"
        assert ringing["budget frozen"].startswith("a bill nobody knows.")


def test_of_a_damaged_cursor_everything_is_told_again_and_a_good_one_is_read_back() -> None:
    told = Told(by_channel={"log": {"run x": "y"}}, dead={"mail": "gone"}, last_runs={"x": "1"})
    assert remembered(written(told)) == told
    for damaged in ("{", "[]", '{"told": 3}', '{"told": {"log": 3}}', None):
        assert remembered(damaged) == Told()


def test_one_who_is_dead_is_not_told_of_itself_and_who_is_listed_no_more_is_forgotten() -> None:
    heard: dict[str, list[Notice]] = {"mail": [], "log": []}

    def dead(_: Any) -> None:
        raise ChannelFailed("mail: gone. Mend it.")

    ring = Found(alarms=[Alarm(kind="run", name="x", said="y")])
    told = tell({"mail": dead, "log": heard["log"].extend}, ring, Told())
    assert [n.subject for n in heard["log"]] == ["run x", "channel mail"]
    told = tell({"mail": heard["mail"].extend, "log": heard["log"].extend}, ring, told)
    assert [n.subject for n in heard["mail"]] == ["run x"]
    assert [n.line for n in heard["log"][2:]] == ["[over] channel mail: mail: gone. Mend it."]
    assert tell({"log": heard["log"].extend}, ring, Told(dead={"mail": "gone"})).dead == {}


def test_what_goes_out_repeats_no_secret() -> None:
    found = Found(alarms=[Alarm(kind="run", name="a-word-to-hide", said="login a-word-to-hide failed")])
    (told,) = shown(found, Redaction({"PGPASSWORD": "a-word-to-hide"})).alarms
    assert told == Alarm(kind="run", name="[REDACTED]", said="login [REDACTED] failed")
