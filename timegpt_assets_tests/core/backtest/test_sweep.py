"""The sweep: each combination as if it had been traded alone, a row for every day that was forecast."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core.backtest import earnings, engines, event_loop, passages, shared
from timegpt_assets.core.backtest import sweep as sweeping
from timegpt_assets.core.backtest.costs import ENTRY_NOTIONAL, EXIT_NOTIONAL
from timegpt_assets.core.backtest.signals import TradingSpec
from timegpt_assets_tests.core.backtest import random_markets
from timegpt_assets_tests.core.backtest import test_event_loop as market

SPEC = TradingSpec(
    rules=market.EAGER,
    costs=replace(market.EVERY, impact=0.01),
    capital=market.CAPITAL,
    bootstrap="trade",
    participation=0.1,
    sigma_column="sigma_60m",
)
LONG_TO_GO = market.forecasts({"clock": "10:00"}, {"clock": "10:30"}, {"clock": "10:00", "forecaster": "zero"})
QUIET = date(2025, 1, 3)


def swept(made: pl.DataFrame, bars: pl.DataFrame, specs: Sequence[TradingSpec]) -> pl.DataFrame:
    return sweeping.sweep(market.inputs(made, bars), specs)


def test_the_rows_of_a_combination_are_the_sums_of_its_trades() -> None:
    bars = market.bars({"10:14": {"close": 101.0}, "10:44": {"close": 99.9}})
    picky = replace(SPEC, rules=replace(SPEC.rules, daily_trade_cap=1))
    found = swept(LONG_TO_GO, bars, [SPEC, picky])
    ledger = event_loop.trades(market.inputs(LONG_TO_GO, bars), SPEC)
    both = abs(ledger["quantity"]) * (ledger["entry_price"] + ledger["exit_price"])
    assert found["notional"][0] == pytest.approx(both.filter(ledger["forecaster"] == "ridge").sum())
    ledger = ledger.with_columns(notional=ENTRY_NOTIONAL + EXIT_NOTIONAL)
    won, lost = ledger.filter(forecaster="ridge").select(sweeping.MONEY).iter_rows()
    assert won[2] > 0 > lost[2]
    gross, cost, _, notional = (a + b for a, b in zip(won, lost, strict=True))
    first = (0, "ridge", market.DAY, 2, 1, gross, cost, gross - cost, notional)
    zero = (0, "zero", market.DAY, 1, 1, *won)
    assert found.rows() == [first, zero, (1, "ridge", market.DAY, 1, 1, *won), (1, *zero[1:])]
    assert found.schema == sweeping.SCHEMA


def test_a_combination_rests_as_many_whole_bars_as_the_loop() -> None:
    bars = market.bars({"10:05": {"high": 102.0}})  # left in the bar of 10:05, cool are 10:06 .. 10:10
    for clock, trades in (("10:09", 1), ("10:10", 2)):
        made = market.forecasts({}, {"clock": clock})
        ledger = event_loop.trades(market.inputs(made, bars), SPEC)
        assert ledger["exit_ts"].count() == trades
        assert swept(made, bars, [SPEC])["trades"].to_list() == [trades]


NEVER_AGAIN = market.halt("10:05", "16:00")
AT_THE_OPEN = market.bars(
    {due: {"is_filled": True} for due in ("10:14", "15:54")}
    | {then: {"open": 100.1, "close": 100.3, "high": 100.3} for then in ("10:15", "15:55")}
)


@pytest.mark.parametrize("bars", [NEVER_AGAIN, AT_THE_OPEN])
def test_a_halt_when_a_position_is_due_is_left_by_a_sweep_as_by_the_loop(bars: pl.DataFrame) -> None:
    calm = replace(SPEC.rules, s_stop=9.0, s_take=9.0)
    both = [replace(SPEC, rules=replace(calm, exit_at_forecast_ts=at_forecast)) for at_forecast in (True, False)]
    asked = market.inputs(market.forecasts({}), bars)
    found = sweeping.sweep(asked, both)
    assert found["trades"].to_list() == [1, 1]
    assert_frame_equal(found, sweeping.looped(asked, both), check_exact=True)


def test_days_without_a_trade_have_a_row_of_zeros_and_no_combination_no_row() -> None:
    made = pl.concat([LONG_TO_GO, market.forecasts({"day": QUIET, "q25": -0.01})])
    bars = pl.concat([market.bars(), market.bars(day=QUIET)])
    assert swept(made, bars, [SPEC]).filter(day=QUIET).rows() == [
        (0, "ridge", QUIET, 0, 0, *[0.0] * len(sweeping.MONEY))
    ]
    assert swept(made, bars, []).is_empty()
    assert swept(made.clear(), bars, [SPEC]).rows() == []


def test_without_numba_the_loop_sweeps_and_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = market.bars({"10:14": {"close": 101.0}})
    found = swept(LONG_TO_GO, bars, [SPEC])
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    assert_frame_equal(swept(LONG_TO_GO, bars, [SPEC]), found, check_exact=True)


@pytest.mark.parametrize("threads", [1, 2, 3, 64])
def test_however_many_threads_share_the_days_the_sums_are_the_same_bits(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = market.inputs(random_markets.forecasts(3), random_markets.bars(3, [("AAA", 0, 40, 30)], wild=0.002))
    rules = [replace(SPEC.rules, s_stop=stop, daily_trade_cap=cap) for stop in (0.5, 2.0) for cap in (2, None)]
    specs = [replace(SPEC, rules=one) for one in rules]
    monkeypatch.setattr(shared.pl, "thread_pool_size", lambda: threads)
    found = sweeping.sweep(drawn, specs)
    assert_frame_equal(found, sweeping.looped(drawn, specs), check_exact=True)
    assert found["trades"].sum() > 50


def test_more_combinations_and_entries_than_are_gone_through_side_by_side_are_each_as_the_loop_trades_them() -> None:
    drawn = market.inputs(random_markets.forecasts(3), random_markets.bars(3, [("AAA", 0, 40, 30)], wild=0.002))
    named = itertools.product(np.linspace(0.0, 1.5, passages.WORD + 9).tolist(), (0, 7), (1, None))
    rules = [replace(SPEC.rules, k_sigma=k, cooldown_bars=rest, daily_trade_cap=cap) for k, rest, cap in named]
    specs = [replace(SPEC, rules=one) for one in rules]
    found = sweeping.sweep(drawn, specs)
    assert len(specs) > 2 * earnings.LANES
    assert found["trades"].n_unique() > 5
    assert_frame_equal(found, sweeping.looped(drawn, specs), check_exact=True)


def test_no_two_threads_are_handed_the_same_day() -> None:
    place = np.repeat(np.arange(7), [5, 1, 9, 2, 2, 30, 1])
    for threads in range(1, 12):
        edges = shared._shares(place, threads)
        assert (edges[0], edges[-1]) == (0, 50)
        assert all(place[cut - 1] != place[cut] for cut in edges[1:-1])
        assert len(edges) <= min(threads, 7) + 1
