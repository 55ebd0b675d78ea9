"""The model is left alone when most of what it was asked failed, and asked again once it is well, by any clock."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.tsfm.degradation import (
    SLICES,
    AnswerGiven,
    Event,
    Probe,
    Rules,
    State,
    after,
    counts,
    fallback_rate,
    probe_due,
)
from timegpt_assets_tests.core.tsfm.market_rows import NOON

RULES = Rules(probe_interval_s=30, fallback_rate_max=0.5, window_s=300, min_requests=10, healthy_probes=3)


def at(seconds: float) -> datetime:
    """Return so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def request(seconds: float, fallback: bool) -> AnswerGiven:
    return AnswerGiven(at=at(seconds), fallback=fallback)


def probe(seconds: float, healthy: bool = True) -> Probe:
    return Probe(at=at(seconds), healthy=healthy)


def folded(*events: Event, state: State | None = None) -> State:
    """Return the state after events."""
    found = State() if state is None else state
    for event in events:
        found = after(found, event, RULES)
    return found


DEGRADED = folded(*(request(i, True) for i in range(10)))


def test_it_needs_enough_requests() -> None:
    assert not folded(*(request(i, True) for i in range(9))).degraded
    assert DEGRADED.degraded
    assert DEGRADED.since == at(9)
    assert "10 of 10 requests of the last 5 minutes" in DEGRADED.why


def test_half_is_not_more_than_half() -> None:
    half = folded(*(request(i, i % 2 == 1) for i in range(20)))
    assert not half.degraded
    assert fallback_rate(half) == 0.5
    assert folded(request(20, True), state=half).degraded


def test_what_is_older_than_the_window_counts_no_more() -> None:
    old = folded(*(request(i, True) for i in range(9)))
    assert not folded(request(309, True), state=old).degraded
    assert fallback_rate(folded(request(309, True), state=old)) == 1.0
    assert sum(one.requests for one in folded(request(309, True), state=old).slices) == 1


@pytest.mark.parametrize(
    ("probes", "degraded"),
    [
        ([(30, True), (60, True)], True),
        ([(30, True), (60, True), (90, True)], False),
        ([(30, True), (60, True), (90, False), (120, True), (150, True)], True),
        ([(30, True), (60, False), (90, True), (120, True), (150, True)], False),
        ([(30, True), (31, True), (32, True), (33, True)], True),
    ],
)
def test_so_many_healthy_probes_in_a_row_end_it(probes: list[tuple[float, bool]], degraded: bool) -> None:
    found = folded(*(probe(*one) for one in probes), state=DEGRADED)
    assert found.degraded is degraded
    if not degraded:  # what failed before is forgotten: else the next answer would end it at once
        assert not folded(request(200, True), state=found).degraded


def test_probes_are_due_while_it_is_left_alone_once_an_interval() -> None:
    assert not probe_due(State(), at(0), RULES)
    assert probe_due(DEGRADED, at(9), RULES)
    probed = folded(probe(30), state=DEGRADED)
    assert not probe_due(probed, at(59), RULES)
    assert probe_due(probed, at(60), RULES)
    assert probe_due(probed, at(-3600), RULES)


def test_a_clock_set_back_neither_keeps_old_answers_for_good_nor_forgets_them() -> None:
    ahead = folded(*(request(7200 + i, True) for i in range(9)))
    assert folded(request(0, True), state=ahead).degraded
    back = folded(*(request(0, False) for _ in range(2)), state=folded(*(request(7200 + i, True) for i in range(4))))
    assert fallback_rate(back) == pytest.approx(4 / 6)
    assert fallback_rate(folded(request(301, False), state=back)) == 0.0


def test_a_clock_set_back_does_not_hold_recovery() -> None:
    found = folded(probe(7200), state=DEGRADED)
    found = folded(probe(0), probe(30), probe(60), state=found)
    assert not found.degraded


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (None, True),
        ("tollama_error:timeout", True),
        ("circuit_breaker_open", True),
        ("too_few_points", False),
        ("max_gap_exceeded", False),
        ("baseline_only_liquidity_bucket", False),
        ("degradation_baseline_only", False),
    ],
)
def test_only_what_says_something_of_the_model_counts(reason: str | None, told: bool) -> None:
    assert counts(reason) is told


EVENTS = st.lists(
    st.tuples(st.integers(-4000, 4000), st.booleans(), st.booleans()).map(
        lambda e: request(e[0], e[1]) if e[2] else probe(e[0], e[1])
    ),
    max_size=80,
)


@given(EVENTS)
def test_whatever_happens_by_whatever_clock_the_state_holds(events: list[Event]) -> None:
    states = [State()]
    for event in events:
        states.append(after(states[-1], event, RULES))
    for event, (was, now) in zip(events, pairwise(states), strict=True):
        assert len(now.slices) <= SLICES + 1
        assert all(one.begins <= event.at for one in now.slices)
        assert now.probed_at is None or now.probed_at <= event.at
        if now.degraded and not was.degraded:
            assert isinstance(event, AnswerGiven)
        if was.degraded and not now.degraded:
            assert isinstance(event, Probe)
            assert event.healthy
            assert was.healthy == RULES.healthy_probes - 1


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_it_is_what_a_plain_count_of_the_window_says(fallbacks: list[bool]) -> None:
    """Requests a second apart, all within the window: an oracle that counts them."""
    found, degraded = State(), False
    for i, fallback in enumerate(fallbacks):
        found = after(found, request(i, fallback), RULES)
        degraded = degraded or (i + 1 >= 10 and sum(fallbacks[: i + 1]) / (i + 1) > 0.5)
        assert found.degraded is degraded
