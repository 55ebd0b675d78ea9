"""Figures of the latest stored bands: each day is counted once, and again where a file of it changed.

Belongs here: which days, how often is looked, and what is read. The arithmetic is core/tsfm/figures.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import polars as pl

from timegpt_assets.adapters.storage.paced import Paced
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets.core.tsfm.figures import OF_BANDS, OF_OUTCOMES, Counts, counted, figures

BANDS, OUTCOMES = "tsfm/bands", "tsfm/tsfm_outcomes"
LOOKED_EVERY_S = 30.0
"""Seconds between two looks at what is stored."""


@dataclass
class BandFigures:
    """Counts the last ``days`` days that have outcomes; any thread may ask. ``monotonic`` is never set back."""

    store: ParquetStore
    days: int
    follow_through_move: float
    monotonic: Callable[[], float]
    _counted: dict[str, tuple[tuple[str | None, ...], Counts]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep the pace."""
        self._known = Paced(self._counted_anew, LOOKED_EVERY_S, self.monotonic)

    def __call__(self) -> dict[str, float]:
        """Return the figures by name; of nothing stored there are none. Raises StoreError and ObjectStoreError."""
        return self._known()

    def _counted_anew(self) -> dict[str, float]:
        last = self.store.files(OUTCOMES)[-self.days :]
        self._counted = {day: self._day(date.fromisoformat(day)) for day in last}
        whole = Counts()
        for _, counts in self._counted.values():
            whole.update(counts)
        return figures(whole)

    def _day(self, day: date) -> tuple[tuple[str | None, ...], Counts]:
        """Return what is known of a day: which files it was counted from, and the counts."""
        made = (day - timedelta(days=1), day)  # a price in the first hours was forecast the day before
        names = [file_name(OUTCOMES, day), *(file_name(BANDS, one) for one in made)]
        files = tuple(self.store.objects.generation(name) for name in names)
        if (known := self._counted.get(str(day))) and known[0] == files:
            return known
        bands, outcomes = self._read(BANDS, made, OF_BANDS), self._read(OUTCOMES, (day,), OF_OUTCOMES)
        if bands.is_empty() or outcomes.is_empty():
            return files, Counts()
        return files, counted(bands, outcomes, follow_through_move=self.follow_through_move)

    def _read(self, asset: str, days: tuple[date, ...], columns: tuple[str, ...]) -> pl.DataFrame:
        return self.store.read(asset, days, missing="ok", columns=columns, empty=pl.DataFrame())
