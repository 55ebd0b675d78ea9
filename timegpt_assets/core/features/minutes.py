"""What every formula starts from: the clock prices and minute returns of some symbols' sessions.

Belongs here: arrays that several groups share, made once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl

from timegpt_assets.core.features.windows import Floats, Grid, Ints, known_minutes

MIN_OBSERVATIONS = 10
"""Fewest minutes of a window that may be shorter at the session's start (semantics: at least min(N, 10))."""
BASE: Mapping[str, pl.Expr] = {
    "close": pl.col("close"),
    "high": pl.col("high"),
    "low": pl.col("low"),
    "volume": pl.col("volume"),
    "log_open": pl.col("open").log(),
    "log_close": pl.col("close").log(),
    "range_pct": (pl.col("high") - pl.col("low")) / pl.col("close"),
    "log_range": (pl.col("high") / pl.col("low")).log(),
    "log_body": (pl.col("close") / pl.col("open")).log(),
    "turnover": (pl.col("high") + pl.col("low") + pl.col("close")) * (1.0 / 3.0) * pl.col("volume"),
}
"""What is read off a bar. Logarithms are taken in polars, whose value does not hang on where a number stands."""


@dataclass
class Minutes:
    """The bars of a grid as arrays (day, symbol, minute), each made when first asked for; ``part`` shares them."""

    grid: Grid
    chosen: slice = field(default_factory=lambda: slice(None))
    made: dict[str, Floats] = field(default_factory=dict)

    def part(self, symbols: slice) -> "Minutes":
        """Return some of the symbols, by their place on the grid."""
        return Minutes(self.grid, symbols, self.made)

    def base(self, name: str) -> Floats:
        """Return one of BASE."""
        if name not in self.made:
            self.made[name] = self.grid.array(BASE[name])
        return self.made[name][:, self.chosen]

    @property
    def close(self) -> Floats:
        """Return the clock price at the end of each minute, USD."""
        return self.base("close")

    @property
    def volume(self) -> Floats:
        """Return shares traded in each minute; 0 where none."""
        return self.base("volume")

    @property
    def session_minutes(self) -> Ints:
        """Return how many minutes each session has."""
        return self.grid.minutes

    @cached_property
    def log_prices(self) -> Floats:
        """Return ln P with one minute more than the session: P(open) first, then the end of each minute."""
        return np.concatenate([self.base("log_open")[..., :1], self.base("log_close")], axis=-1)

    @cached_property
    def returns(self) -> Floats:
        """Return ret_1m: ln P(t) - ln P(t - 1 min)."""
        return change(self.log_prices, 1)

    @cached_property
    def printed(self) -> Floats:
        """Return for how many minutes a price has been known."""
        return known_minutes(self.close)

    @cached_property
    def returned(self) -> Floats:
        """Return for how many minutes a return has been known."""
        return known_minutes(self.returns)


def change(log_prices: Floats, minutes: int) -> Floats:
    """Return ln P(t) - ln P(t - minutes) at the end of each minute; NaN in the session's first minutes."""
    values = np.full((*log_prices.shape[:-1], log_prices.shape[-1] - 1), np.nan)
    if minutes <= values.shape[-1]:
        values[..., minutes - 1 :] = log_prices[..., minutes:] - log_prices[..., :-minutes]
    return values


def since_open(log_prices: Floats) -> Floats:
    """Return ln P(t) - ln P(open) at the end of each minute; NaN when the first minute has no print."""
    return log_prices[..., 1:] - log_prices[..., :1]
