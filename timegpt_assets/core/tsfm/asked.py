"""One market's forecast, as it is asked for and as it is answered: what service, cycle and replay hand each other.

Belongs here: the two values. What a request over HTTP looks like is serving/tsfm/contract.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """A market's past up to a moment, and what is asked of its future.

    ``y``: prices on the grid, oldest first, the last one at ``as_of``; nan where none was known. ``seen``: which of
    them were seen and not carried forward. ``longest_gap_min``: minutes of the longest stretch without a seen price,
    that before ``as_of`` included. ``volume_24h``: USD, None where nobody tells it. ``x_past``: covariates by name, a
    number for each of ``y``; ``x_future``: what of them is known of each step ahead.
    """

    market_id: str
    as_of: datetime
    y: Floats
    seen: NDArray[np.bool_]
    longest_gap_min: float
    freq_min: int
    horizon: int
    quantiles: tuple[float, ...]
    liquidity_bucket: str = "UNKNOWN"
    volume_24h: float | None = None
    x_past: Mapping[str, Floats] = field(default_factory=dict)
    x_future: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def last_price(self) -> float | None:
        """Return the price at ``as_of``, None where none is known."""
        return float(self.y[-1]) if self.y.size and np.isfinite(self.y[-1]) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """Quantiles of a market's prices, one row a step, one column a quantile, within [0, 1] and rising.

    ``values`` is what is served, ``baseline_values`` what the baseline says, whoever was served. ``crossed``: steps
    whose quantiles crossed on arrival. ``width_flags``: narrow, wide or an empty text for each step. ``latency_ms``: of
    the model where it answered, else of the fallback, asking in vain included.
    """

    market_id: str
    as_of: datetime
    quantiles: tuple[float, ...]
    values: Floats
    baseline_values: Floats
    runtime: str
    model: str
    model_version: str | None
    fallback_used: bool
    reason: str | None
    baseline: str
    crossed: int
    width_flags: tuple[str, ...]
    input_len: int
    carried_share: float
    latency_ms: float
    warnings: tuple[str, ...] = field(default=())

    def band(self, values: Floats) -> Floats:
        """Return the lowest quantile, the median and the highest of each step, of ``values`` or the baseline's."""
        return values[:, [0, self.quantiles.index(0.5), len(self.quantiles) - 1]]
