"""Abnormal liquidity: the snapshots at which too little is traded, or the range is too wide, to enter.

Belongs here: the percentile filters of trading, which look at the same minute of earlier sessions only.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar

KEY = ("day", "symbol", "snapshot_ts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What counts as abnormal beside the ``lookback_sessions`` before, at the same minute."""

    lookback_sessions: int
    min_volume_percentile: float
    """Share, 0..1: five-minute volume below this percentile is too little."""
    max_range_percentile: float
    """Share, 0..1: a range above this percentile is too wide."""


def illiquid(forecasts: pl.DataFrame, features: pl.DataFrame, *, filters: Filters) -> pl.DataFrame:
    """Return [day, symbol, snapshot_ts] of the forecasts asked in abnormal liquidity, sorted.

    ``features`` (FEATURES with volume_norm_5m and range_pct) hold the forecasts' days and the sessions before them;
    others are not read. A snapshot without a value on each of the earlier sessions cannot be judged and is not listed.
    """
    past = _at_snapshots(forecasts, features)
    rows = []
    for (symbol, _), own in past.partition_by("symbol", "clock", as_dict=True).items():
        seen = {row[0]: row[1:] for row in own.select("day", "volume_norm_5m", "range_pct").iter_rows()}
        asked = own.filter(pl.col("snapshot_ts").is_not_null()).select("day", "snapshot_ts")
        rows += [(day, symbol, ts) for day, ts in asked.iter_rows() if _is_abnormal(seen, day, filters)]
    schema = {name: forecasts.schema[name] for name in KEY}
    return pl.DataFrame(rows, schema=schema, orient="row").sort(KEY)


def _at_snapshots(forecasts: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
    """Return the features of every session at the New York minutes at which a symbol was ever forecast."""
    asked = forecasts.select(*KEY).with_columns(_clock("snapshot_ts"))
    rows = features.select("day", "symbol", _clock("known_at"), "volume_norm_5m", "range_pct")
    minutes = asked.select("symbol", "clock").unique()
    return rows.join(minutes, on=["symbol", "clock"]).join(asked, on=["day", "symbol", "clock"], how="left")


def _clock(column: str) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone(calendar.ZONE).dt.time().alias("clock")


def _is_abnormal(seen: dict[date, tuple[float | None, float | None]], day: date, filters: Filters) -> bool:
    """Return whether the day's volume or range lies beyond the percentiles of the sessions before it."""
    earlier = [seen.get(calendar.shifted(day, -back), (None, None)) for back in range(1, filters.lookback_sessions + 1)]
    values = np.array([*earlier, seen[day]], dtype=np.float64)
    # A missing value makes its quantile NaN, and nothing lies below or above NaN: not judged, not listed.
    volume, span = values[:, 0], values[:, 1]
    thin = volume[-1] < np.quantile(volume[:-1], filters.min_volume_percentile)
    return bool(thin or span[-1] > np.quantile(span[:-1], filters.max_range_percentile))
