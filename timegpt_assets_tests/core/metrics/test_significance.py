"""Intervals and tests: textbook figures, and coverage of what they promise."""

import numpy as np
import pytest

from timegpt_assets.core.metrics import significance


def test_wilson_gives_the_textbook_interval() -> None:
    found = significance.share(8, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6)
    assert significance.share(0, 0) == significance.Estimate()
    assert significance.share(0, 5).low == pytest.approx(0.0)


def test_a_ratio_needs_a_denominator_and_two_days_for_an_interval() -> None:
    assert significance.ratio(np.array([1.0]), np.array([0.0])).value is None
    assert significance.ratio(np.array([1.0]), np.array([2.0])) == significance.Estimate(0.5)


def test_the_ratio_interval_covers_the_truth_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        bottom = rng.gamma(5, 1, 60)
        top = 0.8 * bottom + rng.normal(0, 0.5, 60)
        found = significance.ratio(top, bottom)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.8 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_sharpe_is_the_annualised_mean_over_deviation_and_null_without_variance() -> None:
    returns = np.array([0.01, -0.005, 0.02, 0.0])
    expected = returns.mean() / returns.std(ddof=1) * 252**0.5
    found = significance.sharpe(returns, periods=252)
    assert found.value == pytest.approx(expected)
    assert found.low is not None
    assert found.high is not None
    assert found.low < expected < found.high
    assert significance.sharpe(np.full(10, 0.1), periods=252).value is None
    assert significance.sharpe(np.array([0.1]), periods=252).value is None


def test_diebold_mariano_is_small_for_the_better_forecast_and_large_for_the_worse() -> None:
    rng = np.random.default_rng(2)
    reference = rng.gamma(5, 1, 100)
    better = reference - 0.5 + rng.normal(0, 0.5, 100)
    p, q = significance.diebold_mariano(better, reference), significance.diebold_mariano(reference, better)
    assert p is not None
    assert q is not None
    assert p < 0.001
    assert p + q == pytest.approx(1)
    assert significance.diebold_mariano(reference, reference) is None
