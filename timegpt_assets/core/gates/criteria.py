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


def coverage(measured: Mapping[str, Any] | None, *, tolerance: float, needed: int, found: str) -> dict[str, Any]:
    """Return the row of "calibrated": coverage within the tolerance of nominal, or nominal inside its interval."""
    evidence = Evidence(n=measured["n"] if measured else 0, needed=needed, found=found)
    return judged("coverage_50", estimate(measured, "coverage_50"), "covers", tolerance, evidence)


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
