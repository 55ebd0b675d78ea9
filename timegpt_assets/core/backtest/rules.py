"""Trading rules: which forecast becomes a trade, how large, when it is left, and within which limits.

Belongs here: rules and limits as plain values, and the formulas of side, size, expected value and levels. What a trade
costs is in costs.py, stepping through bars in event_loop.py, and portfolio limits are applied in portfolio.py.
"""

import math
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.core import calendar

REGULAR_CLOSE = time(16, 0)
RULE_SETS = {
    "enhancement": ("q25 > 0 and q50 > k_sigma * sigma", "q75 < 0 and q50 < -k_sigma * sigma"),
    "budget_sprint": (
        "q25 > round_trip and q50 >= k_sigma * sigma",
        "q75 < -(round_trip + borrow) and q50 <= -k_sigma * sigma",
    ),
}
"""Rule set -> when it goes long and when short, in words the docs print; a test holds ``side`` against them."""
OWN_SIGMA = {"enhancement": "sigma_60m", "budget_sprint": "sigma_5m"}
"""Rule set -> the volatility it was written for, used where trading.sigma_column names none."""


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
    s_trail: float | None
    """Distance of the trailing stop from the best price so far; None: no trailing stop."""
    ev_lambda: float
    """Share of half the inter-quartile width that the expected value must pay for."""
    max_width_sigma: float | None
    """Widest inter-quartile band that is entered; None: any."""
    cap_per_trade: float
    """Largest size, as a share of trading.capital."""
    daily_trade_cap: int | None
    """Filled entries per symbol and session; None: no limit."""
    max_open_per_symbol: int
    """Entries of one symbol that may be open at once, all of one side."""
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
        for name in ("s_stop", "s_take", "s_trail", "cap_per_trade", "max_open_per_symbol"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise TradingError(f"trading.{name} is {getattr(self, name)}. Set a number above 0.")


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
    """The prices at which a position is stopped or takes its profit, and how far its stop trails."""

    stop: float
    take: float
    trail: float
    """The trailing stop over the best price so far; 0 for a long and infinite for a short without one: never nearer."""


def side(rules: Rules) -> pl.Expr:
    """Return +1, -1 or 0 for each row of q25, q50, q75, sigma, round_trip and borrow (log returns)."""
    reach = rules.k_sigma * pl.col("sigma")
    if rules.rule_set == "budget_sprint":
        cost = pl.col("round_trip")
        long = (pl.col("q25") > cost) & (pl.col("q50") >= reach)
        short = (pl.col("q75") < -(cost + pl.col("borrow"))) & (pl.col("q50") <= -reach)
    else:
        long = (pl.col("q25") > 0) & (pl.col("q50") > reach)
        short = (pl.col("q75") < 0) & (pl.col("q50") < -reach)
    return pl.when(long).then(1).when(short).then(-1).otherwise(0).cast(pl.Int64)


def size(rules: Rules) -> pl.Expr:
    """Return abs(q50) / sigma, at most cap_per_trade: the share of trading.capital to put in."""
    return pl.min_horizontal(pl.col("q50").abs() / pl.col("sigma"), pl.lit(rules.cap_per_trade))


def expected_value(rules: Rules) -> pl.Expr:
    """Return side x q50 - round-trip cost - ev_lambda x (q75 - q25) / 2, a log return; shorts pay borrow besides."""
    half_width = (pl.col("q75") - pl.col("q25")) / 2
    cost = pl.col("round_trip") + pl.when(pl.col("side") < 0).then("borrow").otherwise(0.0)
    return pl.col("side") * pl.col("q50") - cost - rules.ev_lambda * half_width


NO_SIGNAL = {
    "no_price": "no price above zero is known at the snapshot",
    "no_volume": "nothing was traded in the session by then, and trading.impact has to know how much",
    "unaligned": "the target's own horizon is not the forecast's",
    "unknown": "a quantile or sigma is missing, or sigma is zero",
    "no_direction": "the rule set asks for neither side",
    "low_ev": "the expected value after costs is not positive",
    "wide": "the 50 % band is wider than max_width_sigma x sigma",
}
"""Reason for which a forecast is no signal -> what it means; the first that holds, in this order, is given."""


def no_signal(rules: Rules) -> pl.Expr:
    """Return the reason of NO_SIGNAL for each row that is judged (signals.judged), null for a signal.

    Rows need last_price, impact, side, ev, sigma, label_aligned and the quantiles.
    """
    holds = _flaws() | _refusals(rules)
    return pl.coalesce(pl.when(holds[reason]).then(pl.lit(reason)) for reason in NO_SIGNAL if reason in holds)


def is_sound() -> pl.Expr:
    """Return whether none of the reasons of NO_SIGNAL holds that stand under any rules."""
    return ~pl.any_horizontal(*_flaws().values()).fill_null(False)


def is_signal(rules: Rules) -> pl.Expr:
    """Return whether ``no_signal`` is null, of rows that are sound: asked for many rules, the rest is asked once."""
    return ~pl.any_horizontal(*_refusals(rules).values()).fill_null(False)


def _refusals(rules: Rules) -> dict[str, pl.Expr]:
    """Return whether each reason of NO_SIGNAL holds that these rules give; null: no. One they do not ask is absent."""
    found = {"no_direction": pl.col("side") == 0}
    if rules.require_positive_ev:
        found["low_ev"] = pl.col("ev") <= 0
    if rules.suppress_wide:
        width = pl.lit(rules.max_width_sigma, pl.Float64) * pl.col("sigma")
        found["wide"] = pl.col("q75") - pl.col("q25") > width
    return found


def _flaws() -> dict[str, pl.Expr]:
    """Return whether each reason of NO_SIGNAL holds that stands under any rules; null: no."""
    known = pl.all_horizontal(pl.col(name).is_finite() for name in ("q25", "q50", "q75", "sigma")).fill_null(False)
    return {
        "no_price": ~(pl.col("last_price") > 0).fill_null(False),
        "no_volume": pl.col("impact").is_infinite(),
        "unaligned": ~pl.col("label_aligned"),
        "unknown": ~(known & (pl.col("sigma") > 0)),
    }


def exit_prices(rules: Rules, *, side: int, entry_price: float, sigma: float) -> ExitPrices:
    """Return stop and take around the entry price (USD): sigma is a log return, so they lie at exp(-/+ s sigma)."""
    behind = math.inf if rules.s_trail is None else rules.s_trail * sigma
    return ExitPrices(
        trail=math.exp(-side * behind),
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
