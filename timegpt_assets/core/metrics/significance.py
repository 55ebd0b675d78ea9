"""How sure a measured number is: 95 % intervals and one-sided tests, all in closed form, hence reproducible.

Belongs here: Wilson's interval for shares, day-clustered intervals for ratios and sums, Lo's interval for Sharpe
ratios and the Diebold-Mariano test. Days are the blocks: forecasts and trades of one day are not independent.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the ends of its 95 % interval; None where too little was seen to say."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


def share(hits: int, n: int) -> Estimate:
    """Return hits / n with Wilson's (1927) score interval; nothing when n is 0."""
    if n == 0:
        return Estimate()
    p, spread = hits / n, Z * Z / n
    centre = (p + spread / 2) / (1 + spread)
    half = Z * math.sqrt(p * (1 - p) / n + spread / (4 * n)) / (1 + spread)
    return Estimate(p, max(centre - half, 0.0), min(centre + half, 1.0))


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
    half = Z * math.sqrt(float(np.sum(residuals**2)) * days / (days - 1)) / total
    return Estimate(value, value - half, value + half)


def total(daily: np.ndarray) -> Estimate:
    """Return the sum of daily amounts with a normal interval from their variance; no interval below two days."""
    value = math.fsum(daily)
    if daily.size < 2:
        return Estimate(value)
    half = Z * float(np.std(daily, ddof=1)) * math.sqrt(daily.size)
    return Estimate(value, value - half, value + half)


def sharpe(returns: np.ndarray, *, periods: float) -> Estimate:
    """Return mean / deviation x sqrt(periods) with the interval of Lo (2002); nothing without variance."""
    if returns.size < 2 or float(np.ptp(returns)) == 0.0:
        return Estimate()
    step = float(np.mean(returns)) / float(np.std(returns, ddof=1))
    half = Z * math.sqrt((1 + step**2 / 2) / returns.size)
    return Estimate(*(bound * math.sqrt(periods) for bound in (step, step - half, step + half)))


def diebold_mariano(losses: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the one-sided p of "loses less than the reference" from daily losses; None without variance.

    Diebold and Mariano (1995) on day blocks: days are taken as independent, so no long-run variance is needed.
    """
    differences = losses - reference
    if differences.size < 2 or float(np.ptp(differences)) == 0.0:
        return None
    error = float(np.std(differences, ddof=1)) / math.sqrt(differences.size)
    return NormalDist().cdf(float(np.mean(differences)) / error)
