"""Phases of a rollout: what was recorded of whom, what holds on a day because of it, and what may be recorded next.

Belongs here: the meaning of the record's lines. Which symbols a share is stands in core/backtest/books.py, what an
advance asks in advancing.py, what sends a challenger back in triggers.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.books import Shares
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.schema import TIME

PHASES = ("shadow", "canary", "ramp", "full")
"""In order; in shadow nothing of it is traded, in full all."""
SHADOW, CANARY, RAMP, FULL = PHASES
START, ADVANCE, ROLLBACK = "start", "advance", "rollback"
BY_ITSELF = "sensor "
"""Begins who took a step that no person took."""
RECORDED = pl.Schema(
    {
        "time": TIME,
        "what": pl.String(),
        "forecaster": pl.String(),
        "phase": pl.String(),
        "share": pl.Int64(),
        "who": pl.String(),
        "why": pl.String(),
    }
)
"""A step of a rollout, in the order of the record: phase and share hold from it on."""
NOTHING = pl.DataFrame(schema=RECORDED)


class RolloutRefused(Explained, RuntimeError):
    """Raised for a step that cannot be taken from where the forecaster stands; names what is missing and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a forecaster stands in its rollout."""

    forecaster: str
    phase: str
    share: int
    """Percentage of symbols that trades it."""
    since: datetime
    """When that was recorded."""
    who: str
    why: str

    @property
    def traded(self) -> bool:
        """Return whether any share of symbols trades it."""
        return self.phase != SHADOW

    def holds_on(self, day: date) -> bool:
        """Return whether it was recorded before a session's open."""
        return self.since < calendar.session(day).open


def before(recorded: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return what was recorded before a session's open: what holds on it, in a replay the same."""
    return recorded.filter(pl.col("time") < calendar.session(day).open)


def standings(recorded: pl.DataFrame) -> dict[str, Standing]:
    """Return where everyone in rollout stands after all that is recorded, in the order in which they left shadow."""
    found: dict[str, Standing] = {}
    for row in recorded.iter_rows(named=True):
        name = row["forecaster"]
        was = found.get(name)
        if was is None or not was.traded:
            found.pop(name, None)  # who leaves shadow now comes after everyone who has left it
        said = {key: row[key] for key in ("phase", "share", "who", "why")}
        found[name] = Standing(forecaster=name, since=row["time"], **said)
    return found


def shares(recorded: pl.DataFrame, days: Iterable[date]) -> dict[date, Shares]:
    """Return the days on which challengers are traded, with the share of each."""
    found = {day: [s for s in standings(before(recorded, day)).values() if s.traded] for day in sorted(set(days))}
    return {day: tuple((s.forecaster, s.share) for s in traded) for day, traded in found.items() if traded}


def next_phase(standing: Standing) -> str:
    """Return the phase after the one it is in. Raises RolloutRefused from full."""
    if standing.phase == FULL:
        raise RolloutRefused(
            f"{standing.forecaster} is in full since {standing.since:%Y-%m-%d %H:%M} UTC: every symbol trades it, and "
            f"there is no phase after it. Take it back with: timegpt-assets rollout rollback {standing.forecaster} "
            "--reason WHY"
        )
    return PHASES[PHASES.index(standing.phase) + 1]


def found(recorded: pl.DataFrame, forecaster: str) -> Standing:
    """Return where a forecaster stands. Raises RolloutRefused for one that is in no rollout."""
    known = standings(recorded)
    if forecaster in known:
        return known[forecaster]
    others = f" In rollout: {', '.join(known)}." if known else ""
    raise RolloutRefused(
        f"{forecaster} is in no rollout.{others} Begin one with: timegpt-assets rollout start {forecaster}"
    )


def refuse_started(recorded: pl.DataFrame, forecaster: str) -> None:
    """Raise RolloutRefused for one whose rollout has begun: from shadow it goes on, or stays."""
    if standing := standings(recorded).get(forecaster):
        raise RolloutRefused(
            f"{forecaster} is in {standing.phase} since {standing.since:%Y-%m-%d %H:%M} UTC: its rollout has begun. "
            f"See what its next phase asks with: timegpt-assets rollout status"
        )


def refuse_second(recorded: pl.DataFrame, forecaster: str, phase: str) -> None:
    """Raise RolloutRefused where another one is on its way: evidence of two at once would be of neither."""
    under_way = [s for s in standings(recorded).values() if s.phase in (CANARY, RAMP) and s.forecaster != forecaster]
    if phase != SHADOW and under_way:
        other = under_way[0]
        raise RolloutRefused(
            f"{other.forecaster} is in {other.phase}: one challenger at a time is on its way. Bring it to full with: "
            f"timegpt-assets rollout advance {other.forecaster}, or take it back with: "
            f"timegpt-assets rollout rollback {other.forecaster} --reason WHY"
        )


def refuse_moved(standing: Standing, seen: Standing) -> None:
    """Raise RolloutRefused where something was recorded since the evidence for a step was looked at."""
    if standing != seen:
        raise RolloutRefused(
            f"{standing.forecaster} was moved to {standing.phase} at {standing.since:%Y-%m-%d %H:%M:%S} UTC meanwhile, "
            f"by {standing.who}. Look again with: timegpt-assets rollout status"
        )


def shares_of(canary: int, ramp: int) -> Mapping[str, int]:
    """Return phase -> percentage of the symbols that trade the challenger in it."""
    return {SHADOW: 0, CANARY: canary, RAMP: ramp, FULL: 100}
