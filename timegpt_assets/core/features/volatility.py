"""Features of volatility: realised, rolling standard deviation, exponentially weighted.

Belongs here: formulas on one-minute clock-price log returns of shape (minutes, sessions). sigma_* and vol_ewm_* are in
the scale of y (times sqrt(horizon_min)); semantics.md, Prices, defines both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from timegpt_assets.core.features.windows import Floats, Ints, rolling_count, rolling_std, rolling_sum

REALISED_WINDOWS = (5, 15, 30)
SIGMA_WINDOWS = (5, 15, 60)
EWM_SPANS = (15, 60)
MIN_OBSERVATIONS = 10


def realised(minute_returns: Floats) -> dict[str, Floats]:
    """Return rv_Nm = sqrt(sum r^2) over the last N minutes, all of which must have a return: log return over N min."""
    return {
        f"rv_{n}m": np.where(
            rolling_count(minute_returns, n) == n, np.sqrt(rolling_sum(minute_returns * minute_returns, n)), np.nan
        )
        for n in REALISED_WINDOWS
    }


def sigma(minute_returns: Floats, *, window: int, horizon_min: int) -> Floats:
    """Return sigma_<window>m: std (ddof 1) of the last ``window`` one-minute returns in session x sqrt(horizon_min).

    Null with fewer than min(window, 10) returns or without variance.
    """
    return rolling_std(minute_returns, window, min(window, MIN_OBSERVATIONS)) * sqrt(horizon_min)


def sigmas(minute_returns: Floats, *, horizon_min: int) -> dict[str, Floats]:
    """Return sigma_Nm for N in 5, 15, 60."""
    return {f"sigma_{n}m": sigma(minute_returns, window=n, horizon_min=horizon_min) for n in SIGMA_WINDOWS}


@dataclass(frozen=True, slots=True)
class _EwmState:
    """Per span and session: observations, their weights (sum, sum of squares), weighted mean and (biased) variance."""

    n: Floats
    weight: Floats
    weight_sq: Floats
    mean: Floats
    variance: Floats

    def updated(self, values: Floats, decay: Floats) -> "_EwmState":
        """Return the state one minute later; a minute without a return changes nothing."""
        seen = np.isfinite(values)
        x = np.where(seen, values, 0.0)
        old = self.weight * decay
        weight = old + 1.0
        mean = self.mean + (x - self.mean) / weight
        to_old, to_new = self.mean - mean, x - mean
        variance = (old * (self.variance + to_old * to_old) + to_new * to_new) / weight
        after = _EwmState(self.n + 1.0, weight, self.weight_sq * (decay * decay) + 1.0, mean, variance)
        return after if seen.all() else _EwmState(*(np.where(seen, a, b) for a, b in zip(after, self, strict=True)))

    def std(self, min_observations: Floats) -> Floats:
        """Return the unbiased weighted standard deviation; NaN when too few observations or without variance."""
        squared = self.weight * self.weight
        usable = (self.n >= min_observations) & (self.variance > 0.0)
        unbiased = self.variance * (squared / np.where(usable, squared - self.weight_sq, np.nan))
        return np.sqrt(unbiased)

    def carried(self, previous: Ints) -> "_EwmState":
        """Return, for each session, the state of column ``previous``; an empty one where that is -1."""
        return _EwmState(*(np.where(previous >= 0, values[:, previous], 0.0) for values in self))

    def __iter__(self) -> Iterator[Floats]:
        """Return the parts of the state in order."""
        return iter((self.n, self.weight, self.weight_sq, self.mean, self.variance))


def ewms(
    minute_returns: Floats, previous: Ints, *, horizon_min: int, spans: Sequence[int] = EWM_SPANS
) -> dict[str, Floats]:
    """Return vol_ewm_<span>m: adjusted exponentially weighted std (decay 1 - 2/(span+1)) x sqrt(horizon_min).

    ``previous`` is the column of each session's previous session, -1 when absent. That session's own end state, itself
    begun empty, is today's starting value: the same as ewm_std(span, adjust=True) over the returns of the two sessions
    laid end to end. Minutes without a return are skipped. Null with fewer than min(span, 10) returns or no variance.
    """
    decay = np.array([[1.0 - 2.0 / (span + 1.0)] for span in spans])
    fewest = np.array([[float(min(span, MIN_OBSERVATIONS))] for span in spans])
    cold = _EwmState(*(np.zeros((len(spans), minute_returns.shape[1])) for _ in range(5)))
    for row in minute_returns:
        cold = cold.updated(row, decay)
    state, values = cold.carried(previous), np.empty((len(minute_returns), len(spans), minute_returns.shape[1]))
    for minute, row in enumerate(minute_returns):
        state = state.updated(row, decay)
        values[minute] = state.std(fewest)
    return {f"vol_ewm_{span}m": values[:, i] * sqrt(horizon_min) for i, span in enumerate(spans)}
