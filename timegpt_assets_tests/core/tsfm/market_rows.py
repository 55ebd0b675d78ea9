"""Rows of MARKETS and PRICES for tests, made of no more than what each of them is about."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core.tables.tsfm import MARKETS
from timegpt_assets.core.tsfm.seen import PRICES
from timegpt_assets.core.tsfm.segments import SegmentSpec
from timegpt_assets.core.tsfm.series import SeriesSpec

NOON = datetime(2026, 2, 10, 12, tzinfo=UTC)
SPEC = SeriesSpec(freq_min=5, input_len=288, horizon=12, last_trade_max_age_min=15.0, max_gap_min=60.0)
SEGMENTS = SegmentSpec(low_below=1000.0, high_from=50000.0, tte_bounds_h=(1.0, 6.0, 24.0, 168.0))


def at(minutes: float) -> datetime:
    """Return so many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def market(name: str = "m", *, minutes: float = 0.0, **told: Any) -> dict[str, Any]:
    """Return a row of MARKETS of a cycle so many minutes after noon; what is not said is null, or plain."""
    plain = dict.fromkeys(MARKETS.columns) | {
        "day": at(minutes).date(),
        "as_of": at(minutes),
        "market_id": name,
        "event_id": "event",
        "question": "?",
        "category": "UNKNOWN",
        "token_id": f"token of {name}",
        "active": True,
        "live": False,
    }
    return plain | told


def markets(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """Return MARKETS of these rows."""
    return MARKETS.conformed(pl.DataFrame(list(rows), schema=MARKETS.schema))


def prices(points: Iterable[tuple[float, float | None]], name: str = "m", late_s: float = 0.0) -> pl.DataFrame:
    """Return PRICES of a market: minutes after noon and the price, known so many seconds after their stamp."""
    rows = [(f"token of {name}", at(minutes), p, at(minutes) + timedelta(seconds=late_s)) for minutes, p in points]
    return pl.DataFrame(rows, schema=dict(PRICES), orient="row")
