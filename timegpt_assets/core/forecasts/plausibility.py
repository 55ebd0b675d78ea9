"""Whether an answer can be about the series that were sent: well-formed numbers may still be somebody else's.

Belongs here: what is implausible beyond reasonable doubt. A forecast that is merely bad is no matter for doubt.
"""

import polars as pl

FARTHEST = 20.0
"""A mean this many times the series' largest value is about something else: the provider's own demo data, say."""
WIDEST = 5.0
"""A band that reaches this many times as far as anything sent is about something else."""
CALMER = 4.0
"""A series that spreads this many times as much as another cannot have the narrower band: their order is mixed up."""


def doubts(answer: pl.DataFrame, sent: pl.DataFrame) -> list[str]:
    """Return one sentence for each way in which the answer cannot be about what was sent; none: plausible.

    ``answer`` as response.forecast gives it; ``sent``: symbol, reach (largest absolute y), spread (its standard
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
    return found or [*_flat(known), *_wide(known), *_swapped(known)]


def _flat(known: pl.DataFrame) -> list[str]:
    """Return doubts about bands without width, and the same numbers for series that differ: nobody computed those."""
    if not (bands := _widest(known)):
        return []
    low, high = bands
    moving = known.filter(pl.col("spread") > 0)
    widths = moving.group_by("symbol").agg((pl.col(high) - pl.col(low)).max().alias("width")).sort("symbol")
    if not (none := widths.filter(pl.col("width") <= 0)).is_empty():
        return [f"{none['symbol'][0]} moves and has bands without width: nothing was forecast"]
    if moving["symbol"].n_unique() > 1 and moving.select(pl.struct("mean", low, high).n_unique()).item() == 1:
        return ["every series and step has the same numbers: nothing was forecast"]
    return []


def _wide(known: pl.DataFrame) -> list[str]:
    if not (bands := _widest(known)):
        return []
    low, high = bands
    reach = pl.max_horizontal(pl.col(low).abs(), pl.col(high).abs()) / pl.col("reach")
    far = known.filter((pl.col("reach") > 0) & (reach > WIDEST)).sort("symbol", "step")
    if far.is_empty():
        return []
    return [f"the bands of {far['symbol'][0]} reach more than {WIDEST:g} times as far as anything sent"]


def _widest(known: pl.DataFrame) -> tuple[str, str] | None:
    levels = sorted(int(name[3:]) for name in known.columns if name.startswith("lo_"))
    return (f"lo_{levels[-1]}", f"hi_{levels[-1]}") if levels else None


def _swapped(known: pl.DataFrame) -> list[str]:
    if not (widest := _widest(known)):
        return []
    low, high = widest
    width = (pl.col(high) - pl.col(low)).median().alias("width")
    bands = known.group_by("symbol").agg(width, pl.col("spread").first()).sort("spread", "symbol")
    wild, calm = bands.row(-1, named=True), bands.row(0, named=True)
    if wild["spread"] < CALMER * calm["spread"] or wild["width"] >= calm["width"]:
        return []
    return [
        # The calm series may not have moved at all: hence the least number it is divided by.
        f"{wild['symbol']} moves {wild['spread'] / max(calm['spread'], 1e-300):.0f} times as much as {calm['symbol']} "
        "and has the narrower band: the series are not in the order they were sent"
    ]
