"""Phases: what was recorded before a session's open holds on it, and a step is taken from where one stands alone."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.rollout import phases
from timegpt_assets.core.rollout.phases import CANARY, FULL, PHASES, RAMP, SHADOW, RolloutRefused

DAY = date(2025, 3, 4)
OPEN = calendar.session(DAY).open
SHARES = phases.shares_of(10, 50)


def recorded(*steps: tuple[datetime, str, str]) -> pl.DataFrame:
    rows = [(at, f"to {phase}", name, phase, SHARES[phase], "me", "because") for at, name, phase in steps]
    return pl.DataFrame(rows, phases.RECORDED, orient="row")


def test_what_holds_on_a_session_was_recorded_before_it_opened() -> None:
    early = OPEN - timedelta(microseconds=1)
    record = recorded((early, "size", SHADOW), (early, "size", CANARY), (OPEN, "size", RAMP))
    days = [calendar.shifted(DAY, -1), DAY, calendar.shifted(DAY, 1)]
    assert phases.shares(record, days) == {days[1]: (("size", 10),), days[2]: (("size", 50),)}
    assert phases.shares(recorded((early, "size", SHADOW)), days) == {}, "nothing of what is in shadow is traded"


@given(st.lists(st.tuples(st.integers(-72, 72), st.sampled_from(PHASES), st.sampled_from("ab")), max_size=12))
def test_what_is_recorded_later_changes_no_session_before_it(steps: list[tuple[int, str, str]]) -> None:
    said = [(OPEN + timedelta(hours=hours), name, phase) for hours, phase, name in sorted(steps)]
    known = [step for step in said if step[0] < OPEN]
    assert phases.shares(recorded(*said), [DAY]) == phases.shares(recorded(*known), [DAY])
    last = {name: SHARES[phase] for _, name, phase in known}
    assert dict(phases.shares(recorded(*said), [DAY]).get(DAY, ())) == {name: s for name, s in last.items() if s}


def test_who_left_shadow_last_stands_last_and_keeps_its_place_as_it_goes_on() -> None:
    at = OPEN - timedelta(days=30)
    steps = [("blend", SHADOW), ("size", SHADOW), ("size", CANARY), ("size", FULL), ("blend", CANARY), ("size", FULL)]
    record = recorded(*((at + timedelta(hours=n), *step) for n, step in enumerate(steps)))
    assert phases.shares(record, [DAY])[DAY] == (("size", 100), ("blend", 10))
    back = recorded(
        *((at + timedelta(hours=n), *step) for n, step in enumerate([*steps, ("size", SHADOW), ("size", CANARY)]))
    )
    assert phases.shares(back, [DAY])[DAY] == (("blend", 10), ("size", 10)), "it has left shadow anew"


def test_a_step_that_cannot_be_taken_is_refused_with_what_can() -> None:
    at = OPEN - timedelta(days=3)
    record = recorded((at, "size", SHADOW), (at, "tree", CANARY), (at, "old", FULL))
    known = phases.standings(record)
    assert phases.next_phase(known["size"]) == CANARY
    with pytest.raises(RolloutRefused, match=r"old is in full .* timegpt-assets rollout rollback old"):
        phases.next_phase(known["old"])
    with pytest.raises(RolloutRefused, match=r"net is in no rollout. In rollout: size, tree, old. Begin one"):
        phases.found(record, "net")
    with pytest.raises(RolloutRefused, match=r"size is in shadow .* has begun"):
        phases.refuse_started(record, "size")
    with pytest.raises(RolloutRefused, match="tree is in canary: one challenger at a time"):
        phases.refuse_second(record, "size", CANARY)
    phases.refuse_second(record, "tree", RAMP)
    phases.refuse_second(record, "size", SHADOW)
    moved = phases.standings(recorded((at, "size", SHADOW), (OPEN, "size", CANARY)))["size"]
    with pytest.raises(RolloutRefused, match=r"size was moved to canary at .* meanwhile, by me"):
        phases.refuse_moved(moved, known["size"])
    phases.refuse_moved(moved, moved)
