"""Rollouts of a house: what is stored of a challenger, its next step recorded, and its triggers judged.

Belongs here: reading stored tables for core/rollout and recording what comes of them. No Dagster: command line and
sensor ask the same questions. Nothing here makes a table.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import polars as pl

from timegpt_assets.adapters.storage.chained_record import Entry
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets.adapters.storage.rollout_record import RolloutRecord
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.rollout import advancing, phases, triggers
from timegpt_assets.core.rollout.advancing import Criterion, Shown
from timegpt_assets.core.rollout.gate_sessions import gate_sessions
from timegpt_assets.core.rollout.phases import ADVANCE, ROLLBACK, SHADOW, START, RolloutRefused, Standing
from timegpt_assets.core.rollout.triggers import Evidence, Finding
from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables.backtest import PORTFOLIO
from timegpt_assets.core.tables.bars import BARS
from timegpt_assets.core.tables.columns import CONTROL, FALLBACK, ORIGIN_KEY, REFERENCES, SOURCE_KEY
from timegpt_assets.core.tables.evaluation import COVERAGE_DRIFT, DAY_SCORES
from timegpt_assets.core.tables.gates import GATES, SYMBOL_GATES
from timegpt_assets.core.tables.models import FEATURE_DRIFT, MODEL_REPORT
from timegpt_assets.engine.axes import MONTHS
from timegpt_assets.runtime import Runtime

OF_A_DAY = {
    "backtest/portfolio": PORTFOLIO,
    "evaluation/day_scores": DAY_SCORES,
    "gates/symbol_gates": SYMBOL_GATES,
}
"""What a session must have to be finished, as a rollout sees it."""
OF_A_MONTH = {"evaluation/coverage_drift": COVERAGE_DRIFT, "models/feature_drift": FEATURE_DRIFT}
"""What a session's triggers read of its month, and of the month before it."""
MODEL_REPORTS = "models/model_report"
SCORED = ("day", "symbol", *ORIGIN_KEY)
"""Columns of day_scores that say who answered what, and under which sources."""
TRADED = (
    *("day", "symbol", "snapshot_ts", "side", "quantity", "sigma", "entry_price"),
    *("book", "score_source", "admitted", "refused_by"),
)
"""Columns of the portfolio that refusals and slippage are measured by."""


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """The rollouts of one storage root, and the tables they are judged by."""

    runtime: Runtime

    @property
    def record(self) -> RolloutRecord:
        """Return what was recorded."""
        return RolloutRecord(self.runtime.storage)

    @property
    def store(self) -> ParquetStore:
        """Return the stored tables."""
        return ParquetStore(self.runtime.storage)

    def standings(self) -> dict[str, Standing]:
        """Return where everyone in rollout stands. Raises RecordBroken."""
        return phases.standings(self.record.recorded())

    def finished(self) -> list[date]:
        """Return the sessions that have every table of OF_A_DAY, oldest first."""
        held = [set(self.store.files(asset)) for asset in OF_A_DAY]
        return [date.fromisoformat(day) for day in sorted(set.intersection(*held))]

    def in_phase(self, standing: Standing) -> list[date]:
        """Return the finished sessions that opened after the phase was recorded."""
        return [day for day in self.finished() if standing.holds_on(day)]

    def state(self, day: date, *, newest: bool) -> str:
        """Return what changes when there may be more to find on a session.

        Of the newest the month's tables belong to it: they are made anew every day, and after the day's own.
        """
        names = [file_name(asset, day) for asset in OF_A_DAY]
        names += [file_name(asset, month) for asset in OF_A_MONTH for month in _months(day)] if newest else []
        return " ".join(self.store.objects.generation(name) or "-" for name in names)

    def evidence(self, forecaster: str, day: date) -> Evidence:
        """Return what is stored of a challenger up to a finished session."""
        asked = strategy_inputs.rollout_triggers(self.runtime.settings)
        known = [session for session in self.finished() if session <= day]
        days = known[-max(asked.sessions, asked.gate_failures) :]
        portfolio = self._read("backtest/portfolio", PORTFOLIO, days, TRADED)
        drift = {asset: self._read(asset, table, _months(day)) for asset, table in OF_A_MONTH.items()}
        return Evidence(
            forecaster=forecaster,
            control=CONTROL,
            sessions=days,
            symbol_gates=self._read("gates/symbol_gates", SYMBOL_GATES, days),
            day_scores=self._read("evaluation/day_scores", DAY_SCORES, days, SCORED),
            portfolio=portfolio,
            last_prices=self._last_prices(portfolio, days),
            coverage_drift=drift["evaluation/coverage_drift"],
            feature_drift=drift["models/feature_drift"],
        )

    def findings(self, forecaster: str, day: date) -> list[Finding]:
        """Return what every trigger finds on a finished session."""
        asked = strategy_inputs.rollout_triggers(self.runtime.settings)
        return triggers.judged(self.evidence(forecaster, day), asked)

    def criteria(self, standing: Standing) -> list[Criterion]:
        """Return what an advance asks and what of it is there, by the finished sessions of the phase."""
        days, every = self.in_phase(standing), self.finished()
        scores = self._read("evaluation/day_scores", DAY_SCORES, days, SCORED)
        month = [f"{every[-1]:%Y-%m}"] if every else []
        shown = Shown(
            standing=standing,
            gate_sessions=gate_sessions(
                self._read("gates/symbol_gates", SYMBOL_GATES, days),
                scores,
                forecaster=standing.forecaster,
                days=days,
            ),
            gates=pl.concat(self._read(f"gates/{gate}", GATES, month) for gate in advancing.MONTHLY),
            model_report=self._read(MODEL_REPORTS, MODEL_REPORT, month),
            ladder=strategy_inputs.ladder(self.runtime.settings),
            triples=self._triples(standing.forecaster, scores),
            findings=self.findings(standing.forecaster, every[-1]) if every else [],
        )
        return advancing.criteria(shown, min_days=self.runtime.settings.rollout.min_days)

    def start(self, forecaster: str, *, who: str, why: str) -> Entry:
        """Record that a challenger's rollout begins, in shadow. Raises RolloutRefused and what the record raises."""
        self._refuse_unseated(forecaster)
        scored = self._scored(forecaster)
        evidence = {"first_scored": str(scored[0]), "last_scored": str(scored[-1]), "sessions": len(scored)}
        return self.record.add(
            START,
            forecaster=forecaster,
            phase=SHADOW,
            share=0,
            who=who,
            why=why or "its rollout begins",
            evidence=evidence,
            allowed=lambda known: phases.refuse_started(known, forecaster),
            clock=self.runtime.clock,
        )

    def advance(self, forecaster: str, *, who: str, why: str) -> Entry:
        """Record a challenger's next phase. Raises RolloutRefused and what the record raises."""
        recorded, settings = self.record.recorded(), self.runtime.settings
        standing = phases.found(recorded, forecaster)
        phase = phases.next_phase(standing)
        self._refuse_unseated(forecaster)
        phases.refuse_second(recorded, forecaster, phase)
        share = strategy_inputs.rollout_shares(settings)[phase]
        advancing.refuse_nothing_to_trade(standing, phase, share, settings.universe.tickers)
        found, days = self.criteria(standing), self.in_phase(standing)
        advancing.refuse_unproven(standing, phase, found)

        def allowed(known: pl.DataFrame) -> None:
            phases.refuse_moved(phases.found(known, forecaster), standing)
            phases.refuse_second(known, forecaster, phase)

        return self.record.add(
            ADVANCE,
            forecaster=forecaster,
            phase=phase,
            share=share,
            who=who,
            why=why or f"every criterion of {standing.phase} holds",
            evidence={"first": str(days[0]), "last": str(days[-1]), "criteria": found},
            allowed=allowed,
            clock=self.runtime.clock,
        )

    def roll_back(self, standing: Standing, *, who: str, why: str, evidence: dict[str, Any]) -> Entry:
        """Record that a challenger is in shadow again. Raises RolloutRefused in shadow, and what the record raises."""
        name = standing.forecaster
        if not standing.traded:
            raise RolloutRefused(
                f"{name} is in shadow since {standing.since:%Y-%m-%d %H:%M} UTC: nothing of it is traded. "
                "Leave it there: shadow costs nothing."
            )
        return self.record.add(
            ROLLBACK,
            forecaster=name,
            phase=SHADOW,
            share=0,
            who=who,
            why=why,
            evidence=evidence,
            allowed=lambda known: phases.refuse_moved(phases.found(known, name), standing),
            clock=self.runtime.clock,
        )

    def judge(self, standing: Standing, day: date, *, who: str) -> Entry | None:
        """Return what was recorded because a trigger fired on a session of the phase; None: none did."""
        found = self.findings(standing.forecaster, day)
        fired = [finding for finding in found if finding.fired]
        if not fired:
            return None
        why = f"{day}: " + "; ".join(f"{finding.trigger}: {finding.reason}" for finding in fired)
        evidence = {"day": str(day), "findings": [asdict(finding) for finding in found]}
        return self.roll_back(standing, who=who, why=why, evidence=evidence)

    def _triples(self, forecaster: str, scores: pl.DataFrame) -> list[dict[str, str]]:
        """Return the sources under which a forecaster answered by itself on the last of the sessions."""
        own = scores.filter(pl.col("score_source") != FALLBACK, forecaster=forecaster)
        last = own.filter(pl.col("day") == pl.col("day").max())
        return last.select(SOURCE_KEY).unique().sort(SOURCE_KEY).to_dicts()

    def _scored(self, forecaster: str) -> list[date]:
        """Return the finished sessions on which a forecaster was scored. Raises RolloutRefused where there is none."""
        days = self.finished()[-self.runtime.settings.rollout.min_days :]
        rows = self._read("evaluation/day_scores", DAY_SCORES, days, ("day", "forecaster"))
        if scored := sorted(rows.filter(forecaster=forecaster)["day"].unique()):
            return scored
        raise RolloutRefused(
            f"{forecaster} has no scores on the last {len(days)} finished sessions: nothing is known of it. "
            "Make a session first: timegpt-assets run-day, or the last ones again: timegpt-assets backfill --stale"
        )

    def _refuse_unseated(self, forecaster: str) -> None:
        """Raise RolloutRefused for whoever cannot be rolled out, and where nobody tells what is usual."""
        forecast = self.runtime.settings.forecast
        if forecaster == forecast.champion:
            raise RolloutRefused(f"{forecaster} is the champion: it is traded already. Choose a challenger.")
        if forecaster in REFERENCES:
            raise RolloutRefused(f"{forecaster} is a reference, which must be beaten. Choose another challenger.")
        others = [word for word in forecast.forecasters if word not in (forecast.champion, *REFERENCES)]
        for word, why in ((forecaster, ""), (CONTROL, ", the control arm that a rollout is compared with,")):
            if word not in forecast.forecasters:
                raise RolloutRefused(
                    f"{word}{why} is not seated (challengers: {', '.join(others) or 'none'}). "
                    f"Add {word} to forecast.challengers, and make a session."
                )

    def _read(
        self, asset: str, table: Table, files: Iterable[date | str], columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        found = self.store.read(
            asset, files, missing="ok", columns=columns or tuple(table.columns), empty=table.empty()
        )
        return found.select(columns or list(table.columns))

    def _last_prices(self, portfolio: pl.DataFrame, days: Sequence[date]) -> pl.DataFrame:
        """Return the close known at each snapshot of the rows, as signals.py judges costs by it."""
        at = portfolio.select("day", "symbol", "snapshot_ts").unique()
        closes = self._read("bars/bars", BARS, days, ("day", "symbol", "ts", "close"))
        known = closes.select("day", "symbol", pl.col("ts").dt.offset_by("1m").alias("snapshot_ts"), last_price="close")
        return at.join(known, on=["day", "symbol", "snapshot_ts"])


def _months(day: date) -> list[str]:
    """Return the month before a session's, and its own."""
    return [f"{month:%Y-%m}" for month in MONTHS.within(MONTHS.of(day), -1, 0)]
