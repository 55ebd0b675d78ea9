"""Who presses Ctrl-C, or sends SIGTERM, is heard whenever it is: nothing more is begun, and it is no failed asset.

Guards against what lies between a signal and the engine: Dagster keeps it back between steps, makes a failed step of it
inside one, and drops one that comes after a run's last step.
"""

import signal
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.engine.interrupts import signals_heard
from timegpt_assets_tests.roads import TINY, Road, road, sessions

DAYS = sessions(date(2025, 1, 30), date(2025, 1, 31))
ASSETS = ("raw_bars", "bars", "quality_report")

Planted = Callable[[Road, pytest.MonkeyPatch, Callable[[], None]], None]


def inside_a_step(built: Road, patched: pytest.MonkeyPatch, send: Callable[[], None]) -> None:
    read = SyntheticMarket.bars

    def bars(*arguments: Any) -> Any:
        send()
        return read(*arguments)

    patched.setattr(SyntheticMarket, "bars", bars)


def at(event_type: str) -> Planted:
    def planted(built: Road, patched: pytest.MonkeyPatch, send: Callable[[], None]) -> None:
        handle = built.engine.instance.handle_new_event

        def handled(entry: dg.EventLogEntry, **options: Any) -> None:
            handle(entry, **options)
            if entry.dagster_event and entry.dagster_event.event_type_value == event_type:
                send()

        patched.setattr(built.engine.instance, "handle_new_event", handled)

    return planted


class Sent:
    """Sends a signal when it is first called."""

    def __init__(self, number: signal.Signals) -> None:
        self.left = [number]

    def __call__(self) -> None:
        if self.left:
            signal.raise_signal(self.left.pop())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "planted",
    [inside_a_step, at("PIPELINE_START"), at("STEP_SUCCESS"), at("PIPELINE_SUCCESS")],
    ids=["in a step", "before the first step", "between steps", "after the last step"],
)
def test_a_signal_stops_the_work_whenever_it_comes_and_the_same_rectangle_goes_on(
    tmp_path: Path, planted: Planted, number: signal.Signals
) -> None:
    with road(tmp_path, base=TINY, pictures=False) as built:
        heard: list[tuple[Any, bool]] = []
        built.engine.report = lambda range_run, done: heard.append((range_run, done))
        with pytest.MonkeyPatch.context() as patched:
            planted(built, patched, sent := Sent(number))
            with pytest.raises(dg.DagsterExecutionInterruptedError):
                built.run(DAYS, assets=ASSETS)
        assert not sent.left
        assert [done for _, done in heard if not done] == [False], "another range run was begun"
        built.run(DAYS, assets=ASSETS)
        assert set(built.tables()) == {f"bars/{name}" for name in ASSETS}


def test_handlers_and_the_descriptor_of_others_are_left_as_they_were() -> None:
    before = signal.getsignal(signal.SIGINT)
    with signals_heard() as heard:
        assert not heard()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert heard()
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_signal_is_heard_beside_a_handler_that_keeps_it_back() -> None:
    kept: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: kept.append(number))
    try:
        with signals_heard() as heard:
            signal.raise_signal(signal.SIGTERM)
            assert heard()
            assert heard(), "it was asked before"
    finally:
        signal.signal(signal.SIGTERM, before)
    assert kept == [signal.SIGTERM]


def test_no_other_signal_is_taken_for_one() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with signals_heard() as heard:
            signal.raise_signal(signal.SIGUSR1)
            assert not heard()
    finally:
        signal.signal(signal.SIGUSR1, before)
