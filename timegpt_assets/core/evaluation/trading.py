"""What the admitted trades earned: per symbol and for the account, at several costs, and out of sample.

Belongs here: daily returns over all sessions counted and the figures made of them. Only admitted trades count.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar, significance
from timegpt_assets.core.backtest.costs import ENTRY_NOTIONAL, EXIT_NOTIONAL
from timegpt_assets.core.backtest.event_loop import HALTED
from timegpt_assets.core.backtest.portfolio import LIMITS
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.columns import BOOK_KEY, WILDCARD
from timegpt_assets.core.tables.evaluation import COST_SENSITIVITY, OOS_SUMMARY, TRADING_SCORES

SHARPE_METHOD = "daily_agg_v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What returns are measured against."""

    capital: float
    """USD per symbol."""
    symbols: Collection[str]
    annualization_days: float
    """Periods per year: 252 for equities."""


def as_of(month: str, *, sessions: Collection[date]) -> date:
    """Return the last of the completed ``sessions`` up to the end of the month.

    Raises ValueError when there is none in the month itself.
    """
    own = sorted(set(calendar.month_sessions(month)) & set(sessions))
    if not own:
        raise ValueError(f"no session of {month} is complete. Materialise portfolio for a day of {month} first.")
    return own[-1]


def trading_scores(
    portfolio: pl.DataFrame,
    day_scores: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    sessions: Collection[date],
    lookback_sessions: int,
    account: Account,
    sampling: Sampling,
) -> pl.DataFrame:
    """Return TRADING_SCORES of the ``lookback_sessions`` up to ``as_of``: by book, each symbol and all (``*``).

    ``sessions`` are those with a complete portfolio. A book's source triple is measured over those of them on which it
    had forecasts (``day_scores``, with their books) or trades, and those in between on which the book had none of any
    triple; days without a trade count zero.
    """
    window = counted_sessions(sessions, as_of, lookback_sessions)
    rows = [
        {
            "month": month,
            "as_of": as_of,
            "symbol": symbol,
            **sources,
            **summary(part, days, month=month, account=scope, sampling=sampling),
        }
        for sources, days, own in by_book(portfolio, day_scores, window)
        for symbol, part, scope in _by_symbol(own, account)
    ]
    return TRADING_SCORES.conformed(pl.DataFrame(rows, schema=TRADING_SCORES.schema))


def cost_sensitivity(
    portfolio: pl.DataFrame,
    day_scores: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    sessions: Collection[date],
    lookback_sessions: int,
    account: Account,
    sampling: Sampling,
    multipliers: Sequence[float],
) -> pl.DataFrame:
    """Return COST_SENSITIVITY: the account's figures had each cost been ``multipliers`` times as high.

    The trades stay as they were admitted: net = gross - multiplier x cost.
    """
    window = counted_sessions(sessions, as_of, lookback_sessions)
    rows = [
        {"month": month, "as_of": as_of, **sources, "cost_multiplier": float(multiplier)}
        | summary(_at_cost(own, multiplier), days, month=month, account=account, sampling=sampling)
        for sources, days, own in by_book(portfolio, day_scores, window)
        for multiplier in multipliers
    ]
    return COST_SENSITIVITY.conformed(pl.DataFrame(rows, schema=COST_SENSITIVITY.schema))


def oos_summary(
    portfolio: pl.DataFrame,
    day_scores: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    sessions: Collection[date],
    lookback_sessions: int,
    account: Account,
    sampling: Sampling,
    oos_start: date | None,
    multipliers: Sequence[float],
) -> pl.DataFrame:
    """Return OOS_SUMMARY: the account's figures over the sessions after ``oos_start``, for each cost multiplier.

    Without an ``oos_start`` no session is out of sample: no rows, and the gates find insufficient_observation.
    """
    window = [day for day in counted_sessions(sessions, as_of, lookback_sessions) if oos_start and day > oos_start]
    rows = [
        {"month": month, "as_of": as_of, **sources, "oos_start": oos_start, "cost_multiplier": float(multiplier)}
        | summary(_at_cost(own, multiplier), days, month=month, account=account, sampling=sampling)
        for sources, days, own in by_book(portfolio, day_scores, window)
        for multiplier in multipliers
    ]
    return OOS_SUMMARY.conformed(pl.DataFrame(rows, schema=OOS_SUMMARY.schema))


def summary(
    portfolio: pl.DataFrame, sessions: Sequence[date], *, month: str, account: Account, sampling: Sampling
) -> dict[str, object]:
    """Return the figures of rows of PORTFOLIO over ``sessions``; sums are exact, whatever the order of rows.

    Intervals are drawn over whole sessions: the trades of one hang together.

    Signals are the rows that came to the market, those that met a halt included: what the rules turned away before is
    none, or a busy symbol would make the account look spared by its limits. Refused are those that a limit stopped.
    """
    admitted = portfolio.filter("admitted")
    refused = portfolio.filter(pl.col("refused_by").is_in(list(LIMITS))).height
    signals = refused + portfolio.filter(pl.col("admitted") | (pl.col("refused_by") == HALTED)).height
    trades, hits, net = _daily(admitted, sessions)
    capital, periods = account.capital * len(set(account.symbols)), account.annualization_days
    returns, drawn = net / capital, {"draws": sampling.draws, "cluster_days": sampling.cluster_days}
    sharpe = significance.bootstrap_sharpe(returns, periods=periods, **drawn)
    return {
        "observation_days": len(sessions),
        "trades": admitted.height,
        "signals": signals,
        "reject_rate": refused / signals if signals else None,
        "gross_pnl": math.fsum(admitted["gross_pnl"]),
        "cost": math.fsum(admitted["cost"]),
        "month_net_pnl": math.fsum(admitted.filter(pl.col("day").dt.strftime("%Y-%m") == month)["net_pnl"]),
        "max_drawdown": max_drawdown(returns),
        "drawdown_days": drawdown_days(returns),
        "volatility": float(np.std(returns, ddof=1)) * math.sqrt(periods) if returns.size > 1 else None,
        "sharpe_method": SHARPE_METHOD,
        # No floor is put under a variance of zero: the ratio is null, and this says so.
        "vol_floor_applied": sharpe.value is None,
        # Sorted: its mean and deviation are no exact sums, and the order of rows must not change a bit.
        "sharpe_step_raw": significance.sharpe(np.sort(admitted["net_pnl"].to_numpy()), periods=1).value,
        **_activity(admitted, sessions, capital=capital),
        **_named("hit_rate", significance.bootstrap(hits, trades, **drawn)),
        **_named("net_pnl", significance.bootstrap_total(net, **drawn)),
        **_named("sharpe_daily", sharpe),
    }


def _activity(admitted: pl.DataFrame, sessions: Sequence[date], *, capital: float) -> dict[str, float | None]:
    """Return how much was done and how long it was held; null where there is nothing to be measured."""
    traded = math.fsum(admitted.select(ENTRY_NOTIONAL + EXIT_NOTIONAL).to_series())
    held = math.fsum(admitted.select(ENTRY_NOTIONAL * pl.col("holding_min")).to_series())
    minutes = sum(calendar.session(day).minutes for day in sessions)
    return {
        "turnover": traded / capital / len(sessions) if sessions else None,
        "exposure": held / capital / minutes if minutes else None,
        **{name: _mean(admitted[name]) for name in ("holding_min", "mae", "mfe")},
        "capacity": admitted.select(pl.col("capacity").median()).item(),
    }


def _mean(values: pl.Series) -> float | None:
    # Of an exact sum: the order of rows must not change a bit.
    return math.fsum(values) / len(values) if len(values) else None


def max_drawdown(returns: np.ndarray) -> float:
    """Return the largest fall of the cumulated returns from their peak, the start counting as a peak of 0."""
    equity = np.concatenate([[0.0], np.cumsum(returns)])
    return float(np.max(np.maximum.accumulate(equity) - equity))


def drawdown_days(returns: np.ndarray) -> int:
    """Return the most days in a row that the cumulated returns stood below a peak before; the last may be of them."""
    equity = np.concatenate([[0.0], np.cumsum(returns)])
    risen = np.flatnonzero(equity >= np.maximum.accumulate(equity))
    return int(np.max(np.diff(np.append(risen, equity.size)))) - 1


def daily_net(portfolio: pl.DataFrame, sessions: Sequence[date]) -> np.ndarray:
    """Return the net P&L of each session in USD: of admitted trades only, 0 where none was."""
    return _daily(portfolio.filter("admitted"), sessions)[2]


def _daily(admitted: pl.DataFrame, sessions: Sequence[date]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the trades, the hits and the net P&L in USD of each session, 0 where nothing was traded."""
    pnl: dict[date, list[float]] = {day: [] for day in sessions}
    for day, net in admitted.select("day", "net_pnl").iter_rows():
        pnl[day].append(net)
    nets = [pnl[day] for day in sessions]
    hits = [sum(net > 0 for net in own) for own in nets]
    return (
        np.array([len(own) for own in nets], float),
        np.array(hits, float),
        np.array([math.fsum(own) for own in nets]),
    )


def counted_sessions(sessions: Collection[date], as_of: date, lookback_sessions: int) -> list[date]:
    """Return those of the sessions that are among the ``lookback_sessions`` up to ``as_of``, sorted."""
    first = calendar.shifted(as_of, 1 - lookback_sessions)
    return sorted(day for day in set(sessions) if first <= day <= as_of)


def by_book(
    portfolio: pl.DataFrame, day_scores: pl.DataFrame, window: Sequence[date]
) -> Iterator[tuple[dict[str, str], list[date], pl.DataFrame]]:
    """Yield book and source triple with the sessions they are measured over and their rows on them."""
    seen = pl.concat(frame.select("day", *BOOK_KEY) for frame in (portfolio, day_scores)).unique()
    seen = seen.filter(pl.col("day").is_in(list(window)))
    for key in sorted(seen.select(BOOK_KEY).unique().iter_rows()):
        sources = dict(zip(BOOK_KEY, key, strict=True))
        own = set(seen.filter(**sources)["day"])
        # silent is the book, whoever else was asked then
        silent = set(window) - set(seen.filter(book=sources["book"])["day"])
        days = [day for day in window if day in own or (day in silent and min(own) < day < max(own))]
        yield sources, days, portfolio.filter(pl.col("day").is_in(days), **sources)


def _by_symbol(own: pl.DataFrame, account: Account) -> Iterator[tuple[str, pl.DataFrame, Account]]:
    """Yield the account as a whole, then each symbol against its own capital."""
    yield WILDCARD, own, account
    for symbol in sorted(set(account.symbols)):
        alone = Account(
            capital=account.capital, symbols=(symbol,), annualization_days=account.annualization_days
        )  # fmt: skip
        yield symbol, own.filter(symbol=symbol), alone


def _at_cost(portfolio: pl.DataFrame, multiplier: float) -> pl.DataFrame:
    cost = pl.col("cost") * multiplier
    return portfolio.with_columns(cost=cost, net_pnl=pl.col("gross_pnl") - cost)


def _named(name: str, estimate: significance.Estimate) -> dict[str, float | None]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
