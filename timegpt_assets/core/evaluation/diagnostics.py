"""Everything said about a window of forecasts, in one row per symbol, origin and stage.

Belongs here: putting together what forecast.py and intervals.py measure.
"""

from datetime import date

import polars as pl

from timegpt_assets.core.evaluation import forecast, intervals
from timegpt_assets.core.tables.evaluation import FORECAST_DIAGNOSTICS


def diagnostics(
    day_scores: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    lookback_sessions: int,
    draws: int,
    cluster_days: int = 1,
) -> pl.DataFrame:
    """Return FORECAST_DIAGNOSTICS of the ``lookback_sessions`` up to ``as_of``: by symbol and pooled (``*``).

    Each origin apart, stages raw and calibrated apart. Frames may hold any days. ``draws`` day-cluster samples of
    ``cluster_days`` neighbouring sessions give the intervals of differences and coverages.
    """
    window = forecast.window(day_scores, as_of, lookback_sessions)
    rows = [
        {
            "month": month,
            "as_of": as_of,
            "symbol": symbol,
            "stage": stage,
            **sources,
            **_measured(part, stage, draws, cluster_days),
        }
        for symbol, sources, part in forecast.groups(window)
        for stage in forecast.STAGES
    ]
    return FORECAST_DIAGNOSTICS.conformed(pl.DataFrame(rows, schema=FORECAST_DIAGNOSTICS.schema))


def _measured(part: pl.DataFrame, stage: str, draws: int, cluster_days: int) -> dict[str, object]:
    found = forecast.summary(part, stage) | intervals.means(part, stage)
    found["crossed"] = intervals.crossed(part, stage)
    found |= intervals.differences(part, stage, draws=draws, cluster_days=cluster_days)
    return found | intervals.coverages(part, stage, draws=draws, cluster_days=cluster_days)
