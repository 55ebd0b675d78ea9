"""Trading rules: which forecast becomes a trade, how large, at what cost, and within which limits.

Belongs here: the settings of trading as plain values, and the formulas of side, size, expected value and cost.
Stepping through bars is in backtest/event_loop.py, portfolio limits are applied in backtest/portfolio.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.tables.columns import WILDCARD

BASIS_POINT = 1e-4
REGULAR_CLOSE = time(16, 0)
RULE_SETS = {
    "enhancement": ("q25 > 0 and q50 > k_sigma * sigma", "q75 < 0 and q50 < -k_sigma * sigma"),
    "budget_sprint": ("q25 > round_trip and q50 >= k_sigma * sigma", "q75 < -round_trip and q50 <= -k_sigma * sigma"),
}
"""Rule set -> when it goes long and when short, in words the docs print; a test holds ``side`` against them."""
BOOTSTRAPS = ("trade", "block")


class TradingError(ValueError):
    """Raised for settings or data no trade can be judged by; names the offender and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When to enter and to leave; sigma multiples are of the forecast's sigma, the scale of y."""

    rule_set: str
    """One of RULE_SETS."""
    k_sigma: float
    s_stop: float
    s_take: float
    ev_lambda: float
    """Share of half the inter-quartile width that the expected value must pay for."""
    max_width_sigma: float | None
    """Widest inter-quartile band that is entered; None: any."""
    cap_per_trade: float
    """Largest size, as a share of trading.capital."""
    daily_trade_cap: int | None
    """Filled entries per symbol and session; None: no limit."""
    cooldown_bars: int
    """Bars after the exit bar in which nothing is entered."""
    time_stop_et: time
    early_close_margin_min: int
    """Minutes before an early close at which the time stop falls."""
    entry_lag_bars: int
    exit_at_forecast_ts: bool
    require_positive_ev: bool
    suppress_wide: bool

    def __post_init__(self) -> None:
        """Refuse a rule set nobody wrote, an entry at a bar that is already over, and levels on the wrong side."""
        if self.rule_set not in RULE_SETS:
            raise TradingError(f"trading.rule_set is {self.rule_set!r}. Use one of {', '.join(RULE_SETS)}.")
        if self.entry_lag_bars < 0:
            raise TradingError(
                f"backtest.entry_lag_bars is {self.entry_lag_bars}: an entry before the snapshot. Set it to 0 or more."
            )
        if not self.k_sigma >= 0:
            raise TradingError(f"trading.k_sigma is {self.k_sigma}: it would trade against the median. Set 0 or more.")
        for name in ("s_stop", "s_take", "cap_per_trade"):
            if not getattr(self, name) > 0:
                raise TradingError(f"trading.{name} is {getattr(self, name)}. Set a number above 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What trading costs, per leg: fees in basis points of the notional, half the spread in ticks."""

    fees_bps: Mapping[str, float]
    half_spread_ticks: Mapping[str, float]
    """Both by symbol; the entry ``*`` stands for every symbol that is not named."""
    tick_size: float
    """USD."""
    multiplier: float = 1.0

    def half_spread(self, symbol: str) -> float:
        """Return half the spread of a symbol in USD. Raises TradingError when nobody said what it is."""
        return _of_symbol("half_spread_ticks", self.half_spread_ticks, symbol) * self.tick_size

    def fee(self, symbol: str) -> float:
        """Return the fee of one leg as a share of its notional. Raises TradingError when nobody said what it is."""
        return _of_symbol("fees_bps", self.fees_bps, symbol) * BASIS_POINT

    def round_trip(self, symbol: str, price: float) -> float:
        """Return entry plus exit at ``price`` as a share of it, close enough to a log return."""
        return self.multiplier * 2 * (self.fee(symbol) + self.half_spread(symbol) / price)

    def paid(self, symbol: str, *, quantity: float, entry_price: float, exit_price: float) -> float:
        """Return the USD that both legs of a trade cost: fees on each notional, half the spread per share."""
        fees = self.fee(symbol) * (entry_price + exit_price)
        return self.multiplier * abs(quantity) * (fees + 2 * self.half_spread(symbol))


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSpec:
    """Everything that decides a symbol's trades: rules, costs, money, and the events on whose days nobody trades."""

    rules: Rules
    costs: Costs
    capital: float
    """USD per symbol."""
    bootstrap: str
    """trade or block: what holds for a source triple on which symbol_gates is silent."""
    skip_events: tuple[str, ...] = ()
    no_trade_buffer_min: int = 0
    """Minutes before and after a timed event in which nothing is entered."""
    unjudged: str = "block"
    """trade or block: what holds for a snapshot whose liquidity could not be judged."""

    def __post_init__(self) -> None:
        """Refuse an answer to what is not known that nobody wrote."""
        for setting, value in (("gates.bootstrap", self.bootstrap), ("trading.filters.unjudged", self.unjudged)):
            if value not in BOOTSTRAPS:
                raise TradingError(f"{setting} is {value!r}. Use one of {', '.join(BOOTSTRAPS)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """Limits of the portfolio; None switches a limit off."""

    lookback_sessions: int
    max_positions: int | None
    """Positions open at once, all symbols together."""
    max_daily_volatility: float | None
    """Standard deviation of the unrestricted book's daily returns above which nothing is entered."""
    max_drawdown: float | None
    """Fall of the unrestricted book from its peak, as a share of total capital, above which nothing is entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitPrices:
    """The prices at which a position is stopped or takes its profit."""

    stop: float
    take: float


def side(rules: Rules) -> pl.Expr:
    """Return +1, -1 or 0 for each row of q25, q50, q75, sigma and round_trip (log returns)."""
    reach = rules.k_sigma * pl.col("sigma")
    if rules.rule_set == "budget_sprint":
        cost = pl.col("round_trip")
        long = (pl.col("q25") > cost) & (pl.col("q50") >= reach)
        short = (pl.col("q75") < -cost) & (pl.col("q50") <= -reach)
    else:
        long = (pl.col("q25") > 0) & (pl.col("q50") > reach)
        short = (pl.col("q75") < 0) & (pl.col("q50") < -reach)
    return pl.when(long).then(1).when(short).then(-1).otherwise(0).cast(pl.Int64)


def size(rules: Rules) -> pl.Expr:
    """Return abs(q50) / sigma, at most cap_per_trade: the share of trading.capital to put in."""
    return pl.min_horizontal(pl.col("q50").abs() / pl.col("sigma"), pl.lit(rules.cap_per_trade))


def expected_value(rules: Rules) -> pl.Expr:
    """Return side x q50 - round-trip cost - ev_lambda x (q75 - q25) / 2, a log return."""
    half_width = (pl.col("q75") - pl.col("q25")) / 2
    return pl.col("side") * pl.col("q50") - pl.col("round_trip") - rules.ev_lambda * half_width


NO_SIGNAL = {
    "no_price": "no price above zero is known at the snapshot",
    "unaligned": "the target's own horizon is not the forecast's",
    "unknown": "a quantile or sigma is missing, or sigma is zero",
    "no_direction": "the rule set asks for neither side",
    "low_ev": "the expected value after costs is not positive",
    "wide": "the 50 % band is wider than max_width_sigma x sigma",
}
"""Reason for which a forecast is no signal -> what it means; the first that holds, in this order, is given."""


def no_signal(rules: Rules) -> pl.Expr:
    """Return the reason of NO_SIGNAL for each row of last_price, side, ev, quantiles, sigma, label_aligned; null: none.

    A row without a reason is a signal to enter.
    """
    known = pl.all_horizontal(pl.col(name).is_finite() for name in ("q25", "q50", "q75", "sigma")).fill_null(False)
    wide = pl.col("q75") - pl.col("q25") > pl.lit(rules.max_width_sigma, pl.Float64) * pl.col("sigma")
    holds = {
        "no_price": ~(pl.col("last_price") > 0).fill_null(False),
        "unaligned": ~pl.col("label_aligned"),
        "unknown": ~(known & (pl.col("sigma") > 0)),
        "no_direction": pl.col("side") == 0,
        "low_ev": pl.lit(rules.require_positive_ev) & (pl.col("ev") <= 0),
        "wide": pl.lit(rules.suppress_wide) & wide,
    }
    return pl.coalesce(pl.when(holds[reason]).then(pl.lit(reason)) for reason in NO_SIGNAL)


def exit_prices(rules: Rules, *, side: int, entry_price: float, sigma: float) -> ExitPrices:
    """Return stop and take around the entry price (USD): sigma is a log return, so they lie at exp(-/+ s sigma)."""
    return ExitPrices(
        stop=entry_price * math.exp(-side * rules.s_stop * sigma),
        take=entry_price * math.exp(side * rules.s_take * sigma),
    )


def time_stop(rules: Rules, session: calendar.Session) -> datetime:
    """Return when a position of this session is closed at the latest, as an aware time."""
    zone = ZoneInfo(calendar.ZONE)
    stop = datetime.combine(session.day, rules.time_stop_et, tzinfo=zone)
    if session.close.astimezone(zone).time() < REGULAR_CLOSE:
        # A time stop that is earlier than the margin before an early close still holds.
        return min(stop, session.close - timedelta(minutes=rules.early_close_margin_min))
    return stop


def _of_symbol(setting: str, values: Mapping[str, float], symbol: str) -> float:
    value = values.get(symbol, values.get(WILDCARD))
    if value is None:
        raise TradingError(f"trading.{setting} names neither {symbol} nor a default. Add {symbol}, or a default.")
    return value
