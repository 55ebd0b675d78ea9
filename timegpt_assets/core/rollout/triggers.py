"""Triggers: what sends a challenger back to shadow, each alone, by what is stored up to a session.

Belongs here: the table of triggers. They are functions of stored tables and of nothing else, so judging a session again
finds what was found; a forecaster of another kind brings a table of its own. What reads and records is
engine/rollout.py.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.event_loop import HALTED
from timegpt_assets.core.backtest.portfolio import LIMITS
from timegpt_assets.core.rollout.gate_sessions import UNDECIDED, gate_sessions, said
from timegpt_assets.core.tables.columns import FALLBACK, WILDCARD


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How bad something must be to send a challenger back."""

    gate_failures: int
    anomaly_sigma: float
    sessions: int
    """Over how many sessions refusals and slippage are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is stored of a challenger up to a session, other forecasters beside it."""

    forecaster: str
    control: str
    """The control arm, whose figures tell what is usual."""
    sessions: Sequence[date]
    """Finished sessions, oldest first; the last is the one that is judged."""
    symbol_gates: pl.DataFrame
    day_scores: pl.DataFrame
    portfolio: pl.DataFrame
    last_prices: pl.DataFrame
    """day, symbol, snapshot_ts, last_price (USD): what was known at the snapshot."""
    coverage_drift: pl.DataFrame
    feature_drift: pl.DataFrame

    @property
    def day(self) -> date:
        """Return the session that is judged."""
        return self.sessions[-1]

    def recent(self, count: int) -> Sequence[date]:
        """Return the last sessions up to the one that is judged."""
        return self.sessions[-count:]

    def book(self, name: str, days: Sequence[date]) -> pl.DataFrame:
        """Return the rows of a forecaster's own book that came to the market, control arms that stood in left out."""
        came = pl.col("admitted") | pl.col("refused_by").is_in([*LIMITS, HALTED])
        own = pl.col("score_source") != FALLBACK
        return self.portfolio.filter(pl.col("day").is_in(list(days)), came, own, book=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a trigger measured, what it would have taken, and whether it fired."""

    trigger: str
    fired: bool
    value: float | None
    """None: there is nothing to measure."""
    threshold: float
    reason: str


def gate_failures(evidence: Evidence, asked: Asked) -> Finding:
    """Fire where the gates failed on each of the last sessions on which they were decided."""
    judged = gate_sessions(
        evidence.symbol_gates, evidence.day_scores, forecaster=evidence.forecaster, days=evidence.sessions
    )
    decided = [session for session in judged if session.verdict != UNDECIDED]
    last = decided[-asked.gate_failures :]
    passed = max((n for n, session in enumerate(decided, 1) if not session.fails), default=0)
    in_a_row = len(decided) - passed
    return Finding(
        trigger="gate_failures",
        fired=in_a_row >= asked.gate_failures,
        value=float(in_a_row),
        threshold=float(asked.gate_failures),
        reason=f"gates failed on {in_a_row} sessions in a row, {asked.gate_failures} send back"
        + (f": {said(last)}" if in_a_row else ""),
    )


def coverage_drift(evidence: Evidence, asked: Asked) -> Finding:
    """Fire where the alarm of its 50 % bands rings on the session, all symbols pooled, and the control arm's does not.

    Where both ring the market has moved, and the control arm has nothing better to offer.
    """
    rows = evidence.coverage_drift.filter(day=evidence.day, symbol=WILDCARD, stage="calibrated", level=50)
    own = rows.filter(pl.col("score_source") != FALLBACK, forecaster=evidence.forecaster)
    rings, usual = bool(own["alarm"].any()), bool(rows.filter(forecaster=evidence.control)["alarm"].any())
    value = own.sort("alarm", "n")["coverage"].to_list()[-1] if own.height else None
    covered = "nothing is measured" if value is None else f"50 % bands covered {value:.4f}"
    told = {(True, True): f"; the alarm rings, {evidence.control}'s too", (True, False): "; the alarm rings alone"}
    return Finding(
        trigger="coverage_drift",
        fired=rings and not usual,
        value=value,
        threshold=0.5,
        reason=f"{covered}{told.get((rings, usual), '; no alarm')}",
    )


def feature_drift(evidence: Evidence, asked: Asked) -> Finding:
    """Fire where, in the last whole month that is measured, half of the features have drifted beyond the threshold.

    Part of a month is not judged: what is the same for all symbols has too few values in it.
    """
    rows = evidence.feature_drift.filter(pl.col("as_of") <= evidence.day, forecaster=evidence.forecaster)
    spans = rows.select("month", "as_of").unique().sort("month").iter_rows()
    whole = [month for month, last in spans if last == calendar.month_sessions(month)[-1]]
    known = rows.filter(pl.col("month").is_in(whole[-1:])).drop_nulls("psi").sort("psi")
    if known.is_empty():
        reason = "not measured: no whole month of a model"
        return Finding(trigger="feature_drift", fired=False, value=None, threshold=0.0, reason=reason)
    value, threshold = float(np.median(known["psi"].to_numpy())), float(known["threshold"][0])
    worst = ", ".join(f"{name} {psi:.3g}" for name, psi in known.tail(3).select("feature", "psi").iter_rows())
    told = f"median PSI of {known.height} features in {whole[-1]} {value:.3g}, over {threshold:g} sends back"
    return Finding(
        trigger="feature_drift",
        fired=value > threshold,
        value=value,
        threshold=threshold,
        reason=f"{told}; most in {worst}",
    )


def reject_rate(evidence: Evidence, asked: Asked) -> Finding:
    """Fire where limits refused so many of its signals that the control arm's rate makes as many too improbable.

    Too improbable is less than a normal value beyond ``anomaly_sigma``. The control arm's rate is that of the same
    sessions, with one refusal and one admission added: who was never refused has a small rate, and none of zero.
    """
    days = evidence.recent(asked.sessions)
    (refused, signals), (usual, of) = (
        (int(book["refused_by"].is_in(list(LIMITS)).sum()), book.height)
        for book in (evidence.book(name, days) for name in (evidence.forecaster, evidence.control))
    )
    rate = (usual + 1) / (of + 2)
    improbable = binomial_tail(refused, signals, rate)
    told = f"{refused} of {signals} signals refused, {evidence.control} {usual} of {of}, over {len(days)} sessions"
    return Finding(
        trigger="reject_rate",
        fired=of > 0 and improbable < normal_tail(asked.anomaly_sigma),
        value=refused / signals if signals else None,
        threshold=rate,
        reason=f"{told}: as many by chance {improbable:.2g}, under {normal_tail(asked.anomaly_sigma):.2g} sends back",
    )


def slippage(evidence: Evidence, asked: Asked) -> Finding:
    """Fire where its entries were dearer than the control arm's by more than ``anomaly_sigma`` deviations.

    An entry's slippage: side x ln(entry price / last price at the snapshot) / sigma. The deviation is that of two means
    of the control arm, of as many entries on as many sessions: scatter inside its sessions and between them.
    """
    days = evidence.recent(asked.sessions)
    own, usual = (_slipped(evidence, name, days) for name in (evidence.forecaster, evidence.control))
    if not own or sum(map(len, usual.values())) < 2:  # one entry has no deviation
        return Finding(
            trigger="slippage",
            fired=False,
            value=None,
            threshold=asked.anomaly_sigma,
            reason=f"not measured: {sum(map(len, own.values()))} entries, {evidence.control} "
            f"{sum(map(len, usual.values()))}, over {len(days)} sessions",
        )
    mean, of = (float(np.mean(np.concatenate(list(values.values())))) for values in (own, usual))
    deviation = deviation_of_difference(list(usual.values()), entries=sum(map(len, own.values())), sessions=len(own))
    beyond = (mean - of) / deviation if deviation else 0.0
    return Finding(
        trigger="slippage",
        fired=beyond > asked.anomaly_sigma,
        value=beyond,
        threshold=asked.anomaly_sigma,
        reason=f"entries slipped by {mean:.3g} sigma, {evidence.control}'s by {of:.3g}: {beyond:.3g} deviations, "
        f"over {asked.anomaly_sigma:g} sends back",
    )


Trigger = Callable[[Evidence, Asked], Finding]
TRIGGERS: Mapping[str, Trigger] = {
    trigger.__name__: trigger for trigger in (gate_failures, coverage_drift, feature_drift, reject_rate, slippage)
}
"""Name -> what fires, in the order in which they are told."""


def judged(evidence: Evidence, asked: Asked, triggers: Mapping[str, Trigger] = TRIGGERS) -> list[Finding]:
    """Return what every trigger found on the last of the evidence's sessions."""
    return [trigger(evidence, asked) for trigger in triggers.values()]


def binomial_tail(hits: int, of: int, rate: float) -> float:
    """Return the probability of at least as many hits; ``rate`` lies between 0 and 1, neither of them."""
    ways = (math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1) for k in range(hits, of + 1))
    # in logarithms: of a thousand signals there are more ways than a float holds
    logs = (n + k * math.log(rate) + (of - k) * math.log1p(-rate) for k, n in enumerate(ways, hits))
    return min(math.fsum(math.exp(log) for log in logs), 1.0)


def normal_tail(deviations: float) -> float:
    """Return the probability of a normal value beyond so many deviations."""
    return math.erfc(deviations / math.sqrt(2)) / 2


def deviation_of_difference(values: Sequence[np.ndarray], *, entries: int, sessions: int) -> float:
    """Return the deviation of a mean of so many entries on so many sessions less that of ``values``, by sessions.

    Both scatter as ``values`` do. One-way random effects by the method of moments: the variance inside sessions, and
    what the sessions' means scatter beyond it (never below zero).
    """
    sizes, means = np.array([len(own) for own in values], float), np.array([own.mean() for own in values])
    inside = float(sum(((own - own.mean()) ** 2).sum() for own in values)) / max(sizes.sum() - len(values), 1.0)
    spread = float(np.var(means, ddof=1)) if len(values) > 1 else 0.0
    between = max(spread - inside * float(np.mean(1 / sizes)), 0.0)
    return math.sqrt(between * (1 / sessions + 1 / len(values)) + inside * (1 / entries + 1 / float(sizes.sum())))


def _slipped(evidence: Evidence, name: str, days: Sequence[date]) -> dict[date, np.ndarray]:
    """Return the slippage of each entry, in sigma, by session."""
    moved = pl.col("side") * (pl.col("entry_price") / pl.col("last_price")).log() / pl.col("sigma")
    entered = evidence.book(name, days).filter(pl.col("quantity") != 0, pl.col("sigma") > 0)
    known = entered.join(evidence.last_prices, on=["day", "symbol", "snapshot_ts"]).select("day", slipped=moved)
    parts = known.filter(pl.col("slipped").is_finite()).sort("day").partition_by("day", as_dict=True)
    return {day: part["slipped"].to_numpy() for (day,), part in parts.items()}
