"""What counts: the source triples that monthly gates judge, each by itself, and what was found instead of them.

Belongs here: which rows are judged, and how a verdict is stamped with them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any

import polars as pl

from timegpt_assets.core.tables.columns import SOURCE_KEY, WILDCARD
from timegpt_assets.core.tables.gates import GATES, INSUFFICIENT

LIVE = {"score_source": "model", "run_source": "prod", "data_regime": "prod_live"}
"""The only source triple that promotion counts, whatever else is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Which rows monthly gates judge: those of a model, by these roads and under these regimes."""

    run_sources: Sequence[str]
    data_regimes: Sequence[str]

    def triples(self) -> Iterator[dict[str, str]]:
        """Yield every triple that is judged; live is what was asked in prod alone."""
        for road, regime in product(self.run_sources, self.data_regimes):
            if regime != LIVE["data_regime"] or road == LIVE["run_source"]:
                yield {"score_source": LIVE["score_source"], "run_source": road, "data_regime": regime}


def of(frame: pl.DataFrame, triple: Mapping[str, str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the rows of a triple and, for each symbol that has none, what was found instead."""
    own = frame.filter(**triple)
    others = frame.join(own.select("symbol"), on="symbol", how="anti").sort("symbol", *SOURCE_KEY)
    found: dict[str, list[str]] = {}
    for symbol, *sources in others.select("symbol", *SOURCE_KEY).iter_rows():
        found.setdefault(symbol, []).append("+".join(sources))
    wanted = "+".join(triple.values())
    return own, {symbol: f": none is {wanted}, found {', '.join(names)}" for symbol, names in found.items()}


def at_cost(frame: pl.DataFrame, multiplier: float, triple: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the triple's row at a cost multiplier, or None. Raises ValueError when it was not computed."""
    if frame.height and multiplier not in set(frame["cost_multiplier"]):
        raise ValueError(f"no figures at {multiplier:g}x costs. Add {multiplier:g} to backtest.cost_multipliers.")
    own = frame.filter(pl.col("cost_multiplier") == multiplier, **triple)
    return own.row(0, named=True) if own.height else None


def stamped(rows: Sequence[Mapping[str, Any]], month: str, as_of: date) -> pl.DataFrame:
    """Return GATES of the rows; they are about what is live unless they say otherwise."""
    made = [{**LIVE, **row, "month": month, "as_of": as_of} for row in rows]
    return GATES.conformed(pl.DataFrame(made, schema=GATES.schema))


def status(rows: pl.DataFrame) -> dict[str, Any]:
    """Return what GATES rows of one forecaster come to: status, how many passed, what was counted, figures of all.

    ``status``: passed, failed, or insufficient_observation where only what was seen too little stands in the way.
    """
    if rows.is_empty():
        return {"status": INSUFFICIENT, "passed": 0, "criteria": 0}
    triples = rows.select(pl.concat_str(SOURCE_KEY, separator="+")).to_series().unique().sort()
    failed = rows.filter(~pl.col("passed"))
    unseen = failed["reason"].str.starts_with(INSUFFICIENT).all()
    pooled = rows.filter(symbol=WILDCARD).drop_nulls("value")
    return {
        "status": "passed" if failed.is_empty() else INSUFFICIENT if unseen else "failed",
        "passed": rows.height - failed.height,
        "criteria": rows.height,
        "as_of": str(rows["as_of"].max()),
        "counted": ", ".join(triples),
        **dict(pooled.select("criterion", "value").iter_rows()),
    }
