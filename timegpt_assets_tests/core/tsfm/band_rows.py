"""Rows of BANDS and MARKET_SERIES for tests, made of no more than what each of them is about."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from timegpt_assets.core.tables.tsfm import BANDS, MARKET_SERIES
from timegpt_assets_tests.core.tsfm.market_rows import at

STEP_MIN = 5


def band(name: str = "m", *, minutes: float = 0.0, step: int = 1, **told: Any) -> dict[str, Any]:
    """Return a row of BANDS whose target lies so many minutes after noon: .4 to .6, unless it is said."""
    as_of = at(minutes - step * STEP_MIN)
    parts = dict(zip(("lower", "median", "upper"), (0.4, 0.5, 0.6), strict=True))
    plain: dict[str, Any] = dict.fromkeys(BANDS.columns)
    plain |= {f"{kind}{part}": p for kind in ("", "raw_", "adjusted_", "baseline_") for part, p in parts.items()}
    plain |= {
        "day": as_of.date(),
        "market_id": name,
        "event_id": "event",
        "as_of": as_of,
        "step": step,
        "target_ts": at(minutes),
        "liquidity_bucket": "HIGH",
        "tte_bucket": "1-6h",
        "category": "UNKNOWN",
        "band_source": "tsfm_conformal",
        "fallback_used": False,
        "model": "mock",
    }
    return plain | told


def bands(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """Return BANDS of these rows."""
    return BANDS.conformed(pl.DataFrame(list(rows), schema=BANDS.schema))


def series(points: Iterable[tuple[float, float | None]], name: str = "m", source: str = "history") -> pl.DataFrame:
    """Return MARKET_SERIES of a market: minutes after noon and the price."""
    plain = dict.fromkeys(MARKET_SERIES.columns)
    rows = [
        plain
        | {"day": at(minutes).date(), "ts": at(minutes), "market_id": name, "y": y, "y_source": y and source}
        | {"age_min": 0.0, "gap_min": 0.0}
        for minutes, y in points
    ]
    return MARKET_SERIES.conformed(pl.DataFrame(rows, schema=MARKET_SERIES.schema))


def hours(count: float) -> float:
    """Return so many hours in minutes."""
    return timedelta(hours=count).total_seconds() / 60
