"""What holds of every feature whatever the bars: bounds, orders, and what a change of unit does."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets_tests.core.bars.bars_factory import DAYS, grid_of, raw_bars
from timegpt_assets_tests.core.features.made import made
from timegpt_assets_tests.core.features.test_matrix import _with

FREE_OF_PRICE = [f.name for f in _with().features if f.name != "vwap_30m"]
PRICES = ("open", "high", "low", "close")


def days_of(seed: int) -> pl.DataFrame:
    return made(grid_of(raw_bars(days=DAYS[:3], seed=seed)), DAYS[:3]).frame


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_shares_correlations_and_deviations_keep_their_bounds(seed: int):
    frame = days_of(seed)
    for name in ("volume_percentile", "range_percentile", "session_progress"):
        assert frame[name].drop_nulls().is_between(0.0, 1.0).all(), name
    assert frame["corr_spy_60m"].drop_nulls().is_between(-1.0, 1.0).all()
    assert frame["liquidity_bucket"].is_in([-1, 0, 1, 2]).all()
    for name in ("sigma_60m", "vol_ewm_15m", "parkinson_30m", "atr_14m", "dispersion", "spy_vol_15m", "vwap_30m"):
        assert (frame[name].drop_nulls() > 0.0).all(), name
    ordered = frame.select("rv_5m", "rv_15m", "rv_30m").drop_nulls()
    assert (ordered["rv_5m"] <= ordered["rv_15m"]).all()
    assert (ordered["rv_15m"] <= ordered["rv_30m"]).all()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), power=st.integers(-6, 6))
def test_prices_in_another_unit_leave_everything_but_vwap_as_it_was(seed: int, power: int):
    raw = raw_bars(days=DAYS[:3], seed=seed)
    other = raw.with_columns(pl.col(c) * 2.0**power for c in PRICES)
    one, two = (made(grid_of(bars), DAYS[:3]).frame for bars in (raw, other))
    assert_frame_equal(one.select(FREE_OF_PRICE), two.select(FREE_OF_PRICE), rel_tol=1e-4, abs_tol=1e-6)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000), times=st.integers(2, 50))
def test_more_shares_of_everything_change_signed_volume_alone(seed: int, times: int):
    raw = raw_bars(days=DAYS[:3], seed=seed)
    one, two = (
        made(grid_of(bars), DAYS[:3]).frame for bars in (raw, raw.with_columns(pl.col("volume") * float(times)))
    )
    same = [name for name in one.columns if name != "signed_volume"]
    assert_frame_equal(one.select(same), two.select(same), rel_tol=1e-5, abs_tol=1e-7)
    ratio = (two["signed_volume"] / one["signed_volume"]).drop_nulls().drop_nans()
    assert ((ratio - times).abs() < 1e-4 * times).all()
