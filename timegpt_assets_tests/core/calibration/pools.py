"""Pools of made-up outcomes for the methods' tests: exchangeable, skewed, broken, as asked."""

from typing import Any

import numpy as np

from timegpt_assets.core.calibration.methods import CalibrationSpec
from timegpt_assets.core.calibration.samples import Samples
from timegpt_assets.core.tables.columns import BANDS

LEVELS = tuple(BANDS)
REACH = np.array([0.6745, 1.2816, 1.96])
SPEC: dict[str, Any] = {
    "method": "conformal",
    "window_days": 30,
    "embargo_days": 1,
    "min_samples": 40,
    "min_samples_cell": 25,
    "max_width_multiple": 1000.0,
}


def calibration_spec(**changes: Any) -> CalibrationSpec:
    return CalibrationSpec(**(SPEC | changes))


def pool(
    n: int,
    rng: np.random.Generator,
    *,
    a_session: int = 1,
    slope: float = 1.0,
    band: float = 0.7,
    noise: str = "normal",
) -> Samples:
    """Return n exchangeable outcomes: bands ``band`` times as wide as they ought to be, errors of their own sigma."""
    sigma = 0.002 * rng.gamma(8, 1 / 8, n)
    q50 = 0.3 * sigma * rng.normal(size=n)
    draws = rng.normal(size=n) if noise == "normal" else rng.exponential(size=n) - np.log(2)
    reach = band * sigma[:, None] * REACH
    days = np.arange(n) // a_session
    return Samples(
        levels=LEVELS,
        asked=days,
        known=days,
        target_ts=np.arange(n),
        symbol=np.full(n, "AAA", dtype=object),
        snapshot_time=np.full(n, "10:00", dtype=object),
        y=slope * q50 + sigma * draws,
        q50=q50,
        sigma=sigma,
        low=reach.copy(),
        high=reach.copy(),
    )
