"""What a promotion asks of a rung of the model ladder beyond the gates: better than the control arm and its twin.

Belongs here: the criteria of lightgbm, tsmixer and blend alone. Their figures are those of the ladder table.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core.gates import counted, criteria
from timegpt_assets.core.gates.counted import Counted
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.significance import Estimate
from timegpt_assets.core.tables.columns import CONTROL, LADDER, SOURCE_KEY, TWIN, WILDCARD

*PARTS, BLEND = LADDER
JUDGED = {
    "ladder_validation": (CONTROL, "validation"),
    "ladder_forward": (CONTROL, "forward"),
    f"{TWIN}_validation": (TWIN, "validation"),
}
"""Criterion -> who must be beaten, and in which stage of MODEL_REPORT: in its window, and after calibration since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """What a rung must show against the control arm and its unlearnt twin, and on how many sessions."""

    pinball_ratio_lt: float
    dm_p_lt: float
    validation_sessions: int
    min_sessions: int
    """Fewest sessions that no model of the rung was shown."""


def ladder_gate(
    report: pl.DataFrame, *, month: str, as_of: date, forecasters: Collection[str], judged: Counted, asked: Ladder
) -> pl.DataFrame:
    """Return GATES of each rung among the forecasters, each triple: promotion's criteria on the ladder.

    ``report``: MODEL_REPORT of the month. What it has no row of was not seen, and is not passed.
    """
    rows = [
        {"forecaster": rung, "gate": "promotion", "symbol": WILDCARD, **triple, **row}
        for rung in LADDER
        if rung in forecasters
        for triple in judged.triples()
        for row in of_rung(rung, triple, report.filter(rung=rung), asked)
    ]
    return counted.stamped(rows, month, as_of)


def of_rung(rung: str, triple: Mapping[str, str], report: pl.DataFrame, asked: Ladder) -> Iterator[dict[str, Any]]:
    """Yield the criteria of one rung: against whom it is judged, and of a blend what it earns beside its parts."""
    needed = {"validation": asked.validation_sessions, "forward": asked.min_sessions}
    for criterion, (against, stage) in JUDGED.items():
        row, evidence = _row(report, against, stage, triple, needed[stage])
        ratio, p = criteria.estimate(row, "pinball_ratio"), Estimate(row["dm_p"] if row else None)
        yield criteria.judged(criterion, ratio, "<", asked.pinball_ratio_lt, evidence)
        yield criteria.judged(f"{criterion}_p", p, "<", asked.dm_p_lt, evidence)
    if rung == BLEND:
        for part in PARTS:
            row, evidence = _row(report, part, "forward", triple, asked.min_sessions)
            yield criteria.judged(f"net_pnl_over_{part}", _beyond(row, "net_pnl"), ">", 0, evidence)
        row, evidence = _row(report, CONTROL, "forward", triple, asked.min_sessions)
        yield criteria.judged(f"drawdown_over_{CONTROL}", _beyond(row, "max_drawdown"), "<=", 0, evidence)


def _row(
    report: pl.DataFrame, against: str, stage: str, triple: Mapping[str, str], needed: int
) -> tuple[Mapping[str, Any] | None, Evidence]:
    """Return the rung's row against another, and what it rests on; validation is of no triple."""
    sources = dict.fromkeys(SOURCE_KEY, WILDCARD) if stage == "validation" else triple
    found = report.filter(against=against, stage=stage, **sources)
    row = found.row(0, named=True) if found.height else None
    met = "" if row else f": {against} and it have no common row in {stage}"
    return row, Evidence(n=row["sessions"] if row else 0, needed=needed, unit="sessions", found=met)


def _beyond(row: Mapping[str, Any] | None, name: str) -> Estimate:
    """Return by how much the rung's own figure exceeds the other's on their common sessions."""
    return Estimate(row[name] - row[f"against_{name}"] if row else None)
