"""Criteria: one measured value against what is asked of it, and the verdict in words.

Belongs here: how a value is judged and when there is too little of it to judge. What is asked of whom is in gates.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from timegpt_assets.core.significance import Estimate
from timegpt_assets.core.tables.gates import INSUFFICIENT

NOMINAL = 0.5
"""What the 50 % band promises to cover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How many observations a verdict rests on, how many it needs, and what was found instead of them."""

    n: int
    needed: int
    unit: str = "forecasts"
    found: str = ""


def ratio(measured: Mapping[str, Any] | None, name: str, *, below: float, needed: int, found: str) -> dict[str, Any]:
    """Return the row of "the loss ratio ``name`` of a FORECAST_DIAGNOSTICS row is below ..."."""
    evidence = Evidence(n=measured[f"{name}_n"] if measured else 0, needed=needed, found=found)
    return judged(name, estimate(measured, name), "<", below, evidence)


def beating(row: dict[str, Any], beside: Mapping[str, Any] | None, reference: str) -> dict[str, Any]:
    """Return the row of ``ratio`` with what the reference scores on the same rows under the reference's name.

    A threshold that the reference passes shows no skill: it must be beaten, too. ``beside``: a row of COMPARISON; where
    the two never met, nothing is passed.
    """
    name = row["criterion"]
    own, other = (beside[f"{side}{name}_last"] if beside else None for side in ("", "against_"))
    judged = {**row, reference: other}
    if row["reason"].startswith(INSUFFICIENT) or row["value"] is None:
        return judged
    if own is None or other is None:
        reason = f"{INSUFFICIENT}: {reference} answered none of these forecasts: add it to forecast.challengers"
        return judged | {"passed": False, "reason": reason}
    if other >= row["threshold"]:
        return judged | {"reason": f"{row['reason']}; {reference} scores {other:.4g}"}
    beaten = own < other
    said = f"{reference} passes it, too, and must be beaten: {own:.4g} < {other:.4g}"
    reason = f"{row['reason']}; {said} {'holds' if beaten else 'does not hold'}"
    return judged | {"passed": row["passed"] and beaten, "reason": reason}


def coverage(measured: Mapping[str, Any] | None, *, tolerance: float, needed: int, found: str) -> dict[str, Any]:
    """Return the row of "calibrated": coverage within the tolerance of nominal, or nominal inside its interval."""
    evidence = Evidence(n=measured["n"] if measured else 0, needed=needed, found=found)
    ends = ("", "_day_low", "_day_high")  # over days: what is covered of one day hangs together
    value = Estimate(*(measured[f"coverage_50{end}"] for end in ends)) if measured else Estimate()
    return judged("coverage_50", value, "covers", tolerance, evidence)


def unmeasured(criterion: str, threshold: float, reason: str) -> dict[str, Any]:
    """Return the row of what cannot be measured: never passed, with the reason in words."""
    return {"criterion": criterion, "threshold": threshold, "n": 0, "passed": False, "reason": reason}


def figure(
    measured: Mapping[str, Any] | None,
    column: str,
    *,
    criterion: str,
    relation: str,
    threshold: float,
    needed: int,
    found: str,
) -> dict[str, Any]:
    """Return the row of a trading figure, which rests on observation days."""
    evidence = Evidence(n=measured["observation_days"] if measured else 0, needed=needed, unit="days", found=found)
    return judged(criterion, estimate(measured, column), relation, threshold, evidence)


def count(criterion: str, evidence: Evidence) -> dict[str, Any]:
    """Return the row of "there are enough of them"."""
    return judged(criterion, Estimate(float(evidence.n)), ">=", evidence.needed, evidence)


def estimate(measured: Mapping[str, Any] | None, name: str) -> Estimate:
    """Return a column and the ends of its interval from a row of metrics; nothing without a row."""
    return Estimate(*(measured[f"{name}{end}"] for end in ("", "_low", "_high"))) if measured else Estimate()


def judged(criterion: str, value: Estimate, relation: str, threshold: float, evidence: Evidence) -> dict[str, Any]:
    """Return the row of a criterion: passed only on enough evidence, and always with the reason in words.

    ``relation``: <, <=, >, >=, or covers (within ``threshold`` of nominal, or nominal inside the interval).
    """
    passed = False
    if evidence.n < evidence.needed:
        reason = f"{INSUFFICIENT}: {evidence.n} {evidence.unit}, {evidence.needed} needed{evidence.found}"
    elif value.value is None:
        reason = f"{criterion} is undefined: no variance, or nothing to compare with"
    else:
        passed = _holds(value, value.value, relation, threshold)
        asked = f"within {threshold:g} of {NOMINAL} or {NOMINAL} in its interval" if relation == "covers" else None
        reason = f"{value.value:.4g} {asked or f'{relation} {threshold:g}'} {'holds' if passed else 'does not hold'}"
    return {
        "criterion": criterion,
        "value": value.value,
        "low": value.low,
        "high": value.high,
        "threshold": float(threshold),
        "n": evidence.n,
        "passed": passed,
        "reason": reason,
    }


def _holds(estimate: Estimate, value: float, relation: str, threshold: float) -> bool:
    # The one criterion that an interval decides: elsewhere it is shown, and the value alone is compared.
    if relation == "covers":
        inside = estimate.low is not None and estimate.high is not None and estimate.low <= NOMINAL <= estimate.high
        return inside or abs(value - NOMINAL) <= threshold
    return {"<": value < threshold, "<=": value <= threshold, ">": value > threshold, ">=": value >= threshold}[
        relation
    ]
