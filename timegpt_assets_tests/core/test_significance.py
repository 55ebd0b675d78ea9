"""Intervals and tests: textbook figures, and coverage of what they promise."""

import random

import numpy as np
import pytest
from scipy import stats

from timegpt_assets.core import significance


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


def test_diebold_mariano_equals_a_published_example() -> None:
    """The example of github.com/johntwk/Diebold-Mariano-Test: three shuffles of 0..99 by Python 2's random.sample."""
    dice = random.Random(123)

    def sample() -> np.ndarray:
        left, drawn = list(range(100)), []
        for i in range(100):
            j = int(dice.random() * (100 - i))
            drawn.append(left[j])
            left[j] = left[99 - i]
        return np.array(drawn, dtype=float)

    actual, first, second = sample(), sample(), sample()
    published = {1: (1.3275742446369585, 0.18737195617455585), 2: (1.2112523589452902, 0.22868210381769466)}
    published[4] = (0.9124498079287283, 0.36374861695187799)
    for power, (statistic, two_sided) in published.items():
        losses = [np.abs(actual - made) ** power for made in (first, second)]
        assert significance.dm_statistic(*losses, lags=0) == pytest.approx(statistic, rel=1e-12)
        p = significance.diebold_mariano(*losses, lags=0)
        assert p is not None
        assert 2 * (1 - p) == pytest.approx(two_sided, rel=1e-12)


def test_the_long_run_variance_equals_a_clerks_double_loop() -> None:
    values = np.cumsum(np.random.default_rng(3).normal(size=60)) / 5
    centred = values - values.mean()
    for lags in (0, 1, 4):
        total = 0.0
        for i in range(60):
            for j in range(60):
                total += max(0.0, 1 - abs(i - j) / (lags + 1)) * centred[i] * centred[j] / 60
        assert significance.long_run_variance(values, lags=lags) == pytest.approx(total)
    assert [significance.newey_west_lags(n) for n in (5, 25, 60, 252)] == [2, 2, 3, 4]


def test_dependent_days_make_the_test_less_sure() -> None:
    rng = np.random.default_rng(5)
    noise = np.convolve(rng.normal(size=130), np.ones(6), mode="valid") / 6
    difference = noise - 0.1
    zero = np.zeros_like(difference)
    careless = significance.diebold_mariano(difference, zero, lags=0)
    careful = significance.diebold_mariano(difference, zero)
    assert careless is not None
    assert careful is not None
    assert careless < careful


def test_tails_equal_those_of_scipy() -> None:
    for freedom in (1, 2, 3, 7, 30, 251):
        for value in (-3.0, -0.4, 0.0, 1.1, 4.0):
            assert significance.student_t(value, freedom) == pytest.approx(stats.t.cdf(value, freedom), abs=1e-12)


def test_day_block_intervals_cover_the_truth_about_as_often_as_promised() -> None:
    rng, hits = np.random.default_rng(6), 0
    for _ in range(200):
        counts = np.full(40, 8.0)
        found = significance.bootstrap(rng.binomial(8, 0.8, 40).astype(float), counts, draws=200)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.8 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_day_blocks_draw_whole_neighbouring_days_and_always_the_same() -> None:
    weights = significance.day_clusters(12, draws=50, cluster_days=3)
    assert (weights.sum(axis=1) == 12).all()
    assert np.array_equal(weights, significance.day_clusters(12, draws=50, cluster_days=3))
    assert ((weights > 0).sum(axis=1) >= 3).all()
    assert significance.bootstrap(np.array([1.0]), np.array([2.0]), draws=100) == significance.Estimate(0.5)


SHARES = np.array([0.1, 0.4, 0.5])


def test_fewer_days_than_two_blocks_give_no_interval_and_no_p() -> None:
    hits, counts = np.array([3.0, 5.0, 4.0, 6.0, 2.0]), np.full(5, 8.0)
    assert significance.bootstrap(hits, counts, draws=100, cluster_days=2).low is not None
    assert significance.bootstrap(hits, counts, draws=100, cluster_days=3) == significance.Estimate(0.5)
    daily = np.tile([5.0, 20.0, 25.0], (5, 1))
    assert significance.uniformity(daily, SHARES, draws=100, cluster_days=2) is not None
    assert significance.uniformity(daily, SHARES, draws=100, cluster_days=3) is None


def test_uniformity_wants_two_days_and_five_outcomes_in_each_bin() -> None:
    assert significance.uniformity(np.array([[4.0, 18.0, 22.0]] * 2), SHARES, draws=100) is not None
    assert significance.uniformity(np.array([[2.0, 9.0, 11.0]] * 2), SHARES, draws=100) is None
    assert significance.uniformity(np.array([[14.0, 36.0, 50.0]]), SHARES, draws=100) is None


def test_uniformity_equals_a_clerks_count_over_day_samples() -> None:
    daily = np.random.default_rng(7).multinomial(20, [0.13, 0.4, 0.47], size=6).astype(float)
    n, counts = 120, [float(sum(day[b] for day in daily)) for b in range(3)]
    seen = sum((counts[b] - n * SHARES[b]) ** 2 / (n * SHARES[b]) for b in range(3))
    as_far = 0
    for times in significance.day_clusters(6, draws=200, cluster_days=2):
        drawn = [sum(t * day[b] for t, day in zip(times, daily, strict=True)) for b in range(3)]
        scatter = sum((drawn[b] - counts[b]) ** 2 / (n * SHARES[b]) for b in range(3))
        as_far += scatter * 6 / 5 >= seen
    assert 0 < as_far < 200
    assert significance.uniformity(daily, SHARES, draws=200, cluster_days=2) == pytest.approx((1 + as_far) / 201)


def test_where_outcomes_of_a_day_hang_together_uniformity_is_not_fooled_and_the_chi_square_is() -> None:
    rng, fooled, wrong = np.random.default_rng(8), 0, 0
    for _ in range(150):
        daily = np.stack([rng.multinomial(50, day) for day in rng.dirichlet(SHARES * 40, size=25)]).astype(float)
        fooled += stats.chisquare(daily.sum(axis=0), 1250 * SHARES).pvalue < 0.05
        p = significance.uniformity(daily, SHARES, draws=200)
        assert p is not None
        wrong += p < 0.05
    assert fooled / 150 > 0.2
    assert wrong / 150 < 0.1
    p = significance.uniformity(rng.multinomial(50, [0.15, 0.4, 0.45], size=25).astype(float), SHARES, draws=200)
    assert p is not None
    assert p < 0.05


def test_ends_of_intervals_equal_a_pencils() -> None:
    z = stats.norm.ppf(0.975)
    top, bottom = np.array([1.0, 3.0, 2.0]), np.array([2.0, 2.0, 4.0])
    found = significance.ratio(top, bottom)  # 6 / 8, residuals -0.5, 1.5, -1
    half = z * ((0.25 + 2.25 + 1.0) * 3 / 2) ** 0.5 / 8
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 0.75 - half, 0.75 + half))
    found = significance.sharpe(np.array([1.0, 2.0, 6.0]), periods=4)
    step = 3 / 7**0.5
    half = z * ((1 + step**2 / 2) / 3) ** 0.5
    assert (found.value, found.low, found.high) == pytest.approx((2 * step, 2 * (step - half), 2 * (step + half)))


def test_two_days_have_an_interval_and_one_has_none() -> None:
    one, two = np.array([1.0]), np.array([1.0, 2.0])
    assert significance.bootstrap_total(one, draws=100) == significance.Estimate(1.0)
    assert significance.bootstrap_total(two, draws=100).low is not None
    assert significance.ratio(two, np.array([1.0, 1.0])).low is not None
    assert significance.ratio(two, np.array([0.0, 0.5])).value == 6.0
    assert significance.ratio(np.array([]), np.array([])) == significance.Estimate()
    assert significance.sharpe(two, periods=1).low is not None
    assert significance.dm_statistic(one, 2 * one) is None
    assert significance.dm_statistic(two, np.zeros(2)) is not None


def test_ends_of_shares_stay_within_none_and_all() -> None:
    for n in range(1, 40):
        none, every = significance.share(0, n), significance.share(n, n)
        assert none.low == pytest.approx(0.0, abs=1e-12)
        assert every.high == pytest.approx(1.0, abs=1e-12)
        assert (none.low or 0.0) >= 0.0
        assert (every.high or 1.0) <= 1.0
        assert none.high == pytest.approx(1 - (every.low or 0.0))


def test_the_statistic_of_a_few_days_by_hand() -> None:
    losses, reference = np.array([1.0, 2.0, 2.0, 4.0]), np.array([2.0, 2.0, 5.0, 5.0])
    # Differences -1, 0, -3, -1: mean -1.25, squares around it 4.75, neighbours' products -0.3125 - 2.1875 - 0.4375.
    around = [4.75, (0.25 * 1.25 + 1.25 * -1.75 + -1.75 * 0.25)]
    variance = around[0] / 4 + 2 * 0.5 * around[1] / 4
    by_hand = -1.25 / (variance / 4) ** 0.5 * (3 / 4) ** 0.5
    assert significance.dm_statistic(losses, reference, lags=1) == pytest.approx(by_hand)
    assert significance.newey_west_lags(4) == 1
    assert significance.dm_statistic(losses, reference) == pytest.approx(by_hand)
    assert significance.diebold_mariano(losses, reference) == pytest.approx(stats.t.cdf(by_hand, 3))


def test_more_lags_than_days_are_those_there_are() -> None:
    values = np.array([1.0, 4.0, 2.0])
    products = {1: (-4 / 3) * (5 / 3) + (5 / 3) * (-1 / 3), 2: (-4 / 3) * (-1 / 3)}
    expected = ((16 + 25 + 1) / 9 + 2 * sum((1 - lag / 10) * product for lag, product in products.items())) / 3
    assert significance.long_run_variance(values, lags=9) == pytest.approx(expected)


def test_clusters_are_of_neighbours_wrap_around_and_fill_each_sample_with_as_many_days() -> None:
    clusters = significance.day_clusters(7, draws=300, cluster_days=3)
    assert set(clusters.sum(axis=1)) == {7.0}
    # Three starts: two whole clusters and the first day of a third.
    starts = np.random.default_rng(7).integers(0, 7, size=(300, 3))
    for sample, drawn in zip(clusters, starts, strict=True):
        days = [(start + n) % 7 for start in drawn for n in range(3)][:7]
        assert sample.tolist() == np.bincount(days, minlength=7).tolist()
    alone = significance.day_clusters(3, draws=2_000)
    assert alone.shape == (2_000, 3)
    assert alone.mean(axis=0) == pytest.approx([1.0, 1.0, 1.0], abs=0.1)
    assert alone.max() == 3.0


def test_the_ends_are_the_points_of_the_samples_that_have_a_ratio() -> None:
    top, bottom = np.array([0.0, 1.0, 5.0, 2.0]), np.array([0.0, 2.0, 5.0, 3.0])
    weights = significance.day_clusters(4, draws=500)
    sampled = [sum(w * top) / sum(w * bottom) for w in weights if sum(w * bottom) > 0]
    assert len(sampled) < 500
    found = significance.bootstrap(top, bottom, draws=500)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, *np.quantile(sampled, [0.025, 0.975])))
    assert significance.bootstrap(top, np.zeros(4), draws=10) == significance.Estimate()
    assert significance.bootstrap(np.array([]), np.array([]), draws=10) == significance.Estimate()
    assert significance.bootstrap(top[:2], bottom[2:], draws=10).low is not None


def test_five_expected_in_the_smallest_bin_are_enough() -> None:
    daily = np.array([[2.0, 10.0, 13.0], [3.0, 10.0, 12.0]])  # 50 outcomes, a tenth of them in the first bin
    p = significance.uniformity(daily, SHARES, draws=100)
    assert p is not None
    assert p > 0.5
    far = significance.uniformity(daily[:, ::-1], SHARES, draws=100)
    assert far == pytest.approx(1 / 101), "what was seen counts as a draw"


@pytest.mark.parametrize("days", [3, 9])  # of three, many a sample holds one day alone: it has no variance
def test_samples_of_days_give_a_sum_and_a_sharpe_ratio_the_ends_a_clerk_finds_day_by_day(days: int) -> None:
    returns = np.random.default_rng(8).normal(0.3, 1.0, days)
    drawn = [np.repeat(returns, counts.astype(int)) for counts in significance.day_clusters(days, draws=100)]
    varied = [own for own in drawn if np.ptp(own) > 0]
    found = significance.bootstrap_total(returns, draws=100)
    ends = np.quantile([own.sum() for own in drawn], [0.025, 0.975])
    assert (found.value, found.low, found.high) == pytest.approx((returns.sum(), *ends))
    found = significance.bootstrap_sharpe(returns, periods=252, draws=100)
    ends = np.quantile([own.mean() / own.std(ddof=1) * 252**0.5 for own in varied], [0.025, 0.975])
    assert (found.value, found.low, found.high) == pytest.approx(
        (significance.sharpe(returns, periods=252).value, *ends)
    )


def test_what_every_sample_gives_alike_has_no_interval() -> None:
    days = np.full(20, 3.0)
    assert significance.bootstrap(days, days, draws=100) == significance.Estimate(1.0)
    assert significance.bootstrap_total(days, draws=100) == significance.Estimate(60.0)
    assert significance.bootstrap_sharpe(days, periods=252, draws=100) == significance.Estimate()


def test_a_variance_is_not_lost_beside_a_mean_far_from_zero() -> None:
    far = 1e7 + np.array([0.0, 1.0] * 5)
    drawn = [np.repeat(far, counts.astype(int)) for counts in significance.day_clusters(10, draws=100)]
    ends = np.quantile([own.mean() / own.std(ddof=1) for own in drawn if np.ptp(own) > 0], [0.025, 0.975])
    found = significance.bootstrap_sharpe(far, periods=1, draws=100)
    assert (found.low, found.high) == pytest.approx(tuple(ends))


@pytest.mark.parametrize(("cluster_days", "least", "most"), [(1, 0.5, 0.89), (10, 0.88, 0.97)])
def test_blocks_of_days_cover_a_sharpe_ratio_whose_days_depend_on_each_other_and_single_days_do_not(
    cluster_days: int, least: float, most: float
) -> None:
    rng, true, hits = np.random.default_rng(9), 0.2, 0
    for _ in range(200):
        noise = np.convolve(rng.normal(size=255), np.ones(6), mode="valid") / 6**0.5
        found = significance.bootstrap_sharpe(noise + true, periods=1, draws=200, cluster_days=cluster_days)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= true <= found.high
    assert least <= hits / 200 <= most


def test_samples_that_are_kept_cannot_be_written_into() -> None:
    with pytest.raises(ValueError, match="read-only"):
        significance.day_clusters(3, draws=100)[0, 0] = 7.0
