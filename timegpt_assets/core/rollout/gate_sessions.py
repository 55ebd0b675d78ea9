"""Gate sessions: on which sessions a challenger's own gates held, by symbol_gates of the day.

Belongs here: one session's verdict. How many of them an advance asks is advancing.py, how many send back triggers.py.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from timegpt_assets.core.tables.columns import FALLBACK, ORIGIN_KEY

PASSED, FAILED, SILENT, UNDECIDED = "passed", "failed", "silent", "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSession:
    """What a session's gates said of a challenger."""

    day: date
    eligible: int
    """Symbols it may trade, of those it answered itself."""
    ineligible: int
    silent: bool
    """Others were asked, and it gave no answer of its own."""

    @property
    def verdict(self) -> str:
        """Return passed, failed, silent, or undecided where too little was seen of every symbol."""
        if self.silent:
            return SILENT
        if not self.eligible + self.ineligible:
            return UNDECIDED
        return PASSED if self.eligible > self.ineligible else FAILED

    @property
    def fails(self) -> bool:
        """Return whether it counts as failed: who does not answer is no better than who answers badly."""
        return self.verdict in (FAILED, SILENT)


def gate_sessions(
    symbol_gates: pl.DataFrame, day_scores: pl.DataFrame, *, forecaster: str, days: Collection[date]
) -> list[GateSession]:
    """Return the verdict of each of the days, oldest first.

    A symbol's verdict is that on the origin (forecaster and sources) under which the challenger answered it that day,
    as its trades are judged; answers in which the control arm stood in are none. A session passes where more symbols
    are eligible than ineligible, symbols of which too little was seen aside.
    """
    asked = day_scores.select("day", "symbol", *ORIGIN_KEY).unique()
    own = asked.filter(pl.col("score_source") != FALLBACK, forecaster=forecaster)
    verdicts = symbol_gates.filter(criterion="eligibility").join(own, on=["day", "symbol", *ORIGIN_KEY], how="semi")
    counts = {(day, verdict): n for day, verdict, n in verdicts.group_by("day", "verdict").len().iter_rows()}
    seen, answered = set(asked["day"]), set(own["day"])
    return [
        GateSession(
            day=day,
            eligible=counts.get((day, "eligible"), 0),
            ineligible=counts.get((day, "ineligible"), 0),
            silent=day in seen and day not in answered,
        )
        for day in sorted(set(days))
    ]


def said(sessions: Sequence[GateSession]) -> str:
    """Return the verdicts with their figures, in words."""
    told = (
        f"{s.day} no answer" if s.silent else f"{s.day} {s.eligible} of {s.eligible + s.ineligible} eligible"
        for s in sessions
    )
    return ", ".join(told)
