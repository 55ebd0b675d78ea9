"""What answers where no model does: three forecasters of a few lines, all in the space of the transform.

Belongs here: EWMA, KALMAN and ROLLING_QUANTILE, and which of them answers. Each says quantiles of every step; who has
too little to say so is passed over, and where nobody is left there is an error and no number.

EWMA: the last price, its spread the root of the exponentially weighted mean of squared moves times the steps ahead
(RiskMetrics 1996). The weighted mean of the prices themselves is no middle: at 24 steps its error on real prices is
larger than that of the last price with no band at all. KALMAN: the local level model, its two variances by the moments
of the moves (Harvey 1989: the variance of a move is q + 2e, its covariance with the next -e), the filter begun at the
first price. Both are normal in the space. ROLLING_QUANTILE: the last price and the empirical quantiles of the moves
over as many steps. Steps ahead count from the last known price.

Of one price alone no move is known: EWMA says that price, and that it may go anywhere. The guards leave the widest band
that is allowed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from timegpt_assets.core.tsfm.asked import Asked, Floats
from timegpt_assets.core.tsfm.transform import Transform

Name = Literal["EWMA", "KALMAN", "ROLLING_QUANTILE"]
Kind = Literal["no_price", "invalid_price", "too_few_points", "not_finite"]
ANYWHERE = 1e6
"""Variance of a step of which nothing is known: in logits every tail lies at 0 or 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSpec:
    """Who is tried in which order; steps of EWMA's span, of the moves that are looked at, and the fewest points."""

    order: tuple[Name, ...]
    span: int
    rolling_steps: int
    min_points: int


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Who answered, and what: probabilities, a row a step, a column a quantile, rising."""

    name: Name
    values: Floats


class NoBaseline(ValueError):
    """Raised when nobody has a valid answer; ``kind`` says why the first that was tried has none."""

    def __init__(self, asked: Asked, kind: Kind) -> None:
        """Name the market; what helps is more of its past."""
        self.kind: Kind = kind
        super().__init__(
            f"No baseline has an answer for market {asked.market_id} at {asked.as_of} ({kind}). "
            "Hand over prices between 0 and 1, at least tsfm.fallback.min_points of them."
        )


def baseline(asked: Asked, spec: BaselineSpec, transform: Transform) -> Baseline:
    """Return the first valid answer in the order. Raises NoBaseline."""
    kinds = list[Kind]()
    for name in spec.order:
        found = _answer(name, asked, spec, transform)
        if not isinstance(found, str):
            return Baseline(name, found)
        kinds.append(found)
    raise NoBaseline(asked, kinds[0])


def _answer(name: Name, asked: Asked, spec: BaselineSpec, transform: Transform) -> Floats | Kind:
    known = np.flatnonzero(~np.isnan(asked.y))
    prices = asked.y[known]
    if not known.size:
        return "no_price"
    if not ((prices >= 0) & (prices <= 1)).all():
        return "invalid_price"
    if known.size < spec.min_points:
        return "too_few_points"
    z = np.full(asked.y.size, np.nan)
    z[known] = transform.forward(prices)
    values = _WHO[name](z[known[0] : known[-1] + 1], _ahead(asked, int(known[-1])), asked.quantiles, spec)
    if values is None:
        return "too_few_points"
    probable = transform.back(values)
    return probable if np.isfinite(probable).all() else "not_finite"


def _ahead(asked: Asked, last: int) -> Floats:
    """Return of each step asked for how many steps it lies after the last known price."""
    return np.arange(1, asked.horizon + 1, dtype=np.float64) + (asked.y.size - 1 - last)


def ewma(z: Floats, ahead: Floats, quantiles: tuple[float, ...], spec: BaselineSpec) -> Floats:
    """Return quantiles about the last price of a series that begins and ends with a known one; nan: a hole.

    Of one price: it, and tails that lie anywhere.
    """
    known = np.flatnonzero(~np.isnan(z))
    if known.size < 2:
        return _normal(float(z[-1]), ANYWHERE * ahead, quantiles)
    keep = 1.0 - 2.0 / (spec.span + 1.0)
    weight = keep ** (known[-1] - known[1:]).astype(np.float64)
    # of one step: over a hole of g steps the variance is g times that
    squares = np.diff(z[known]) ** 2 / np.diff(known)
    return _normal(float(z[-1]), np.average(squares, weights=weight) * ahead, quantiles)


def kalman(z: Floats, ahead: Floats, quantiles: tuple[float, ...], spec: BaselineSpec) -> Floats | None:
    """Return quantiles about the filtered level of such a series."""
    variances = moments(z)
    if variances is None:
        return None
    level_var, noise_var = variances
    level, of_level = filtered(z, level_var, noise_var)
    return _normal(level, of_level + ahead * level_var + noise_var, quantiles)


def moments(z: Floats) -> tuple[float, float] | None:
    """Return the variances of a step of the level and of the noise about it; None: no two moves follow each other."""
    moves = np.diff(z)  # nan beside a hole
    pairs = moves[1:] * moves[:-1]
    if not np.isfinite(pairs).any():
        return None
    noise = max(-float(np.nanmean(pairs)), 0.0)
    total = float(np.nanmean(moves**2))
    noise = min(noise, total / 2)
    return total - 2 * noise, noise


def filtered(z: Floats, level_var: float, noise_var: float) -> tuple[float, float]:
    """Return the level after the last price and the variance of what is not known of it (Kalman 1960)."""
    level, variance = float(z[0]), noise_var
    for price in z[1:].tolist():
        variance += level_var
        if price == price and variance > 0:
            gain = variance / (variance + noise_var)
            level += gain * (price - level)
            variance *= 1.0 - gain
    return level, variance


def rolling(z: Floats, ahead: Floats, quantiles: tuple[float, ...], spec: BaselineSpec) -> Floats | None:
    """Return the last price and quantiles of moves; None where moves over the last step are fewer than tell a tail.

    A quantile q is told by no fewer than 1 / min(q, 1 - q) moves.
    """
    recent, last = z[-(spec.rolling_steps + 1) :], z[-1]
    fewest = max(1.0 / min(one, 1.0 - one) for one in quantiles)
    rows = []
    for steps in ahead.astype(np.int64).tolist():
        moves = recent[steps:] - recent[:-steps] if steps < recent.size else recent[:0]
        moves = moves[~np.isnan(moves)]
        if moves.size < fewest - 1e-9:
            return None
        rows.append(last + np.quantile(moves, quantiles))
    return np.maximum.accumulate(np.array(rows), axis=1)


def _normal(level: float, variances: Floats, quantiles: tuple[float, ...]) -> Floats:
    deviates = np.array([NormalDist().inv_cdf(one) for one in quantiles])
    bands: Floats = level + np.sqrt(variances)[:, None] * deviates[None, :]
    return bands


_WHO: dict[Name, Callable[[Floats, Floats, tuple[float, ...], BaselineSpec], Floats | None]] = {
    "EWMA": ewma,
    "KALMAN": kalman,
    "ROLLING_QUANTILE": rolling,
}
