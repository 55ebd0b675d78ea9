"""The month's verdict on the account: what its books must have earned, and what promotion asks of them.

Belongs here: what is asked of trading. Its figures are those of the trading scores.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import polars as pl

from timegpt_assets.core.gates import counted, criteria, hard_metrics
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.gates.hard_metrics import HardMetrics
from timegpt_assets.core.tables.columns import WILDCARD


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingGate:
    """What the account must show in a month."""

    min_observation_days: int
    min_completed_runs: int
    oos_sharpe_gte: float
    hit_rate_gte: float
    stress_multiplier: float
    """Cost multiplier at which P&L is judged."""
    stressed_pnl_gte: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What a promotion asks of the account."""

    oos_sharpe_gte: float
    sharpe_cost_multiplier: float
    stressed_pnl_gt: float
    pnl_cost_multiplier: float


def trading_gate(
    trading_scores: pl.DataFrame,
    cost_sensitivity: pl.DataFrame,
    oos_summary: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    books: Collection[str],
    completed_runs: int,
    gate: TradingGate,
    promotion: Promotion,
    hard: HardMetrics,
) -> pl.DataFrame:
    """Return GATES of each book, of those asked for and those seen; ``forecaster`` is the book's name.

    Its criteria and promotion's criteria on trading, prod + model + prod_live only. ``completed_runs``: trading days
    with a complete portfolio in the window. Raises ValueError when the figures at a cost multiplier that is judged were
    not computed.
    """
    frames = (trading_scores, cost_sensitivity, oos_summary)
    rows = [
        {"forecaster": name, **row}
        for name in sorted({*books, *trading_scores["book"]})
        for row in _trading_rows([frame.filter(book=name) for frame in frames], completed_runs, gate, promotion, hard)
    ]
    return counted.stamped(rows, month, as_of)


def _trading_rows(
    frames: Sequence[pl.DataFrame],
    completed_runs: int,
    gate: TradingGate,
    promotion: Promotion,
    hard: HardMetrics,
) -> list[dict[str, Any]]:
    trading_scores, cost_sensitivity, oos_summary = frames
    live, names = counted.live(trading_scores.filter(symbol=WILDCARD))
    found, base = names.get(WILDCARD, ""), live.row(0, named=True) if live.height else None
    stressed = counted.at_cost(cost_sensitivity, gate.stress_multiplier)
    promoted = counted.at_cost(cost_sensitivity, promotion.pnl_cost_multiplier)
    dear = counted.at_cost(oos_summary, promotion.sharpe_cost_multiplier)
    dear_sharpe = f"oos_sharpe_at_{promotion.sharpe_cost_multiplier:g}x_costs"
    days = Evidence(
        n=base["observation_days"] if base else 0, needed=gate.min_observation_days, unit="days", found=found
    )  # fmt: skip
    runs = Evidence(n=completed_runs, needed=gate.min_completed_runs, unit="completed runs")
    figure = partial(criteria.figure, needed=gate.min_observation_days, found=found)
    # At costs as they are: dearer ones are asked of P&L, and of this by promotion.
    oos = counted.at_cost(oos_summary, 1.0)
    least = gate.stressed_pnl_gte
    of_gate = [
        criteria.count("observation_days", days),
        criteria.count("completed_runs", runs),
        figure(oos, "sharpe_daily", criterion="oos_sharpe", relation=">=", threshold=gate.oos_sharpe_gte),
        figure(base, "hit_rate", criterion="hit_rate", relation=">=", threshold=gate.hit_rate_gte),
        figure(stressed, "net_pnl", criterion=_pnl_at(gate.stress_multiplier), relation=">=", threshold=least),
    ]
    of_promotion = [
        figure(dear, "sharpe_daily", criterion=dear_sharpe, relation=">=", threshold=promotion.oos_sharpe_gte),
        figure(
            promoted,
            "net_pnl",
            criterion=_pnl_at(promotion.pnl_cost_multiplier),
            relation=">",
            threshold=promotion.stressed_pnl_gt,
        ),
        *hard_metrics.judged(base, hard, found),
    ]
    return [
        *({"gate": "trading_gate", "symbol": WILDCARD, **row} for row in of_gate),
        *({"gate": "promotion", "symbol": WILDCARD, **row} for row in of_promotion),
    ]


def _pnl_at(multiplier: float) -> str:
    return f"pnl_at_{multiplier:g}x_costs"
