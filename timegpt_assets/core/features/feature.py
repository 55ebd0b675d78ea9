"""What a feature is called and what it means: the catalogue's row.

Belongs here: the declaration alone. Each module lists its own features beside their formulas.
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Feature:
    """One stored column: how it is computed, over which window, in which unit, and whose formula it is."""

    name: str
    formula: str
    window: str
    unit: str
    source: str
    dtype: type[pl.DataType] = pl.Float32

    @property
    def counts(self) -> bool:
        """Return whether a missing value counts against the row.

        Flags say something about others and never miss; what peers did says nothing of the symbol's own bars.
        """
        return self.name.startswith("regime_") or not (self.dtype == pl.Boolean or self.name.startswith("sector_"))
