"""What a search maximises: P&L after costs, less what the way there cost in drawdown, refusals and turnover.

Belongs here: the formula, over one combination's sessions or many combinations' at once. All terms are shares: of total
capital, or of signals, so that their weights are of the same kind.
"""

import math
from dataclasses import dataclass

import numpy as np

from timegpt_assets.core.evaluation.trading import max_drawdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalties:
    """The weight of each term that is taken off."""

    max_drawdown: float
    reject_rate: float
    turnover: float

    def value(self, figures: "Figures") -> float:
        """Return net_return - max_drawdown, reject_rate and turnover, each times its weight."""
        lost = self.max_drawdown * figures.max_drawdown + self.turnover * figures.turnover
        return figures.net_return - lost - self.reject_rate * figures.reject_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one combination's sessions come to."""

    net_return: float
    """P&L after costs over all sessions, a share of total capital."""
    max_drawdown: float
    """Deepest fall of the cumulated return from its peak, a share of total capital."""
    turnover: float
    """Capital traded a session, both legs counted."""
    trades: int
    reject_rate: float = 0.0
    """Signals refused by the portfolio's limits / signals; 0 where no limits were asked."""


@dataclass(frozen=True, slots=True)
class Daily:
    """By combination and session: USD after costs, USD traded, trades."""

    net: np.ndarray
    notional: np.ndarray
    trades: np.ndarray

    def figures(self, capital: float) -> list[Figures]:
        """Return each combination's figures; ``capital`` is total capital in USD, and sums are exact."""
        sessions = max(1, self.net.shape[1])
        return [
            Figures(
                net_return=math.fsum(net) / capital,
                max_drawdown=max_drawdown(net / capital),
                turnover=math.fsum(notional) / capital / sessions,
                trades=int(trades.sum()),
            )
            for net, notional, trades in zip(self.net, self.notional, self.trades, strict=True)
        ]

    def followed_by(self, later: "Daily") -> "Daily":
        """Return the same combinations over these sessions and then ``later``'s."""
        pairs = ((self.net, later.net), (self.notional, later.notional), (self.trades, later.trades))
        return Daily(*(np.concatenate(pair, axis=1) for pair in pairs))


def smoothed(values: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    """Return each value's mean with its neighbours one step away along any one of the axes.

    A lone peak loses to the middle of a plateau. At the edge there are fewer neighbours, and none is made up.
    """
    total, count = values.copy(), np.ones_like(values)
    for axis in axes:
        ahead, behind = _along(values.ndim, axis, slice(1, None)), _along(values.ndim, axis, slice(None, -1))
        for own, other in ((ahead, behind), (behind, ahead)):
            total[own] += values[other]
            count[own] += 1
    mean: np.ndarray = total / count
    return mean


def _along(dimensions: int, axis: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if place == axis else slice(None) for place in range(dimensions))
