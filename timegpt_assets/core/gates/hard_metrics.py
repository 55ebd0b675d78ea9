"""Hard metrics: what nothing is promoted without, enough observation and risk within its bounds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timegpt_assets.core.gates import criteria
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class HardMetrics:
    """Least observation and worst risk."""

    min_observation_days: int
    sharpe_daily_gte: float
    max_drawdown_lte: float
    reject_rate_lte: float
    """Share of signals that the portfolio's limits refused."""


def judged(base: Mapping[str, Any] | None, asked: HardMetrics, found: str) -> list[dict[str, Any]]:
    """Return the rows of what nothing is promoted without: enough days, and risk within its bounds on them."""
    days = Evidence(
        n=base["observation_days"] if base else 0, needed=asked.min_observation_days, unit="days", found=found
    )
    measured = {name: Estimate(base[name] if base else None) for name in ("max_drawdown", "reject_rate")}
    return [
        criteria.count("observation_days", days),
        criteria.judged("sharpe_daily", criteria.estimate(base, "sharpe_daily"), ">=", asked.sharpe_daily_gte, days),
        criteria.judged("max_drawdown", measured["max_drawdown"], "<=", asked.max_drawdown_lte, days),
        criteria.judged("reject_rate", measured["reject_rate"], "<=", asked.reject_rate_lte, days),
    ]
