"""Features of volume: distance from VWAP, activity against the session so far, signed volume.

Belongs here: formulas on arrays of shape (minutes, sessions).
"""

import numpy as np
import polars as pl

from timegpt_assets.core.features.windows import Floats, Sessions, rolling_std, rolling_sum

VWAP_WINDOW = 30
NORM_WINDOW = 5
MIN_OBSERVATIONS = 10


def vwap_z(sessions: Sessions) -> Floats:
    """Return vwap_30m_z = (close - VWAP) / std (ddof 1) of close, both over the last 30 minutes: standard deviations.

    VWAP = sum(volume x (high + low + close) / 3) / sum(volume). Null with fewer than 10 minutes since the first print,
    without volume, or when the close did not move.
    """
    typical = (pl.col("high") + pl.col("low") + pl.col("close")) / 3.0
    close = sessions.array(pl.col("close"))
    traded = rolling_sum(sessions.array(typical * pl.col("volume")), VWAP_WINDOW)
    volume = rolling_sum(sessions.array(pl.col("volume")), VWAP_WINDOW)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (close - traded / volume) / rolling_std(close, VWAP_WINDOW, MIN_OBSERVATIONS)


def volume_norm(sessions: Sessions) -> Floats:
    """Return volume_norm_5m = mean volume of the last 5 minutes / mean minute volume of the session so far: ratio.

    Null in the first 4 minutes and while nothing has traded.
    """
    volume = sessions.array(pl.col("volume"))
    minutes = np.arange(1.0, len(volume) + 1.0)[:, None]
    recent = np.where(minutes >= NORM_WINDOW, rolling_sum(volume, NORM_WINDOW) / NORM_WINDOW, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        return recent / (np.cumsum(np.nan_to_num(volume), axis=0) / minutes)


def signed_volume(sessions: Sessions, minute_returns: Floats) -> Floats:
    """Return sign(ret_1m) x volume of the minute: shares, positive when the price rose; null without a return."""
    return np.sign(minute_returns) * sessions.array(pl.col("volume"))
