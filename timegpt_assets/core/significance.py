"""How sure a measured number is: 95 % intervals and one-sided tests, in closed form or of fixed draws: reproducible.

Belongs here: Wilson's interval for shares, Lo's for Sharpe ratios, day-clustered ones for ratios, sums and Sharpe
ratios, the Diebold-Mariano test and day-cluster samples. Days are the clusters: those of one day are not independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its 95 % interval; None where too little was seen to say."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How samples of days are drawn."""

    draws: int
    cluster_days: int
    """Neighbouring days that are drawn together."""


def share(hits: int, n: int) -> Estimate:
    """Return hits / n with Wilson's (1927) score interval; nothing when n is 0."""
    if n == 0:
        return Estimate()
    low, high = share_ends(np.array([hits / n]), np.array([n]))
    return Estimate(hits / n, float(low[0]), float(high[0]))


def share_ends(p: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of Wilson's interval of each share ``p`` of ``n``; NaN where p is."""
    # Wilson and not p +- z sqrt(pq / n), which has no width at all where every band held or none did.
    spread = Z * Z / n
    centre = (p + spread / 2) / (1 + spread)
    half = Z * np.sqrt(p * (1 - p) / n + spread / (4 * n)) / (1 + spread)
    # At p of 0 and 1 rounding puts the ends a hair outside.
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def ratio(top: np.ndarray, bottom: np.ndarray) -> Estimate:
    """Return sum(top) / sum(bottom) of daily sums with the linearised (delta method) normal interval.

    The variance is that of the daily residuals top - ratio x bottom; no interval below two days, no value when the
    denominator is 0.
    """
    days, total = top.size, float(np.sum(bottom))
    if days == 0 or total <= 0:
        return Estimate()
    value = float(np.sum(top)) / total
    if days < 2:
        return Estimate(value)
    residuals = top - value * bottom
    # The residuals add up to zero by construction: one of the days is not free.
    half = Z * math.sqrt(float(np.sum(residuals**2)) * days / (days - 1)) / total
    return Estimate(value, value - half, value + half)


def sharpe(returns: np.ndarray, *, periods: float) -> Estimate:
    """Return mean / deviation x sqrt(periods) with the interval of Lo (2002); nothing without variance."""
    # The span, not the deviation: that of equal returns need not come out as exactly 0.
    if returns.size < 2 or float(np.ptp(returns)) == 0.0:
        return Estimate()
    step = float(np.mean(returns)) / float(np.std(returns, ddof=1))
    half = Z * math.sqrt((1 + step**2 / 2) / returns.size)
    return Estimate(*(bound * math.sqrt(periods) for bound in (step, step - half, step + half)))


def diebold_mariano(losses: np.ndarray, reference: np.ndarray, *, lags: int | None = None) -> float | None:
    """Return the one-sided p of "loses less than the reference" from daily losses; None without variance.

    Diebold and Mariano (1995) on day clusters: days may depend on each other over ``lags`` of them (Newey and West's
    variance; by their rule of thumb when None), with the small-sample correction and Student's t of Harvey, Leybourne
    and Newbold (1997).
    """
    statistic = dm_statistic(losses, reference, lags=lags)
    return None if statistic is None else student_t(statistic, losses.size - 1)


def dm_statistic(losses: np.ndarray, reference: np.ndarray, *, lags: int | None = None) -> float | None:
    """Return the corrected statistic behind ``diebold_mariano``; negative: the reference loses more."""
    differences = losses - reference
    n = differences.size
    if n < 2 or float(np.ptp(differences)) == 0.0:
        return None
    # The last factor is Harvey, Leybourne and Newbold's for forecasts one step, here one day, ahead.
    variance = long_run_variance(differences, lags=newey_west_lags(n) if lags is None else lags)
    return float(np.mean(differences)) / math.sqrt(variance / n) * math.sqrt((n - 1) / n)


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Return Holm's (1979) adjusted p of each hypothesis of a family; None stays None and counts for nothing."""
    order = sorted((value, place) for place, value in enumerate(p) if value is not None)
    adjusted: list[float | None] = [None] * len(p)
    largest = 0.0
    for rank, (value, place) in enumerate(order):
        # never below that of a smaller p: whoever rejects it has rejected the smaller one, too
        adjusted[place] = largest = max(largest, min(1.0, value * (len(order) - rank)))
    return adjusted


def newey_west_lags(n: int) -> int:
    """Return floor(4 (n / 100)^(2/9)), Newey and West's (1994) rule for Bartlett weights."""
    return int(4 * (n / 100) ** (2 / 9))


def long_run_variance(values: np.ndarray, *, lags: int) -> float:
    """Return the variance of a mean of dependent values times n: Newey and West (1987), never negative."""
    centred, n = values - np.mean(values), values.size
    # By n, not by n - lag: only so can the weighted sum never be negative. einsum, not BLAS: see local/ridge.py.
    total = float(np.einsum("i,i->", centred, centred)) / n
    for lag in range(1, min(lags, n - 1) + 1):
        weight = 1 - lag / (lags + 1)
        total += 2 * weight * float(np.einsum("i,i->", centred[lag:], centred[:-lag])) / n
    return total


@lru_cache(maxsize=16)  # every figure of a month is drawn over the same few numbers of days
def day_clusters(days: int, *, draws: int, cluster_days: int = 1) -> np.ndarray:
    """Return how often each day is drawn in each of ``draws`` samples of clusters of neighbouring days: [draws, days].

    Clusters wrap around the end (circular bootstrap, Politis and Romano 1992). The seed is fixed: same days, same
    draws.
    """
    starts = np.random.default_rng(days).integers(0, days, size=(draws, -(-days // cluster_days)))
    # The last cluster is cut where it is too long: every sample has as many days as were seen.
    drawn = ((starts[:, :, None] + np.arange(cluster_days)) % days).reshape(draws, -1)[:, :days]
    # How often each day was drawn, not which: a sample's sum is then one product with the daily sums.
    flat = drawn + np.arange(draws)[:, None] * days
    counts = np.bincount(flat.ravel(), minlength=draws * days).reshape(draws, days).astype(float)
    counts.flags.writeable = False
    return counts


def bootstrap(top: np.ndarray, bottom: np.ndarray, *, draws: int, cluster_days: int = 1) -> Estimate:
    """Return sum(top) / sum(bottom) of daily sums with the 2.5 and 97.5 % points over day-cluster samples.

    No interval below two whole clusters, nor where all samples are alike: they would seem to know the value exactly.
    """
    total = float(np.sum(bottom))
    if top.size == 0 or total <= 0:
        return Estimate()
    value = float(np.sum(top)) / total
    if top.size < 2 * cluster_days:
        return Estimate(value)
    weights = day_clusters(top.size, draws=draws, cluster_days=cluster_days)
    tops, bottoms = np.einsum("dn,n->d", weights, top), np.einsum("dn,n->d", weights, bottom)
    # A sample may hold only days on which nothing was counted: it has no ratio.
    return _spread(value, tops[bottoms > 0] / bottoms[bottoms > 0])


def bootstrap_total(daily: np.ndarray, *, draws: int, cluster_days: int = 1) -> Estimate:
    """Return the sum of daily amounts with the ends of ``bootstrap``'s interval of their mean, times the days."""
    mean = bootstrap(daily, np.ones(daily.size), draws=draws, cluster_days=cluster_days)
    low, high = (None if end is None else end * daily.size for end in (mean.low, mean.high))
    return Estimate(math.fsum(daily), low, high)  # exact: the order of the days cannot change a bit


def bootstrap_sharpe(returns: np.ndarray, *, periods: float, draws: int, cluster_days: int = 1) -> Estimate:
    """Return what ``sharpe`` does with the 2.5 and 97.5 % points over day-cluster samples, as ``bootstrap`` does.

    Lo's interval takes each day as independent of the one before, and returns as normal.
    """
    value, n = sharpe(returns, periods=periods).value, returns.size
    if value is None or n < 2 * cluster_days:
        return Estimate(value)
    weights = day_clusters(n, draws=draws, cluster_days=cluster_days)
    mean = float(np.mean(returns))
    centred = returns - mean  # squares of what is far from zero would swallow its variance
    sums, squares = np.einsum("dn,n->d", weights, centred), np.einsum("dn,n->d", weights, centred**2)
    variances = (squares - sums**2 / n) / (n - 1)
    # A sample may hold one day over and over: it has no variance, but for rounding.
    varied = variances > 1e-9 * float(np.var(returns))
    return _spread(value, (mean + sums[varied] / n) / np.sqrt(variances[varied]) * math.sqrt(periods))


def _spread(value: float, drawn: np.ndarray) -> Estimate:
    """Return the value between the 2.5 and 97.5 % points of what was drawn; without them where all draws are alike."""
    if drawn.size == 0 or float(np.ptp(drawn)) == 0.0:
        return Estimate(value)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def uniformity(daily: np.ndarray, shares: np.ndarray, *, draws: int, cluster_days: int = 1) -> float | None:
    """Return the p of daily counts, [days, bins], having the expected shares; None where too little was seen to say.

    Pearson's statistic against what day-cluster samples give when only the days differ: outcomes of one day hang
    together, and the chi-square distribution would take them as independent. Needs two whole clusters, and five
    expected in each bin.
    """
    days, counts = daily.shape[0], daily.sum(axis=0)
    if days < 2 * cluster_days or float(counts.sum() * shares.min()) < 5:
        return None
    drawn = np.einsum("dn,nb->db", day_clusters(days, draws=draws, cluster_days=cluster_days), daily)
    totals = drawn.sum(axis=1, keepdims=True)
    scatter = _pearson(drawn, totals * (counts / counts.sum()), totals * shares)
    seen = _pearson(counts, counts.sum() * shares, counts.sum() * shares)
    # Samples of n days scatter (n - 1) / n as much as days do. What was seen counts as a draw: p is never 0.
    return (1 + int(np.sum(scatter * days / (days - 1) >= seen))) / (1 + draws)


def _pearson(counts: np.ndarray, expected: np.ndarray, scale: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.sum((counts - expected) ** 2 / scale, axis=-1)
    return found


def student_t(value: float, freedom: int) -> float:
    """Return the share of Student's t below ``value``, by its closed form for whole degrees (A&S 26.7.3-4)."""
    angle = math.atan(value / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2 == 1
    term = math.fsum(_t_terms(cosine, freedom))
    if odd:
        inner = angle + math.sin(angle) * term
        return 0.5 + inner / math.pi
    return 0.5 + math.sin(angle) * term / 2


def _t_terms(cosine: float, freedom: int) -> list[float]:
    if freedom == 1:
        return []
    odd = freedom % 2 == 1
    terms, factor = [], cosine if odd else 1.0
    for k in range((freedom - 1) // 2 if odd else freedom // 2):
        if k:
            factor *= cosine**2 * ((2 * k) / (2 * k + 1) if odd else (2 * k - 1) / (2 * k))
        terms.append(factor)
    return terms
