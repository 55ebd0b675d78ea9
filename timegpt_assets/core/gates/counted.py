"""What counts: the source triple that monthly gates and promotion read, and what was found instead of it.

Belongs here: which rows are judged, and how a verdict is stamped with them.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core.tables.columns import SOURCE_KEY
from timegpt_assets.core.tables.gates import GATES

LIVE = {"score_source": "model", "run_source": "prod", "data_regime": "prod_live"}
"""The only source triple that monthly gates and promotion count."""


def live(frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the rows that count and, for each symbol that has none, what was found instead."""
    live = frame.filter(**LIVE)
    others = frame.join(live.select("symbol"), on="symbol", how="anti").sort("symbol", *SOURCE_KEY)
    found: dict[str, list[str]] = {}
    for symbol, *triple in others.select("symbol", *SOURCE_KEY).iter_rows():
        found.setdefault(symbol, []).append("+".join(triple))
    wanted = "+".join(LIVE.values())
    return live, {symbol: f": none is {wanted}, found {', '.join(names)}" for symbol, names in found.items()}


def at_cost(frame: pl.DataFrame, multiplier: float) -> dict[str, Any] | None:
    """Return the live row at a cost multiplier, or None. Raises ValueError when the multiplier was not computed."""
    if frame.height and multiplier not in set(frame["cost_multiplier"]):
        raise ValueError(f"no figures at {multiplier:g}x costs. Add {multiplier:g} to backtest.cost_multipliers.")
    live = frame.filter(pl.col("cost_multiplier") == multiplier, **LIVE)
    return live.row(0, named=True) if live.height else None


def stamped(rows: Sequence[Mapping[str, Any]], month: str, as_of: date) -> pl.DataFrame:
    """Return GATES of the rows; they are about what counts unless they say otherwise."""
    made = [{**LIVE, **row, "month": month, "as_of": as_of} for row in rows]
    return GATES.conformed(pl.DataFrame(made, schema=GATES.schema))
