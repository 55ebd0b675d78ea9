"""What was promoted and demoted, when, by whom and on what evidence: the record that says what is live.

Belongs here: what a line of the record holds. The chain is chained_record.py; what holds for a day is
core/backtest/whitelist.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from timegpt_assets.adapters.storage.chained_record import ChainedRecord, Entry
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.core.backtest.whitelist import RECORDED

NAME = "promotions/record.jsonl"


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """The promotions of one storage root."""

    objects: ObjectStore

    def entries(self) -> list[Entry]:
        """Return what was recorded, oldest first. Raises RecordBroken."""
        return self._chain.entries()

    def recorded(self) -> pl.DataFrame:
        """Return a row [time, what, forecaster, symbol] for each symbol of each entry, oldest first."""
        rows = [
            (datetime.fromisoformat(entry["time"]), entry["what"], entry["forecaster"], symbol)
            for entry in self.entries()
            for symbol in entry["symbols"]
        ]
        return pl.DataFrame(rows, RECORDED, orient="row")

    def add(
        self,
        what: str,
        *,
        forecaster: str,
        symbols: Sequence[str],
        who: str,
        why: str,
        evidence: Mapping[str, Any],
        clock: Callable[[], datetime],
    ) -> Entry:
        """Record a promotion or a demotion and return it. Raises RecordBroken and ClockWentBack."""
        said = {"what": what, "forecaster": forecaster, "symbols": sorted(symbols), "who": who, "why": why}
        return self._chain.append(said | {"evidence": dict(evidence)}, clock=clock)

    @property
    def _chain(self) -> ChainedRecord:
        return ChainedRecord(self.objects, NAME)
