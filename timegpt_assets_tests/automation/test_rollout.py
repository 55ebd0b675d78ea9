"""The road of a candidate: 60 sessions from shadow to full by the shipped settings, and each trigger sends it back.

Tables are made by hand, so that 60 sessions take seconds; what reads, judges, records and assigns them is what runs.
"""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from timegpt_assets.automation.rollout import judge_rollouts
from timegpt_assets.core import calendar
from timegpt_assets.core.rollout.advancing import Unproven
from timegpt_assets.core.rollout.phases import CANARY, FULL, RAMP, SHADOW
from timegpt_assets_tests.rollouts import SYMBOLS, House, Session, copied

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
