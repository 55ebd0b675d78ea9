"""Hard metrics: what nothing is promoted without, enough observation and risk within its bounds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core.gates import counted, criteria
from timegpt_assets.core.gates.counted import Counted
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Estimate
from timegpt_assets.core.tables.columns import WILDCARD


@dataclass(frozen=True, slots=True, kw_only=True)
class HardMetrics:
    """Least observation and worst risk."""

    min_completed_runs: int
    min_observation_days: int
    sharpe_daily_gte: float
    """Yearly, from daily returns; never from those of single trades."""
    max_drawdown_lte: float
    reject_rate_lte: float
    """Share of signals that the portfolio's limits refused."""


def hard_metrics(
    trading_scores: pl.DataFrame,
    backtest_runs: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    books: Collection[str],
    judged: Counted,
    asked: HardMetrics,
) -> pl.DataFrame:
    """Return GATES of each book, of those asked for and those seen, each triple; ``forecaster`` is the book's name.

    ``backtest_runs``: BACKTEST_RUNS, whose runs of the triple alone are counted.
    """
    scores, rows = trading_scores.filter(symbol=WILDCARD), list[dict[str, Any]]()
    for name in sorted({*books, *scores["book"]}):
        for triple in judged.triples():
            own, found = counted.of(scores.filter(book=name), triple)
            runs = backtest_runs.filter(book=name, **triple)["runs"].sum()
            base = own.row(0, named=True) if own.height else None
            about = {"forecaster": name, "gate": "hard_metrics", "symbol": WILDCARD, **triple}
            rows += [about | row for row in _criteria(base, int(runs), asked, found.get(WILDCARD, ""))]
    return counted.stamped(rows, month, as_of)


def _criteria(base: Mapping[str, Any] | None, runs: int, asked: HardMetrics, found: str) -> list[dict[str, Any]]:
    days = Evidence(
        n=base["observation_days"] if base else 0, needed=asked.min_observation_days, unit="days", found=found
    )
    completed = Evidence(n=runs, needed=asked.min_completed_runs, unit="completed runs", found=found)
    measured = {name: Estimate(base[name] if base else None) for name in ("max_drawdown", "reject_rate")}
    return [
        criteria.count("completed_runs", completed),
        criteria.count("observation_days", days),
        criteria.judged("sharpe_daily", criteria.estimate(base, "sharpe_daily"), ">=", asked.sharpe_daily_gte, days),
        criteria.judged("max_drawdown", measured["max_drawdown"], "<=", asked.max_drawdown_lte, days),
        criteria.judged("reject_rate", measured["reject_rate"], "<=", asked.reject_rate_lte, days),
    ]
