"""A real model runs in this process on the contract of a model server: the same shapes, the same names of faults."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from timegpt_assets.adapters.tollama import in_process
from timegpt_assets.adapters.tollama.answers import ModelFailed
from timegpt_assets.adapters.tollama.breaker import ModelBreaker
from timegpt_assets.adapters.tollama.breaker import Rules as LeftAlone
from timegpt_assets.adapters.tollama.in_process import InProcess
from timegpt_assets.adapters.tollama.runner import Runner
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets_tests.adapters.tollama.askers import NOW, PROBING, Hands
from timegpt_assets_tests.adapters.tollama.test_runner import RULES
from timegpt_assets_tests.core.tsfm.asked_rows import asked, walk

LEFT_ALONE = LeftAlone(failures=5, cooldown_s=120.0, probes=2)
HAS_IT = importlib.util.find_spec("fracast") is not None
needs_it = pytest.mark.skipif(not HAS_IT, reason="fracast is not installed: make setup-neural")


def model(**changes: Any) -> InProcess:
    """Return the model as it is shipped."""
    usual: dict[str, Any] = {"version": "auto", "params": {}, "probing": PROBING, "clock": lambda: NOW}
    return InProcess(**(usual | changes))


def wave(points: int, **other: Any) -> Any:
    return asked(np.sin(np.arange(points) / 5.0), **other)


def said(one: InProcess, *questions: Any) -> Any:
    return one.forecast(questions, timeout_s=60.0, request_id="r")


@needs_it
def test_it_forecasts_a_wave_better_than_the_last_value() -> None:
    day = np.sin(np.arange(312) * 2 * np.pi / 24)
    found = said(model(), *(asked(day[last - 240 : last], market_id=str(last)) for last in range(276, 300, 6)))
    errors, of_last = [], []
    for last, comes in ((last, day[last : last + 12]) for last in range(276, 300, 6)):
        assert found.values[str(last)].shape == (12, 3)
        errors.append(np.abs(found.values[str(last)][:, 1] - comes).mean())
        of_last.append(np.abs(day[last - 1] - comes).mean())
    assert np.mean(errors) < np.mean(of_last) / 2


@needs_it
def test_many_of_any_length_are_answered_as_each_alone() -> None:
    one = model()
    questions = [wave(n, market_id=str(n)) for n in (8, 40, 288, 700)]
    together = said(one, *questions)
    assert together.faults == {}
    assert together.model_version == "0.1.0"
    for question in questions:
        alone = said(one, question).values[question.market_id]
        assert np.allclose(together.values[question.market_id], alone, atol=1e-5)


@needs_it
def test_who_cannot_be_forecast_has_the_fault_of_the_contract() -> None:
    holes = asked([0.1] * 20 + [np.nan] + [0.2] * 20, market_id="holes")
    found = said(model(), wave(40), wave(7, market_id="short"), holes)
    assert found.faults == {"short": "unusable_input", "holes": "unusable_input"}
    assert list(found.values) == ["m"]


@needs_it
def test_quantiles_beyond_its_own_are_not_made_up_and_those_between_lie_between() -> None:
    one = model()
    assert said(one, wave(40, quantiles=(0.05, 0.5))).faults == {"m": "missing_quantiles"}
    assert said(one, wave(40, quantiles=(0.5, 0.95))).faults == {"m": "missing_quantiles"}
    tenths, between = (said(one, wave(40, quantiles=q)).values["m"] for q in ((0.2, 0.3), (0.2, 0.25, 0.3)))
    assert np.allclose(between[:, 1], tenths.mean(axis=1))
    assert np.allclose(between[:, [0, 2]], tenths)


@needs_it
def test_threads_get_the_same_and_a_probe_finds_it_healthy() -> None:
    one, y = model(), walk()
    assert one.warm_up().healthy
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: said(one, asked(y)).values["m"], range(3)))
    assert all(np.array_equal(found[0], other) for other in found)


@needs_it
def test_who_waits_too_long_for_a_turn_is_not_answered() -> None:
    one = model()
    with one._lock, pytest.raises(ModelFailed, match=r"was busy for 0\.01 s") as raised:
        one.forecast([wave(40)], timeout_s=0.01, request_id="r")
    assert raised.value.kind == "timeout"


@needs_it
def test_whose_turn_comes_too_late_falls_back_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "_AT_ONCE", 1)
    questions = [wave(40, market_id=name) for name in "ab"]
    found = model(ticks=Hands().ticks).forecast(questions, timeout_s=0.0, request_id="r")
    assert found.faults == {"b": "timeout"}
    assert list(found.values) == ["a"]


@needs_it
@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"version": "9.9"}, "wrong_version"), ({"params": {"weights": "w3"}}, "bad_request")],
)
def test_another_version_or_weights_are_refused(changes: dict[str, Any], kind: str) -> None:
    with pytest.raises(ModelFailed) as raised:
        said(model(**changes), wave(40))
    assert raised.value.kind == kind


def test_weights_of_elsewhere_are_not_fetched() -> None:
    with pytest.raises(ModelFailed, match=r"knows no \['model_id'\]"):
        in_process.loaded("auto", {"model_id": "somebody/else"})


def test_without_the_package_it_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fracast", None)
    with pytest.raises(ModelFailed, match="make setup-neural") as raised:
        said(model(), wave(40))
    assert raised.value.kind == "not_installed"
    assert not model().probe().healthy


@needs_it
def test_the_runner_serves_it_between_the_guards_and_says_so() -> None:
    rules = replace(RULES, runtime="in_process", model="fracast")
    (found,) = Runner(rules=rules, model=model(), breaker=ModelBreaker(rules=LEFT_ALONE, ticks=lambda: 0.0)).forecast(
        [asked(walk())]
    )
    assert isinstance(found, Answered)
    assert (found.runtime, found.model, found.model_version, found.reason) == ("in_process", "fracast", "0.1.0", None)
    assert ((found.values >= 0) & (found.values <= 1)).all()
    assert not np.allclose(found.values, found.baseline_values)
