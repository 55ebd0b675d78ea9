"""Against luck: what a book earned, measured against all that was ever tried, and on sessions that no trial has seen.

Belongs here: promotion's criteria on trials. The statistics are core/overfitting.py; who was tried on what comes in as
tables, recorded by whoever tries (adapters/storage/trial_store.py).
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import overfitting
from timegpt_assets.core.evaluation import trading
from timegpt_assets.core.gates import counted, criteria
from timegpt_assets.core.gates.criteria import Evidence
from timegpt_assets.core.overfitting import TrackRecord
from timegpt_assets.core.significance import Estimate
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.gates import INSUFFICIENT

ONE = ["kind", "forecaster", "combination"]
"""What one trial is: on however many sessions it was tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Luck:
    """What a promotion asks of figures that may be the best of many."""

    min_observation_days: int
    oos_start: date | None
    dsr_gte: float
    pbo_lte: float
    pbo_blocks: int
    track_record_confidence: float
    trials_in_oos_lte: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Everything that was ever tried on a storage root."""

    tried: pl.DataFrame
    """kind, first_day, last_day, forecaster, combination: of whatever tries, whether or not its days are stored."""
    days: pl.DataFrame
    """day, forecaster, combination, net_pnl: what the combinations of sweeps earned, as far as it is stored."""

    def __len__(self) -> int:
        """Return how many were tried, whoever answered: to choose the forecaster is to choose, too."""
        return self.tried.select(ONE).n_unique()

    def counted(self) -> str:
        """Return how many were tried, by whom, in words."""
        by_kind = self.tried.select(ONE).unique().group_by("kind").len().sort("kind")
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in by_kind.iter_rows())
        return f"{len(self):,} tried" + (f" ({kinds})" if kinds else "")

    def of(self, forecaster: str, *, until: date) -> "Trials":
        """Return those on a forecaster's answers, with their days up to one of them."""
        days = self.days.filter(pl.col("day") <= until)
        return Trials(tried=self.tried.filter(forecaster=forecaster), days=days.filter(forecaster=forecaster))

    def meeting(self, after: date, until: date) -> int:
        """Return how many were tried on sessions after one and up to another."""
        met = self.tried.filter(pl.col("last_day") > after, pl.col("first_day") <= until)
        return met.select(ONE).n_unique()


def luck_gate(
    portfolio: pl.DataFrame,
    day_scores: pl.DataFrame,
    trials: Trials,
    *,
    month: str,
    as_of: date,
    sessions: Collection[date],
    lookback_sessions: int,
    books: Mapping[str, str],
    asked: Luck,
) -> pl.DataFrame:
    """Return GATES of each book -> forecaster whose answers it trades: promotion's criteria on luck.

    Its prod + model + prod_live days alone are judged, as trading.py measures them; trials count whatever they were
    tried on, for choosing on replayed forecasts is choosing.
    """
    window = trading.counted_sessions(sessions, as_of, lookback_sessions)
    measured = {key["book"]: (days, own) for key, days, own in trading.by_book(portfolio, day_scores, window)
                if key.items() >= counted.LIVE.items()}  # fmt: skip
    rows = []
    for book, forecaster in sorted(books.items()):
        days, own = measured.get(book, ([], portfolio.clear()))
        earned = trading.daily_net(own, days)
        judged = _judged(earned, days, trials, trials.of(forecaster, until=as_of), as_of, asked)
        rows += [{"forecaster": book, "gate": "promotion", "symbol": WILDCARD, **row} for row in judged]
    return counted.stamped(rows, month, as_of)


def _judged(
    earned: np.ndarray, days: Sequence[date], everyone: Trials, own: Trials, as_of: date, asked: Luck
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one book: what it ``earned`` on each of the days, in USD, whose unit no ratio knows."""
    since = asked.oos_start or date.max
    forward = earned[np.array([day > since for day in days], bool)]
    seen = everyone.meeting(since, as_of)
    yield _deflated(earned, everyone, own, asked)
    yield _long_enough(forward, seen, asked)
    yield _overfitting(own, asked)
    if asked.oos_start is None:
        unset = f"{INSUFFICIENT}: gates.oos_start is not set: no session is out of sample"
        yield criteria.unmeasured("trials_in_oos", asked.trials_in_oos_lte, unset)
        return
    evidence = Evidence(n=forward.size, needed=0, unit="sessions")
    row = criteria.judged("trials_in_oos", Estimate(float(seen)), "<=", asked.trials_in_oos_lte, evidence)
    yield _saying(row, f"tried on sessions after {asked.oos_start}; only later ones are unseen" if seen else "")


def _deflated(earned: np.ndarray, everyone: Trials, own: Trials, asked: Luck) -> dict[str, Any]:
    """Return the row of "the Sharpe ratio is more than the best of as many without skill would show"."""
    days = Evidence(n=earned.size, needed=asked.min_observation_days, unit="days")
    record, count = _record(earned), max(1, len(everyone))
    if record is None:
        return criteria.judged("deflated_sharpe", Estimate(), ">=", asked.dsr_gte, days)
    ratios = _ratios(own.days)
    missing = len(own) - own.days["combination"].n_unique()
    # A ratio of no skill scatters so by itself. What nobody can measure any more is not taken to scatter less.
    unknown = 1 / (record.n - 1) if missing > 0 or ratios.size < 2 else 0.0
    variance = max(float(np.var(ratios, ddof=1)) if ratios.size > 1 else 0.0, unknown)
    value = overfitting.deflated_sharpe(record, trials=count, variance=variance)
    row = criteria.judged("deflated_sharpe", Estimate(value), ">=", asked.dsr_gte, days)
    if count == 1:
        return _saying(row, f"{everyone.counted()}: nothing to deflate")
    lost = f", of {missing:,} no days are stored: taken as independent and without skill" if missing > 0 else ""
    best = overfitting.best_of(count, variance=variance)
    return _saying(row, f"{everyone.counted()}{lost}; {record.sharpe:.3f} a session, the best of luck {best:.3f}")


def _long_enough(forward: np.ndarray, seen: int, asked: Luck) -> dict[str, Any]:
    """Return the row of "there are as many sessions out of sample as their Sharpe ratio needs".

    To lie above zero, or above what the best shows by luck of as many as have ``seen`` them: to confirm some is to
    choose among them.
    """
    days = Evidence(n=forward.size, needed=asked.min_observation_days, unit="days out of sample")
    if (record := _record(forward)) is None:
        return criteria.judged("min_track_record", Estimate(), "<=", forward.size, days)
    above = overfitting.best_of(seen, variance=1 / (record.n - 1))
    needed = overfitting.min_track_record(record, confidence=asked.track_record_confidence, above=above)
    if not math.isfinite(needed):
        row = criteria.judged("min_track_record", Estimate(), "<=", forward.size, days)
        short = days.n < days.needed
        return row if short else row | {"reason": f"no number of sessions is enough: {record.sharpe:.3f} a session"}
    row = criteria.judged("min_track_record", Estimate(needed), "<=", forward.size, days)
    beaten = f"{above:.3f} a session, the best of {seen} by luck" if above else "zero"
    return _saying(row, f"sessions to be {asked.track_record_confidence:.0%} sure of a Sharpe ratio above {beaten}")


def _overfitting(own: Trials, asked: Luck) -> dict[str, Any]:
    """Return the row of "what was best is better than the median elsewhere, too", of the sweep where it is so least.

    Combinations of the same sessions are one choice; what has no days on enough of them cannot be said, and is not
    passed. Nothing was chosen where no two were tried.
    """
    count = len(own)
    if count <= 1:
        nothing = Evidence(n=count, needed=0, unit="sessions")
        chosen = criteria.judged("pbo", Estimate(0.0), "<=", asked.pbo_lte, nothing)
        return _saying(chosen, "nothing was chosen: fewer than two were tried")
    if (worst := worst_choice(own, asked)) is None:
        lost = f"{count:,} were tried, and no two that differ have {_least(asked)} days stored"
        remedy = "sweep them, or a grid around what was chosen"
        return criteria.unmeasured("pbo", asked.pbo_lte, f"{INSUFFICIENT}: {lost}: {remedy}")
    evidence = Evidence(n=worst.sessions, needed=_least(asked), unit="sessions")
    row = criteria.judged("pbo", Estimate(overfitting.pbo(worst.logits)), "<=", asked.pbo_lte, evidence)
    return _saying(row, f"{worst.combinations:,} that differ, of {count:,} tried")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What choosing the best of some combinations comes to, on their common sessions."""

    sessions: int
    combinations: int
    """Those that differ, and traded."""
    logits: np.ndarray
    """Of each halving the rank of what was best, in the other half: overfitting.cscv."""


def worst_choice(own: Trials, asked: Luck) -> Choice | None:
    """Return the choice that helps least of those that can be judged; None where there is none."""
    judged = [
        Choice(sessions=len(pnl), combinations=pnl.shape[1], logits=overfitting.cscv(pnl, blocks=asked.pbo_blocks))
        for pnl in _choices(own.days)
        if len(pnl) >= _least(asked)
    ]
    return max(judged, key=lambda one: (overfitting.pbo(one.logits), one.sessions), default=None)


def _least(asked: Luck) -> int:
    """Return on how many sessions a choice can be judged."""
    return max(asked.min_observation_days, 2 * asked.pbo_blocks)


def _choices(days: pl.DataFrame) -> Iterator[np.ndarray]:
    """Yield the P&L [sessions, combinations] of all that lie on the same sessions, at least two that differ."""
    each = days.sort("combination", "day").group_by("combination", maintain_order=True).agg("day", "net_pnl")
    for part in each.partition_by("day"):
        columns = np.unique(np.array(part["net_pnl"].to_list()), axis=0).T
        traded = columns[:, np.ptp(columns, axis=0) > 0]
        if traded.shape[1] > 1:
            yield traded


def _ratios(days: pl.DataFrame) -> np.ndarray:
    """Return the Sharpe ratio of one session of each combination that has one."""
    each = days.group_by("combination").agg(mean=pl.col("net_pnl").mean(), deviation=pl.col("net_pnl").std())
    return each.filter(pl.col("deviation") > 0).select(pl.col("mean") / pl.col("deviation")).to_series().to_numpy()


def _record(earned: np.ndarray) -> TrackRecord | None:
    """Return the track record, positive skewness left out.

    Measured where few sessions trade it is luck itself: three trades that all won would be taken as certain.
    """
    record = overfitting.track_record(earned)
    return record and replace(record, skewness=min(record.skewness, 0.0))


def _saying(row: dict[str, Any], more: str) -> dict[str, Any]:
    """Return the row with more said, but where too little was seen to say anything."""
    silent = not more or row["value"] is None or row["reason"].startswith(INSUFFICIENT)
    return row if silent else row | {"reason": f"{row['reason']}: {more}"}
