"""The road of a candidate: 60 sessions from shadow to full by the shipped settings, and each trigger sends it back.

Tables are made by hand, so that 60 sessions take seconds; what reads, judges, records and assigns them is what runs.
"""

import json
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from timegpt_assets.adapters.storage.chained_record import ClockWentBack, RecordBroken
from timegpt_assets.adapters.storage.rollout_record import NAME
from timegpt_assets.automation.rollout import judge_rollouts
from timegpt_assets.core import calendar
from timegpt_assets.core.rollout.advancing import Unproven
from timegpt_assets.core.rollout.phases import CANARY, FULL, RAMP, SHADOW
from timegpt_assets.engine.rollout import Rollouts
from timegpt_assets_tests.rollouts import SYMBOLS, House, Session, copied, drift, portfolio

AFTER = [date(2025, 3, 27), date(2025, 3, 28), date(2025, 3, 31)]
"""Up to a month's last session: features are judged on no other."""
ROAD = [calendar.shifted(AFTER[0], -back) for back in range(60, 0, -1)]
CHAMPION = dict.fromkeys(SYMBOLS, "ridge")


def tick(house: House, cursor: str = "") -> tuple[str, str]:
    """Evaluate the sensor as the daemon does; return what it says and its cursor."""
    context = dg.build_sensor_context(cursor=cursor or None)
    said = judge_rollouts(house.runtime)(context)
    assert isinstance(said, dg.SkipReason)
    return str(said.skip_message), str(context.cursor or "")


def phase(house: House) -> str:
    return house.rollouts.standings()[house.name].phase


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, dict[date, dict[str, str]]]:
    """Return a house after 60 sessions of a candidate with which nothing is wrong, and what live traded on each."""
    house, traded, cursor = House(tmp_path_factory.mktemp("road") / "house"), {}, ""
    house.finish(calendar.shifted(ROAD[0], -1))
    house.rollouts.start("size", who="me", why="")
    for number, day in enumerate(ROAD, 1):
        traded[day] = house.live(day)
        house.finish(day)
        said, cursor = tick(house, cursor)
        assert "taken back" not in said
        if number % 20 == 19:
            with pytest.raises(
                Unproven, match=r"sessions: 19 finished sessions .* symbol_gates: its gates passed on 19"
            ):
                house.rollouts.advance("size", who="me", why="")
        if number % 20 == 0:
            house.rollouts.advance("size", who="me", why="")
    return house, traded


def test_a_candidate_goes_from_shadow_to_full_in_sixty_sessions_and_live_changes_hands_by_the_share(walked) -> None:
    house, traded = walked
    shadow, canary, ramp = (traded[day] for day in (ROAD[0], ROAD[20], ROAD[40]))
    assert [traded[day] for day in ROAD] == [shadow] * 20 + [canary] * 20 + [ramp] * 20
    assert shadow == CHAMPION, "in shadow nothing of it is traded"
    of = {name: {s for s, who in held.items() if who == "size"} for name, held in (("10", canary), ("50", ramp))}
    assert 0 < len(of["10"]) < len(of["50"]) < len(SYMBOLS)
    assert of["10"] < of["50"], "who trades it goes on trading it"
    assert house.live(AFTER[0]) == dict.fromkeys(SYMBOLS, "size")
    steps = [(entry["what"], entry["phase"], entry["share"]) for entry in house.rollouts.record.entries()]
    assert steps == [
        ("start", SHADOW, 0),
        ("advance", CANARY, 10),
        ("advance", RAMP, 50),
        ("advance", FULL, 100),
    ]
    evidence = house.rollouts.record.entries()[2]["evidence"]
    assert (evidence["first"], evidence["last"]) == (str(ROAD[20]), str(ROAD[39]))
    assert all(row["passed"] for row in evidence["criteria"])


BAD = {
    "gate_failures": [Session(eligible=5)] * 3,
    "gate_failures: no answer": [Session(answers="")] * 3,
    "gate_failures: the control arm stood in": [Session(answers="fallback")] * 3,
    "coverage_drift": [Session(alarms=("size",))],
    "feature_drift": [Session(psi=0.4)],
    "reject_rate": [Session(refused=12)],
    "slippage": [Session(slipped=0.5)],
}


@pytest.mark.parametrize("name", BAD)
def test_each_trigger_alone_takes_it_back_before_the_next_session_and_the_champion_is_traded_again(
    walked, tmp_path: Path, name: str
) -> None:
    house = copied(walked[0], tmp_path / "house")
    trigger, cursor = name.partition(":")[0], ""
    bad = AFTER[-len(BAD[name]) :]
    for day in AFTER[: AFTER.index(bad[0])]:
        house.finish(day)
    for day, session in zip(bad, BAD[name], strict=True):
        assert (phase(house), house.live(day)) == (FULL, dict.fromkeys(SYMBOLS, "size"))
        house.finish(day, session)
        for _ in range(20):  # a few sessions a tick
            said, cursor = tick(house, cursor)
            if " 0 sessions judged" in f" {said}" or "taken back" in said:
                break
    assert phase(house) == SHADOW
    entry = house.rollouts.record.entries()[-1]
    assert (entry["what"], entry["share"], entry["who"]) == ("rollback", 0, "sensor judge_rollouts")
    assert entry["why"].startswith(f"{bad[-1]}: {trigger}: ")
    assert [finding["trigger"] for finding in entry["evidence"]["findings"] if finding["fired"]] == [trigger]
    after = calendar.shifted(bad[-1], 1)
    assert house.now < calendar.session(after).open
    assert house.live(after) == CHAMPION
    assert house.live(bad[-1]) == dict.fromkeys(SYMBOLS, "size"), "what was recorded later changes no session before it"
    assert tick(house, cursor)[0].startswith("no challenger is traded"), "and is recorded once"
    assert len(house.rollouts.record.entries()) == 5


@pytest.fixture
def house(walked, tmp_path: Path) -> House:
    """Return a house in which the candidate is in full, with one more good session, judged by nobody yet."""
    house = copied(walked[0], tmp_path / "house")
    house.finish(AFTER[0])
    return house


def rested(house: House, cursor: str = "") -> str:
    """Return the cursor when everything so far is judged."""
    for _ in range(10):
        said, cursor = tick(house, cursor)
        assert "taken back" not in said
        if said.startswith("0 sessions judged."):
            return cursor
    raise AssertionError("the same sessions are judged for ever")


def test_a_daemon_killed_between_judging_and_recording_records_it_once_when_it_is_back(house: House) -> None:
    cursor = rested(house)
    house.finish(AFTER[1], Session(alarms=("size",)))
    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(Rollouts, "roll_back", killer)
        with pytest.raises(KeyboardInterrupt):
            tick(house, cursor)
    assert phase(house) == FULL, "nothing was recorded, and the cursor is the one of before"
    assert "taken back" in tick(house, cursor)[0]
    before = house.rollouts.record.entries()
    assert tick(house, cursor)[0].startswith("no challenger is traded"), "killed after the record, before the cursor"
    assert house.rollouts.record.entries() == before


def killer(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_bars_that_come_late_judge_a_session_again_and_a_month_made_after_its_day_too(house: House) -> None:
    cursor = rested(house)
    house.finish(AFTER[1])
    cursor = rested(house, cursor)
    assert tick(house, cursor)[0] == "0 sessions judged. No trigger fired."
    house.put("evaluation/coverage_drift", f"{AFTER[1]:%Y-%m}", drift(AFTER[1], Session(alarms=("size",))))
    assert f"{AFTER[1]}: coverage_drift" in tick(house, cursor)[0]


def test_a_session_that_was_missed_is_judged_later_and_a_day_without_one_asks_nothing(house: House) -> None:
    cursor = rested(house)
    house.at(date(2025, 3, 28), 60)  # a Saturday
    assert tick(house, cursor)[0] == "0 sessions judged. No trigger fired."
    house.finish(AFTER[1], Session(refused=30))
    house.finish(AFTER[2])
    house.put("backtest/portfolio", AFTER[1], portfolio(AFTER[1], "size", Session(refused=30)))
    assert f"{AFTER[1]}: reject_rate" in tick(house, cursor)[0]


def test_what_is_judged_after_the_open_holds_from_the_session_after(house: House) -> None:
    cursor = rested(house)
    house.finish(AFTER[1], Session(alarms=("size",)))
    house.at(AFTER[2], 0.5)
    assert "taken back" in tick(house, cursor)[0]
    assert set(house.live(AFTER[2]).values()) == {"size"}
    assert house.live(calendar.shifted(AFTER[2], 1)) == CHAMPION


def test_a_cursor_that_cannot_be_read_costs_a_judgement_and_no_more(house: House) -> None:
    for cursor in ("{", "[1]", "7"):
        said, made = tick(house, cursor)
        assert said.endswith("No trigger fired.")
        assert len(json.loads(made)) == 1, "the sessions of the phase: one"


def test_a_damaged_record_and_a_clock_that_went_back_stop_the_sensor_and_record_nothing(house: House) -> None:
    cursor = rested(house)
    house.finish(AFTER[1], Session(alarms=("size",)))
    house.at(ROAD[0], 1)
    with pytest.raises(ClockWentBack):
        tick(house, cursor)
    assert phase(house) == FULL
    house.at(AFTER[1], 8)
    file = house.runtime.path(house.runtime.settings.data.storage_root) / NAME
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"canary"', b'"shadow"'))
    for ask in (lambda: tick(house, cursor), lambda: house.live(AFTER[2])):
        with pytest.raises(RecordBroken, match=r"Restore it and its .head from a backup"):
            ask()
    file.write_bytes(whole)
    assert "taken back" in tick(house, cursor)[0]


def test_who_was_moved_by_hand_while_it_was_judged_is_left_where_it_is(house: House) -> None:
    cursor = rested(house)
    house.finish(AFTER[1], Session(alarms=("size",)))
    found = Rollouts.findings

    def meanwhile(own: Rollouts, forecaster: str, day: date) -> object:
        if day == AFTER[1]:
            own.roll_back(own.standings()[forecaster], who="me", why="by hand", evidence={})
        return found(own, forecaster, day)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Rollouts, "findings", meanwhile)
        assert "size was moved to shadow" in tick(house, cursor)[0]
    assert house.rollouts.record.entries()[-1]["why"] == "by hand"


def test_the_sensor_is_on_by_default_and_says_that_nobody_is_traded(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert judge_rollouts(house.runtime).default_status is dg.DefaultSensorStatus.RUNNING
    assert tick(house)[0] == "no challenger is traded, or no session of its phase is finished: nothing to judge."
    house.finish(ROAD[0])
    house.rollouts.start("size", who="me", why="")
    house.finish(ROAD[1], Session(alarms=("size",), refused=30))
    assert tick(house)[0].startswith("no challenger is traded"), "in shadow there is nothing to take back"


def test_what_one_session_found_is_the_same_whatever_came_after_it(house: House) -> None:
    before = house.rollouts.findings("size", AFTER[0])
    house.finish(AFTER[1], Session(eligible=0, alarms=("size",), refused=30, slipped=9.0))
    assert house.rollouts.findings("size", AFTER[0]) == before
    assert [finding.trigger for finding in house.rollouts.findings("size", AFTER[1]) if finding.fired] == [
        "coverage_drift",
        "reject_rate",
        "slippage",
    ]
