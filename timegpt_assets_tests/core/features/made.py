"""Features as the assets make them, from seeded bars: every group on, VIX and news of its own, events on known days."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl

from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.features.matrix import Made, features
from timegpt_assets.core.news.project import projected
from timegpt_assets_tests.core.bars.bars_factory import DAYS, SYMBOLS
from timegpt_assets_tests.core.news.scored_made import Event, links, raw, scored

CALENDAR = EventCalendar(
    {"event_cpi": (DAYS[1],), "event_fomc": (DAYS[2],)}, symbols={"event_earnings": {"AAA": (DAYS[3],)}}
)
SECTORS = {"AAA": "made_up", "BBB": "made_up", "SPY": "made_up"}
SPEC = FeatureSpec(horizon_min=15, sessions=2, context=("SPY",), sectors=SECTORS, vix=True, calendar=CALENDAR)
"""Two sessions to compare with: the days of the factory are four."""
SILENT = DAYS[2]
"""The day on which no source answered."""
EVENTS = links(DAYS, ("AAA", "BBB"))
NAMES = tuple(feature.name for feature in SPEC.features)


def vix(last: date = DAYS[-1], days: int = 40) -> pl.DataFrame:
    """Return daily closes of the ``days`` up to ``last``, none on weekends: Monday could see its own."""
    dates = [last - timedelta(days=back) for back in range(days)][::-1]
    closes = 15.0 + np.random.default_rng(3).normal(0.0, 1.0, days)
    return pl.DataFrame({"date": dates, "close": closes}).filter(pl.col("date").dt.weekday() <= 5)


def news(events: Sequence[Event] = EVENTS, days: Collection[date] = DAYS) -> pl.DataFrame:
    """Return NEWS_FEATURES of the events."""
    told = raw([day for day in DAYS if day != SILENT], [SILENT])
    return projected(scored(events, days), told, days=days, symbols=SYMBOLS)


@cache
def _usual_news() -> pl.DataFrame:
    return news()


def made(
    bars: pl.DataFrame,
    days: Sequence[date] = DAYS,
    symbols: Sequence[str] = SYMBOLS,
    *,
    spec: FeatureSpec = SPEC,
    closes: pl.DataFrame | None = None,
    told: pl.DataFrame | None = None,
) -> Made:
    """Return the features of these days and symbols; the market around them is made of all symbols."""
    daily = vix() if closes is None else closes
    context = market_context(
        bars, days=days, context=spec.context, vix=daily if spec.vix else None, sectors=spec.sectors
    )
    known = _usual_news() if told is None else told
    return features(bars.filter(pl.col("symbol").is_in(list(symbols))), context, days=days, spec=spec, told=known)


def values_of(frame: pl.DataFrame) -> int:
    """Return how many numbers a frame of features holds."""
    return int(frame.select(pl.selectors.float().count()).sum_horizontal().item())
