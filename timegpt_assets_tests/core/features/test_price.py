"""Returns and range against loops over the bars."""

from math import log

import polars as pl
import pytest

from timegpt_assets.core.features.price import RETURN_WINDOWS, range_pct, returns
from timegpt_assets.core.features.windows import log_clock_prices, sessions_of
from timegpt_assets_tests.core.bars_factory import troubled_bars


def test_returns_are_differences_of_clock_prices_inside_the_session():
    sessions = sessions_of(troubled_bars())
    computed = returns(log_clock_prices(sessions))
    compared = 0
    for column, key in enumerate(sessions.keys.iter_rows(named=True)):
        bars = sessions.bars.filter(pl.col("day") == key["day"], pl.col("symbol") == key["symbol"])
        prices = [bars["open"][0], *bars["close"]]
        for window in RETURN_WINDOWS:
            for t in range(1, len(prices)):
                value = computed[f"ret_{window}m"][t - 1, column]
                if t < window or prices[t - window] is None:
                    assert value != value
                else:
                    assert value == pytest.approx(log(prices[t]) - log(prices[t - window]), abs=1e-12)
                    compared += 1
    assert compared > 10_000


def test_the_first_minute_returns_from_the_open_of_its_own_session():
    sessions = sessions_of(troubled_bars())
    first = returns(log_clock_prices(sessions))["ret_1m"][0]
    bar = sessions.bars.row(0, named=True)
    assert first[0] == pytest.approx(log(bar["close"] / bar["open"]), abs=1e-12)


def test_the_range_is_a_share_of_the_close_and_zero_without_a_print():
    sessions = sessions_of(troubled_bars())
    values = sessions.series("range_pct", range_pct(sessions), pl.Float64)
    expected = (sessions.bars["high"] - sessions.bars["low"]) / sessions.bars["close"]
    assert values.equals(expected.rename("range_pct"), null_equal=True)
    assert values.filter(sessions.bars["is_filled"]).drop_nulls().unique().to_list() == [0.0]
