"""Who is asked for prediction markets and their prices: what every source promises, and how it fails.

Belongs here: the shapes that sources, tape and assets share. What prices come to is core/tsfm/series.py.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import polars as pl

from timegpt_assets.core.explained import Explained


class MarketsUnusable(Explained, RuntimeError):
    """Raised when a source of markets gave nothing that can be used; names what was asked, why, and the remedy."""


class MarketSource(Protocol):
    """A venue, or files of one. ``live``: it tells of now alone, so what it said is kept (tape.py)."""

    @property
    def live(self) -> bool:
        """Return whether it tells of now alone; False: of any moment of the past as it was known then."""
        ...

    def snapshot(self, at: datetime) -> pl.DataFrame:
        """Return MARKETS of one cycle: what was traded then. Raises MarketsUnusable."""
        ...

    def prices(self, tokens: Collection[str], start: datetime, end: datetime) -> pl.DataFrame:
        """Return PRICES (core/tsfm/seen.py) of tokens with ``start <= ts < end``. Raises MarketsUnusable."""
        ...


@dataclass(frozen=True, slots=True)
class MarketDay:
    """What is known of a UTC day: MARKETS of its cycles, and PRICES known in it or LOOKBACK before it (series.py)."""

    markets: pl.DataFrame
    prices: pl.DataFrame


class MarketDays(Protocol):
    """Days as assets read them: the tape of a live source, or a replay. Nobody is asked over the network."""

    def day(self, day: date) -> MarketDay:
        """Return what is known of a day; empty frames where nothing was kept. Raises TapeDamaged, MarketsUnusable."""
        ...
