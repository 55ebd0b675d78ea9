"""A search's finalists within the portfolio's limits: on the sessions they were chosen on, and on those of after it.

Belongs here: one combination traded by itself, its limits, and the verdict on it out of sample. A trial knows
no limits, which look at the whole account; a finalist is asked with them, and refused signals count against it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Any

import polars as pl

from timegpt_assets.core.backtest import engines, portfolio
from timegpt_assets.core.backtest.rules import Risk
from timegpt_assets.core.backtest.signals import Inputs
from timegpt_assets.core.evaluation import trading
from timegpt_assets.core.evaluation.trading import Account
from timegpt_assets.core.research.objective import Figures, Penalties
from timegpt_assets.core.research.search import Material
from timegpt_assets.core.research.trading_grid import Combination
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.backtest import PORTFOLIO, TRADES
from timegpt_assets.core.tables.columns import SOURCE_KEY

CANDIDATE, REFUSED, INSUFFICIENT = "candidate", "refused", "insufficient_observation"
VERDICTS = {
    CANDIDATE: "its value out of sample is above 0: P&L after costs that pays for drawdown, refusals and turnover",
    REFUSED: "its value out of sample is 0 or less",
    INSUFFICIENT: "fewer sessions than gates.min_observation_days were asked in prod after gates.oos_start",
}
"""Verdict -> what it means."""
FIGURES = ("trades", "signals", "net_pnl", "max_drawdown", "turnover", "sharpe_daily", "sharpe_daily_low",
           "sharpe_daily_high")  # fmt: skip
"""Figures of the account (evaluation/trading.py) that are kept of a finalist."""
CHUNK_DAYS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a finalist is judged by."""

    risk: Risk
    account: Account
    sampling: Sampling
    penalties: Penalties


def asked_live(material: Material, sources: Mapping[str, str]) -> Material:
    """Return the material with forecasts of these sources alone, and the sessions that have any.

    No other session counts: whether one in between was silent could be told from other sources' rows alone.
    """
    measured = {column: frame.filter(**sources) for column, frame in material.measured.items()}
    asked = {day for frame in measured.values() for day in frame["day"].unique()}
    return replace(material, measured=measured, days=tuple(day for day in material.days if day in asked))


def within_limits(combination: Combination, material: Material, terms: Terms) -> dict[str, Any]:
    """Return FIGURES of the combination traded within the portfolio's limits, with reject_rate and ``value``.

    Limits look back on the combination's own unrestricted book of the material's sessions, as the account's do.
    """
    book = _book(combination, material)
    limited = partial(
        portfolio.portfolio,
        book,
        risk=terms.risk,
        capital=terms.account.capital,
        symbols=terms.account.symbols,
        sessions=material.days,
    )
    rows = pl.concat([PORTFOLIO.empty(), *(limited(day=day) for day in material.days)])
    month = f"{material.days[-1]:%Y-%m}" if material.days else ""
    found = trading.summary(rows, material.days, month=month, account=terms.account, sampling=terms.sampling)
    rejected = found["reject_rate"]
    total = terms.account.capital * len(set(terms.account.symbols))
    net: Any = found["net_pnl"] or 0.0
    figures = Figures(
        net_return=net / total,
        max_drawdown=_number(found["max_drawdown"]),
        turnover=_number(found["turnover"]),
        trades=int(_number(found["trades"])),
        reject_rate=_number(rejected),
    )
    kept = {name: found[name] for name in FIGURES}
    return kept | {"net_pnl": float(net), "turnover": figures.turnover, "reject_rate": rejected,
                   "value": terms.penalties.value(figures)}  # fmt: skip


def verdict(value: float, sessions: Collection[date], least: int) -> str:
    """Return one of VERDICTS for a finalist's value over the sessions that count, of which ``least`` are asked for."""
    if len(sessions) < least:
        return INSUFFICIENT
    return CANDIDATE if value > 0 else REFUSED


def _book(combination: Combination, material: Material) -> pl.DataFrame:
    """Return the combination's trades, a few sessions at a time, as a book of their own."""
    parts = material.parts(-(-len(material.days) // CHUNK_DAYS))
    made = [_trades(part.inputs(combination), combination) for part in parts]
    return pl.concat([TRADES.empty(), *made]).with_columns(book=pl.col("forecaster"))


def _trades(inputs: Inputs, combination: Combination) -> pl.DataFrame:
    return engines.trades(inputs, combination.spec, engines.of_trades(inputs.forecasts.height))


def sources(material: Material) -> dict[str, str]:
    """Return the sources of the forecasts, ``mixed`` where they differ; empty words where there are none."""
    frames: Sequence[pl.DataFrame] = list(material.measured.values())
    seen = {name: sorted(set().union(*(frame[name].unique() for frame in frames))) for name in SOURCE_KEY}
    return {name: found[0] if len(found) == 1 else "mixed" if found else "" for name, found in seen.items()}


def _number(value: Any) -> float:
    return 0.0 if value is None else float(value)
