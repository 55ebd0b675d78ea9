"""Rows of TSFM_OUTCOMES for tests: bands and the prices that came."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core.tables.tsfm import TSFM_OUTCOMES
from timegpt_assets.core.tsfm.conformal import ConformalSpec
from timegpt_assets_tests.core.tsfm.market_rows import at

DAY = date(2026, 2, 10)
SPEC = ConformalSpec(
    window_days=14,
    target=0.9,
    levels=(0.8, 0.9),
    min_samples=20,
    segments=("liquidity_bucket", "tte_bucket", "category"),
)


def before(days: int) -> date:
    """Return so many days before DAY."""
    return DAY - timedelta(days=days)


def outcomes(y: Sequence[float], *, day: date | None = None, market: str = "m", **told: Any) -> pl.DataFrame:
    """Return a row a price, a cycle each from midnight of the day on; what is not said is a band of .4 to .6."""
    day = day or before(1)
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
    as_of = [begins + timedelta(seconds=10 * place) for place in range(len(y))]
    plain: dict[str, Any] = {
        "day": day, "made_on": day, "market_id": market, "event_id": f"event of {market}", "as_of": as_of,
        "step": 1, "target_ts": [one + timedelta(minutes=5) for one in as_of],
        "liquidity_bucket": "HIGH", "tte_bucket": "1-6h", "category": "Sports",
        "lower": 0.4, "median": 0.5, "upper": 0.6,
        "baseline_lower": 0.3, "baseline_median": 0.5, "baseline_upper": 0.7,
        "fallback_used": False, "last_price": 0.5, "y": list(y), "rise": 0.0, "fall": 0.0,
    }  # fmt: skip
    columns = {
        name: value if isinstance(value, list | np.ndarray | pl.Series) else [value] * len(y)
        for name, value in (plain | told).items()
    }
    return TSFM_OUTCOMES.conformed(pl.DataFrame(columns, schema=TSFM_OUTCOMES.schema))


def came(moves: Iterable[float | None], y: float = 0.7) -> pl.DataFrame:
    """Return outcomes of bands five minutes apart: the price, and how far it rose after."""
    rows = [
        ("m", at(5 * i - 5), 1, at(5 * i).date(), y, rise, None if rise is None else 0.0)
        for i, rise in enumerate(moves)
    ]
    names = ("market_id", "as_of", "step", "day", "y", "rise", "fall")
    return pl.DataFrame(
        rows,
        names,
        orient="row",
        schema_overrides={"as_of": pl.Datetime("us", "UTC"), "rise": pl.Float64, "fall": pl.Float64},
    )
