"""A seeded market that looks like US large caps by the minute: bars for any symbol and session, made on demand.

Belongs here: the law the synthetic bars follow; docs/explanation/synthetic-market.md explains it and compares it with
real bars. Every draw is keyed by (seed, driver, session), so a bar never depends on what else is asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.core.calendar import FIRST_DAY, LAST_DAY, Session, sessions
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.bars import RAW_BARS

Vector = NDArray[np.float64]

SESSION = 390
HORIZON = 15
"""Minutes of the past and of the next return whose correlation is ``predictability``."""
DRIFT_MEMORY = 0.5 ** (1 / 60)
"""Autocorrelation of the hidden drift from one minute to the next: half of it is left after an hour."""
MAX_PREDICTABILITY = 0.85
LEVEL_REVERSION = 1 / 252
"""Share of its distance from the base price that a price loses overnight: keeps prices in range for decades."""
OVERNIGHT = 0.85
"""Variance from close to open over the variance from open to close."""
TAIL_FREEDOM = 10.0
"""Degrees of freedom of Student's t behind each minute's return: a Gaussian of inverse chi-square variance."""
CLUSTER_MEMORY, CLUSTER_SPREAD = 0.985, 0.7
"""Autocorrelation from minute to minute, and standard deviation, of a minute's log variance inside a session."""
BRIDGE = 0.8
"""Variance of the path inside a minute over that of its return: below one because prices move in ticks."""
VOLUME_STATE = 0.6
"""What the planted interaction's state adds to, or takes from, the logarithm of a block's volumes."""
BOUNCE = 0.1
"""Distance of a bar's open from the close before it, in standard deviations of the minute."""


class _Driver(NamedTuple):
    """What moves prices: the market, or one symbol on its own.

    ``volatility`` is annual, of 1-minute returns; the spread is the standard deviation of its logarithm over days, the
    memory that logarithm's autocorrelation from day to day; the profile gives each minute's share of the variance.
    """

    name: str
    volatility: float
    daily_spread: float
    daily_memory: float
    profile: Callable[[int], Vector]


class _Daily(NamedTuple):
    """A driver's sessions since FIRST_DAY: log level at the open, variance of the session, and its noise's sum."""

    level: Vector
    variance: Vector
    noise: Vector


class _Traits(NamedTuple):
    beta: float
    volatility: float
    price: float
    shares_per_minute: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticMarket:
    """Minute bars of ``symbols`` and of ``context`` (index funds: the market factor and little else).

    ``predictability`` is the correlation of neighbouring 15-minute returns inside a session; at 0 prices are a
    martingale there. ``interaction`` is the correlation of a symbol's 15-minute return (blocks of them from the open)
    with the sign of the one before x whether that one's volumes were high; alone neither says anything.
    ``missing_rate`` is the share of minutes without a print. Raises MarketDataError for any of them out of range.
    """

    symbols: tuple[str, ...]
    context: tuple[str, ...] = ("SPY", "QQQ")
    seed: int = 7
    predictability: float = 0.0
    interaction: float = 0.0
    missing_rate: float = 0.0001

    def __post_init__(self) -> None:
        """Refuse settings the law cannot keep."""
        if not 0 <= self.predictability <= MAX_PREDICTABILITY:
            raise MarketDataError(
                f"predictability {self.predictability} is not in 0..{MAX_PREDICTABILITY}. Choose one that is."
            )
        for name, value in (("missing_rate", self.missing_rate), ("interaction", self.interaction)):
            if not 0 <= value < 1:
                raise MarketDataError(f"{name} {value} is not in 0..1 (1 excluded). Choose one that is.")

    def bars(self, symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
        """Return the RAW_BARS rows of those symbols and days; ``row`` counts from 0 in each session.

        A day without a session has no rows. Raises MarketDataError for a symbol the market does not have.
        """
        if unknown := sorted(set(symbols) - {*self.symbols, *self.context}):
            raise MarketDataError(f"the synthetic market has no {', '.join(unknown)}. Add them to the universe.")
        asked = frozenset(days)
        found = [s for s in sessions(min(asked), max(asked)) if s.day in asked] if asked else []
        frames = [self._session_bars(symbol, s) for s in found for symbol in sorted(set(symbols))]
        return RAW_BARS.conformed(pl.concat([RAW_BARS.empty(), *frames]))

    def _session_bars(self, symbol: str, session: Session) -> pl.DataFrame:
        traits = _traits(self.seed, symbol, symbol in self.context)
        own = _Driver(symbol, traits.volatility, daily_spread=0.25, daily_memory=0.7, profile=_own_profile)
        level, returns, variance = 0.0, np.zeros(session.minutes), np.zeros(session.minutes)
        for driver, beta in ((MARKET, traits.beta), (own, 1.0)):
            path = _path(self.seed, driver, session, self.predictability)
            level += beta * path.level
            returns, variance = returns + beta * path.returns, variance + beta**2 * path.variance
        states = np.zeros(session.minutes)
        if self.interaction and symbol not in self.context:
            states = _states(self.seed, symbol, session)
            returns = _interacting(returns, variance, states, self.interaction)
        closes = np.log(traits.price) + level + np.cumsum(returns)
        draws = _generator(self.seed, symbol, str(session.day), "prints")
        opens = np.concatenate([[np.log(traits.price) + level], closes[:-1]])
        opens += BOUNCE * np.sqrt(variance) * draws.standard_normal(session.minutes)
        columns = _prices(opens, closes, variance, draws) | {"volume": _volume(traits, variance, states, draws)}
        printed = np.flatnonzero(draws.random(session.minutes) >= self.missing_rate)
        return _frame(symbol, session, printed, {name: column[printed] for name, column in columns.items()})


def drift_share(predictability: float) -> float:
    """Return the share a of a minute's variance that is drift, so that neighbouring HORIZON returns correlate so.

    With drift autocorrelation phi**k, cov(past, next) = a sum phi**(i+j) and var = HORIZON + 2a sum (HORIZON-k) phi**k.
    """
    k = np.arange(1, HORIZON)
    covariance = DRIFT_MEMORY * ((1 - DRIFT_MEMORY**HORIZON) / (1 - DRIFT_MEMORY)) ** 2
    within = 2 * float(((HORIZON - k) * DRIFT_MEMORY**k).sum())
    return predictability * HORIZON / (covariance - predictability * within)


class _Path(NamedTuple):
    level: float
    returns: Vector
    variance: Vector


@lru_cache(maxsize=4096)
def _path(seed: int, driver: _Driver, session: Session, predictability: float) -> _Path:
    """Return one driver's session. Given the variances all is Gaussian, so pinning the sum of the noise is exact."""
    share, position = drift_share(predictability), _positions()[session.day]
    daily = _daily(seed, driver, share)
    draws = _generator(seed, driver.name, str(session.day), "noise")
    profile = driver.profile(session.minutes)
    clustered = np.exp(_autoregressive(draws.standard_normal(session.minutes), CLUSTER_MEMORY) * CLUSTER_SPREAD)
    tails = 1 / draws.chisquare(TAIL_FREEDOM, session.minutes)
    weight = profile * clustered * tails
    weight /= weight.sum()
    variance = daily.variance[position] * weight
    noise = np.sqrt(variance * (1 - share)) * draws.standard_normal(session.minutes)
    noise += weight * (daily.noise[position] - noise.sum())
    hidden = _generator(seed, driver.name, str(session.day), "drift").standard_normal(session.minutes)
    smooth = daily.variance[position] * profile / profile.sum()
    drift = np.sqrt(share * smooth) * _autoregressive(hidden, DRIFT_MEMORY)
    return _Path(float(daily.level[position]), noise + drift, variance)


@lru_cache(maxsize=1024)
def _daily(seed: int, driver: _Driver, share: float) -> _Daily:
    """Return the driver's sessions; the sum of the drift is undone overnight and so is not part of the level."""
    length = np.array([s.minutes for s in sessions(FIRST_DAY, LAST_DAY)]) / SESSION
    draws = _generator(seed, driver.name, "days").standard_normal((len(length), 3))
    spread = driver.daily_spread
    volatility = np.exp(_autoregressive(draws[:, 0], driver.daily_memory) * spread - spread**2)
    full = (driver.volatility * volatility) ** 2 / 252
    variance = full * length
    noise = np.sqrt(variance * (1 - share)) * draws[:, 1]
    steps = np.sqrt(full * OVERNIGHT) * draws[:, 2]
    steps[1:] += noise[:-1]
    level = np.array(list(accumulate(steps.tolist(), lambda before, step: (1 - LEVEL_REVERSION) * before + step)))
    return _Daily(level, variance, noise)


@lru_cache(maxsize=1)
def _positions() -> dict[date, int]:
    return {s.day: n for n, s in enumerate(sessions(FIRST_DAY, LAST_DAY))}


def _states(seed: int, symbol: str, session: Session) -> Vector:
    """Return 1 or -1 for each minute: the same throughout a block of HORIZON, drawn anew for the next."""
    drawn = _generator(seed, symbol, str(session.day), "states").choice([-1.0, 1.0], -(-session.minutes // HORIZON))
    return np.repeat(drawn, HORIZON)[: session.minutes]


def _interacting(returns: Vector, variance: Vector, states: Vector, strength: float) -> Vector:
    """Return the returns with a drift in each block of the sign of the block before times its state.

    The drift is strength / sqrt(1 - strength**2) deviations of the block: the correlation with y is then ``strength``.
    """
    made, pull = returns.copy(), strength / (1 - strength**2) ** 0.5
    for start in range(HORIZON, len(made), HORIZON):
        own, direction = slice(start, start + HORIZON), np.sign(made[start - HORIZON : start].sum()) * states[start - 1]
        made[own] += pull * direction * variance[own] / np.sqrt(variance[own].sum())
    return made


def _autoregressive(shocks: Vector, memory: float) -> Vector:
    """Return a stationary Gaussian series of unit variance with autocorrelation ``memory`` from step to step."""
    fresh = (1 - memory**2) ** 0.5
    first, *rest = shocks.tolist()
    return np.array(list(accumulate(rest, lambda before, shock: memory * before + fresh * shock, initial=first)))


def _generator(seed: int, *key: str) -> np.random.Generator:
    digest = blake2b("/".join(key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int.from_bytes(digest, "big")])))


def _traits(seed: int, symbol: str, is_context: bool) -> _Traits:
    """Return what sets a symbol apart; index funds are the market with a little of their own."""
    beta, size, price, shares = _generator(seed, symbol, "traits").random(4).tolist()
    if is_context:
        return _Traits(1.0 + 0.2 * beta, 0.02, 400 + 200 * price, 50_000 + 50_000 * shares)
    return _Traits(1.25 + 0.8 * beta, 0.14 + 0.24 * size, 100 + 400 * price, 30_000 * 10**shares)


def _market_profile(length: int) -> Vector:
    minute = np.arange(length)
    profile: Vector = 0.4 + 3 / np.sqrt(1 + minute) + 0.5 * np.exp((minute - length) / 10)
    return profile


def _own_profile(length: int) -> Vector:
    minute = np.arange(length)
    profile: Vector = 0.06 + 17 / (1 + minute / 2) ** 0.95 + 0.25 * np.exp((minute - length) / 10)
    return profile


def _volume_profile(length: int) -> Vector:
    minute = np.arange(length)
    profile: Vector = 0.35 + 2.4 / (1 + minute) ** 0.42 + 2.2 * np.exp((minute - length) / 12)
    profile[0] += 4
    profile[-1] += 6
    profile /= profile.mean()
    return profile


MARKET = _Driver("market/factor", 0.105, daily_spread=0.35, daily_memory=0.85, profile=_market_profile)


def _prices(opens: Vector, closes: Vector, variance: Vector, draws: np.random.Generator) -> dict[str, Vector]:
    """Return open, high, low and close in whole cents; the extremes are a Brownian bridge's, given open and close."""
    chance = draws.exponential(size=(2, len(opens)))
    reach = np.sqrt((closes - opens) ** 2 + 2 * BRIDGE * variance * chance)
    logs = {
        "open": opens,
        "high": (opens + closes + reach[0]) / 2,
        "low": (opens + closes - reach[1]) / 2,
        "close": closes,
    }
    return {name: np.maximum(np.rint(np.exp(log) * 100), 1) / 100 for name, log in logs.items()}


def _volume(traits: _Traits, variance: Vector, states: Vector, draws: np.random.Generator) -> Vector:
    """Return shares per minute: a U over the session, more of them when the minute is a restless one."""
    restless = variance / variance.mean()
    shares = traits.shares_per_minute * _volume_profile(len(variance)) * restless**0.25 * np.exp(VOLUME_STATE * states)
    printed: Vector = np.maximum(np.rint(shares * np.exp(0.35 * draws.standard_normal(len(variance)))), 1)
    return printed


def _frame(symbol: str, session: Session, printed: NDArray[np.int64], columns: dict[str, Vector]) -> pl.DataFrame:
    start = int((session.open - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000
    return pl.DataFrame(
        {
            "day": pl.repeat(session.day, len(printed), dtype=pl.Date, eager=True),
            "symbol": pl.repeat(symbol, len(printed), dtype=pl.String, eager=True),
            "ts": pl.Series(start + printed * 60_000_000).cast(TIME),
            "row": np.arange(len(printed)),
            **columns,
        }
    )
