"""Advancing: what the next phase asks of a challenger, a row for each criterion, with the reason in words.

Belongs here: what is asked. Where a challenger stands is phases.py, what would send it back triggers.py.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl

from timegpt_assets.core.backtest.books import assigned, bucket
from timegpt_assets.core.gates import ladder
from timegpt_assets.core.rollout.gate_sessions import PASSED, GateSession, said
from timegpt_assets.core.rollout.phases import CANARY, RAMP, RolloutRefused, Standing
from timegpt_assets.core.rollout.triggers import Finding
from timegpt_assets.core.tables.columns import LADDER, SOURCE_KEY, WILDCARD
from timegpt_assets.core.tables.gates import INSUFFICIENT

MONTHLY = ("forecast_gate", "trading_gate", "hard_metrics")
"""The gates of the month that are asked, each as far as it can be decided."""
TOLD = 3
"""Sessions whose verdict is told of, where one is missing."""
Criterion: TypeAlias = dict[str, Any]
"""criterion, value, threshold, passed, reason."""


class Unproven(RolloutRefused):
    """Raised for an advance of whose criteria not all passed; names each that did not, with its figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a challenger has shown in its phase, up to the last finished session."""

    standing: Standing
    gate_sessions: Sequence[GateSession]
    """Of the finished sessions of the phase."""
    gates: pl.DataFrame
    """GATES of the last finished session's month."""
    model_report: pl.DataFrame
    """MODEL_REPORT of the same month; none is stored where no rung of the ladder is seated."""
    ladder: ladder.Ladder
    triples: Sequence[Mapping[str, str]]
    """Sources under which it answered on the last finished session."""
    findings: Sequence[Finding]


def criteria(shown: Shown, *, min_days: int) -> list[Criterion]:
    """Return every criterion of an advance; it may be taken where all passed."""
    name, sessions = shown.standing.forecaster, shown.gate_sessions
    passed = [session for session in sessions if session.verdict == PASSED]
    since = f"in {shown.standing.phase} since {shown.standing.since:%Y-%m-%d %H:%M} UTC"
    last = said([session for session in sessions if session.verdict != PASSED][-TOLD:])
    return [
        _criterion("sessions", len(sessions), min_days, f"{len(sessions)} finished sessions {since}, {min_days} asked"),
        _criterion(
            "symbol_gates",
            len(passed),
            min_days,
            f"its gates passed on {len(passed)} of {len(sessions)} sessions, {min_days} asked"
            + (f"; not on {last}" if last else ""),
        ),
        *(_monthly(gate, shown.gates.filter(gate=gate, symbol=WILDCARD, forecaster=name)) for gate in MONTHLY),
        *_ladder(shown),
        *(_criterion(f.trigger, 0.0 if f.fired else 1.0, 1.0, f.reason) for f in shown.findings),
    ]


def missing(found: Iterable[Criterion]) -> list[str]:
    """Return what was not passed, in words."""
    return [f"{row['criterion']}: {row['reason']}" for row in found if not row["passed"]]


def refuse_unproven(standing: Standing, phase: str, found: Sequence[Criterion]) -> None:
    """Raise Unproven where a criterion was not passed."""
    if lacking := missing(found):
        raise Unproven(
            f"{standing.forecaster} stays in {standing.phase}, for {phase} is missing: {'; '.join(lacking)}. Sessions "
            "come with timegpt-assets run-day; what is left is told by: timegpt-assets rollout status"
        )


def refuse_nothing_to_trade(standing: Standing, phase: str, share: int, symbols: Sequence[str]) -> None:
    """Raise RolloutRefused for a phase in which no symbol would trade the challenger: it would show nothing."""
    name = standing.forecaster
    if phase in (CANARY, RAMP) and not assigned(symbols, [(name, share)], champion=""):
        least = min(bucket(name, symbol) for symbol in symbols) + 1
        raise RolloutRefused(
            f"{share} % of {len(symbols)} symbols is none of them for {name}: in {phase} nothing would be traded. "
            f"Set rollout.shares.{phase} to {least} or more."
        )


def _criterion(name: str, value: float, threshold: float, reason: str) -> Criterion:
    value, threshold = float(value), float(threshold)
    return {"criterion": name, "value": value, "threshold": threshold, "passed": value >= threshold, "reason": reason}


def _monthly(gate: str, rows: pl.DataFrame) -> Criterion:
    """Return whether every criterion of the account passed that can be decided."""
    decided = rows.filter(~pl.col("reason").str.starts_with(INSUFFICIENT))
    failed = decided.filter(~pl.col("passed")).sort("criterion")
    told = ", ".join(f"{name} ({reason})" for name, reason in failed.select("criterion", "reason").iter_rows())
    reason = f"{decided.height - failed.height} of {decided.height} criteria that can be decided hold"
    return _criterion(gate, decided.height - failed.height, decided.height, reason + (f"; not {told}" if told else ""))


def _ladder(shown: Shown) -> Iterator[Criterion]:
    """Yield, of a rung of the ladder, what its promotion asks beyond the gates, under each triple it answered by last.

    What has no row yet is not passed: a rung is traded for what it has shown.
    """
    name = shown.standing.forecaster
    if name not in LADDER:
        return
    report = shown.model_report.filter(rung=name)
    nothing = dict.fromkeys(SOURCE_KEY, WILDCARD)
    for triple in shown.triples or [nothing]:
        for row in ladder.of_rung(name, triple, report, shown.ladder):
            yield {key: row[key] for key in ("criterion", "value", "threshold", "passed", "reason")}
