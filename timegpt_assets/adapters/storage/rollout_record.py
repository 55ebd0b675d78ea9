"""Who was rolled out how far, when, by whom and on what evidence: the record that says what ``live`` trades.

Belongs here: what a line of the record holds, and that a step is looked at while nobody else can write. The chain is
chained_record.py; what a line means is core/rollout/phases.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from timegpt_assets.adapters.storage.chained_record import ChainedRecord, Entry
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.core.rollout import phases

NAME = "rollouts/record.jsonl"
TSFM_NAME = "rollouts/tsfm.jsonl"
"""The record of the bands of prediction markets."""


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """The rollouts of one storage root: those of challengers, unless it is another record's ``name``."""

    objects: ObjectStore
    name: str = NAME

    def entries(self) -> list[Entry]:
        """Return what was recorded, oldest first. Raises RecordBroken."""
        return self._chain.entries()

    def recorded(self) -> pl.DataFrame:
        """Return a row of phases.RECORDED for each entry, oldest first. Raises RecordBroken."""
        return _recorded(self.entries())

    def add(
        self,
        what: str,
        *,
        forecaster: str,
        phase: str,
        share: int,
        who: str,
        why: str,
        evidence: Mapping[str, Any],
        allowed: Callable[[pl.DataFrame], None],
        clock: Callable[[], datetime],
    ) -> Entry:
        """Record a step and return it. Raises RecordBroken, ClockWentBack, and what ``allowed`` raises.

        ``allowed`` is given what is recorded while nobody else writes: of two at once the second is refused.
        """
        said = {"what": what, "forecaster": forecaster, "phase": phase, "share": share, "who": who, "why": why}

        def entry(known: Sequence[Entry]) -> Entry:
            allowed(_recorded(known))
            return said | {"evidence": dict(evidence)}

        return self._chain.append(entry, clock=clock)

    @property
    def _chain(self) -> ChainedRecord:
        return ChainedRecord(self.objects, self.name)


def _recorded(entries: Sequence[Entry]) -> pl.DataFrame:
    rows = [
        (datetime.fromisoformat(entry["time"]), *(entry[name] for name in phases.RECORDED if name != "time"))
        for entry in entries
    ]
    return pl.DataFrame(rows, phases.RECORDED, orient="row")
