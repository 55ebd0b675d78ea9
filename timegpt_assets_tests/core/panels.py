"""Stand-in panels for tests of framing and what reads frames: seeded prices with the columns a frame needs."""

from collections.abc import Iterable
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.tables.features import PANEL

HORIZON = 15


def panel(days: Iterable[date], symbols: Iterable[str], *, seed: int = 7, momentum: float = 0.0) -> pl.DataFrame:
    """Return a PANEL: one-minute returns of 1e-3, plus a slow drift of ``momentum`` times that when it is not zero.

    A symbol's prices of a day depend on the seed, the day and the symbol's name alone. sigma_60m as in semantics.md.
    """
    minutes = calendar.minutes(days)
    parts = []
    for (day,), part in minutes.group_by("day", maintain_order=True):
        for symbol in symbols:
            rng = np.random.default_rng([seed, day.toordinal(), *symbol.encode()])
            returns = 1e-3 * (rng.standard_normal(part.height) + momentum * _drift(rng, part.height))
            parts.append(part.with_columns(symbol=pl.lit(symbol), clock_price=100 * np.exp(np.cumsum(returns))))
    session = ["symbol", "day"]
    minute_return = pl.col("clock_price").log().diff()
    sigma = minute_return.rolling_std(60, min_samples=10).over(session) * HORIZON**0.5
    return PANEL.conformed(
        pl.concat(parts).with_columns(
            clock_open=pl.lit(100.0), is_filled=pl.lit(False), sigma_60m=sigma, vol_ewm_60m=sigma * 1.1
        )
    )


def _drift(rng: np.random.Generator, minutes: int, memory: float = 0.99) -> np.ndarray:
    steps, drift = rng.standard_normal(minutes) * (1 - memory**2) ** 0.5, np.empty(minutes)
    level = rng.standard_normal()
    for i, step in enumerate(steps):
        level = memory * level + step
        drift[i] = level
    return drift
