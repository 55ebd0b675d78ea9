"""The contract: live answers of the window were asked under one schema, one set of features and one model, today's.

Belongs here: comparing what lineage says of answers. What a record holds is core/lineage.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.core.gates import counted
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.gates import INSUFFICIENT

FIELDS = ("feature_payload_schema_version", "feature_version", "features_hash", "model_name", "model_version")
"""Fields of lineage that must be the same on every session that is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What holds now, and how it must be asked."""

    backend: str
    """How the champion is asked."""
    asked_backend: str | None
    """How it must be; None: anyhow."""
    holds: Mapping[str, str]
    """Field of FIELDS -> its value now."""


def contract(
    live_days: Collection[date],
    made_under: Mapping[date, Mapping[str, str]],
    *,
    month: str,
    as_of: date,
    champion: str,
    asked: Contract,
) -> pl.DataFrame:
    """Return GATES of the champion: a row per field, and one for how it is asked.

    ``live_days``: sessions with live forecasts of the window; ``made_under``: session -> the fields of the record that
    its answers were stored under. A session without a record agrees with nothing.
    """
    days = sorted(set(live_days))
    rows = [_backend(asked), *(_field(name, days, made_under, asked.holds[name]) for name in FIELDS)]
    about = {"forecaster": champion, "gate": "contract", "symbol": WILDCARD}
    return counted.stamped([about | row for row in rows], month, as_of)


def _backend(asked: Contract) -> dict[str, Any]:
    held = asked.asked_backend in (None, asked.backend)
    wanted = asked.asked_backend or "any"
    reason = f"the champion is asked by {asked.backend}, {wanted} is wanted: {'holds' if held else 'does not hold'}"
    return {"criterion": "backend", "value": float(held), "threshold": 1.0, "n": 1, "passed": held, "reason": reason}


def _field(name: str, days: list[date], made_under: Mapping[date, Mapping[str, str]], now: str) -> dict[str, Any]:
    """Return the row of one field: on how many of the sessions it was another than now."""
    others = {day: made_under.get(day, {}).get(name, "unknown") for day in days}
    differing = {day: value for day, value in others.items() if value != now}
    row = {"criterion": name, "value": float(len(differing)), "threshold": 0.0, "n": len(days)}
    if not days:
        return row | {"value": None, "passed": False, "reason": f"{INSUFFICIENT}: no live forecast in the window"}
    if not differing:
        return row | {"passed": True, "reason": f"{now} on all of {len(days)} sessions"}
    seen, last = ", ".join(sorted(set(differing.values()))), max(differing)
    return row | {"passed": False, "reason": f"{now} holds, but {seen} on {len(differing)} sessions, last on {last}"}
