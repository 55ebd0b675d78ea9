"""What must be beaten: a forecaster against the references seated beside it, on their common rows.

Belongs here: which pairs count for whom, and what is said where there is none. Their figures are the comparison's.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import product
from typing import Any

import polars as pl

from timegpt_assets.core.evaluation import comparison
from timegpt_assets.core.evaluation.comparison import RATIOS
from timegpt_assets.core.gates import criteria
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Estimate
from timegpt_assets.core.tables.columns import ORIGIN_KEY, REFERENCES
from timegpt_assets.core.tables.gates import INSUFFICIENT

CRITERIA = tuple(f"{ratio}_{reference}" for ratio, reference in product(RATIOS, REFERENCES))
"""Ratios of losses that must lie strictly below 1 for eligibility and promotion."""
Met = Mapping[str, Mapping[str, Any]]
"""Reference -> ``n`` and the ratios against it, as COMPARISON names them; without a reference that was never met."""


def met_in(scores: pl.DataFrame) -> dict[tuple[str, ...], dict[str, dict[str, Any]]]:
    """Return (symbol, forecaster and sources) -> Met of FORECAST_SCORES: everybody in it against the references in it.

    A reference counts whatever its sources: it has one row per symbol and snapshot.
    """
    found: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for reference in REFERENCES:
        common = comparison.met(scores, scores.filter(forecaster=reference))
        for key, part in common.partition_by(["symbol", *ORIGIN_KEY], as_dict=True, maintain_order=True).items():
            found.setdefault(key, {})[reference] = {"n": part.height, **comparison.ratios(part)}
    return found


def met_by(compared: pl.DataFrame, *, run_source: str) -> dict[str, dict[str, Any]]:
    """Return Met of the COMPARISON rows of one forecaster under one triple: against what references answered on a road.

    Of several triples of a reference the one met most often.
    """
    by_road = pl.col("against_sources").str.split("+").list.get(1) == run_source
    rows = compared.filter(by_road, pl.col("against").is_in(REFERENCES)).sort("n", "against_sources")
    return {row["against"]: row for row in rows.iter_rows(named=True)}


def judged(
    met: Met, *, own: str, seated: Collection[str], needed: int, found: str = "", p_below: float | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of CRITERIA of the forecaster ``own``; with ``p_below`` the test of each behind it.

    A reference that is not ``seated`` beside it, and the own one, are a row that is not passed and says why.
    """
    for ratio, reference in product(RATIOS, REFERENCES):
        asked = {f"{ratio}_{reference}": 1.0} | ({} if p_below is None else {f"{ratio}_{reference}_p": p_below})
        if reason := _unmeasurable(reference, own, seated):
            yield from (criteria.unmeasured(name, threshold, reason) for name, threshold in asked.items())
            continue
        row = met.get(reference)
        evidence = Evidence(n=row["n"] if row else 0, needed=needed, unit="common forecasts", found=found)
        values = (criteria.estimate(row, ratio), Estimate(row[f"{ratio}_p"] if row else None))
        for (name, threshold), value in zip(asked.items(), values, strict=False):
            yield criteria.judged(name, value, "<", threshold, evidence)


def _unmeasurable(reference: str, own: str, seated: Collection[str]) -> str:
    """Return why nothing can be measured against a reference; empty where it can."""
    if own == reference:
        return f"{reference} is what must be beaten: it does not beat itself"
    if reference not in seated:
        return f"{INSUFFICIENT}: {reference} is not seated: add it to forecast.challengers"
    return ""
