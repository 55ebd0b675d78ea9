"""The funnel: every forecast of the day has one fate, and it is the one that trades and limits gave it."""

from dataclasses import replace

import polars as pl

from timegpt_assets.core.backtest import books, event_loop, portfolio, signals
from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.funnel import FATES, funnel
from timegpt_assets_tests.core.backtest import test_event_loop as loop
from timegpt_assets_tests.core.backtest.test_portfolio import OFF

SPEC = signals.TradingSpec(
    rules=replace(loop.RULES, daily_trade_cap=2),
    costs=loop.COSTS,
    capital=loop.CAPITAL,
    participation=0.1,
    bootstrap="trade",
    sigma_column="sigma_60m",
)
MADE = loop.forecasts(
    {"clock": "10:00"},
    {"clock": "10:05"},
    {"clock": "10:30", "q25": -0.1},
    {"clock": "10:40", "sigma": None},
    {"clock": "10:45", "label_aligned": False},
    {"clock": "11:00"},
    {"clock": "12:00"},
    {"clock": "13:00", "symbol": "BBB"},
    {"clock": "10:00", "forecaster": "zero", "q25": -0.01, "q50": 0.0, "q75": 0.01},
)
MARKET = loop.bars()


def _portfolio() -> pl.DataFrame:
    trades = event_loop.trades(loop.inputs(MADE, MARKET), SPEC)
    book = books.with_books(trades, champion="ridge")
    about = {"capital": loop.CAPITAL, "symbols": ["AAA"], "sessions": []}
    return portfolio.portfolio(book, day=loop.DAY, risk=replace(OFF, max_positions=1), **about)


def test_every_forecast_has_one_fate_and_the_book_live_counts_none_twice() -> None:
    found = funnel(MADE, MARKET, _portfolio(), SPEC)
    assert {(f, fate): n for f, fate, n in found.select("forecaster", "fate", "n").iter_rows()} == {
        ("ridge", "traded"): 2,
        ("ridge", "position_open"): 1,
        ("ridge", "no_direction"): 1,
        ("ridge", "unknown"): 1,
        ("ridge", "unaligned"): 1,
        ("ridge", "daily_cap"): 1,
        ("ridge", "no_price"): 1,
        ("zero", "no_direction"): 1,
    }
    assert found["n"].sum() == MADE.height
    assert set(found["fate"]) <= set(FATES)


def test_a_forecast_that_is_no_signal_has_the_reason_that_the_backtest_has() -> None:
    judged = signals.judged(loop.inputs(MADE, MARKET), SPEC).filter(pl.col("reason").is_in(list(trading.NO_SIGNAL)))
    key = ["forecaster", "symbol", "snapshot_ts", "reason"]
    fell = signals.unsignalled(MADE, MARKET, SPEC)
    assert fell.height == judged.height == 5
    assert fell.select(key).sort(key).equals(judged.select(key).sort(key))


def test_a_day_without_forecasts_has_no_rows() -> None:
    assert funnel(MADE.clear(), MARKET, _portfolio().clear(), SPEC).is_empty()
