"""The layout of sessions as arrays, and rolling sums and deviations."""

import statistics

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from timegpt_assets.core.features.windows import log_clock_prices, rolling_std, rolling_sum, sessions_of
from timegpt_assets_tests.core.bars_factory import grid_of, raw_bars, troubled_bars

NUMBERS = arrays.arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=st.floats(-1e3, 1e3))


def test_every_bar_comes_back_to_its_own_row():
    sessions = sessions_of(troubled_bars())
    assert sessions.length == 390
    back = sessions.series("close", sessions.array(pl.col("close")), pl.Float64)
    assert back.equals(sessions.bars["close"], null_equal=True)
    assert back.null_count() == 8


def test_the_clock_price_of_the_open_is_the_first_bars_open_and_missing_with_it():
    bars = troubled_bars()
    sessions = sessions_of(bars)
    first = bars.group_by("day", "symbol", maintain_order=True).first()
    expected = first["open"].log().fill_null(float("nan")).to_numpy()
    np.testing.assert_array_equal(log_clock_prices(sessions)[0], expected)
    assert np.isnan(expected).sum() == 2


def test_no_bars_make_empty_arrays():
    sessions = sessions_of(grid_of(raw_bars()).clear())
    assert log_clock_prices(sessions).shape == (2, 0)


@settings(max_examples=60, deadline=None)
@given(values=NUMBERS, window=st.integers(1, 50))
def test_rolling_values_equal_a_loop_over_the_last_minutes(values: np.ndarray, window: int):
    total, spread = rolling_sum(values, window), rolling_std(values, window, 2)
    for t in range(len(values)):
        for s in range(values.shape[1]):
            seen = values[max(0, t - window + 1) : t + 1, s].tolist()
            assert total[t, s] == pytest.approx(sum(seen), abs=1e-9)
            deviation = statistics.stdev(seen) if len(seen) > 1 else 0.0
            assert np.nan_to_num(spread[t, s]) == pytest.approx(deviation, rel=1e-7, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(values=NUMBERS, window=st.integers(2, 50), cut=st.integers(1, 40), junk=st.floats(-1e9, 1e9))
def test_what_comes_later_or_stands_beside_changes_no_bit(values: np.ndarray, window: int, cut: int, junk: float):
    later = values.copy()
    later[cut:] = junk
    for function in (lambda v: rolling_sum(v, window), lambda v: rolling_std(v, window, 2)):
        whole = function(values)
        np.testing.assert_array_equal(function(later)[:cut], whole[:cut])
        np.testing.assert_array_equal(function(values[:, :1].copy()), whole[:, :1])


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e-17, 12345.678])
def test_a_constant_window_has_no_deviation_even_after_wild_ones(constant: float):
    values = np.concatenate([np.random.default_rng(1).normal(0, 1e6, 30), np.full(30, constant)])[:, None]
    spread = rolling_std(values, 10, 10)
    assert np.isnan(spread[:9]).all()
    assert np.isfinite(spread[9:38]).all()
    assert np.isnan(spread[39:]).all()


def test_a_huge_value_that_has_left_the_window_leaves_no_trace():
    values = np.concatenate([[1e16], np.random.default_rng(2).normal(0, 1e-3, 50)])[:, None]
    np.testing.assert_array_equal(rolling_sum(values, 10)[10:], rolling_sum(values[1:], 10)[9:])
    np.testing.assert_array_equal(rolling_std(values, 10, 10)[10:], rolling_std(values[1:], 10, 10)[9:])
