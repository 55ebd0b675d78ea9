"""What luck makes of many trials: Sharpe ratios that know how many were tried, and how often the best was no better.

Belongs here: the probabilistic and the deflated Sharpe ratio, the minimum track record length, and the probability of
backtest overfitting. Ratios are per session, never annualised: what is asked of them is in gates/luck.py.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()
LEAST_VARIANCE = 1e-6
"""Below it rounding alone is left."""
CHUNK = 64
"""Splits that are measured at once: what is held grows with them and with the trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """Daily returns as far as the certainty of their Sharpe ratio needs them."""

    n: int
    sharpe: float
    """Of one session."""
    skewness: float = 0.0
    kurtosis: float = 3.0
    """That of a normal distribution is 3."""

    @property
    def variance(self) -> float:
        """Return the variance of the Sharpe ratio of ``n`` such returns times n - 1 (Mertens 2002)."""
        return 1 - self.skewness * self.sharpe + (self.kurtosis - 1) / 4 * self.sharpe**2


def track_record(returns: np.ndarray) -> TrackRecord | None:
    """Return the record of daily returns; None where they do not vary, or where their moments leave nothing uncertain.

    The latter can be of two values alone. The Sharpe ratio is that of significance.py; skewness and kurtosis are the
    moments' own, over n.
    """
    if returns.size < 2 or float(np.ptp(returns)) == 0.0:
        return None
    centred = returns - np.mean(returns)
    second, third, fourth = (float(np.mean(centred**power)) for power in (2, 3, 4))
    record = TrackRecord(
        n=returns.size,
        sharpe=float(np.mean(returns)) / float(np.std(returns, ddof=1)),
        skewness=third / second**1.5,
        kurtosis=fourth / second**2,
    )
    return record if record.variance > LEAST_VARIANCE else None


def probabilistic_sharpe(record: TrackRecord, *, above: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio lies above ``above``: Bailey and Lopez de Prado (2012)."""
    return NORMAL.cdf((record.sharpe - above) * math.sqrt((record.n - 1) / record.variance))


def min_track_record(record: TrackRecord, *, confidence: float, above: float = 0.0) -> float:
    """Return how many returns like these show at ``confidence`` that the true Sharpe ratio lies above ``above``.

    Bailey and Lopez de Prado (2012); infinite where the measured one does not.
    """
    if record.sharpe <= above:
        return math.inf
    ratio = NORMAL.inv_cdf(confidence) / (record.sharpe - above)
    return 1 + record.variance * ratio * ratio  # not **: that of a hair's breadth would overflow, and is infinite


def best_of(trials: int, *, variance: float) -> float:
    """Return the Sharpe ratio that the best of ``trials`` without skill is expected to show.

    Of independent ones whose ratios scatter with ``variance``: Bailey and Lopez de Prado (2014); 0 for one trial.
    """
    if trials <= 1:
        return 0.0
    at, beyond = (NORMAL.inv_cdf(1 - 1 / (trials * factor)) for factor in (1, math.e))
    return math.sqrt(variance) * ((1 - np.euler_gamma) * at + np.euler_gamma * beyond)


def deflated_sharpe(record: TrackRecord, *, trials: int, variance: float) -> float:
    """Return the probability that the true Sharpe ratio lies above the best that ``trials`` without skill would show.

    Bailey and Lopez de Prado (2014); of one trial it is the probabilistic one.
    """
    return probabilistic_sharpe(record, above=best_of(trials, variance=variance))


def cscv(returns: np.ndarray, *, blocks: int) -> np.ndarray:
    """Return the logit of the rank that the best of one half of the sessions takes in the other, for every halving.

    ``returns`` are [sessions, trials]; ``blocks``, an even number, are of neighbouring sessions, at least two each.
    Bailey, Borwein, Lopez de Prado and Zhu (2017): a logit of 0 is the median, one below it the worse half. The best is
    that of the highest Sharpe ratio, which is 0 without variance; equal ones share the mean of their ranks.
    """
    # Squares of what is far from zero would swallow its variance.
    mean = np.mean(returns, axis=0)
    parts = np.array_split(returns - mean, blocks)
    sums, squares = (np.array([np.sum(part**power, axis=0) for part in parts]) for power in (1, 2))
    sizes, total = np.array([len(part) for part in parts], float), (np.sum(sums, axis=0), np.sum(squares, axis=0))
    floor = 1e-12 * np.mean((returns - mean) ** 2, axis=0)
    # Each choice that holds the first block, and its complement: all of them, each once.
    chosen = [(0, *rest) for rest in combinations(range(1, blocks), blocks // 2 - 1)]
    masks = np.zeros((len(chosen), blocks))
    masks[np.arange(len(chosen))[:, None], np.array(chosen)] = 1.0
    logits = []
    for start in range(0, len(chosen), CHUNK):
        mask = masks[start : start + CHUNK]
        days = mask @ sizes
        # einsum, not BLAS: see forecasts/local/ridge.py
        own = (np.einsum("cb,bn->cn", mask, sums), np.einsum("cb,bn->cn", mask, squares))
        ratios = _ratios(*own, days, mean, floor)
        others = _ratios(total[0] - own[0], total[1] - own[1], len(returns) - days, mean, floor)
        logits += [_logits(ratios, others), _logits(others, ratios)]
    return np.concatenate(logits)


def _ratios(sums: np.ndarray, squares: np.ndarray, days: np.ndarray, mean: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the Sharpe ratios [halves, trials] from sums of centred returns; 0 without variance."""
    n = days[:, None]
    means = sums / n
    variance = (squares - means * sums) / (n - 1)
    if still := bool(np.any(idle := variance <= floor)):
        variance[idle] = 1.0
    ratios: np.ndarray = (mean + means) / np.sqrt(variance, out=variance)
    if still:
        ratios[idle] = 0.0
    return ratios


def _logits(seen: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Return the logit of the relative rank in ``unseen`` of the best in ``seen``, row by row."""
    best = np.take_along_axis(unseen, np.argmax(seen, axis=1)[:, None], axis=1)
    ranks = np.count_nonzero(unseen < best, axis=1) + (np.count_nonzero(unseen == best, axis=1) + 1) / 2
    share = ranks / (seen.shape[1] + 1)
    found: np.ndarray = np.log(share / (1 - share))
    return found


def pbo(logits: np.ndarray) -> float:
    """Return the probability of backtest overfitting: how often the best of a half is not above the other's median."""
    return float(np.mean(logits <= 0))
