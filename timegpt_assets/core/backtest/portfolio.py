"""Portfolio limits: which trades of a day the whole account would have allowed.

Belongs here: drawdown stop, volatility halt and position limit, walk-forward and without any state: what is measured
is the unrestricted book of the sessions before the day, so the answer is the same in every order of computation.
"""

import math
from collections.abc import Collection
from datetime import date, datetime
from functools import partial

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.rules import Risk
from timegpt_assets.core.backtest.whitelist import whitelisted
from timegpt_assets.core.tables.backtest import PORTFOLIO

LIMITS = {
    "drawdown_stop": "the unrestricted book stood further below its peak than trading.risk.drawdown_stop",
    "volatility_halt": "the unrestricted book's daily returns moved more than trading.risk.volatility_halt",
    "position_limit": "trading.risk.position_limit positions were open",
}
"""Limit -> when it refuses a trade, which then stays a row of PORTFOLIO with ``refused_by``."""


def portfolio(
    book: pl.DataFrame,
    *,
    day: date,
    risk: Risk,
    capital: float,
    symbols: Collection[str],
    sessions: Collection[date],
    live: Collection[tuple[str, str]] = (),
) -> pl.DataFrame:
    """Return PORTFOLIO of ``day``: every signal of the book with ``admitted`` and ``refused_by``, each by itself.

    ``book`` may hold any days and books. ``sessions`` are those whose book exists, so that one without a trade counts
    as a zero return; total capital is ``capital`` (USD per symbol) times the number of ``symbols``.
    ``live``: forecaster and symbol that are on the whitelist of the day; no limit asks for it.
    """
    measured = partial(daily_returns, day=day, risk=risk, capital=capital, symbols=symbols, sessions=sessions)
    parts = sorted(book.partition_by("book", as_dict=True).items())
    marked = [_marked(own.filter(pl.col("day") == day), stopped_by(measured(own), risk), risk) for _, own in parts]
    if not marked:
        return PORTFOLIO.empty()
    return PORTFOLIO.conformed(pl.concat(marked).with_columns(whitelisted=whitelisted(live)))


def _marked(own: pl.DataFrame, stop: str, risk: Risk) -> pl.DataFrame:
    """Return the day's trades of one book with what refused them."""
    refused = dict.fromkeys(_ids(own), stop) if stop else _over_limit(own, risk.max_positions)
    limits = pl.Series([refused.get(key, "") for key in _ids(own)], dtype=pl.String)
    # No limit refuses what was never entered: it keeps its own reason.
    refused_by = pl.when(pl.col("exit_ts").is_null()).then("entry_reason").otherwise(limits)
    marked = own.with_columns(refused_by=refused_by)
    return marked.with_columns(admitted=pl.col("refused_by") == "")


def daily_returns(
    book: pl.DataFrame,
    *,
    day: date,
    risk: Risk,
    capital: float,
    symbols: Collection[str],
    sessions: Collection[date],
) -> np.ndarray:
    """Return the unrestricted book's net return of each of the last ``risk.lookback_sessions`` before ``day``.

    Sums are exact (math.fsum), so neither the order of symbols nor other days in the frame can change a bit.
    """
    first = calendar.shifted(day, -risk.lookback_sessions)
    window = sorted(session for session in set(sessions) if first <= session < day)
    pnl: dict[date, list[float]] = {session: [] for session in window}
    for session, net in book.select("day", "net_pnl").iter_rows():
        if session in pnl:
            pnl[session].append(net)
    return np.array([math.fsum(pnl[session]) for session in window]) / (capital * len(set(symbols)))


def stopped_by(returns: np.ndarray, risk: Risk) -> str:
    """Return which stop forbids all entries after these daily returns; empty when none does."""
    if risk.max_drawdown is not None and drawdown(returns) > risk.max_drawdown:
        return "drawdown_stop"
    # One return has no deviation (ddof 1).
    measured = risk.max_daily_volatility is not None and returns.size > 1
    return "volatility_halt" if measured and np.std(returns, ddof=1) > risk.max_daily_volatility else ""


def drawdown(returns: np.ndarray) -> float:
    """Return how far the cumulated returns stand below their peak now, the start counting as a peak of 0."""
    equity = np.concatenate([[0.0], np.cumsum(returns)])
    return float(equity.max() - equity[-1])


def _ids(frame: pl.DataFrame) -> list[tuple[str, datetime]]:
    return list(frame.select("symbol", "snapshot_ts").iter_rows())


def _over_limit(own: pl.DataFrame, max_positions: int | None) -> dict[tuple[str, datetime], str]:
    """Return the trades for which no seat was free; those of a minute are seated by EV / sigma, then symbol."""
    if max_positions is None:
        return {}
    # What was never entered took no seat.
    queue = own.filter(pl.col("exit_ts").is_not_null()).sort(
        "entry_ts", pl.col("ev") / pl.col("sigma"), "symbol", descending=[False, True, False]
    )
    refused: dict[tuple[str, datetime], str] = {}
    exits: list[datetime] = []
    for symbol, snapshot, entry, exit_ in queue.select("symbol", "snapshot_ts", "entry_ts", "exit_ts").iter_rows():
        # A position that leaves in the minute of an entry has freed its seat.
        exits = [ts for ts in exits if ts > entry]
        if len(exits) < max_positions:
            exits.append(exit_)
        else:
            refused[symbol, snapshot] = "position_limit"
    return refused
