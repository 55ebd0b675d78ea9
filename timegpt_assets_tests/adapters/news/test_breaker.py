"""A source that refuses is left alone, by every process and by any clock, and then tried once at a time."""

import threading
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.adapters.ledger.process_identity import owner
from timegpt_assets.adapters.news.breaker import (
    CLOSED,
    LONGEST_SILENCE_S,
    OPEN,
    PROBING,
    BreakerDamaged,
    Rules,
    State,
    TurnLost,
)
from timegpt_assets.adapters.news.connector import Doubt
from timegpt_assets_tests.adapters.news.askers import AFTER, FILES, Hands, breaker

RULES = Rules(failures=3, cooldown_s=600.0, successes=2)
DEAD = f"{owner().rsplit('/', 2)[0]}/4194304/1"
"""A process of this machine whose id no process can have."""


def refused(state: State, hands: Hands, times: int = 1) -> State:
    for _ in range(times):
        state = state.sent(hands.now, RULES).told(Doubt.THROTTLED, hands.now, RULES, why="asked too often")
    return state


def answered(state: State, hands: Hands, doubt: Doubt | None = None) -> State:
    return state.sent(hands.now, RULES).told(doubt, hands.now, RULES)


def test_it_opens_at_the_third_failure_in_a_row_and_an_answer_begins_the_row_anew() -> None:
    hands = Hands()
    state = answered(refused(State(), hands, 2), hands)
    assert (state.breaker, state.failures) == (CLOSED, 0)
    assert refused(state, hands, 2).breaker == CLOSED
    assert refused(state, hands, 3).breaker == OPEN


def test_it_is_left_alone_for_its_cooldown_then_probed_and_closed_by_two_answers() -> None:
    hands = Hands()
    state = refused(State(), hands, 3)
    hands.pass_(599)
    held = state.held(hands.now)
    assert held == "left alone until 2024-07-01 20:40:00Z, because: asked too often"
    hands.pass_(1)
    assert state.held(hands.now) is None
    state = answered(state, hands)
    assert (state.breaker, state.held(hands.now)) == (PROBING, None)
    state = answered(state, hands)
    assert state == State(asked_at=hands.now)


def test_a_probe_that_fails_begins_another_whole_silence_and_the_count_of_answers() -> None:
    hands = Hands()
    state = refused(State(), hands, 3)
    hands.pass_(600)
    state = refused(answered(state, hands), hands)
    assert state.breaker == OPEN
    hands.pass_(599)
    assert state.held(hands.now)
    hands.pass_(1)
    assert answered(state, hands).breaker == PROBING
    assert answered(answered(state, hands), hands).breaker == CLOSED


def test_a_probe_whose_asker_died_counts_as_refused() -> None:
    hands = Hands()
    state = refused(State(), hands, 3)
    hands.pass_(600)
    state = state.sent(hands.now, RULES)
    assert state.breaker == PROBING
    hands.pass_(599)
    assert state.held(hands.now)
    hands.pass_(1)
    assert state.held(hands.now) is None


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(hours=5), timedelta(days=4000)])
def test_a_clock_that_is_set_back_neither_ends_a_silence_nor_makes_it_longer_than_itself(back: timedelta) -> None:
    hands = Hands()
    state = refused(State(), hands, 3)
    hands.pass_(300)
    hands.now -= back
    state = state.since_then(hands.now)
    assert state.held(hands.now)
    hands.pass_(600)
    assert state.since_then(hands.now).held(hands.now) is None


def test_a_refused_question_is_a_sign_of_health_and_nothing_is_none() -> None:
    hands = Hands()
    two = refused(State(), hands, 2)
    assert answered(two, hands, Doubt.REFUSED).failures == 0
    assert answered(two, hands, Doubt.EMPTY).failures == 2
    open_ = refused(State(), hands, 3)
    hands.pass_(600)
    assert answered(open_, hands, Doubt.EMPTY).breaker == OPEN
    assert answered(open_, hands, Doubt.REFUSED).breaker == PROBING


@pytest.mark.parametrize(("said", "silence"), [(31.0, 600.0), (4000.0, 4000.0), (1e12, LONGEST_SILENCE_S)])
def test_who_asks_for_a_longer_wait_is_left_alone_at_once_for_that_long(said: float, silence: float) -> None:
    hands = Hands()
    state = State().told(Doubt.THROTTLED, hands.now, RULES, asked_for_s=said)
    assert (state.breaker, state.silence_s) == (OPEN, silence)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([None, *Doubt]),
        st.sampled_from([0.0, 10.0, 599.0, 600.0, 5000.0]),
        st.sampled_from([0.0, 0.0, 0.0, 60.0, 90_000.0]),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(steps=STEPS)
def test_whatever_comes_nothing_is_sent_in_a_silence_and_two_answers_in_a_row_alone_close_it(
    steps: list[tuple[Doubt | None, float, float]],
) -> None:
    """Each step: what the source answers, seconds until the next, and how far the clock is set back meanwhile."""
    hands, state, opened_at, good = Hands(), State(), None, 0
    for doubt, wait, back in steps:
        state = state.since_then(hands.now)
        if state.held(hands.now) is None:
            if opened_at is not None and good == 0:
                assert hands.seconds - opened_at >= RULES.cooldown_s
            was = state.breaker
            state = answered(state, hands, doubt)
            is_good = doubt in (None, Doubt.REFUSED)
            good = good + 1 if is_good and was != CLOSED else 0
            if was != CLOSED:
                assert (state.breaker == CLOSED) == (good == RULES.successes)
            if state.breaker == OPEN:
                opened_at, good = hands.seconds, 0
            elif state.breaker == CLOSED:
                opened_at, good = None, 0
        hands.pass_(wait)
        hands.now -= timedelta(seconds=back)


def test_who_begins_later_knows_of_the_silence(tmp_path: Path) -> None:
    hands = Hands()
    with breaker(tmp_path, hands, "gdelt_doc", RULES).turn() as turn:
        for _ in range(3):
            turn.begin()
            turn.end(Doubt.THROTTLED, "asked too often")
        assert breaker(tmp_path, hands, "gdelt_doc", RULES).recorded()[0].breaker == OPEN, "before the turn is over"
    with breaker(tmp_path, hands, "gdelt_doc", RULES).turn() as turn:
        assert turn.held() == "left alone until 2024-07-01 20:40:00Z, because: asked too often"
    with breaker(tmp_path, hands, "gdelt_files", RULES).turn() as turn:
        assert turn.held() is None


def test_two_questions_are_never_closer_than_their_spacing_whoever_asks(tmp_path: Path) -> None:
    hands = Hands()
    for _ in range(2):
        with breaker(tmp_path, hands, "gdelt_doc", RULES, spacing_s=10.0).turn() as turn:
            turn.begin()
            hands.pass_(4)
            turn.end(None)
            turn.begin()
            turn.end(None)
    assert hands.slept == [6.0, 10.0, 6.0]
    hands.now -= timedelta(days=1)
    with breaker(tmp_path, hands, "gdelt_doc", RULES, spacing_s=10.0).turn() as turn:
        turn.begin()
    assert hands.slept[3:] == [10.0]


def test_one_at_a_time_has_the_turn(tmp_path: Path) -> None:
    inside, most, hands = [0], [0], Hands()

    def ask() -> None:
        patient = Hands()
        patient.sleep = lambda seconds: threading.Event().wait(0.001)  # type: ignore[method-assign]
        with breaker(tmp_path, patient, "gdelt_doc", RULES).turn():
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            threading.Event().wait(0.005)
            inside[0] -= 1

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert breaker(tmp_path, hands, "gdelt_doc", RULES).recorded()[1] is None


def held_by(folder: Path, who: str, until_s: float) -> None:
    """Leave the turn in somebody's hands."""
    state = orjson.loads(orjson.dumps(State()))
    holder = {"who": who, "token": "t", "beat": 1, "until": (AFTER + timedelta(seconds=until_s)).isoformat()}
    path = folder / "news" / "breakers" / "gdelt_doc.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(orjson.dumps({"state": state, "holder": holder}))


@pytest.mark.parametrize(
    ("who", "until_s", "waited_s"),
    [(DEAD, 100.0, 0.0), ("elsewhere/7/1", 30.0, 30.0), ("elsewhere/7/1", 1e6, 140.0), ("elsewhere/7/1", -1.0, 0.0)],
)
def test_the_turn_of_who_is_gone_goes_to_the_next(
    tmp_path: Path, who: str, until_s: float, waited_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    """At once on its own machine; on another when its lease ends, by the clock or, if that is wrong, by waiting."""
    caplog.set_level("INFO", "timegpt_assets")
    held_by(tmp_path, who, until_s)
    hands = Hands()
    with breaker(tmp_path, hands, "gdelt_doc", RULES).turn() as turn:
        assert turn.held() is None
    assert sum(hands.slept) == pytest.approx(waited_s, abs=0.5)
    said = ["gdelt_doc is being asked by process 7 of another machine: waiting for the turn"] * (waited_s > 0)
    assert [record.message for record in caplog.records] == said


def test_who_lost_the_turn_asks_nothing_more(tmp_path: Path) -> None:
    slow, fast = Hands(), Hands(now=AFTER + timedelta(seconds=141))
    with breaker(tmp_path, slow, "gdelt_doc", RULES).turn() as lost:
        lost.begin()
        with breaker(tmp_path, fast, "gdelt_doc", RULES).turn() as taken:
            slow.pass_(141)
            with pytest.raises(TurnLost, match="materialise raw_news again"):
                lost.begin()
            taken.begin()
            taken.end(None)
    assert breaker(tmp_path, fast, "gdelt_doc", RULES).recorded()[1] is None


@pytest.mark.parametrize("said", [b"{", b"[]", b'{"state": {"odd": 1}, "holder": null}'])
def test_a_damaged_record_is_named_and_its_remedy_works(tmp_path: Path, said: bytes) -> None:
    file = tmp_path / "news" / "breakers" / "gdelt_doc.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(said)
    ours = breaker(tmp_path, Hands(), "gdelt_doc", FILES)
    with pytest.raises(BreakerDamaged, match="Delete it") as damaged, ours.turn():
        pass
    assert str(file) in str(damaged.value)
    file.unlink()
    with ours.turn() as turn:
        assert turn.held() is None
