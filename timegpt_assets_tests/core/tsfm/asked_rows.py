"""Markets as they are asked for, in one line."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from timegpt_assets.core.tsfm.asked import Asked

AS_OF = datetime(2025, 11, 20, 12, tzinfo=UTC)


def asked(y: Any, **other: Any) -> Asked:
    """Return a market with this past, seen throughout unless something else is said."""
    prices = np.array(y, dtype=np.float64)
    told: dict[str, Any] = {
        "market_id": "m",
        "as_of": AS_OF,
        "y": prices,
        "seen": np.isfinite(prices),
        "longest_gap_min": 5.0,
        "freq_min": 5,
        "horizon": 12,
        "quantiles": (0.1, 0.5, 0.9),
        "liquidity_bucket": "HIGH",
        "volume_24h": 1e6,
    }
    return Asked(**(told | other))


def walk(points: int = 288, seed: int = 7) -> np.ndarray:
    """Return a price that wanders between 0 and 1."""
    moves = np.random.default_rng(seed).normal(0, 0.08, points)
    return np.asarray(1 / (1 + np.exp(-moves.cumsum())))
