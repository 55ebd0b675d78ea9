"""Features of the clock: known for any minute of any session in advance.

Belongs here: polars expressions over ``day``, ``ts`` and the session's ``open`` and ``close`` times.
"""

from math import pi

import polars as pl

HARMONICS = (1, 2, 3)
_MINUTES = (pl.col("close") - pl.col("open")).dt.total_minutes()
_INDEX = (pl.col("ts") - pl.col("open")).dt.total_minutes()
# Not (_INDEX + 1) / _MINUTES: polars divides by a one-value column as x * (1 / c), so that one day alone would differ
# in the last bit from the same day among others.
_PROGRESS = (_INDEX + 1) * (1.0 / _MINUTES)


def clock() -> dict[str, pl.Expr]:
    """Return the clock features, one expression each over a frame [day, ts, open, close] (open and close as times).

    minute_index: whole minutes from the open to ts, 0-based. session_progress: (minute_index + 1) / minutes of the
    session, in (0, 1]. fourier_sin_k, fourier_cos_k: of 2 pi k session_progress, k = 1, 2, 3. minutes_to_close: from
    known_at, 0 on the last minute. weekday: 1 Monday .. 5 Friday.
    """
    return {
        "minute_index": _INDEX,
        "session_progress": _PROGRESS,
        **{f"fourier_sin_{k}": (_PROGRESS * (2.0 * pi * k)).sin() for k in HARMONICS},
        **{f"fourier_cos_{k}": (_PROGRESS * (2.0 * pi * k)).cos() for k in HARMONICS},
        "minutes_to_close": _MINUTES - _INDEX - 1,
        "weekday": pl.col("day").dt.weekday(),
    }
