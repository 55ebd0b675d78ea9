"""The compiled engine beside the readable loop: the same trades, the same sums of every combination, bit for bit."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core.backtest import compiled, event_loop, shared, signals
from timegpt_assets.core.backtest import sweep as sweeping
from timegpt_assets.core.backtest.costs import hour_of
from timegpt_assets.core.backtest.rules import TradingError
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets_tests.core.backtest import test_event_loop as market

SYMBOLS = ("AAA", "BBB")
DAYS = (market.DAY, date(2025, 1, 3), market.EARLY)
EVENTS = EventCalendar({"event_fomc": (DAYS[2],), "event_cpi": DAYS[:1]}, {"event_cpi": (market.at("11:00"),)})


def drawn(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Forecasts of two forecasters, and sessions with jumps, lone gaps, a long halt and one until the close."""
    bars = market.walk(seed, SYMBOLS, DAYS)
    minute = pl.int_range(pl.len()).over("day", "symbol")
    halt = minute.is_between(60, 110) & (pl.col("symbol") == "AAA")
    dead = (minute > 130) & (pl.col("symbol") == "BBB") & (pl.col("day") == DAYS[1])
    bars = bars.with_columns(is_filled=pl.col("is_filled") | halt | dead)
    rng = np.random.default_rng(seed)
    made = []
    for name in ("ridge", "zero"):
        clocks = sorted(rng.choice(385, 24, replace=False))
        for day in DAYS:
            last = 205 if day == market.EARLY else 385
            for symbol in SYMBOLS:
                for at in (int(c) for c in clocks if c < last):
                    q50 = float(rng.choice([-0.01, 0.0, 0.004, 0.01]))
                    low, high = rng.uniform(0.001, 0.009, 2)
                    clock = f"{9 + (30 + at) // 60:02d}:{(30 + at) % 60:02d}"
                    row = {"day": day, "symbol": symbol, "clock": clock, "forecaster": name}
                    row |= {"q25": q50 - low, "q50": q50, "q75": q50 + high}
                    made.append(row | {"sigma": float(rng.choice([0.002, 0.01]))})
    return market.forecasts(*made), bars


def beside(seed: int, made: pl.DataFrame) -> dict[str, Any]:
    """What else turns signals away: verdicts of every kind, some missing, and the same of liquidity; events."""
    rng = np.random.default_rng([seed, 1])
    said = ["eligible", "eligible", "eligible", "ineligible", "insufficient_observation"]
    drawn_gates = [
        market.gate(str(rng.choice(said)), symbol=symbol, bootstrap=str(rng.choice(["trade", "block"]))).with_columns(
            day=pl.lit(day), forecaster=pl.lit(name)
        )
        for day in DAYS
        for symbol in SYMBOLS
        for name in ("ridge", "zero")
        if rng.random() < 0.8
    ]
    gates = SYMBOL_GATES.conformed(pl.concat([market.NO_GATES, *drawn_gates]))
    keys = made.select("day", "symbol", "snapshot_ts").unique(maintain_order=True)
    verdict = rng.choice(["normal", "normal", "normal", "thin", "wide_range", "liquidity_unknown"], keys.height)
    judged = keys.with_columns(liquidity=pl.Series(verdict.tolist())).filter(pl.Series(rng.random(keys.height) < 0.9))
    return {"symbol_gates": gates, "events": EVENTS, "liquidity": judged}


def spec(seed: int) -> TradingSpec:
    """A combination of rules, each value drawn."""
    draw = random.Random(seed)
    rules = replace(
        market.RULES,
        rule_set=draw.choice(["enhancement", "budget_sprint"]),
        k_sigma=draw.choice([0.0, 0.5, 1.5]),
        s_stop=draw.choice([0.1, 0.5, 1.0, 9.0]),
        s_take=draw.choice([0.1, 0.5, 1.0, 9.0]),
        s_trail=draw.choice([None, None, 0.3, 0.9]),
        cap_per_trade=draw.choice([0.3, 1.0, 4.0]),
        daily_trade_cap=draw.choice([None, 1, 3, 8]),
        max_open_per_symbol=draw.choice([1, 1, 2, 5]),
        cooldown_bars=draw.choice([0, 5, 30]),
        time_stop_et=draw.choice([time(15, 55), time(14, 0)]),
        early_close_margin_min=draw.choice([5, 30]),
        entry_lag_bars=draw.choice([0, 1, 3]),
        exit_at_forecast_ts=draw.choice([True, False]),
        require_positive_ev=draw.choice([True, False]),
        suppress_wide=draw.choice([True, False]),
    )
    hourly = {"*": 0.2, "*@10": 1.0, "AAA@11": 3.0, "BBB": 0.5}
    costs = replace(
        market.EVERY, impact=draw.choice([0.0, 0.01, 1.0]), multiplier=draw.choice([1.0, 1.5]), fees_bps={"*": 0.3},
        slippage_ticks=draw.choice([hourly, {"*": 0.5}]), slippage_bps=draw.choice([hourly, {"*": 0.1}]),
    )  # fmt: skip
    return TradingSpec(
        rules=rules, costs=costs, capital=draw.choice([1e5, 3e4]), participation=0.1, sigma_column="sigma_60m",
        bootstrap=draw.choice(["trade", "trade", "block"]), unjudged=draw.choice(["trade", "block"]),
        horizons_min=draw.choice([{}, {"AAA": (5, 10)}]), skip_events=draw.choice([(), ("event_fomc",)]),
        no_trade_buffer_min=draw.choice([0, 20]),
    )  # fmt: skip


def undisturbed(own: TradingSpec) -> TradingSpec:
    """Return the spec without what turns signals away besides."""
    return replace(own, bootstrap="trade", horizons_min={}, skip_events=(), no_trade_buffer_min=0)


def seen(made: pl.DataFrame, bars: pl.DataFrame, **known: Any) -> Inputs:
    return market.inputs(made, bars, **({"events": EVENTS} | known))


def looped(made: pl.DataFrame, bars: pl.DataFrame, own: TradingSpec, **known: Any) -> pl.DataFrame:
    return event_loop.trades(seen(made, bars, **known), own)


def compiled_trades(made: pl.DataFrame, bars: pl.DataFrame, own: TradingSpec, **known: Any) -> pl.DataFrame:
    return compiled.trades(seen(made, bars, **known), own)


def swept(made: pl.DataFrame, bars: pl.DataFrame, specs: Sequence[TradingSpec], **known: Any) -> pl.DataFrame:
    return sweeping.sweep(seen(made, bars, **known), specs)


def test_the_kernel_writes_the_loops_ledger_bit_for_bit(repetitions: Any) -> None:
    ways, reasons = set[str](), set[str]()
    for seed in range(repetitions(20)):
        made, bars = drawn(seed)
        for i, own in enumerate(map(spec, range(16 * seed, 16 * seed + 16))):
            known, own = (beside(seed, made), own) if i % 2 else ({}, undisturbed(own))
            expected = looped(made, bars, own, **known)
            assert_frame_equal(compiled_trades(made, bars, own, **known), expected, check_exact=True)
            ways |= set(expected["exit_reason"])
            reasons |= set(expected["entry_reason"])
    assert ways == {"", *event_loop.EXITS}
    assert reasons >= {*event_loop.NOT_ENTERED, *signals.TURNED_AWAY}


def alone_and_shared(seed: int) -> list[TradingSpec]:
    """Five combinations, and each again without what keeps it from sharing, under three daily caps."""
    specs = [spec(1000 * seed + i) for i in range(5)]
    plain = [replace(own, rules=replace(own.rules, s_trail=None, max_open_per_symbol=1)) for own in specs]
    caps = [replace(own, rules=replace(own.rules, daily_trade_cap=cap)) for own in plain for cap in (0, 2, None)]
    return [*specs, *plain, *caps]


def test_every_combination_of_a_sweep_equals_the_loop_bit_for_bit(repetitions: Any) -> None:
    for seed in range(repetitions(20)):
        made, bars = drawn(seed)
        known, specs = beside(seed, made), alone_and_shared(seed)
        found = swept(made, bars, specs, **known)
        assert found["trades"].sum() > 50
        assert_frame_equal(found, sweeping.looped(seen(made, bars, **known), specs), check_exact=True)
        shuffled = [frame.sample(fraction=1, shuffle=True, seed=seed) for frame in (made, bars)]
        assert_frame_equal(swept(*shuffled, specs, **known), found, check_exact=True)


def test_many_levels_in_small_blocks_equal_the_kernel_combination_by_combination(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, bars = drawn(3)
    levels = [(0.03 * i, 0.03 * ((37 * i) % 71 + 1)) for i in range(1, 71)]
    base = replace(PLAIN, rules=replace(PLAIN.rules, daily_trade_cap=None, cooldown_bars=3))
    specs = [replace(base, rules=replace(base.rules, s_stop=stop, s_take=take)) for stop, take in levels]
    found = swept(made, bars, specs)
    asked = found.select("forecaster", "day").unique().sort("forecaster", "day")
    each = [sweeping._added_up(compiled_trades(made, bars, own), asked, combination=i) for i, own in enumerate(specs)]
    assert_frame_equal(found, pl.concat(each), check_exact=True)
    assert found["gross_pnl"].n_unique() > 100
    for block, cells in ((1, 1 << 18), (40, 1 << 18), (2048, 200)):
        monkeypatch.setattr(shared, "BLOCK", block)
        monkeypatch.setattr(shared, "CELLS", cells)
        assert_frame_equal(swept(made, bars, specs), found, check_exact=True)


@pytest.mark.parametrize("s_trail", [None, 0.9])
def test_bars_that_end_before_an_exit_are_the_loops_own_error(s_trail: float | None) -> None:
    bars = market.bars().filter(pl.col("ts") < market.at("10:05"))
    own = replace(undisturbed(spec(0)), rules=replace(market.EAGER, s_trail=s_trail))
    with pytest.raises(TradingError, match=r"AAA 2025-01-02 end before .* Materialise bars again"):
        swept(market.forecasts({}), bars, [own])
    with pytest.raises(TradingError, match=r"AAA 2025-01-02 end before .* Materialise bars again"):
        compiled_trades(market.forecasts({}), bars, own)


PLAIN = undisturbed(replace(spec(0), rules=replace(market.EAGER, exit_at_forecast_ts=False), costs=market.EVERY))


@pytest.mark.parametrize("impact", [0.0, 0.7])
def test_costs_at_the_snapshot_are_those_worked_by_hand(impact: float) -> None:
    made, bars = drawn(1)
    own = replace(PLAIN, costs=replace(market.EVERY, impact=impact, multiplier=1.5))
    unknown = made.with_columns(sigma=pl.when(pl.int_range(pl.len()) % 7 > 0).then("sigma"))
    found = signals.judged(market.inputs(unknown, bars), own)
    for row in found.iter_rows(named=True):
        told = (row["impact"], row["round_trip"], row["borrow"])
        if None in (row["last_price"], row["sigma"]):
            assert told == (None, None, None)
            continue
        shares = row["size"] * own.capital / row["last_price"]
        traded = row["volume_per_min"] * row["horizon_min"]
        moved = impact * row["sigma"] * math.sqrt(shares / traded)
        # a leg: a tick of spread, half a tick of slippage or two in the hour of ten, 0.5 bp of fees, 0.2 of slippage
        ticks = 1.0 + (2.0 if hour_of(row["entry_ts"]) == 10 else 0.5)
        both = 1.5 * 2 * (ticks * 0.01 / row["last_price"] + 0.7e-4 + moved)
        assert told == pytest.approx((moved, both, 1.5 * 30e-4 / 360), rel=1e-12)
    assert found["impact"].null_count() > 0
