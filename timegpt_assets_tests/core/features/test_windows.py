"""The layout of sessions as arrays, and the moves in time everything else is made of."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from timegpt_assets.core.features.windows import (
    BrokenGrid,
    decayed_sums,
    earlier,
    grid_of,
    known_minutes,
    sums,
    variance,
)
from timegpt_assets_tests.core.bars.bars_factory import DAYS, SYMBOLS, troubled_bars

NUMBERS = arrays.arrays(
    np.float64, st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 40)), elements=st.floats(-1e3, 1e3)
)


def test_every_bar_stands_in_the_cell_of_its_day_symbol_and_minute():
    bars = troubled_bars()
    grid = grid_of(bars.sample(fraction=1.0, shuffle=True, seed=1), DAYS, SYMBOLS)
    assert grid.shape == (4, 3, 390)
    assert grid.minutes.tolist() == [390, 390, 210, 390]
    close = grid.array(pl.col("close"))
    for (day, symbol), session in bars.group_by("day", "symbol"):
        own = close[grid.days.index(day), grid.symbols.index(symbol)]
        np.testing.assert_array_equal(own[: session.height], session.sort("ts")["close"].to_numpy())
        assert np.isnan(own[session.height :]).all()


def test_full_sessions_are_laid_out_without_moving_a_value():
    bars = troubled_bars().filter(pl.col("day") == DAYS[0])
    grid = grid_of(bars, DAYS[:1], SYMBOLS)
    assert grid.cells is None
    np.testing.assert_array_equal(grid.array(pl.col("close")).reshape(-1), bars["close"].to_numpy())


def test_no_bars_make_empty_arrays():
    assert grid_of(troubled_bars().clear(), DAYS, ()).array(pl.col("close")).shape == (4, 0, 390)


@pytest.mark.parametrize("minute", [0, 5])
def test_a_session_with_a_hole_is_refused_by_name(minute: int):
    holed = troubled_bars().filter(~((pl.col("symbol") == "BBB") & (pl.col("ts").dt.minute() == 30 + minute)))
    with pytest.raises(BrokenGrid, match="the bars of BBB on 2024-11-26 have a hole or a repeat before"):
        grid_of(holed, DAYS, SYMBOLS)


def test_a_bar_given_twice_is_refused():
    bars = troubled_bars()
    with pytest.raises(BrokenGrid, match="a hole or a repeat"):
        grid_of(pl.concat([bars, bars.slice(40, 1)]), DAYS, SYMBOLS)


@settings(max_examples=60, deadline=None)
@given(values=NUMBERS, window=st.integers(1, 64), other=st.integers(1, 64))
def test_sums_equal_a_loop_over_the_last_minutes(values: np.ndarray, window: int, other: int):
    total, _ = sums(values, window, other)
    for s in range(values.shape[1]):
        for t in range(values.shape[2]):
            assert total[0, s, t] == pytest.approx(sum(values[0, s, max(0, t - window + 1) : t + 1]), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(values=NUMBERS, decay=st.floats(0.1, 0.99))
def test_decayed_sums_equal_a_loop_since_the_open(values: np.ndarray, decay: float):
    total = decayed_sums(values, decay)
    for s in range(values.shape[1]):
        expected = 0.0
        for t in range(values.shape[2]):
            expected = expected * decay + values[0, s, t]
            assert total[0, s, t] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(values=NUMBERS, window=st.integers(2, 50), cut=st.integers(1, 40), junk=st.floats(-1e9, 1e9))
def test_what_comes_later_or_stands_beside_changes_no_bit(values: np.ndarray, window: int, cut: int, junk: float):
    later = values.copy()
    later[..., cut:] = junk
    for function in (
        lambda v: sums(v, window)[0],
        lambda v: decayed_sums(v, 0.9),
        lambda v: earlier(v, window),
        known_minutes,
    ):
        whole = function(values)
        np.testing.assert_array_equal(function(later)[..., :cut], whole[..., :cut])
        np.testing.assert_array_equal(function(values[:, :1].copy()), whole[:, :1])
        np.testing.assert_array_equal(function(values[..., :cut].copy()), whole[..., :cut])


def test_a_huge_value_that_has_left_the_window_leaves_no_trace():
    values = np.concatenate([[1e16], np.random.default_rng(2).normal(0, 1e-3, 50)])[None, None]
    np.testing.assert_array_equal(sums(values, 10)[0][..., 10:], sums(values[..., 1:], 10)[0][..., 9:])


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e-17, 12345.678])
def test_a_constant_window_has_no_variance_even_after_wild_ones(constant: float):
    values = np.concatenate([np.random.default_rng(1).normal(0, 1e6, 30), np.full(30, constant)])[None, None]
    total, squares = sums(values, 10)[0], sums(values * values, 10)[0]
    spread = variance(np.float64(10.0), total, squares)
    assert np.isfinite(spread[..., 9:38]).all()
    assert np.isnan(spread[..., 39:]).all()


def test_the_future_cannot_be_asked_for():
    with pytest.raises(ValueError, match=r"earlier\(-1\) would read the future"):
        earlier(np.zeros((1, 1, 5)), -1)
