"""All features of the day in one table, and the panel that forecasters read.

Belongs here: which features there are, in which order, and their joining. Formulas live beside this module.
"""

from collections.abc import Collection
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.features import price, volatility, volume
from timegpt_assets.core.features.clock import clock
from timegpt_assets.core.features.windows import Ints, Sessions, change, log_clock_prices, sessions_of
from timegpt_assets.core.tables import FEATURES, PANEL

KNOWN_AT = pl.col("ts") + pl.duration(minutes=1)


def features(bars: pl.DataFrame, context: pl.DataFrame, *, days: Collection[date], horizon_min: int) -> pl.DataFrame:
    """Return FEATURES: one row per bar of ``days`` with everything known of it at ``known_at``.

    ``bars`` BARS of ``days`` and, for the starting value of vol_ewm_*, of the session before each (others are not
    looked at); ``context`` MARKET_CONTEXT, its columns joined by minute. Float32, but sigma_* and vol_ewm_* (scale of
    y: x sqrt(horizon_min)) Float64. ``vol_ewm_warm``: the previous session was there to start from. Nothing is NaN or
    infinite: what cannot be known is null.
    """
    earlier = {day: calendar.shifted(day, -1) for day in days}
    sessions = sessions_of(bars.filter(pl.col("day").is_in([*earlier, *earlier.values()])))
    frame = sessions.bars.select("day", "symbol", "ts", KNOWN_AT.alias("known_at"))
    frame = frame.with_columns(_columns(sessions, _previous(sessions, earlier), horizon_min))
    frame = frame.filter(pl.col("day").is_in(list(days)))
    return FEATURES.conformed(_with_context(_with_clock(frame), context))


def panel(features: pl.DataFrame, bars: pl.DataFrame, *, days: Collection[date]) -> pl.DataFrame:
    """Return PANEL: the features of ``days`` with clock_price = P(known_at), clock_open = P(open) and is_filled.

    Prices stay Float64: a forecaster's y is made of them. A row of features without its bar raises TableError.
    """
    wanted = pl.col("day").is_in(list(days))
    prices = bars.filter(wanted).sort("day", "symbol", "ts").select(
        "day", "symbol", "ts", "is_filled",
        clock_price=pl.col("close"),
        clock_open=pl.col("open").first().over("day", "symbol"),
    )  # fmt: skip
    return PANEL.conformed(features.filter(wanted).join(prices, on=["day", "symbol", "ts"], how="left"))


def _columns(sessions: Sessions, previous: Ints, horizon_min: int) -> list[pl.Series]:
    """Return every feature made from the symbol's own bars, in table order."""
    log_prices = log_clock_prices(sessions)
    one_minute = change(log_prices, 1)
    scaled = volatility.sigmas(one_minute, horizon_min=horizon_min)
    scaled |= volatility.ewms(one_minute, previous, horizon_min=horizon_min)
    small = {
        "vwap_30m_z": volume.vwap_z(sessions),
        "range_pct": price.range_pct(sessions),
        "volume_norm_5m": volume.volume_norm(sessions),
        "signed_volume": volume.signed_volume(sessions, one_minute),
    }
    return [
        *(sessions.series(name, values) for name, values in price.returns(log_prices).items()),
        *(sessions.series(name, values) for name, values in volatility.realised(one_minute).items()),
        *(sessions.series(name, values, pl.Float64) for name, values in scaled.items()),
        pl.Series("vol_ewm_warm", previous[sessions.column] >= 0),
        *(sessions.series(name, values) for name, values in small.items()),
    ]


def _previous(sessions: Sessions, earlier: dict[date, date]) -> Ints:
    """Return for each session the column of the same symbol's session before it, -1 when its bars are absent."""
    columns = {key: column for column, key in enumerate(sessions.keys.iter_rows())}
    found = (columns.get((earlier.get(day), symbol), -1) for day, symbol in sessions.keys.iter_rows())
    return np.fromiter(found, dtype=np.intp, count=len(columns))


def _with_clock(frame: pl.DataFrame) -> pl.DataFrame:
    times = calendar.sessions_frame(frame["day"].unique())
    stamped = frame.join(times, on="day", how="left")
    return stamped.with_columns(**{name: e.cast(pl.Float32) for name, e in clock().items()}).drop("open", "close")


def _with_context(frame: pl.DataFrame, context: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with the columns of the context; a minute it does not know is ``context_missing``."""
    joined = frame.join(context.drop("known_at", "lineage_id", strict=False), on=["day", "ts"], how="left")
    return joined.with_columns(pl.col("context_missing").fill_null(True))
