"""Which band a market is used by in a cycle: the model's where the rollout's share holds it, else the baseline's.

Belongs here: reading the record, and what stands in where it cannot be read. What a share is stands in
core/tsfm/assignment.py, what holds in a cycle in rollout.py: the graph's bands ask the same.
"""

from collections.abc import Callable
from datetime import datetime

import polars as pl

from timegpt_assets.adapters.storage.chained_record import RecordBroken
from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.adapters.storage.paced import Paced
from timegpt_assets.adapters.storage.rollout_record import RolloutRecord
from timegpt_assets.core.rollout import phases
from timegpt_assets.core.tsfm import rollout
from timegpt_assets.core.tsfm.assignment import is_assigned
from timegpt_assets.serving.tsfm.replies import Source, Wish

LOOKED_EVERY_S = 10.0
"""Seconds between two looks at the record."""


class Shares:
    """Reads the record of the rollout; any number of threads may ask. ``monotonic``: a clock that only goes on."""

    def __init__(self, record: RolloutRecord, source: Source, monotonic: Callable[[], float]) -> None:
        """Keep the record and the band of tsfm.alerts.band_source; nothing is read yet."""
        self._record, self._source = record, source
        self._known = Paced(self._look, LOOKED_EVERY_S, monotonic)
        self._recorded = phases.NOTHING

    def __call__(self, market_id: str, at: datetime) -> Wish:
        """Return the band that a market is to be used by in the cycle of a moment.

        A record that cannot be read leaves what was read of it before, else the baseline, and is said.
        """
        recorded, fault = self._known()
        share = rollout.share_at(recorded, at) if recorded.height else 0
        source: Source = self._source if is_assigned(market_id, share) else "baseline"
        return Wish(source=source, warnings=(fault,) if fault else ())

    def _look(self) -> tuple[pl.DataFrame, str]:
        """Return the record, and an empty text; where nobody can read it, what was read of it last, and why."""
        try:
            self._recorded = self._record.recorded()
        except (RecordBroken, ObjectStoreError, OSError) as error:
            return self._recorded, f"rollout_unreadable: {type(error).__name__}"
        return self._recorded, ""
