"""How long a bar is: a minute, or the file is another than was meant.

Belongs here: steps between stamps.
"""

import math

import polars as pl

from timegpt_assets.core.vendors.findings import Finding, Refused

LEAST_ROWS = 10
_ROWS_COUNTED = 100_000
"""Rows whose steps are counted for the sentence; what decides looks at all of them."""
SHOW_OPTION = "Fetch one-minute bars, or say --interval 1m if they are."


def interval(bars: pl.DataFrame, *, said: bool) -> Finding:
    """Return the finding that bars [symbol, wall] are of minutes. Raises Refused for bars of seconds, minutes or days.

    A thin share has few neighbouring minutes, but its stamps lie on every one: what tells is the largest step that all
    stamps are multiples of.
    """
    stamps = bars["wall"].drop_nulls()
    seconds = stamps.dt.second().cast(pl.Int64) + stamps.dt.minute().cast(pl.Int64) * 60
    seconds = seconds + stamps.dt.hour().cast(pl.Int64) * 3_600
    distinct = seconds.unique()
    step = math.gcd(*distinct.to_list()) if distinct.len() > 1 else 0
    off = float(((seconds % 60) != 0).mean() or 0.0)  # type: ignore[arg-type]  # of numbers: the stub allows dates too
    if off > 0.5 and not said:
        raise Refused(f"{off:.0%} of its stamps begin on no minute: bars of seconds, or trades. {SHOW_OPTION}")
    if distinct.len() == 1 and stamps.len() > 1 and stamps.dt.date().n_unique() > 1 and not said:
        raise Refused(f"all its stamps are at one time of day: bars of days. {SHOW_OPTION}")
    if step > 60 and stamps.len() >= LEAST_ROWS and not said:
        words = f"{step // 60} minutes" if step < 3_600 or step % 3_600 else f"{step // 3_600} hours"
        raise Refused(f"all its {stamps.len():,} stamps lie on multiples of {words}: bars of {words}. {SHOW_OPTION}")
    ordered = bars.head(_ROWS_COUNTED).drop_nulls("wall").sort("symbol", "wall")
    steps = ordered.select(pl.col("wall").diff().over("symbol").dt.total_seconds())["wall"].drop_nulls()
    ones = float((steps == 60).mean() or 0.0)  # type: ignore[arg-type]  # of numbers: the stub allows dates too
    if steps.len() < LEAST_ROWS and not ones and not said:
        raise Refused(f"has {stamps.len()} rows, none a minute after another: too few to tell. {SHOW_OPTION}")
    how = "as --interval says, and " if said else ""
    return Finding("interval", "1 minute", f"{how}{ones:.0%} of the steps between bars are one")
