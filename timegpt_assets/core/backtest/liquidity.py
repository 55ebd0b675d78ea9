"""Abnormal liquidity: the snapshots at which too little is traded, or the range is too wide, to enter.

Belongs here: the percentile filters of trading, which look at the same minute of earlier sessions only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar

KEY = ("day", "symbol", "snapshot_ts")
NORMAL, THIN, WIDE_RANGE, UNKNOWN = "normal", "thin", "wide_range", "liquidity_unknown"

Values = tuple[float | None, float | None]
"""volume_norm_5m and range_pct of one session's minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What counts as abnormal beside the ``lookback_sessions`` before, at the same minute."""

    lookback_sessions: int
    min_session_share: float
    """Share, 0..1, of the sessions looked back on that must have the minute, else it is ``liquidity_unknown``."""
    min_volume_percentile: float
    """Share, 0..1: five-minute volume below this percentile is too little."""
    max_range_percentile: float
    """Share, 0..1: a range above this percentile is too wide."""

    @property
    def min_sessions(self) -> int:
        """Return how many earlier sessions must have the minute; one at least."""
        return max(1, math.ceil(self.lookback_sessions * self.min_session_share))


def verdicts(forecasts: pl.DataFrame, features: pl.DataFrame, *, filters: Filters) -> pl.DataFrame:
    """Return [day, symbol, snapshot_ts, liquidity] of every forecast, sorted: normal, thin, wide_range, or unknown.

    ``features`` (FEATURES with volume_norm_5m and range_pct) hold the forecasts' days and the sessions before them;
    others are not read. A session without the minute (a quarantined one, the afternoon of an early close) is left out
    of the comparison; with fewer than ``filters.min_sessions`` left, or no value of the day itself, nothing is known.
    """
    seen: dict[tuple[str, object], dict[date, Values]] = {}
    for symbol, clock, day, *values in _at_snapshots(forecasts, features).iter_rows():
        seen.setdefault((symbol, clock), {})[day] = (values[0], values[1])
    asked = forecasts.select(*KEY, _clock("snapshot_ts")).unique().sort(KEY)
    rows = [
        (day, symbol, snapshot, _verdict(seen.get((symbol, clock), {}), day, filters))
        for day, symbol, snapshot, clock in asked.iter_rows()
    ]
    schema = {name: forecasts.schema[name] for name in KEY} | {"liquidity": pl.String()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _at_snapshots(forecasts: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
    """Return [symbol, clock, day, volume, range] at the New York minutes at which a symbol was ever forecast."""
    minutes = forecasts.select("symbol", _clock("snapshot_ts")).unique()
    rows = features.select("symbol", _clock("known_at"), "day", "volume_norm_5m", "range_pct")
    return rows.join(minutes, on=["symbol", "clock"])


def _clock(column: str) -> pl.Expr:
    return pl.col(column).dt.convert_time_zone(calendar.ZONE).dt.time().alias("clock")


def _verdict(seen: Mapping[date, Values], day: date, filters: Filters) -> str:
    """Return how the day's volume and range compare with those of the sessions before it."""
    back = (calendar.shifted(day, -sessions) for sessions in range(1, filters.lookback_sessions + 1))
    earlier = [values for session in back if None not in (values := seen.get(session, (None, None)))]
    now = seen.get(day, (None, None))
    if None in now or len(earlier) < filters.min_sessions:
        return UNKNOWN
    volume, span = np.array([*earlier, now], dtype=np.float64).T
    if volume[-1] < np.quantile(volume[:-1], filters.min_volume_percentile):
        return THIN
    return WIDE_RANGE if span[-1] > np.quantile(span[:-1], filters.max_range_percentile) else NORMAL
