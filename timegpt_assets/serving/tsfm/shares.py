"""Which band a market is used by in a cycle: the model's where the rollout's share holds it, else the baseline's.

Belongs here: reading the record, and what stands in where it cannot be read. What a share is stands in
core/tsfm/assignment.py, what holds in a cycle in rollout.py: the graph's bands ask the same.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial

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
MOMENTS = 1024
"""Moments whose share is kept until the next look."""


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
        share_at, fault = self._known()
        source: Source = self._source if is_assigned(market_id, share_at(at)) else "baseline"
        return Wish(source=source, warnings=(fault,) if fault else ())

    def _look(self) -> tuple[Callable[[datetime], int], str]:
        """Return the share at a moment by what is recorded, and no fault; else by what was read of it last, and why."""
        fault = ""
        try:
            self._recorded = self._record.recorded()
        except (RecordBroken, ObjectStoreError, OSError) as error:
            fault = f"rollout_unreadable: {type(error).__name__}"
        # requests of a cycle share its moment, and to look through the record takes a tenth of one's time
        return lru_cache(MOMENTS)(partial(rollout.share_at, self._recorded)), fault
