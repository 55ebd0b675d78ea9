"""Which engine serves: the readable loop for little, compiled code for much where it is there, and the same bits."""

import subprocess
import sys

import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core.backtest import engines
from timegpt_assets_tests.core.backtest import test_event_loop as market
from timegpt_assets_tests.core.backtest.test_sweep import SPEC

PAIR = market.forecasts({"clock": "10:00"}, {"clock": "10:30"})


def test_much_is_compiled_little_is_looped_and_each_says_why() -> None:
    few, many = engines.of_trades(engines.LARGE - 1), engines.of_trades(engines.LARGE)
    assert (few.word, many.word) == (engines.LOOP, engines.COMPILED)
    assert str(few) == "loop: 19,999 forecasts, fewer than the 20,000 that compiled code is loaded for"
    assert str(many) == "compiled: 20,000 forecasts, and numba is installed"
    assert str(engines.of_sweep()) == "compiled: numba is installed"


def test_without_numba_the_loop_serves_and_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    for chosen in (engines.of_sweep(), engines.of_trades(engines.LARGE)):
        assert chosen.word == engines.LOOP
        assert chosen.reason.endswith("numba is not installed: slower by far. Install timegpt_assets[sweep].")


def test_whichever_engine_serves_trades_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = market.inputs(PAIR, market.bars({"10:14": {"close": 101.0}}))
    made = engines.trades(inputs, SPEC, engines.of_trades(2))
    monkeypatch.setattr(engines.event_loop, "trades", None)
    found = engines.trades(inputs, SPEC, engines.of_trades(engines.LARGE))
    assert_frame_equal(found, made, check_exact=True)
    assert made.height == 2


def test_numba_is_imported_by_whoever_needs_it_alone() -> None:
    asked = "import sys; from timegpt_assets.core.backtest import engines, sweep; engines.of_trades(10**6); "
    asked += "sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
