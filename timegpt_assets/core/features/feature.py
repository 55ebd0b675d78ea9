"""What a feature is called and what it means: the catalogue's row.

Belongs here: the declaration alone. Each module lists its own features beside their formulas.
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Feature:
    """One stored column: how it is computed, over which window, in which unit, and whose formula it is.

    ``counts``: whether a missing value counts against the row. What says something about others (flags of what is
    absent, what peers did, what sources told) says nothing of the symbol's own bars.
    """

    name: str
    formula: str
    window: str
    unit: str
    source: str
    dtype: type[pl.DataType] = pl.Float32
    counts: bool = True
