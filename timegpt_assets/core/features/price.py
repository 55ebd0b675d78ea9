"""Features of price alone: returns and the minute's range.

Belongs here: formulas on arrays of shape (minutes, sessions); see windows.py for the layout.
"""

import polars as pl

from timegpt_assets.core.features.windows import Floats, Sessions, change

RETURN_WINDOWS = (1, 5, 15, 30)


def returns(log_prices: Floats) -> dict[str, Floats]:
    """Return ret_Nm = ln P(t) - ln P(t - N min), N in 1, 5, 15, 30: log return; null before open + N."""
    return {f"ret_{n}m": change(log_prices, n) for n in RETURN_WINDOWS}


def range_pct(sessions: Sessions) -> Floats:
    """Return (high - low) / close of the minute: share of the price; 0 on filled minutes."""
    return sessions.array(pl.col("high") - pl.col("low")) / sessions.array(pl.col("close"))
