"""Luck: the papers' printed numbers, other people's code on the same returns, and what must hold of any trials."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core import overfitting
from timegpt_assets.core.overfitting import TrackRecord, best_of, cscv, deflated_sharpe, min_track_record, pbo
from timegpt_assets.core.overfitting import probabilistic_sharpe as psr

FIVE_YEARS = TrackRecord(n=1250, sharpe=2.5 / math.sqrt(250), skewness=-3, kurtosis=10)
"""The example of Bailey and Lopez de Prado (2014): 2.5 a year, daily, of trials with a variance of 1/2 a year."""
TRIALS = 0.5 / 250
TWO_YEARS = TrackRecord(n=24, sharpe=0.458, skewness=-2.448, kurtosis=10.164)
"""The example of Bailey and Lopez de Prado (2012): a hedge fund of monthly returns."""


def test_the_example_of_the_deflated_sharpe_ratio_comes_out_as_printed() -> None:
    assert best_of(100, variance=TRIALS) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(FIVE_YEARS, trials=100, variance=TRIALS) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe(FIVE_YEARS, trials=46, variance=TRIALS) == pytest.approx(0.9505, abs=5e-5)
    normal = TrackRecord(n=1250, sharpe=FIVE_YEARS.sharpe)
    assert deflated_sharpe(normal, trials=88, variance=TRIALS) == pytest.approx(0.9505, abs=5e-5)


def test_the_examples_of_the_probabilistic_ratio_and_of_track_records_come_out_as_printed() -> None:
    assert psr(TrackRecord(n=24, sharpe=0.458)) == pytest.approx(0.982, abs=5e-4)
    assert psr(TWO_YEARS) == pytest.approx(0.913, abs=5e-4)
    years = {
        periods: min_track_record(
            TrackRecord(n=2, sharpe=2 / math.sqrt(periods)), confidence=0.95, above=1 / math.sqrt(periods)
        )
        / periods
        for periods in (252, 52, 12)
    }
    assert years == {
        252: pytest.approx(2.73, abs=5e-3),
        52: pytest.approx(2.83, abs=5e-3),
        12: pytest.approx(3.24, abs=5e-3),
    }
    fund = TrackRecord(n=2, sharpe=2 / math.sqrt(12), skewness=-0.72, kurtosis=5.78)
    assert min_track_record(fund, confidence=0.95, above=1 / math.sqrt(12)) / 12 == pytest.approx(4.99, abs=5e-3)


def test_a_record_is_that_of_another_library() -> None:
    """skfolio 1.12.2 on the same returns; its deviation is over n - 1, too."""
    returns = np.random.default_rng(7).standard_t(5, 250) / 100 + 0.003
    record = overfitting.track_record(returns)
    assert record is not None
    assert psr(record) == pytest.approx(0.8968098077198905, abs=1e-12)
    assert psr(record, above=0.05) == pytest.approx(0.6882936085964125, abs=1e-12)
    ratios = np.random.default_rng(8).normal(0, 0.06, 240)
    variance = float(np.var(ratios, ddof=1))
    assert deflated_sharpe(record, trials=240, variance=variance) == pytest.approx(0.06282113878033206, abs=1e-12)


@given(st.integers(2, 10_000), st.floats(0.001, 0.2), st.floats(-0.2, 0.2), st.floats(-2, 2), st.floats(0, 9))
def test_more_trials_and_a_wider_scatter_deflate_more(
    trials: int, scatter: float, sharpe: float, skewness: float, excess: float
) -> None:
    record = TrackRecord(n=250, sharpe=sharpe, skewness=skewness, kurtosis=1.5 + skewness**2 + excess)
    one = deflated_sharpe(record, trials=1, variance=scatter**2)
    some = deflated_sharpe(record, trials=trials, variance=scatter**2)
    assert one == psr(record)
    assert deflated_sharpe(record, trials=trials + 1, variance=scatter**2) <= some <= one
    assert deflated_sharpe(record, trials=trials, variance=4 * scatter**2) <= some


@given(st.integers(3, 2_000), st.floats(-0.2, 0.3), st.floats(0.55, 0.999), st.floats(-0.1, 0.1))
def test_a_record_is_long_enough_exactly_where_the_probability_is_high_enough(
    n: int, sharpe: float, confidence: float, above: float
) -> None:
    record = TrackRecord(n=n, sharpe=sharpe, skewness=-0.5, kurtosis=6.0)
    needed, probability = min_track_record(record, confidence=confidence, above=above), psr(record, above=above)
    if abs(needed - n) > 1e-6 * n:
        assert (needed <= n) == (probability >= confidence)


@pytest.mark.parametrize("returns", [[], [0.01], [0.01] * 50, [1.125] * 100 + [0.125] * 900])
def test_what_does_not_vary_or_leaves_nothing_uncertain_has_no_record(returns: list[float]) -> None:
    assert overfitting.track_record(np.array(returns)) is None


def test_the_best_of_each_half_is_ranked_in_the_other_by_pencil() -> None:
    # Four blocks of two sessions. The first trial has its good days in the first half, the second in the second, the
    # third is always between them; so the best of the two outer halvings is the worst of the other half.
    good, bad, middle = [0.03, 0.02], [-0.02, -0.03], [0.02, -0.01]
    returns = np.array([good * 2 + bad * 2, bad * 2 + good * 2, middle * 4]).T
    logits = cscv(returns, blocks=4)
    assert logits.size == math.comb(4, 2)
    # In the four mixed halvings the steady one is best, and best again: rank 3 of 3, 3 / 4 of the way.
    assert sorted(logits) == pytest.approx([math.log(1 / 3)] * 2 + [math.log(3)] * 4)
    assert pbo(logits) == pytest.approx(2 / 6)


def test_the_median_itself_is_not_above_the_median() -> None:
    assert pbo(np.array([-1.0, 0.0, 1.0, 2.0])) == 0.5


@pytest.mark.parametrize(
    ("shape", "blocks", "planted", "said"),
    [
        ((250, 30), 16, 0.0, (0.8505827505827506, -14799.448898698567, 30761.075085700235)),
        ((123, 7), 8, 0.1, (0.7285714285714285, -40.52764089354037, 96.57510645184934)),
        ((64, 50), 6, 0.0, (0.35, 12.078402954495262, 29.66224847278541)),
    ],
)
def test_halvings_are_those_of_another_library(
    shape: tuple[int, int], blocks: int, planted: float, said: tuple[float, float, float]
) -> None:
    """holdout-backtest 0.1.0 on the same returns: the probability, and sum and squares of all logits."""
    seed = {250: 0, 123: 1, 64: 2}[shape[0]]
    returns = np.random.default_rng(seed).normal(0, 1, shape)
    returns[:, 0] += planted
    logits = cscv(returns, blocks=blocks)
    assert (pbo(logits), float(np.sum(logits)), float(np.sum(logits**2))) == pytest.approx(said, rel=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(9, 40), st.integers(2, 6), st.sampled_from([2, 4, 6]), st.booleans())
def test_halvings_are_those_of_a_clerk(seed: int, sessions: int, trials: int, blocks: int, idle: bool) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.001, 0.01, (max(sessions, 2 * blocks), trials))
    if idle:
        returns[rng.random(len(returns)) < 0.7, 0] = 0.0
        returns[:, -1] = returns[:, 0]
    found = sorted(cscv(returns, blocks=blocks))
    assert found == pytest.approx(sorted(by_clerk(returns, blocks)), abs=1e-9)


def by_clerk(returns: np.ndarray, blocks: int) -> list[float]:
    """Return the logits, one halving after the other."""
    parts, logits = np.array_split(returns, blocks), []
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        halves = [np.concatenate([parts[b] for b in range(blocks) if (b in chosen) == side]) for side in (True, False)]
        seen, unseen = (
            [0.0 if np.ptp(trial) == 0 else float(np.mean(trial) / np.std(trial, ddof=1)) for trial in half.T]
            for half in halves
        )
        best = unseen[seen.index(max(seen))]
        rank = sum(one < best - 1e-12 for one in unseen) + (sum(abs(one - best) <= 1e-12 for one in unseen) + 1) / 2
        share = rank / (len(unseen) + 1)
        logits.append(math.log(share / (1 - share)))
    return logits


def test_noise_is_chosen_for_nothing_and_a_planted_edge_is_found() -> None:
    noises = [np.random.default_rng(seed).normal(0, 0.01, (250, 100)) for seed in range(8)]
    assert 0.35 < np.mean([pbo(cscv(noise, blocks=12)) for noise in noises]) < 0.65
    noises[0][:, 17] += 0.004
    assert pbo(cscv(noises[0], blocks=12)) < 0.001
