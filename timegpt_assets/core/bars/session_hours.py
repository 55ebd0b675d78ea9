"""Where a day's rows say the session lies: its edges drawn by volume, or by where a feed of extended hours ends.

Belongs here: the question of whole hours, asked of placed rows. What it means for a day is core/bars/quality_rules.py.
"""

from collections.abc import Mapping
from datetime import date

import polars as pl

from timegpt_assets.core.bars.rows import KEY

SHIFTS = tuple(hour * 60 for hour in range(-9, 9) if hour)
"""Minutes by which a session may lie off: whole hours, when clocks changed or a zone was not told, inside its day."""
_SLOT = 30
"""Minutes: sessions begin and end on multiples of it from their open, and so do shifted ones."""
_EARLY, _LATE = 11, 8
"""Slots that extended hours begin before the open (04:00) and end after the close (20:00; 17:00 on half days)."""
_STEEP = 2.0
"""Times as much volume inside an edge of a session as outside of it, at least: most have ten and more."""

Profile = Mapping[int, float]
"""By slot of half an hour, counted from the open: how much was traded, or how many minutes were."""


def shifts(rows: pl.DataFrame, doubtful: pl.DataFrame) -> pl.DataFrame:
    """Return [day, symbol, shifted_min] of the doubtful keys: minutes from its place at which a session is seen, or 0.

    ``rows`` are placed (core/bars/rows.py), ``doubtful`` are facts with rows outside the session or too few inside.
    Trade is several times as heavy just inside a session's open and close as just outside, whether the feed carries
    extended hours or nothing there; a session is seen where both edges are steep, and believed where it holds more
    volume than the minutes in its place. Where volume draws none at all, the ends of a feed of extended hours tell. A
    day cut short, or with early trade, has no second edge at any shift.
    """
    slot = (pl.col("ts") - pl.col("open_time")).dt.total_minutes().floordiv(_SLOT)
    # of half an hour the median minute, and how many were traded: no block and no cross outweighs it
    traded = (
        rows.join(doubtful, on=KEY, how="semi")
        .with_columns(slot=slot, activity=_activity())
        .group_by(*KEY, "slot")
        .agg(volume=pl.col("activity").median() * pl.len(), minutes=pl.len())
    )
    volumes: dict[tuple[date, str], dict[int, float]] = {}
    printed: dict[tuple[date, str], dict[int, float]] = {}
    for day, symbol, at, volume, minutes in traded.iter_rows():
        volumes.setdefault((day, symbol), {})[at] = volume
        printed.setdefault((day, symbol), {})[at] = minutes
    found = [
        (day, symbol, _shift(volumes[day, symbol], printed[day, symbol], minutes // _SLOT))
        for day, symbol, minutes in doubtful.select(*KEY, "rows_expected").iter_rows()
        if (day, symbol) in volumes
    ]
    schema = {"day": pl.Date, "symbol": pl.String, "shifted_min": pl.Int64}
    return pl.DataFrame(found, schema=schema, orient="row")


def _activity() -> pl.Expr:
    """Return what tells a session from the hours around it: volume, or the mere row where a day has none."""
    volume = pl.col("volume").fill_nan(0.0).fill_null(0.0)
    return pl.when((volume.sum() > 0).over(KEY)).then(volume).otherwise(1.0)


def _shift(volume: Profile, printed: Profile, slots: int) -> int:
    """Return the shift of the session that is seen and holds the most volume; 0 where none holds more than its place.

    ``slots``: half hours of the session.
    """
    held = {shift: sum(volume.get(shift // _SLOT + at, 0.0) for at in range(slots)) for shift in (0, *SHIFTS)}
    drawn = [shift for shift in held if _is_seen(volume, shift // _SLOT, slots)]
    if drawn:
        # 0 comes first: of equals the session stays in its place.
        return max((0, *drawn), key=lambda shift: held[shift])
    ends = [shift for shift in held if _is_seen(printed, shift // _SLOT - _EARLY, _EARLY + slots + _LATE)]
    return ends[0] if ends else 0


def _is_seen(profile: Profile, first: int, slots: int) -> bool:
    """Return whether both ends of so many slots are steep."""
    edges = ((first, first - 1), (first + slots - 1, first + slots))
    return all(profile.get(inside, 0.0) > _STEEP * profile.get(outside, 0.0) for inside, outside in edges)
