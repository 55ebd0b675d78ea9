"""The rollout of the bands of prediction markets: its next step recorded, and each finished UTC day judged.

Belongs here: reading stored tables for core/tsfm/rollout.py and recording what comes of them. No Dagster: command line
and sensor ask the same questions. Nothing here makes a table.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from timegpt_assets.adapters.storage import moves
from timegpt_assets.adapters.storage.chained_record import Entry
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets.adapters.storage.rollout_record import TSFM_NAME, RolloutRecord
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.rollout.phases import ADVANCE, ROLLBACK, SHADOW, START, RolloutRefused, Standing
from timegpt_assets.core.tables.tsfm import BANDS
from timegpt_assets.core.tsfm import precision, rollout
from timegpt_assets.core.tsfm.assignment import BASELINE, TSFM
from timegpt_assets.core.tsfm.precision import Verdict
from timegpt_assets.core.tsfm.rollout import Criterion
from timegpt_assets.runtime import Runtime

READ = {"tsfm/bands": BANDS.empty(), moves.OUTCOMES: pl.DataFrame(schema=precision.OUTCOMES)}
"""What a UTC day must have to be finished, as the rollout sees it."""


@dataclass(frozen=True, kw_only=True)
class TsfmRollout:
    """The rollout of one storage root, and the tables it is judged by."""

    runtime: Runtime

    @property
    def record(self) -> RolloutRecord:
        """Return what was recorded."""
        return RolloutRecord(self.runtime.storage, TSFM_NAME)

    @property
    def store(self) -> ParquetStore:
        """Return the stored tables."""
        return ParquetStore(self.runtime.storage)

    def standing(self) -> Standing | None:
        """Return where the rollout stands; None: it never began. Raises RecordBroken."""
        return rollout.standing(self.record.recorded())

    def finished(self) -> list[date]:
        """Return the UTC days that are over and have every table of READ, oldest first."""
        held = [set(self.store.files(asset)) for asset in READ]
        days = [date.fromisoformat(day) for day in sorted(set.intersection(*held))]
        return [day for day in days if rollout.begins(day + timedelta(days=1)) <= self.runtime.clock()]

    def in_phase(self, standing: Standing) -> list[date]:
        """Return the finished days that began after the phase was recorded."""
        return [day for day in self.finished() if standing.since < rollout.begins(day)]

    def state(self, day: date) -> str:
        """Return what changes when there may be more to find on a day."""
        return " ".join(self.store.objects.generation(file_name(asset, day)) or "-" for asset in READ)

    def verdict(self, standing: Standing, day: date) -> Verdict:
        """Return what the days of the phase up to one say, of the window at most."""
        spec = tsfm_inputs.precision_spec(self.runtime.settings)
        first = day - timedelta(days=spec.window_days - 1)
        days = [one for one in self.in_phase(standing) if first <= one <= day]
        # a price in the first hour was forecast the day before
        bands = self._read("tsfm/bands", [first - timedelta(days=1), *days])
        hours = self.runtime.settings.tsfm.evaluation.follow_through_hours
        came = moves.outcomes(self.store, days, READ[moves.OUTCOMES], follow_through_hours=hours)
        return precision.judged(bands, came, day, standing.share, spec)

    def criteria(self, standing: Standing) -> list[Criterion]:
        """Return what an advance asks and what of it is there, by the finished days of the phase."""
        days, asked = self.in_phase(standing), self.runtime.settings.tsfm.rollout
        last = days[-1] if days else self.runtime.clock().date() - timedelta(days=1)
        found = self.verdict(standing, last)
        return rollout.criteria(len(days), found, min_days=asked.min_days, min_breaches=asked.min_breaches)

    def start(self, *, who: str, why: str) -> Entry:
        """Record that the rollout begins, in shadow. Raises RolloutRefused and what the record raises."""
        self._refuse_baseline()
        return self._add(START, SHADOW, 0, who, why or "its rollout begins", {}, rollout.refuse_started)

    def advance(self, *, who: str, why: str) -> Entry:
        """Record the next phase. Raises RolloutRefused, Unproven and what the record raises."""
        self._refuse_baseline()
        standing = rollout.started(self.record.recorded())
        phase = rollout.next_phase(standing)
        found, days = self.criteria(standing), self.in_phase(standing)
        rollout.refuse_unproven(found, phase)
        return self._add(
            ADVANCE,
            phase,
            tsfm_inputs.rollout_shares(self.runtime.settings)[phase],
            who,
            why or f"every criterion of {standing.phase} holds",
            {"first": str(days[0]), "last": str(days[-1]), "criteria": found},
            lambda known: rollout.refuse_moved(known, standing),
        )

    def roll_back(self, standing: Standing, *, who: str, why: str, evidence: Mapping[str, Any]) -> Entry:
        """Record that every market has the baseline's band again. Raises RolloutRefused, and what the record raises."""
        rollout.refuse_shadow(standing)
        return self._add(ROLLBACK, SHADOW, 0, who, why, evidence, lambda known: rollout.refuse_moved(known, standing))

    def judge(self, standing: Standing, day: date, *, who: str) -> Entry | None:
        """Return what was recorded because precision fell on a day of the phase; None: it did not."""
        found = self.verdict(standing, day)
        if not found.fired:
            return None
        evidence = asdict(found) | {"first_day": str(found.first_day), "day": str(found.day)}
        return self.roll_back(standing, who=who, why=f"{day}: {found.reason}", evidence=evidence)

    def _add(
        self,
        what: str,
        phase: str,
        share: int,
        who: str,
        why: str,
        evidence: Mapping[str, Any],
        allowed: Callable[[pl.DataFrame], None],
    ) -> Entry:
        return self.record.add(
            what,
            forecaster=TSFM,
            phase=phase,
            share=share,
            who=who,
            why=why,
            evidence=evidence,
            allowed=allowed,
            clock=self.runtime.clock,
        )

    def _refuse_baseline(self) -> None:
        if self.runtime.settings.tsfm.alerts.band_source == BASELINE:
            raise RolloutRefused(
                "tsfm.alerts.band_source is baseline: there is nothing to roll out. Set it to tsfm_conformal or "
                "tsfm_raw."
            )

    def _read(self, asset: str, days: list[date]) -> pl.DataFrame:
        empty = READ[asset]
        return self.store.read(asset, days, missing="ok", columns=empty.columns, empty=empty).select(empty.columns)
