"""The model's health, watched by a process that stays and by processes that come and go."""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.tollama.breaker import ModelBreaker
from timegpt_assets.adapters.tollama.breaker import Rules as BreakerRules
from timegpt_assets.adapters.tollama.runner import Runner
from timegpt_assets.adapters.tollama.watch import NAME, KeptWatch, Watch, WatchDamaged, Watched
from timegpt_assets.core.tsfm.degradation import AnswerGiven, Rules, State, after
from timegpt_assets_tests.adapters.tollama.test_runner import RULES as ASKING
from timegpt_assets_tests.adapters.tollama.test_runner import Steady, question

RULES = Rules(probe_interval_s=0.05, fallback_rate_max=0.5, window_s=300, min_requests=2, healthy_probes=3)
NOW = datetime(2026, 2, 10, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Found:
    healthy: bool
    why: str = ""


def degraded() -> State:
    """Return the state after two requests that fell back."""
    state = State()
    for _ in range(2):
        state = after(state, AnswerGiven(at=NOW, fallback=True), RULES)
    assert state.degraded
    return state


def test_the_thread_brings_it_back_and_ends_when_told() -> None:
    watch = Watch(rules=RULES, probe=lambda: Found(True), clock=lambda: datetime.now(UTC), state=degraded())
    watch.start()
    until = time.monotonic() + 10
    while watch.degraded() and time.monotonic() < until:
        time.sleep(0.02)
    watch.close()
    assert not watch.degraded()
    assert not [one for one in threading.enumerate() if one.name == "tsfm-health"]


def test_a_probe_that_raises_keeps_it_alone_and_the_thread_alive() -> None:
    asked = threading.Semaphore(0)

    def probe() -> Found:
        asked.release()
        raise ConnectionError("no")

    watch = Watch(rules=RULES, probe=probe, clock=lambda: datetime.now(UTC), state=degraded())
    watch.start()
    assert all(asked.acquire(timeout=10) for _ in range(2))
    watch.close()
    assert watch.degraded()


def test_what_one_process_saw_the_next_goes_on_from(tmp_path: Path) -> None:
    now = [NOW]
    kept = KeptWatch(objects=LocalStore(tmp_path), rules=RULES, probe=lambda: Found(True), clock=lambda: now[0])
    with kept.watching() as watch:
        for _ in range(2):
            watch.tell(AnswerGiven(at=NOW, fallback=True))
    for passed in range(3):
        assert kept.recorded().degraded
        now[0] = NOW + timedelta(seconds=30 * (passed + 1))
        with kept.watching():
            pass
    assert not kept.recorded().degraded


def test_two_processes_at_once_both_count(tmp_path: Path) -> None:
    kept = KeptWatch(objects=LocalStore(tmp_path), rules=RULES, probe=lambda: Found(True), clock=lambda: NOW)
    with kept.watching() as one, kept.watching() as other:
        one.tell(AnswerGiven(at=NOW, fallback=True))
        other.tell(AnswerGiven(at=NOW, fallback=True))
    assert kept.recorded().degraded


def test_a_damaged_record_is_named_with_what_helps(tmp_path: Path) -> None:
    objects = LocalStore(tmp_path)
    objects.write_new(NAME, b"{}")
    kept = KeptWatch(objects=objects, rules=RULES, probe=lambda: Found(True), clock=lambda: NOW)
    with pytest.raises(WatchDamaged, match="Delete it"):
        kept.recorded()
    objects.delete(NAME)
    assert kept.recorded() == State()


def test_a_cycle_leaves_the_model_alone_where_the_one_before_saw_it_fail_and_comes_back(tmp_path: Path) -> None:
    model, now = Steady(down=True), [NOW]
    kept = KeptWatch(
        objects=LocalStore(tmp_path), rules=RULES, probe=lambda: Found(not model.down), clock=lambda: now[0]
    )
    silent = ModelBreaker(rules=BreakerRules(failures=99, cooldown_s=1, probes=1), ticks=time.monotonic)
    watched = Watched(runner=Runner(rules=ASKING, model=model, breaker=silent), kept=kept)

    def cycle(minutes: float) -> set[str | None]:
        now[0] = NOW + timedelta(minutes=minutes)
        return {one.reason for one in watched.forecast([question(name) for name in "abcd"])}

    assert cycle(0) == {"tollama_error:timeout"}
    asked = len(model.asked)
    assert cycle(5) == {"degradation_baseline_only"}
    assert len(model.asked) == asked
    model.down = False
    assert [cycle(10), cycle(15), cycle(20)] == [{"degradation_baseline_only"}, {"degradation_baseline_only"}, {None}]
