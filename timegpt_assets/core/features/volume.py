"""Features of volume: VWAP and the distance from it, activity against today and earlier sessions, liquidity.

Belongs here: formulas on arrays of shape (days, symbols, minutes), and the comparison of a minute with the same minute
of earlier sessions.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from timegpt_assets.core.features.feature import Feature
from timegpt_assets.core.features.minutes import MIN_OBSERVATIONS, Minutes
from timegpt_assets.core.features.windows import Floats, Ints, earlier, elapsed, so_far, sums, variance, where

VWAP_WINDOW, TREND_WINDOW, NORM_WINDOWS = 30, 5, (5, 30)
UNKNOWN, LOW, NORMAL, HIGH = -1, 0, 1, 2
VERSION = 1
_EARLIER = "1 min of each of the earlier sessions (warmup_sessions), at least half of them"
FEATURES = (
    Feature(
        "vwap_30m", "sum(volume x (high + low + close) / 3) / sum(volume)", "30 min at most, at least 10", "USD",
        "Berkowitz, Logue and Noser 1988",
    ),
    Feature(
        "vwap_30m_z", "(close - vwap_30m) / std(close, ddof 1)", "30 min at most, at least 10", "standard deviations",
        "z-score",
    ),
    Feature("vwap_trend_5m", "ln vwap_30m(t) - ln vwap_30m(t - 5 min)", "5 min", "log return", "difference"),
    Feature(
        "volume_norm_5m", "mean volume of 5 min / mean volume since the open", "5 min, all of them", "ratio",
        "relative volume",
    ),
    Feature(
        "volume_norm_30m", "mean volume of 30 min / mean volume since the open", "30 min at most, at least 10", "ratio",
        "relative volume",
    ),
    Feature(
        "volume_percentile", "share of earlier sessions whose 5-minute volume at this minute was no larger", _EARLIER,
        "share", "empirical distribution",
    ),
    Feature(
        "range_percentile", "share of earlier sessions whose range_pct at this minute was no larger", _EARLIER, "share",
        "empirical distribution",
    ),
    Feature("signed_volume", "sign(ret_1m) x volume", "1 min", "shares", "tick rule on minutes"),
    Feature(
        "liquidity_bucket",
        "0 low: percentile of volume_norm_5m under the low one, or range_percentile over the high one; 2 high: "
        "percentile of volume_norm_5m over the high one; 1 normal; -1 unknown",
        _EARLIER, "category", "features.liquidity", pl.Int8,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """What is compared with the same minute of earlier sessions; arrays of shape (days, symbols, minutes)."""

    volume: Floats
    norm: Floats
    span: Floats

    @staticmethod
    def joined(earlier: "Measured", own: "Measured") -> "Measured":
        """Return both laid end to end along the days."""
        pairs = ((earlier.volume, own.volume), (earlier.norm, own.norm), (earlier.span, own.span))
        return Measured(*(np.concatenate(pair) for pair in pairs))

    def days(self, start: int, symbols: slice = slice(None)) -> "Measured":
        """Return the days from ``start`` (negative: from the end) of some symbols."""
        return Measured(*(values[start:, symbols] for values in (self.volume, self.norm, self.span)))


def measured(minutes: Minutes) -> Measured:
    """Return five-minute volume, volume_norm_5m and range_pct; the volumes are null in the first 4 minutes."""
    short, since_open = elapsed(minutes.volume.shape), so_far(minutes.volume)
    window = NORM_WINDOWS[0]
    full = (short >= window) & ~np.isnan(minutes.volume)
    recent = where(full, sums(minutes.volume, window)[0])
    return Measured(recent, recent * (1.0 / window) / _positive(since_open / short), minutes.base("range_pct"))


def columns(minutes: Minutes, own: Measured, past: Measured, *, low: float, high: float) -> dict[str, Floats]:
    """Return every feature of FEATURES; ``past`` are the sessions before the grid's days and those days themselves.

    ``low`` and ``high`` are the percentiles that bound a normal liquidity.
    """
    sessions = past.volume.shape[0] - own.volume.shape[0]
    volume_share, norm_share, range_share = (
        share_not_above(values, sessions) for values in (past.volume, past.norm, past.span)
    )
    elapsed_min, since_open = elapsed(minutes.volume.shape), so_far(minutes.volume)
    longer = sums(minutes.volume, NORM_WINDOWS[1])[0] / np.minimum(elapsed_min, NORM_WINDOWS[1])
    return vwap(minutes) | {
        "volume_norm_5m": own.norm,
        "volume_norm_30m": where(elapsed_min >= MIN_OBSERVATIONS, longer / _positive(since_open / elapsed_min)),
        "volume_percentile": volume_share,
        "range_percentile": range_share,
        "signed_volume": np.sign(minutes.returns) * minutes.volume,
        "liquidity_bucket": bucket(norm_share, range_share, low=low, high=high),
    }


def vwap(minutes: Minutes) -> dict[str, Floats]:
    """Return vwap_30m, vwap_30m_z and vwap_trend_5m; null without volume or with fewer than 10 minutes since the print.

    Deviations of the close are taken from the session's first price, which keeps their squares small.
    """
    n = np.minimum(minutes.printed, VWAP_WINDOW)
    enough = minutes.printed >= MIN_OBSERVATIONS
    traded, volume = (sums(values, VWAP_WINDOW)[0] for values in (minutes.base("turnover"), minutes.volume))
    price = where(enough, traded / _positive(volume))
    first = np.take_along_axis(minutes.close, _first_known(minutes), axis=-1)
    moved = minutes.close - first
    spread = np.sqrt(variance(n, sums(moved, VWAP_WINDOW)[0], sums(moved * moved, VWAP_WINDOW)[0]) / (n - 1.0))
    # VWAPs differ by little: their ratio's logarithm without numpy's log, whose last bit hangs on where a number stands
    ratio = price / earlier(price, TREND_WINDOW)
    trend = pl.Series(ratio.reshape(-1)).log().to_numpy().reshape(ratio.shape)
    return {"vwap_30m": price, "vwap_30m_z": (minutes.close - price) / spread, "vwap_trend_5m": trend}


def share_not_above(values: Floats, sessions: int) -> Floats:
    """Return, for each day after the first ``sessions``, the share of those before it whose value is no larger.

    Only the ``sessions`` days before each day are looked at, at the same minute; null with less than half of them.
    """
    days = values.shape[0] - sessions
    today = values[sessions:]
    below, known = (np.zeros(today.shape, dtype=np.int16) for _ in range(2))
    for back in range(1, sessions + 1):
        then = values[sessions - back : sessions - back + days]
        below += then <= today
        # NaN equals nothing, not even itself: this counts the sessions that have a value.
        known += then == then
    usable = (known >= max(1, -(-sessions // 2))) & (today == today)
    return where(usable, below / np.maximum(known, 1))


def bucket(norm_share: Floats, range_share: Floats, *, low: float, high: float) -> Floats:
    """Return the liquidity category of each minute: LOW, NORMAL, HIGH, or UNKNOWN without enough earlier sessions."""
    thin = (norm_share < low) | (range_share > high)
    graded = np.where(thin, LOW, np.where(norm_share > high, HIGH, NORMAL))
    return np.where(np.isnan(norm_share) | np.isnan(range_share), UNKNOWN, graded).astype(np.float64)


def _first_known(minutes: Minutes) -> Ints:
    first: Ints = np.argmax(minutes.printed > 0, axis=-1, keepdims=True)
    return first


def _positive(values: Floats) -> Floats:
    """Return the values, NaN where nothing was traded."""
    return where(values > 0, values)
