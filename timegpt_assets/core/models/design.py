"""What a tree sees of a row: chosen features without a unit, so that rows of one symbol speak for another.

Belongs here: from rows to a matrix. What moves with price or volatility is divided by the row's sigma.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """``names``: columns of the rows, in order; ``scaled`` ones are taken in units of sigma, their size alone if so."""

    names: tuple[str, ...]
    scaled: frozenset[str]
    sizes_only: bool = False

    def matrix(self, rows: pl.DataFrame) -> Floats:
        """Return [row, feature], NaN where a feature is not known.

        Raises ValueError for rows without one of the features.
        """
        if missing := [name for name in self.names if name not in rows.columns]:
            raise ValueError(
                f"the rows have no {', '.join(missing)}, which the model was taught. Learn anew with the features of "
                "now (timegpt-assets train), or switch their groups on in features.groups."
            )
        return rows.select(self._taken(name) for name in self.names).to_numpy().reshape(rows.height, len(self.names))

    def _taken(self, name: str) -> pl.Expr:
        taken = pl.col(name).cast(pl.Float64)
        if name in self.scaled:
            taken = taken / pl.col("sigma")
            taken = taken.abs() if self.sizes_only else taken
        return taken.fill_null(float("nan")).alias(name)

    def without(self, names: frozenset[str]) -> "Design":
        """Return the design less some features."""
        return Design(
            names=tuple(name for name in self.names if name not in names),
            scaled=self.scaled - names,
            sizes_only=self.sizes_only,
        )

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return asdict(self) | {"names": list(self.names), "scaled": sorted(self.scaled & {*self.names})}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Design":
        """Return the design of ``saved``."""
        return Design(
            names=tuple(saved["names"]), scaled=frozenset(saved["scaled"]), sizes_only=bool(saved["sizes_only"])
        )


def unknown(rows: pl.DataFrame, names: tuple[str, ...]) -> frozenset[str]:
    """Return the features that no row knows: nothing can be learnt from them."""
    numbers = rows.select(pl.col(name).cast(pl.Float64).is_finite().any() for name in names if name in rows.columns)
    return frozenset(name for name, known in zip(numbers.columns, numbers.row(0), strict=True) if not known)


def sums(keys: pl.Series, values: Floats) -> tuple[pl.Series, Floats, Floats]:
    """Return the distinct keys, ascending, with the sum of their values and how many there are.

    Added in the order of the rows: polars adds a group's numbers in an order that differs from run to run.
    """
    distinct = keys.unique().sort()
    place = keys.rank("dense").to_numpy() - 1
    added: Floats = np.bincount(place, weights=values, minlength=len(distinct)).astype(np.float64)
    counted: Floats = np.bincount(place, minlength=len(distinct)).astype(np.float64)
    return distinct, added, counted


def by_moment(rows: pl.DataFrame, values: Floats) -> Floats:
    """Return each row's value less the mean of all rows of its snapshot, its own among them."""
    place = rows["snapshot_ts"].rank("dense").to_numpy() - 1
    _, total, n = sums(rows["snapshot_ts"], values)
    found: Floats = values - (total / n)[place]
    return found
