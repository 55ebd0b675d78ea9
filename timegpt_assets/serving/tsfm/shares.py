"""Which band a market is used by on a day: the model's where the rollout's share holds it, else the baseline's.

Belongs here: reading the record, and what stands in where it cannot be read. What a share is stands in
core/tsfm/assignment.py, what holds on a day in rollout.py: the cycle asks the same.
"""

import threading
from collections.abc import Callable
from datetime import date

import polars as pl

from timegpt_assets.adapters.storage.chained_record import RecordBroken
from timegpt_assets.adapters.storage.object_store import ObjectStoreError
from timegpt_assets.adapters.storage.rollout_record import RolloutRecord
from timegpt_assets.core.tsfm import rollout
from timegpt_assets.core.tsfm.assignment import is_assigned
from timegpt_assets.serving.tsfm.replies import Source, Wish

LOOKED_EVERY_S = 10.0
"""Seconds between two looks at the record."""


class Shares:
    """Reads the record of the rollout; any number of threads may ask. ``monotonic``: a clock that only goes on."""

    def __init__(self, record: RolloutRecord, source: Source, monotonic: Callable[[], float]) -> None:
        """Keep the record and the band of tsfm.alerts.band_source; nothing is read yet."""
        self._record, self._source, self._monotonic = record, source, monotonic
        self._recorded: pl.DataFrame | None = None
        self._shares: dict[date, int] = {}
        self._looked_at, self._fault = float("-inf"), ""
        self._lock = threading.Lock()

    def __call__(self, market_id: str, day: date) -> Wish:
        """Return the band that a market is to be used by on a UTC day.

        A record that cannot be read leaves what was read of it before, else the baseline, and is said.
        """
        with self._lock:
            self._look()
            share = self._share(day)
            warnings = (self._fault,) if self._fault else ()
        return Wish(source=self._source if is_assigned(market_id, share) else "baseline", warnings=warnings)

    def _look(self) -> None:
        now = self._monotonic()
        if now - self._looked_at < LOOKED_EVERY_S:
            return
        self._looked_at = now
        try:
            self._recorded, self._fault = self._record.recorded(), ""
        except (RecordBroken, ObjectStoreError, OSError) as error:
            self._fault = f"rollout_unreadable: {type(error).__name__}"
        self._shares.clear()

    def _share(self, day: date) -> int:
        if day not in self._shares:
            self._shares[day] = 0 if self._recorded is None else rollout.share_on(self._recorded, day)
        return self._shares[day]
