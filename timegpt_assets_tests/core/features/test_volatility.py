"""Volatility against a clerk's loops, and its edge cases."""

import statistics
from math import sqrt

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.features.volatility import EWM_SPANS, REALISED_WINDOWS, SIGMA_WINDOWS, ewms, realised, sigma
from timegpt_assets.core.features.windows import change, log_clock_prices, sessions_of
from timegpt_assets_tests.core.bars_factory import troubled_bars

HORIZON = 15


def minute_returns() -> np.ndarray:
    return change(log_clock_prices(sessions_of(troubled_bars())), 1)


def ewm(returns: np.ndarray, previous: np.ndarray, *, span: int, horizon_min: int) -> np.ndarray:
    return ewms(returns, previous, horizon_min=horizon_min, spans=[span])[f"vol_ewm_{span}m"]


def previous_columns() -> np.ndarray:
    """Three symbols a day, days in a row: the column three to the left."""
    return np.array([-1, -1, -1, *range(9)])


@pytest.mark.parametrize("window", SIGMA_WINDOWS)
def test_sigma_is_the_deviation_of_the_last_minutes_returns_in_the_scale_of_y(window: int):
    returns = minute_returns()
    computed = sigma(returns, window=window, horizon_min=HORIZON)
    compared = 0
    for t, s in np.ndindex(returns.shape):
        if np.isnan(returns[t, s]):
            continue
        seen = [r for r in returns[max(0, t - window + 1) : t + 1, s].tolist() if r == r]
        expected = statistics.stdev(seen) * sqrt(HORIZON) if len(seen) >= min(window, 10) else 0.0
        if expected == 0.0:
            assert np.isnan(computed[t, s])
        else:
            assert computed[t, s] == pytest.approx(expected, rel=1e-9)
            compared += 1
    assert compared > 3_000


@pytest.mark.parametrize("window", REALISED_WINDOWS)
def test_realised_volatility_is_the_root_of_the_squares_of_a_full_window(window: int):
    returns = minute_returns()
    computed = realised(returns)[f"rv_{window}m"]
    compared = 0
    for t, s in np.ndindex(returns.shape):
        seen = returns[max(0, t - window + 1) : t + 1, s].tolist()
        if len(seen) < window or any(r != r for r in seen):
            assert np.isnan(computed[t, s])
        else:
            assert computed[t, s] == pytest.approx(sqrt(sum(r * r for r in seen)), rel=1e-9)
            compared += 1
    assert compared > 3_000


@pytest.mark.parametrize("span", EWM_SPANS)
def test_ewm_weighs_the_returns_of_the_previous_session_and_then_of_this_one(span: int):
    returns, previous = minute_returns(), previous_columns()
    computed = ewm(returns, previous, span=span, horizon_min=HORIZON)
    compared = 0
    for s in range(returns.shape[1]):
        before = [r for r in returns[:, previous[s]].tolist() if r == r] if previous[s] >= 0 else []
        for t in range(0, len(returns), 3):
            if np.isnan(returns[t, s]):
                continue
            seen = np.array([*before, *(r for r in returns[: t + 1, s].tolist() if r == r)])
            if len(seen) < 10:
                assert np.isnan(computed[t, s])
                continue
            weights = (1 - 2 / (span + 1)) ** np.arange(len(seen) - 1, -1, -1.0)
            mean = (weights * seen).sum() / weights.sum()
            spread = (weights * (seen - mean) ** 2).sum()
            unbiased = weights.sum() / (weights.sum() ** 2 - (weights**2).sum())
            assert computed[t, s] == pytest.approx(sqrt(spread * unbiased * HORIZON), rel=1e-9)
            compared += 1
    assert compared > 1_000


def test_spans_computed_together_are_those_computed_alone():
    together = ewms(minute_returns(), previous_columns(), horizon_min=HORIZON)
    for span in EWM_SPANS:
        alone = ewm(minute_returns(), previous_columns(), span=span, horizon_min=HORIZON)
        np.testing.assert_array_equal(together[f"vol_ewm_{span}m"], alone)


def test_a_cold_ewm_is_the_adjusted_one_of_polars():
    returns = minute_returns()[:, :1]
    computed = ewm(returns, np.array([-1]), span=60, horizon_min=1)
    expected = pl.Series(returns[:, 0]).ewm_std(span=60, adjust=True).to_numpy()
    np.testing.assert_allclose(computed[9:, 0], expected[9:], rtol=1e-10)
    assert np.isnan(computed[:9]).all()


def test_a_previous_session_makes_the_first_minute_known_and_wears_off():
    returns = minute_returns()
    cold = ewm(returns, np.full(12, -1), span=60, horizon_min=HORIZON)[:, 5]
    warm = ewm(returns, previous_columns(), span=60, horizon_min=HORIZON)[:, 5]
    assert np.isnan(cold[0])
    assert np.isfinite(warm[0])
    assert abs(warm[389] / cold[389] - 1) < 1e-4 < abs(warm[20] / cold[20] - 1)


def test_a_price_that_never_moves_has_no_volatility_at_all():
    still = np.zeros((390, 2))
    assert np.isnan(sigma(still, window=60, horizon_min=HORIZON)).all()
    assert np.isnan(ewm(still, np.array([-1, 0]), span=60, horizon_min=HORIZON)).all()
    assert (realised(still)["rv_5m"][4:] == 0.0).all()


def test_a_halt_makes_sigma_null_only_when_it_fills_the_window():
    returns = np.random.default_rng(3).normal(0, 1e-3, (390, 1))
    returns[100:140] = 0.0
    short, long = (sigma(returns, window=n, horizon_min=HORIZON)[:, 0] for n in (15, 60))
    assert np.flatnonzero(np.isnan(short[20:])).tolist() == [t - 20 for t in range(114, 140)]
    assert np.isfinite(long[9:]).all()
