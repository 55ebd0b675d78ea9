"""Who answers: the reasons in their order, the space of the model, and what is kept is asked of nobody again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.tollama import breaker
from timegpt_assets.adapters.tollama.answer_store import AnswersDamaged, Remembered
from timegpt_assets.adapters.tollama.answers import Kind, ModelAnswers, ModelFailed
from timegpt_assets.adapters.tollama.runner import Rules, Runner, Unanswered
from timegpt_assets.core.tsfm.asked import Answered, Asked
from timegpt_assets.core.tsfm.baselines import BaselineSpec
from timegpt_assets.core.tsfm.guards import Guards
from timegpt_assets.core.tsfm.reasons import AskingRules
from timegpt_assets.core.tsfm.transform import Transform

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
LOGIT = Transform("logit", 1e-6)
RULES = Rules(
    runtime="tollama",
    model="steady",
    transform=LOGIT,
    guards=Guards(0.02, 0.6),
    baselines=BaselineSpec(order=("EWMA",), span=24, rolling_steps=288, min_points=2),
    asking=AskingRules(min_points=32, max_gap_min=60.0, min_volume_24h=5000.0),
    timeout_s=2.0,
    batch_timeout_s=20.0,
    batch_series=2,
)


@dataclass
class Steady:
    """A model of one line: half a unit of its space around the last point; those of ``mute`` it says nothing of."""

    mute: frozenset[str] = frozenset()
    down: bool = False
    asked: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)

    def forecast(self, asked: Sequence[Asked], *, timeout_s: float, request_id: str) -> ModelAnswers:
        self.asked.append((timeout_s, tuple(one.market_id for one in asked)))
        if self.down:
            raise ModelFailed("timeout", "It is down.")
        band = np.array([-0.5, 0.0, 0.5])
        told = {one.market_id: np.tile(one.y[-1] + band, (one.horizon, 1)) for one in asked}
        return ModelAnswers(
            values={name: values for name, values in told.items() if name not in self.mute},
            faults=dict.fromkeys(self.mute, "non_finite"),
            model_version="1",
            latency_ms=1.0,
        )


def question(name: str = "a", *, at: datetime = AT, points: int = 40, last: float = 0.3) -> Asked:
    y = np.linspace(0.2, last, points)
    return Asked(
        market_id=name, as_of=at, y=y, seen=np.ones(points, dtype=np.bool_), longest_gap_min=5.0, freq_min=5,
        horizon=3, quantiles=(0.1, 0.5, 0.9), liquidity_bucket="HIGH", volume_24h=9000.0,
    )  # fmt: skip


def runner(model: Steady, *, degraded: bool = False) -> Runner:
    rules = breaker.Rules(failures=2, cooldown_s=120.0, probes=1)
    return Runner(
        rules=RULES,
        model=model,
        breaker=breaker.ModelBreaker(rules=rules, ticks=lambda: 0.0),
        degraded=lambda: degraded,
    )


def reasons(found: Sequence[Answered | Unanswered]) -> list[str | None]:
    return [one.reason for one in found]


def test_the_model_is_asked_in_its_space_and_answers_in_prices() -> None:
    (found,) = runner(Steady()).forecast([question()])
    assert isinstance(found, Answered)
    assert not found.fallback_used
    assert found.values[0] == pytest.approx(LOGIT.back(LOGIT.forward(np.array([0.3])) + np.array([-0.5, 0.0, 0.5])))
    assert (found.runtime, found.model, found.model_version) == ("tollama", "steady", "1")
    assert found.baseline_values.shape == (3, 3)


def test_each_reason_stands_in_its_order_and_everybody_gets_numbers() -> None:
    few, gap, thin = (
        question("few", points=31),
        replace(question("gap"), longest_gap_min=61.0),
        replace(question("thin"), volume_24h=4999.0),
    )
    model = Steady(mute=frozenset({"mute"}))
    asked = [few, gap, thin, question("mute"), question("good")]
    found = runner(model).forecast(asked)
    assert reasons(found) == [
        "too_few_points", "max_gap_exceeded", "baseline_only_liquidity_bucket", "tollama_error:non_finite", None,
    ]  # fmt: skip
    assert [one.market_id for one in found] == [one.market_id for one in asked]
    assert model.asked == [(20.0, ("mute", "good"))], "who may not be asked is not"
    assert all(isinstance(one, Answered) and np.isfinite(one.values).all() for one in found)
    assert reasons(runner(Steady(), degraded=True).forecast([question()])) == ["degradation_baseline_only"]


def test_whoever_answers_it_is_said_that_the_volume_is_unknown() -> None:
    asked = [replace(question(name), volume_24h=None) for name in ("good", "mute")]
    for found in runner(Steady(mute=frozenset({"mute"}))).forecast([*asked, question("told")]):
        assert isinstance(found, Answered)
        assert [one.partition(":")[0] for one in found.warnings] == ["volume_unknown"] * (found.market_id != "told")


def test_a_fallback_says_how_long_it_took_asking_in_vain_included() -> None:
    ticks = iter([10.0, 10.002, 20.0, 22.5])
    made = replace(runner(Steady(down=True)), ticks=lambda: next(ticks))
    (few,), (down,) = made.forecast([question(points=31)]), made.forecast([question()])
    assert isinstance(few, Answered)
    assert isinstance(down, Answered)
    assert (few.latency_ms, down.latency_ms) == (pytest.approx(2.0), pytest.approx(2500.0))
    (model,) = runner(Steady()).forecast([question()])
    assert isinstance(model, Answered)
    assert model.latency_ms == 1.0, "the model's own"


def test_a_market_of_no_price_is_an_error_and_no_number() -> None:
    (found,) = runner(Steady()).forecast([replace(question(), y=np.array([]), seen=np.array([], dtype=np.bool_))])
    assert found == Unanswered("a", AT, "baseline_error:no_price")


def test_requests_are_of_one_cycle_and_no_larger_than_said_and_a_server_that_is_down_is_left_alone() -> None:
    later = AT + timedelta(minutes=5)
    model = Steady()
    runner(model).forecast([*(question(name) for name in "abc"), question("a", at=later)])
    assert [names for _, names in model.asked] == [("a", "b"), ("c",), ("a",)]
    assert [seconds for seconds, _ in model.asked] == [20.0, 2.0, 2.0]
    down = runner(Steady(down=True)).forecast([question(name) for name in "abcdef"])
    assert reasons(down) == [*["tollama_error:timeout"] * 4, *["circuit_breaker_open"] * 2]


def remembered(folder: Path, model: Steady, *, now: datetime = AT) -> Remembered:
    return Remembered(
        runner=lambda: runner(model),
        objects=LocalStore(folder),
        settings="s",
        clock=lambda: now,
        live_for=timedelta(minutes=10),
    )


def test_what_was_answered_is_asked_of_nobody_again_and_is_the_same_bits(tmp_path: Path) -> None:
    first = remembered(tmp_path, Steady()).forecast([question()])
    silent = Steady(down=True)
    again = remembered(tmp_path, silent).forecast([question(), question("b")])
    assert silent.asked == [(2.0, ("b",))]
    one, two = first[0], again[0]
    assert isinstance(one, Answered)
    assert isinstance(two, Answered)
    assert (one.values == two.values).all()
    assert (one.as_of, one.width_flags, one.reason) == (two.as_of, two.width_flags, two.reason)
    other = remembered(tmp_path, silent).forecast([question(last=0.31)])
    assert reasons(other) == ["tollama_error:timeout"], "of another past it is another question"


def test_a_fallback_for_want_of_the_model_stands_in_its_cycle_and_is_asked_again_in_a_replay(tmp_path: Path) -> None:
    live, well = remembered(tmp_path, Steady(down=True)), Steady()
    live.forecast([question()])
    assert reasons(remembered(tmp_path, well).forecast([question()])) == ["tollama_error:timeout"]
    much_later = AT + timedelta(days=1)
    remembered(tmp_path, Steady(down=True), now=much_later).forecast([question("b")])
    assert reasons(remembered(tmp_path, well, now=much_later).forecast([question("b")])) == [None]


def test_damaged_answers_are_named_with_what_helps(tmp_path: Path) -> None:
    remembered(tmp_path, Steady()).forecast([question()])
    (kept,) = [path for path in tmp_path.rglob("120000") if path.is_file()]
    kept.write_bytes(kept.read_bytes()[:-4])
    with pytest.raises(AnswersDamaged, match=r"tsfm/answers/s/2026-01-05/120000 is damaged.* delete it"):
        remembered(tmp_path, Steady()).forecast([question()])


@pytest.mark.parametrize(("kind", "state"), [("bad_request", "closed"), ("timeout", "open")])
def test_a_server_is_left_alone_for_its_own_faults_and_not_for_the_question_s(kind: Kind, state: str) -> None:
    class Refuses:
        def forecast(self, asked: Sequence[Asked], *, timeout_s: float, request_id: str) -> ModelAnswers:
            raise ModelFailed(kind, "No.")

    rules = breaker.Rules(failures=2, cooldown_s=120.0, probes=2)
    watched = breaker.ModelBreaker(rules=rules, ticks=lambda: 0.0)
    answering = Runner(rules=RULES, model=Refuses(), breaker=watched)
    assert [answering.forecast([question()])[0].reason for _ in range(2)] == [f"tollama_error:{kind}"] * 2
    assert watched.state == state
