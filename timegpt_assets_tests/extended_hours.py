"""Made pre- and post-market around a session's bars: what feeds from 04:00 to 20:00 New York carry.

Belongs here: the made hours. They are thin, patchy, and busier near the session; the minute at the close holds the
closing cross.
"""

from datetime import timedelta

import numpy as np
import polars as pl

from timegpt_assets.core import calendar

_OPEN, _DAWN, _DUSK = 570, 240, 1200


def extended(bars: pl.DataFrame, *, seed: int = 3, cross: bool = True, patchy: float = 0.4) -> pl.DataFrame:
    """Return the bars [symbol, ts, OHLCV] with made minutes around each session, in time order.

    ``patchy``: share of the made minutes without a print. ``cross``: the minute at the close holds a tenth of the day.
    """
    random = np.random.default_rng(seed)
    local = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date()
    made = [bars]
    for (_, day), part in bars.group_by("symbol", local.alias("day"), maintain_order=True):
        session = calendar.session(day)  # type: ignore[arg-type]
        usual = float(part["volume"].median() or 1.0)  # type: ignore[arg-type]
        before = np.arange(_DAWN - _OPEN, 0)
        after = np.arange(session.minutes, _DUSK - _OPEN)
        minutes = np.concatenate([before, after])
        near = np.where(minutes < 0, np.exp(minutes / 90), np.exp((session.minutes - minutes) / 60))
        volume = np.ceil(usual * 0.12 * near * random.lognormal(0, 0.8, minutes.size))
        kept = random.random(minutes.size) >= patchy
        kept[minutes == session.minutes] = cross
        volume[minutes == session.minutes] = np.ceil(part["volume"].sum() * 0.1)
        price = np.where(minutes < 0, part["open"][0], part["close"][-1])
        rows = pl.DataFrame({"ts": [session.open + timedelta(minutes=int(m)) for m in minutes], "p": price})
        rows = rows.select(pl.lit(part["symbol"][0]).alias("symbol"), pl.col("ts").cast(bars.schema["ts"]),
            *(pl.col("p").alias(name) for name in ("open", "high", "low", "close")),
            pl.Series("volume", volume).cast(bars.schema["volume"]))  # fmt: skip
        made.append(rows.filter(pl.Series(kept)))
    return pl.concat(made).sort("symbol", "ts")
