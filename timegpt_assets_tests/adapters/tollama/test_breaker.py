"""When a model server is left alone and how it is tried again, whatever its clock does and however many ask."""

import threading
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from timegpt_assets.adapters.tollama.breaker import ModelBreaker, Rules

RULES = Rules(failures=5, cooldown_s=120.0, probes=2)


@dataclass
class Ticking:
    """A clock that is set by hand."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


def opened(ticking: Ticking, rules: Rules = RULES) -> ModelBreaker:
    breaker = ModelBreaker(rules=rules, ticks=ticking)
    for _ in range(rules.failures):
        assert breaker.allow()
        breaker.failed()
    return breaker


def test_five_failures_in_a_row_open_it_and_an_answer_in_between_begins_anew() -> None:
    breaker = ModelBreaker(rules=RULES, ticks=Ticking())
    for _ in range(4):
        breaker.failed()
    breaker.succeeded()
    for _ in range(4):
        breaker.failed()
    assert (breaker.state, breaker.allow()) == ("closed", True)
    breaker.failed()
    assert (breaker.state, breaker.allow()) == ("open", False)


def test_after_the_cooldown_two_probes_one_at_a_time_close_it() -> None:
    ticking = Ticking()
    breaker = opened(ticking)
    ticking.at += 119.9
    assert (breaker.state, breaker.allow()) == ("open", False)
    ticking.at += 0.1
    assert (breaker.state, breaker.allow(), breaker.allow()) == ("half_open", True, False)
    breaker.succeeded()
    assert (breaker.state, breaker.allow(), breaker.allow()) == ("half_open", True, False)
    breaker.succeeded()
    assert [breaker.allow() for _ in range(3)] == [True] * 3
    assert breaker.state == "closed"


def test_a_probe_that_fails_opens_it_for_a_whole_cooldown_and_the_probe_before_counts_no_more() -> None:
    ticking = Ticking()
    breaker = opened(ticking)
    ticking.at += 120
    assert breaker.allow()
    breaker.succeeded()
    assert breaker.allow()
    breaker.failed()
    ticking.at += 119
    assert not breaker.allow()
    ticking.at += 1
    assert breaker.allow()
    breaker.succeeded()
    assert breaker.state == "half_open"


def test_a_probe_of_which_nothing_is_said_is_given_up_after_the_cooldown() -> None:
    ticking = Ticking()
    breaker = opened(ticking)
    ticking.at += 120
    assert breaker.allow()
    ticking.at += 119
    assert not breaker.allow()
    ticking.at += 1
    assert breaker.allow()


def test_what_is_said_late_while_it_is_open_changes_nothing() -> None:
    ticking = Ticking()
    breaker = opened(ticking)
    ticking.at += 60
    breaker.failed()
    breaker.succeeded()
    assert breaker.state == "open"
    ticking.at += 60
    assert breaker.state == "half_open"


@pytest.mark.parametrize("jump", [-1e9, -500.0, -1.0])
def test_a_clock_that_is_set_back_delays_a_probe_by_a_cooldown_at_most(jump: float) -> None:
    ticking = Ticking()
    breaker = opened(ticking)
    ticking.at += 100 + jump
    assert not breaker.allow()
    ticking.at += 120
    assert breaker.allow()
    ticking.at += jump
    assert not breaker.allow()
    ticking.at += 120
    assert breaker.allow()


def test_a_clock_that_is_set_forward_costs_one_early_probe_and_no_more() -> None:
    ticking = Ticking()
    breaker = opened(ticking)
    ticking.at += 1e9
    assert [breaker.allow() for _ in range(5)].count(True) == 1
    breaker.failed()
    assert breaker.state == "open"


def test_of_many_threads_one_gets_the_probe() -> None:
    ticking = Ticking()
    breaker = opened(ticking)
    ticking.at += 120
    start, allowed = threading.Barrier(16), list[bool]()

    def ask() -> None:
        start.wait()
        allowed.append(breaker.allow())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed.count(True) == 1


class Breaking(RuleBasedStateMachine):
    """Any order of questions, outcomes and hours; what is known of it is kept beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.ticking = Ticking()
        self.breaker = ModelBreaker(rules=RULES, ticks=self.ticking)
        self.in_a_row = 0
        self.opened_at: float | None = None
        self.probes_out = 0
        self.out = 0

    @rule(seconds=st.floats(0, 300))
    def wait(self, seconds: float) -> None:
        self.ticking.at += seconds

    @rule()
    def ask(self) -> None:
        was = self.breaker.state
        allowed = self.breaker.allow()
        assert allowed or was != "closed"
        assert not (allowed and was == "open")
        self.out += allowed

    @precondition(lambda self: self.out)
    @rule()
    def fail(self) -> None:
        self.out -= 1
        was = self.breaker.state
        self.breaker.failed()
        self.in_a_row = self.in_a_row + 1 if was == "closed" else 0
        if was == "half_open" or (was == "closed" and self.in_a_row >= RULES.failures):
            assert self.breaker.state == "open"
            self.opened_at, self.in_a_row = self.ticking.at, 0

    @precondition(lambda self: self.out)
    @rule()
    def answer(self) -> None:
        self.out -= 1
        was = self.breaker.state
        self.breaker.succeeded()
        self.in_a_row = 0
        if was == "closed":
            assert self.breaker.state == "closed"
        if self.breaker.state == "closed":
            self.opened_at = None

    @invariant()
    def it_is_open_for_exactly_its_cooldown(self) -> None:
        if self.opened_at is None:
            assert self.breaker.state == "closed"
        elif self.ticking.at - self.opened_at < RULES.cooldown_s:
            assert self.breaker.state == "open"
        else:
            assert self.breaker.state == "half_open"


TestBreaking = Breaking.TestCase
TestBreaking.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
