"""The rollout of the model's bands: what holds in a cycle, and what the next phase asks.

Belongs here: UTC days, criteria and refusals. Phases and the record's lines are those of core/rollout/phases.py; which
markets a share is stands in assignment.py, what sends it back in precision.py.
"""

from datetime import UTC, date, datetime, time
from typing import Any, TypeAlias

import polars as pl

from timegpt_assets.core.rollout import phases
from timegpt_assets.core.rollout.advancing import Unproven
from timegpt_assets.core.rollout.phases import FULL, PHASES, SHADOW, RolloutRefused, Standing
from timegpt_assets.core.tsfm.assignment import TSFM
from timegpt_assets.core.tsfm.precision import Verdict

Criterion: TypeAlias = dict[str, Any]
"""criterion, value, threshold, passed, reason."""
STATUS = "timegpt-assets tsfm rollout status"


def standing(recorded: pl.DataFrame) -> Standing | None:
    """Return where the rollout stands after all that is recorded; None: it never began."""
    return phases.standings(recorded.filter(forecaster=TSFM)).get(TSFM)


def begins(day: date) -> datetime:
    """Return 00:00 UTC of a day: a step forward that was recorded before it holds on it, in a replay the same."""
    return datetime.combine(day, time(), UTC)


def share_at(recorded: pl.DataFrame, at: datetime) -> int:
    """Return the percentage of markets that gets the model's bands in the cycle of a moment; 0 without a rollout.

    A step forward holds from the UTC day on that begins after it, a step back at once: of two days that meet at
    midnight, the first is judged when the second has begun.
    """
    begun = pl.col("time") < begins(at.date())
    taken_back = (pl.col("what") == phases.ROLLBACK) & (pl.col("time") <= at)
    found = standing(recorded.filter(begun | taken_back))
    return found.share if found else 0


def started(recorded: pl.DataFrame) -> Standing:
    """Return where the rollout stands. Raises RolloutRefused where it never began."""
    if found := standing(recorded):
        return found
    raise RolloutRefused("the bands of the model are in no rollout. Begin it with: timegpt-assets tsfm rollout start")


def refuse_started(recorded: pl.DataFrame) -> None:
    """Raise RolloutRefused where the rollout has begun: from shadow it goes on, or stays."""
    if found := standing(recorded):
        raise RolloutRefused(f"its rollout has begun: in {found.phase} {since(found)}. See what is missing: {STATUS}")


def refuse_moved(recorded: pl.DataFrame, seen: Standing) -> None:
    """Raise RolloutRefused where something was recorded since the evidence for a step was looked at."""
    found = started(recorded)
    if found != seen:
        raise RolloutRefused(f"it was moved to {found.phase} {since(found)} by {found.who} meanwhile. Look: {STATUS}")


def refuse_shadow(found: Standing) -> None:
    """Raise RolloutRefused where there is nothing to take back."""
    if found.phase == SHADOW:
        raise RolloutRefused(
            f"the rollout is in shadow {since(found)}: every market has the baseline's band. Leave it: nothing is used."
        )


def next_phase(found: Standing) -> str:
    """Return the phase after the one it is in. Raises RolloutRefused from full."""
    if found.phase == FULL:
        raise RolloutRefused(
            f"the rollout is in full {since(found)}, and there is no phase after it. Take it back with: "
            "timegpt-assets tsfm rollout rollback --reason WHY"
        )
    return PHASES[PHASES.index(found.phase) + 1]


def criteria(days: int, found: Verdict, *, min_days: int, min_breaches: int) -> list[Criterion]:
    """Return every criterion of an advance: finished days of the phase, breaches of each side, and their precision."""
    fewest = min(found.tsfm.breaches, found.baseline.breaches)
    told = f"{found.tsfm.breaches} of the model's bands, {found.baseline.breaches} of the baseline's"
    return [
        _criterion("days", days, min_days, days >= min_days, f"{days} finished days in the phase, {min_days} asked"),
        _criterion("breaches", fewest, min_breaches, fewest >= min_breaches, f"{told}, {min_breaches} of each asked"),
        _criterion("precision_drop", found.drop, None, found.drop is not None and not found.fired, found.reason),
    ]


def refuse_unproven(found: list[Criterion], phase: str) -> None:
    """Raise Unproven where a criterion was not passed."""
    if lacking := [f"{row['criterion']}: {row['reason']}" for row in found if not row["passed"]]:
        raise Unproven(
            f"for {phase} is missing: {'; '.join(lacking)}. Days come with timegpt-assets tsfm cycle or replay; "
            f"what is left is told by: {STATUS}"
        )


def since(found: Standing) -> str:
    """Return since when it stands there, in words."""
    return f"since {found.since:%Y-%m-%d %H:%M} UTC"


def _criterion(name: str, value: float | None, threshold: float | None, passed: bool, reason: str) -> Criterion:
    return {"criterion": name, "value": value, "threshold": threshold, "passed": passed, "reason": reason}
