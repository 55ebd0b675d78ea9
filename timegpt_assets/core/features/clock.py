"""Features of the clock: known for any minute of any session in advance.

Belongs here: polars expressions over ``day``, ``ts`` and the session's ``open`` and ``close`` times.
"""

from collections.abc import Iterable
from datetime import date
from math import pi

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.features.feature import Feature

HARMONICS = (1, 2, 3)
OPENING, MORNING, MIDDAY, AFTERNOON, CLOSING = range(5)
OPENING_MIN, MORNING_MIN, MIDDAY_MIN, CLOSING_MIN = 30, 120, 240, 30
VERSION = 1
_SOURCE = "exchange calendar"
_MINUTES = (pl.col("close") - pl.col("open")).dt.total_minutes()
_INDEX = (pl.col("ts") - pl.col("open")).dt.total_minutes()
# Not (_INDEX + 1) / _MINUTES: polars divides by a one-value column as x * (1 / c), so that one day alone would differ
# in the last bit from the same day among others.
_PROGRESS = (_INDEX + 1) * (1.0 / _MINUTES)
_LEFT = _MINUTES - _INDEX - 1


def _fourier(wave: str, k: int) -> Feature:
    return Feature(f"fourier_{wave}_{k}", f"{wave}({k} x 2 pi session_progress)", "none", "in [-1, 1]", "Fourier")


FEATURES = (
    Feature("minute_index", "whole minutes from the open to ts", "none", "min, from 0", _SOURCE),
    Feature("session_progress", "(minute_index + 1) / minutes of the session", "none", "share, in (0, 1]", _SOURCE),
    *(_fourier("sin", k) for k in HARMONICS),
    *(_fourier("cos", k) for k in HARMONICS),
    Feature("minutes_to_close", "minutes from known_at to the close", "none", "min, 0 at the end", _SOURCE),
    Feature(
        "session_bucket",
        "0 opening (30 min), 1 morning (to 120), 2 midday (to 240), 3 afternoon, 4 closing (last 30 min)",
        "none", "category", _SOURCE, pl.Int8,
    ),
    Feature("weekday", "1 Monday .. 5 Friday", "none", "category", _SOURCE, pl.Int8),
    Feature("month_end", "1 on the month's last session", "none", "0 or 1", _SOURCE, pl.Int8),
)  # fmt: skip


def columns() -> dict[str, pl.Expr]:
    """Return the clock features, one expression each over a frame [day, ts, open, close, month_end]."""
    # The closing half hour is asked first: on an early close it falls into what is midday on other days.
    bucket = (
        pl.when(_LEFT < CLOSING_MIN).then(CLOSING)
        .when(_INDEX < OPENING_MIN).then(OPENING)
        .when(_INDEX < MORNING_MIN).then(MORNING)
        .when(_INDEX < MIDDAY_MIN).then(MIDDAY)
        .otherwise(AFTERNOON)
    )  # fmt: skip
    return {
        "minute_index": _INDEX,
        "session_progress": _PROGRESS,
        **{f"fourier_sin_{k}": (_PROGRESS * (2.0 * pi * k)).sin() for k in HARMONICS},
        **{f"fourier_cos_{k}": (_PROGRESS * (2.0 * pi * k)).cos() for k in HARMONICS},
        "minutes_to_close": _LEFT,
        "session_bucket": bucket,
        "weekday": pl.col("day").dt.weekday(),
        "month_end": pl.col("month_end"),
    }


def clock(days: Iterable[date]) -> pl.DataFrame:
    """Return [day, ts] and every feature of FEATURES for each minute of the sessions, sorted."""
    chosen = sorted(set(days))
    ends = [int(calendar.shifted(day, 1).month != day.month) for day in chosen]
    frame = calendar.minutes(chosen).join(calendar.sessions_frame(chosen), on="day", how="left", maintain_order="left")
    marks = pl.DataFrame({"day": chosen, "month_end": ends}, schema={"day": pl.Date, "month_end": pl.Int8})
    marked = frame.join(marks, on="day", how="left", maintain_order="left")
    made = columns()
    return marked.select("day", "ts", *(made[f.name].cast(f.dtype).alias(f.name) for f in FEATURES))
