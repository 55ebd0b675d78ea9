"""What the market did one minute ago: context symbols and the dispersion of the others.

Belongs here: features that look across symbols. Everything is lagged one minute, so that a forecast never hangs on
prices of other symbols that arrive at the same instant.
"""

from collections.abc import Collection, Sequence
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.features import volatility
from timegpt_assets.core.features.windows import change, log_clock_prices, sessions_of
from timegpt_assets.core.tables import MARKET_CONTEXT

KINDS = ("ret_1m", "ret_15m", "vol_60m")
MINUTE = pl.duration(minutes=1)


def market_context(bars: pl.DataFrame, *, days: Collection[date], context: Sequence[str]) -> pl.DataFrame:
    """Return MARKET_CONTEXT: one row per minute of the sessions ``days``, as known one minute before ``known_at``.

    ``bars`` BARS of all symbols. Columns, Float32: for each context symbol (lower case) <sym>_ret_1m and <sym>_ret_15m
    (log returns) and <sym>_vol_60m (std of one-minute returns over 60 minutes); ``dispersion``, the standard deviation
    (ddof 1) of ret_1m across the symbols that are not context, null with fewer than two. A context symbol without bars
    on a day has nulls there and ``context_missing`` is true.
    """
    moves = _lagged_moves(bars.filter(pl.col("day").is_in(list(days))))
    frame = calendar.minutes(days).select("day", "ts", "known_at")
    for symbol in context:
        own = moves.filter(pl.col("symbol") == symbol)
        renamed = own.select("day", "ts", *(pl.col(kind).alias(f"{symbol.lower()}_{kind}") for kind in KINDS))
        frame = frame.join(renamed, on=["day", "ts"], how="left")
    others = _dispersion(moves.filter(~pl.col("symbol").is_in(list(context))))
    present = bars.filter(pl.col("symbol").is_in(list(context))).group_by("day").agg(n=pl.col("symbol").n_unique())
    frame = frame.join(others, on=["day", "ts"], how="left").join(present, on="day", how="left")
    missing = pl.col("n").fill_null(0) < len(set(context))
    return MARKET_CONTEXT.conformed(frame.with_columns(context_missing=missing).drop("n"))


def _lagged_moves(bars: pl.DataFrame) -> pl.DataFrame:
    """Return [day, symbol, ts, ret_1m, ret_15m, vol_60m] under the bar one minute later than the one they describe."""
    sessions = sessions_of(bars)
    log_prices = log_clock_prices(sessions)
    one_minute = change(log_prices, 1)
    return sessions.bars.select("day", "symbol", pl.col("ts") + MINUTE).with_columns(
        sessions.series("ret_1m", one_minute),
        sessions.series("ret_15m", change(log_prices, 15)),
        sessions.series("vol_60m", volatility.sigma(one_minute, window=60, horizon_min=1)),
    )


def _dispersion(moves: pl.DataFrame) -> pl.DataFrame:
    """Return [day, ts, dispersion], added up symbol by symbol in alphabetical order."""
    wide = moves.pivot("symbol", index=["day", "ts"], values="ret_1m", sort_columns=True)
    returns = wide.drop("day", "ts").cast(pl.Float64).fill_null(float("nan")).to_numpy()
    n, total, squares = (np.zeros(len(wide)) for _ in range(3))
    for values in returns.T:
        n += np.isfinite(values)
        total += np.nan_to_num(values)
    mean = total / np.maximum(n, 1.0)
    for values in returns.T:
        squares += np.nan_to_num(values - mean) ** 2
    spread = np.where(n >= 2, np.sqrt(squares / np.maximum(n - 1.0, 1.0)), np.nan)
    return wide.select("day", "ts", pl.Series("dispersion", spread, nan_to_null=True).cast(pl.Float32))
