"""Whether an answer can be about the series that were sent: well-formed numbers may still be somebody else's.

Belongs here: what is implausible beyond reasonable doubt. A forecast that is merely bad is no matter for doubt.
"""

import polars as pl

FARTHEST = 20.0
"""A mean this many times the series' largest value is about something else: the provider's own demo data, say."""
CALMER = 4.0
"""A series that spreads this many times as much as another cannot have the narrower band: their order is mixed up."""


def doubts(answer: pl.DataFrame, sent: pl.DataFrame) -> list[str]:
    """Return one sentence for each way in which the answer cannot be about what was sent; none: plausible.

    ``answer`` as provider_answer.rows gives it; ``sent``: symbol, reach (largest absolute y), spread (its standard
    deviation). Series alike in spread may be swapped without anybody noticing: nothing in an answer names them.
    """
    known = answer.join(sent, on="symbol")
    far = known.filter((pl.col("reach") > 0) & (pl.col("mean").abs() > FARTHEST * pl.col("reach"))).sort(
        "symbol", "step"
    )
    found = []
    if not far.is_empty():
        row = far.row(0, named=True)
        found.append(
            f"{row['symbol']} is said to be {row['mean']:g} when nothing sent lies beyond {row['reach']:g}: "
            "that is not about these series"
        )
    return found + _swapped(known)


def _swapped(known: pl.DataFrame) -> list[str]:
    levels = sorted((int(name[3:]) for name in known.columns if name.startswith("lo_")), reverse=True)
    if not levels:
        return []
    width = (pl.col(f"hi_{levels[0]}") - pl.col(f"lo_{levels[0]}")).median().alias("width")
    bands = known.group_by("symbol").agg(width, pl.col("spread").first()).sort("spread", "symbol")
    wild, calm = bands.row(-1, named=True), bands.row(0, named=True)
    if wild["spread"] < CALMER * calm["spread"] or wild["width"] >= calm["width"]:
        return []
    return [
        f"{wild['symbol']} moves {wild['spread'] / max(calm['spread'], 1e-300):.0f} times as much as {calm['symbol']} "
        "and has the narrower band: the series are not in the order they were sent"
    ]
