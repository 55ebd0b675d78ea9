"""The market one minute ago."""

import statistics
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.features.price import returns
from timegpt_assets.core.features.volatility import sigma
from timegpt_assets.core.features.windows import change, log_clock_prices, sessions_of
from timegpt_assets.core.tables import MARKET_CONTEXT
from timegpt_assets_tests.core.bars_factory import DAYS, perturbed, troubled_bars


def test_a_context_symbol_is_seen_one_minute_late():
    bars = troubled_bars()
    context = market_context(bars, days=DAYS, context=["SPY"])
    sessions = sessions_of(bars.filter(pl.col("symbol") == "SPY"))
    log_prices = log_clock_prices(sessions)
    own = {"spy_ret_1m": returns(log_prices)["ret_1m"], "spy_ret_15m": returns(log_prices)["ret_15m"]}
    own["spy_vol_60m"] = sigma(change(log_prices, 1), window=60, horizon_min=1)
    for name, values in own.items():
        series = sessions.series(name, values).to_frame().with_columns(sessions.bars["day"])
        expected = series.select(pl.col(name).shift(1).over("day")).to_series()
        assert context[name].equals(expected, null_equal=True)
        assert context[name].drop_nulls().len() > 1_000
    assert not context["context_missing"].any()
    assert MARKET_CONTEXT.errors(context) == []


def test_dispersion_is_the_spread_of_the_other_symbols_returns_a_minute_ago():
    bars = troubled_bars()
    context = market_context(bars, days=DAYS, context=["SPY"])
    sessions = sessions_of(bars.filter(pl.col("symbol") != "SPY"))
    moves = sessions.bars.with_columns(sessions.series("ret", change(log_clock_prices(sessions), 1), pl.Float32))
    seen = {ts: group["ret"].drop_nulls().to_list() for (ts,), group in moves.group_by("ts")}
    compared = 0
    for row in context.iter_rows(named=True):
        lagged = seen.get(row["ts"] - timedelta(minutes=1), [])
        if len(lagged) < 2:
            assert row["dispersion"] is None
        else:
            assert row["dispersion"] == pytest.approx(statistics.stdev(lagged), rel=1e-5)
            compared += 1
    assert compared > 1_000


def test_a_missing_context_symbol_is_null_columns_and_a_flag_for_that_day_only():
    bars = troubled_bars().filter(~((pl.col("symbol") == "SPY") & (pl.col("day") == DAYS[1])))
    context = market_context(bars, days=DAYS, context=["SPY", "QQQ"])
    assert context["context_missing"].all()
    assert context["qqq_ret_1m"].null_count() == context.height
    alone = market_context(bars, days=DAYS, context=["SPY"])
    assert alone.filter("context_missing")["day"].unique().to_list() == [DAYS[1]]
    assert alone.filter("context_missing")["spy_ret_1m"].drop_nulls().is_empty()


def test_a_day_without_any_bars_still_has_its_minutes():
    context = market_context(troubled_bars().clear(), days=[DAYS[2]], context=["SPY"])
    assert context.height == 210
    assert context["context_missing"].all()
    assert context["dispersion"].null_count() == 210


def test_context_is_the_same_day_by_day():
    bars = troubled_bars()
    single = [market_context(bars.filter(pl.col("day") == day), days=[day], context=["SPY"]) for day in sorted(DAYS)]
    assert_frame_equal(market_context(bars, days=DAYS, context=["SPY"]), pl.concat(single), check_exact=True)


def test_what_happens_after_a_minute_changes_no_context_known_at_it():
    bars = troubled_bars()
    before = market_context(bars, days=DAYS, context=["SPY"])
    for seed, minute in enumerate(np.random.default_rng(5).integers(20, 180, 4)):
        moment = calendar.session(DAYS[2]).open + timedelta(minutes=int(minute))
        after = market_context(perturbed(bars, moment, seed), days=DAYS, context=["SPY"])
        lagged = moment + timedelta(minutes=1)
        known = pl.col("known_at") <= lagged
        assert_frame_equal(after.filter(known), before.filter(known), check_exact=True)
        assert not after.filter(~known).equals(before.filter(~known))
