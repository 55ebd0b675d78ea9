"""The market one minute ago, VIX the day before, and how symbols move with it."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.tables.features import MARKET_CONTEXT
from timegpt_assets_tests.core.bars.bars_factory import DAYS, perturbed, troubled_bars
from timegpt_assets_tests.core.features.made import made, vix


def test_a_context_symbol_is_seen_one_minute_late():
    bars = troubled_bars()
    context = market_context(bars, days=DAYS, context=["SPY"])
    own = made(bars).frame.filter(pl.col("symbol") == "SPY").select("day", pl.col("known_at"), "ret_1m", "ret_15m")
    seen = context.join(own, left_on=["day", "ts"], right_on=["day", "known_at"])  # its bar ended when ours began
    assert seen.height > 1_000
    for name in ("ret_1m", "ret_15m"):
        assert seen[f"spy_{name}"].equals(seen[name].rename(f"spy_{name}"), null_equal=True)
    first = context.group_by("day", maintain_order=True).first()
    assert first.select("spy_ret_1m", "dispersion", "regime_up").null_count().row(0) == (4, 4, 4)
    assert MARKET_CONTEXT.errors(context) == []


def test_a_missing_context_symbol_is_null_columns_and_a_flag_for_that_day_only():
    bars = troubled_bars().filter(~((pl.col("symbol") == "SPY") & (pl.col("day") == DAYS[1])))
    context = market_context(bars, days=DAYS, context=["SPY", "QQQ"])
    assert context["context_missing"].all()
    assert context["qqq_ret_1m"].null_count() == context.height
    alone = market_context(bars, days=DAYS, context=["SPY"])
    assert alone.filter("context_missing")["day"].unique().to_list() == [DAYS[1]]
    assert alone.filter("context_missing")["spy_ret_1m"].drop_nulls().is_empty()
    assert alone.filter("context_missing")["regime_up"].drop_nulls().is_empty()


def test_a_day_without_any_bars_still_has_its_minutes():
    context = market_context(troubled_bars().clear(), days=[DAYS[2]], context=["SPY"])
    assert context.height == 210
    assert context["context_missing"].all()
    assert context["dispersion"].null_count() == 210


def test_context_is_the_same_day_by_day():
    bars = troubled_bars()
    whole, *single = (
        market_context(bars.filter(pl.col("day").is_in(days)), days=days, context=["SPY"], vix=vix())
        for days in (DAYS, *([day] for day in sorted(DAYS)))
    )
    assert_frame_equal(whole, pl.concat(single), check_exact=True)


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


def test_vix_is_the_close_of_the_day_before_and_null_when_it_is_old():
    closes = pl.DataFrame(
        {"date": [date(2024, 11, 15), date(2024, 11, 25), date(2024, 11, 26)], "close": [10.0, 20.0, 30.0]}
    )
    context = market_context(troubled_bars(), days=DAYS, context=[], vix=closes)
    seen = context.group_by("day", maintain_order=True).first()
    assert seen["vix_close"].to_list() == [20.0, 30.0, 30.0, 30.0]
    assert seen["vix_change"][1] == pytest.approx(np.log(1.5), rel=1e-6)
    stale = market_context(troubled_bars(), days=DAYS, context=[], vix=closes.head(1))
    assert stale["vix_close"].null_count() == stale.height


def test_a_symbol_that_moves_twice_as_much_has_a_beta_of_two_and_a_correlation_of_one():
    bars = troubled_bars()
    spy = bars.filter(pl.col("symbol") == "SPY")
    prices = [((pl.col(c) / 100.0) ** 2 * 100.0).alias(c) for c in ("open", "high", "low", "close")]
    double = spy.with_columns(*prices, symbol=pl.lit("TWO"))
    frame = made(pl.concat([spy, double]).sort("day", "symbol", "ts"), symbols=["TWO"]).frame
    assert frame["beta_spy_60m"].drop_nulls().to_list() == pytest.approx([2.0] * frame.height, rel=1e-5)
    assert frame["corr_spy_60m"].drop_nulls().to_list() == pytest.approx([1.0] * frame.height, rel=1e-6)
