"""Costs: what entering and leaving takes from a trade, part by part, and what is known of it at the snapshot.

Belongs here: rates and formulas. Which forecast pays for itself is decided in signals.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.rules import TradingError
from timegpt_assets.core.tables.columns import WILDCARD

BASIS_POINT = 1e-4
BORROW_DAYS = 360
"""Days of a lender's year: a short pays a whole day of it, however few minutes it lasts."""
PARTS = {
    "fees": "fees_bps of the notional, both legs",
    "spread": "half_spread_ticks x tick_size a share, both legs",
    "slippage": "slippage_ticks x tick_size a share and slippage_bps of the notional, each leg at the rate of its hour",
    "impact": "impact x sigma x sqrt(shares / shares traded on average in the horizon), of the notional, both legs",
    "borrow": f"borrow_bps of a short's notional at entry, for one day of {BORROW_DAYS}",
}
"""Part of the cost -> what it is; ``cost`` of a trade is their sum."""

ENTRY_NOTIONAL, EXIT_NOTIONAL = ((pl.col("quantity") * pl.col(price)).abs() for price in ("entry_price", "exit_price"))
"""The notional of a trade's legs, USD."""

Rates = Mapping[str, float]
"""By symbol, or symbol@HH for the legs of a New York hour; ``*`` and ``*@HH`` stand for symbols that are not named."""
NOTHING: Rates = MappingProxyType({WILDCARD: 0.0})


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of a round trip: the price filled at, USD, and the start of the minute it was filled in."""

    price: float
    ts: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What trading costs: all rates per leg but the borrow fee, basis points of the notional or ticks a share."""

    fees_bps: Rates
    half_spread_ticks: Rates
    tick_size: float
    """USD."""
    slippage_ticks: Rates = field(default_factory=lambda: NOTHING)
    slippage_bps: Rates = field(default_factory=lambda: NOTHING)
    borrow_bps: Rates = field(default_factory=lambda: NOTHING)
    """A year."""
    impact: float = 0.0
    """Y of the square-root law; 0: none."""
    multiplier: float = 1.0

    @property
    def hourly(self) -> bool:
        """Return whether any rate depends on the hour."""
        return any("@" in name for rates in (self.slippage_ticks, self.slippage_bps) for name in rates)

    def share(self, symbol: str, hour: int) -> float:
        """Return what one leg costs as a share of its notional, impact aside. Raises TradingError without a rate."""
        return BASIS_POINT * (
            _rate("fees_bps", self.fees_bps, symbol) + _rate("slippage_bps", self.slippage_bps, symbol, hour)
        )

    def per_share(self, symbol: str, hour: int) -> float:
        """Return what one leg costs in USD a share besides. Raises TradingError without a rate."""
        ticks = _rate("half_spread_ticks", self.half_spread_ticks, symbol)
        return self.tick_size * (ticks + _rate("slippage_ticks", self.slippage_ticks, symbol, hour))

    def borrow(self, symbol: str) -> float:
        """Return what a short costs besides, as a share of its notional. Raises TradingError without a rate."""
        return self.multiplier * BASIS_POINT * _rate("borrow_bps", self.borrow_bps, symbol) / BORROW_DAYS

    def impact_share(self, sigma: pl.Expr, *, shares: pl.Expr, traded: pl.Expr) -> pl.Expr:
        """Return how far ``shares`` move the price against themselves, as a share of it; infinite where nothing trades.

        impact x sigma x sqrt(shares / traded), where ``sigma`` and ``traded`` (shares on average) are of one span: the
        square-root law of Toth et al. (2011, Phys. Rev. X 1, 021006; Y is about 1); Almgren et al. (2005, Risk 18)
        measured an exponent of 0.6. The whole move is charged, where the average fill of an order paid two thirds.
        """
        if self.impact == 0:
            return pl.lit(0.0)
        moved = self.impact * sigma * (shares.abs() / traded).sqrt()
        return pl.when(traded > 0).then(moved).otherwise(math.inf)

    def round_trip(self, price: pl.Expr) -> pl.Expr:
        """Return entry plus exit at one price and hour as a share of it, close enough to a log return.

        Of columns ``share`` and ``per_share``, as the methods say, and ``impact``.
        """
        return self.multiplier * 2 * (pl.col("share") + pl.col("per_share") / price + pl.col("impact"))

    def paid(self, symbol: str, entry: Leg, left: Leg, *, quantity: float, impact: float = 0.0) -> dict[str, float]:
        """Return the USD of each of PARTS that a trade of ``quantity`` shares (negative: short) has paid."""
        shares, both = self.multiplier * abs(quantity), entry.price + left.price
        slipped = (self._slipped(symbol, leg) for leg in (entry, left))
        return {
            "fees": shares * BASIS_POINT * _rate("fees_bps", self.fees_bps, symbol) * both,
            "spread": shares * 2 * _rate("half_spread_ticks", self.half_spread_ticks, symbol) * self.tick_size,
            "slippage": shares * sum(slipped),
            "impact": shares * impact * both,
            "borrow": abs(quantity) * entry.price * self.borrow(symbol) if quantity < 0 else 0.0,
        }

    def _slipped(self, symbol: str, leg: Leg) -> float:
        hour = hour_of(leg.ts)
        ticks = _rate("slippage_ticks", self.slippage_ticks, symbol, hour)
        return ticks * self.tick_size + _rate("slippage_bps", self.slippage_bps, symbol, hour) * BASIS_POINT * leg.price


def hour_of(ts: datetime) -> int:
    """Return the New York hour of a time."""
    return ts.astimezone(ZoneInfo(calendar.ZONE)).hour


def rate(rates: Rates, symbol: str, hour: int | None = None) -> float | None:
    """Return the rate of the most specific entry: the symbol in the hour, the symbol, everybody in the hour, everybody.

    None where none of them is there.
    """
    at = "" if hour is None else f"@{hour:02d}"
    return next((rates[name] for name in (symbol + at, symbol, WILDCARD + at, WILDCARD) if name in rates), None)


def _rate(setting: str, rates: Rates, symbol: str, hour: int | None = None) -> float:
    """Return the rate. Raises TradingError without one."""
    found = rate(rates, symbol, hour)
    if found is None:
        raise TradingError(f"trading.{setting} names neither {symbol} nor a default. Add {symbol}, or a default.")
    return found
