"""The month's verdict on the account: what its books must have earned, and what promotion asks of them.

Belongs here: what is asked of trading. Its figures are those of the trading scores.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import polars as pl

from timegpt_assets.core.gates import counted, criteria
from timegpt_assets.core.gates.counted import Counted
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.tables.columns import WILDCARD


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingGate:
    """What the account must show in a month."""

    min_observation_days: int
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a month measured of the account."""

    scores: pl.DataFrame
    costs: pl.DataFrame
    oos: pl.DataFrame

    def of(self, book: str) -> "Measured":
        """Return the rows of one book."""
        return Measured(
            scores=self.scores.filter(book=book), costs=self.costs.filter(book=book), oos=self.oos.filter(book=book)
        )


def trading_gate(
    measured: Measured,
    *,
    month: str,
    as_of: date,
    books: Collection[str],
    judged: Counted,
    gate: TradingGate,
    promotion: Promotion,
) -> pl.DataFrame:
    """Return GATES of each book, of those asked for and those seen, each triple; ``forecaster`` is the book's name.

    Its criteria and promotion's criteria on trading, of the triples that are judged. Raises ValueError when the figures
    at a cost multiplier that is judged were not computed.
    """
    rows = [
        {"forecaster": name, **triple, "symbol": WILDCARD, **row}
        for name in sorted({*books, *measured.scores["book"]})
        for triple in judged.triples()
        for row in _rows(measured.of(name), triple, gate, promotion)
    ]
    return counted.stamped(rows, month, as_of)


def _rows(
    measured: Measured, triple: Mapping[str, str], gate: TradingGate, promotion: Promotion
) -> list[dict[str, Any]]:
    scores, names = counted.of(measured.scores.filter(symbol=WILDCARD), triple)
    found, base = names.get(WILDCARD, ""), scores.row(0, named=True) if scores.height else None
    stressed = counted.at_cost(measured.costs, gate.stress_multiplier, triple)
    promoted = counted.at_cost(measured.costs, promotion.pnl_cost_multiplier, triple)
    dear = counted.at_cost(measured.oos, promotion.sharpe_cost_multiplier, triple)
    dear_sharpe = f"oos_sharpe_at_{promotion.sharpe_cost_multiplier:g}x_costs"
    dear_pnl, least = _pnl_at(promotion.pnl_cost_multiplier), gate.stressed_pnl_gte
    days = Evidence(
        n=base["observation_days"] if base else 0, needed=gate.min_observation_days, unit="days", found=found
    )  # fmt: skip
    figure = partial(criteria.figure, needed=gate.min_observation_days, found=found)
    # At costs as they are: dearer ones are asked of P&L, and of this by promotion.
    oos = counted.at_cost(measured.oos, 1.0, triple)
    of_gate = [
        criteria.count("observation_days", days),
        figure(oos, "sharpe_daily", criterion="oos_sharpe", relation=">=", threshold=gate.oos_sharpe_gte),
        figure(base, "hit_rate", criterion="hit_rate", relation=">=", threshold=gate.hit_rate_gte),
        figure(stressed, "net_pnl", criterion=_pnl_at(gate.stress_multiplier), relation=">=", threshold=least),
    ]
    of_promotion = [
        figure(dear, "sharpe_daily", criterion=dear_sharpe, relation=">=", threshold=promotion.oos_sharpe_gte),
        figure(promoted, "net_pnl", criterion=dear_pnl, relation=">", threshold=promotion.stressed_pnl_gt),
    ]
    return [
        *({"gate": "trading_gate", **row} for row in of_gate),
        *({"gate": "promotion", **row} for row in of_promotion),
    ]


def _pnl_at(multiplier: float) -> str:
    return f"pnl_at_{multiplier:g}x_costs"
