"""Markets, forecasts and rules that hypothesis draws: jumps, minutes without prints, halts, a half day, nothing traded.

Belongs here: what is drawn. What must hold of it is in test_invariants.py.
"""

from dataclasses import replace
from datetime import time
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.rules import Rules
from timegpt_assets.core.backtest.signals import Inputs, TradingSpec
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.tables.bars import BARS
from timegpt_assets_tests.core.backtest import test_event_loop as market
from timegpt_assets_tests.core.backtest.test_kernel import beside

SYMBOLS = ("AAA", "BBB")
DAYS = (market.DAY, market.EARLY)
"""A whole session and a half one."""
EVENTS = EventCalendar({"event_fomc": DAYS[1:], "event_cpi": DAYS[:1]}, {"event_cpi": (market.at("11:00"),)})


def bars(seed: int, halts: list[tuple[str, int, int, int]], *, wild: float) -> pl.DataFrame:
    """Sessions that wander; ``halts``: symbol, day, first minute and how many without a print."""
    frames = []
    for number, day in enumerate(DAYS):
        session = calendar.session(day)
        n = session.minutes
        ts = pl.datetime_range(session.open, session.close, "1m", closed="left", eager=True).cast(BARS.schema["ts"])
        for symbol in SYMBOLS:
            rng = np.random.default_rng([seed, number, *symbol.encode()])
            silent = rng.random(n) < 0.03
            for name, on, start, length in halts:
                if (name, on) == (symbol, number):
                    silent[start : start + length] = True
            walked = 100 * np.exp(np.cumsum(rng.normal(0, wild, n)))
            last = np.maximum.accumulate(np.where(silent, -1, np.arange(n)))
            # before the first print there is no price, and bars carry none
            close = np.where(last < 0, np.nan, walked[last])
            gap = np.exp(rng.normal(0, wild / 2, n))
            opened = np.where(silent, close, np.r_[walked[0], walked[:-1]] * gap)
            wick = rng.random((2, n)) * 1.5 * wild * ~silent
            prices = {
                "open": opened,
                "high": np.maximum(opened, close) * (1 + wick[0]),
                "low": np.minimum(opened, close) * (1 - wick[1]),
                "close": close,
                "volume": np.where(silent, 0.0, np.floor(rng.exponential(200, n))),
            }
            about = {"day": [day] * n, "symbol": [symbol] * n, "ts": ts, "is_filled": silent}
            frames.append(pl.DataFrame(about | prices).with_columns(pl.col(*prices).fill_nan(None)))
    return BARS.conformed(pl.concat(frames).select(*BARS.columns))


def forecasts(seed: int) -> pl.DataFrame:
    """Some of every session's minutes, by two forecasters, in bands and volatilities of many widths."""
    rng = np.random.default_rng([seed, 7])
    rows: list[dict[str, Any]] = []
    for day in DAYS:
        minutes = calendar.session(day).minutes
        for name in ("ridge", "zero"):
            for at in sorted(rng.choice(minutes - 5, 16, replace=False)):
                for symbol in SYMBOLS:
                    q50 = float(rng.choice([-0.01, 0.0, 0.004, 0.01]))
                    low, high = rng.uniform(0.001, 0.009, 2)
                    clock = f"{9 + (30 + int(at)) // 60:02d}:{(30 + int(at)) % 60:02d}"
                    row = {"day": day, "symbol": symbol, "clock": clock, "forecaster": name, "q50": q50}
                    rows.append(row | {"q25": q50 - low, "q75": q50 + high, "sigma": float(rng.choice([0.002, 0.01]))})
    return market.forecasts(*rows)


@st.composite
def inputs(draw: st.DrawFn) -> Inputs:
    """What engines are handed, half of the time with verdicts and liquidity that turn signals away."""
    seed = draw(st.integers(0, 100_000))
    halt = st.tuples(
        st.sampled_from(SYMBOLS), st.integers(0, 1), st.integers(0, 380), st.sampled_from([1, 2, 15, 70, 390])
    )
    made = forecasts(seed)
    known = beside(seed, made) if draw(st.booleans()) else {}
    drawn = bars(seed, draw(st.lists(halt, max_size=4)), wild=draw(st.sampled_from([0.0005, 0.002, 0.01])))
    return market.inputs(made, drawn, **(known | {"events": EVENTS}))


@st.composite
def rules(draw: st.DrawFn) -> Rules:
    """Rules, each value anywhere in its range."""
    multiple = st.floats(0.02, 6.0)
    return replace(
        market.RULES,
        rule_set=draw(st.sampled_from(["enhancement", "budget_sprint"])),
        k_sigma=draw(st.sampled_from([0.0, 0.0, 0.5]) | st.floats(0, 2)),
        s_stop=draw(multiple),
        s_take=draw(multiple),
        s_trail=draw(st.none() | multiple),
        ev_lambda=draw(st.floats(0, 1)),
        max_width_sigma=draw(st.none() | st.floats(1, 9)),
        suppress_wide=draw(st.booleans()),
        cap_per_trade=draw(st.floats(0.1, 5)),
        daily_trade_cap=draw(st.none() | st.integers(0, 8)),
        max_open_per_symbol=draw(st.sampled_from([1, 1, 2, 4])),
        cooldown_bars=draw(st.integers(0, 60)),
        time_stop_et=draw(st.sampled_from([time(15, 55), time(14, 0), time(12, 30)])),
        early_close_margin_min=draw(st.integers(1, 60)),
        entry_lag_bars=draw(st.integers(0, 4)),
        exit_at_forecast_ts=draw(st.booleans()),
        require_positive_ev=draw(st.sampled_from([False, False, True])),
    )


RATES = st.sampled_from(
    [{"*": 0.0}, {"*": 0.5}, {"*": 0.2, "*@10": 1.0, "AAA@11": 3.0, "BBB": 0.5}, {"AAA": 0.1, "BBB": 2.0}]
)


@st.composite
def specs(draw: st.DrawFn, own: st.SearchStrategy[Rules] | None = None) -> TradingSpec:
    """A combination: rules, costs of every kind, and what turns signals away besides."""
    costs = replace(
        market.COSTS,
        fees_bps=draw(st.sampled_from([{"*": 0.3}, {"AAA": 0.1, "BBB": 1.0}])),
        half_spread_ticks=draw(st.sampled_from([{"*": 1.0}, {"AAA": 0.5, "*": 2.0}])),
        slippage_ticks=draw(RATES),
        slippage_bps=draw(RATES),
        borrow_bps=draw(st.sampled_from([{"*": 0.0}, {"*": 30.0}])),
        impact=draw(st.sampled_from([0.0, 0.0, 0.01, 1.0])),
        multiplier=draw(st.sampled_from([1.0, 1.5])),
    )
    return TradingSpec(
        rules=draw(own or rules()),
        costs=costs,
        capital=draw(st.sampled_from([1e5, 3e4])),
        participation=0.1,
        sigma_column="sigma_60m",
        bootstrap=draw(st.sampled_from(["trade", "trade", "block"])),
        unjudged=draw(st.sampled_from(["trade", "trade", "block"])),
        horizons_min=draw(st.sampled_from([{}, {}, {"AAA": (5, 10)}])),
        skip_events=draw(st.sampled_from([(), (), ("event_fomc",)])),
        no_trade_buffer_min=draw(st.sampled_from([0, 20])),
    )
