"""Bars with a wall clock, as a vendor writes them, and where a zone puts them.

Belongs here: what the tests of several questions start from; the bars themselves are fixtures of conftest.py.
"""

import polars as pl

Bars = pl.DataFrame


def clocked(bars: Bars, name: str, minutes: int = 0) -> Bars:
    """Return the bars with a wall clock in a zone, off by minutes."""
    wall = pl.col("ts").dt.offset_by(f"{minutes}m").dt.convert_time_zone(name).dt.replace_time_zone(None)
    return bars.with_columns(wall=wall)


def placed(bars: Bars, name: str) -> pl.Series:
    return bars.select(pl.col("wall").dt.replace_time_zone(name, ambiguous="earliest").dt.convert_time_zone("UTC"))[
        "wall"
    ]
