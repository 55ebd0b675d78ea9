"""How far bands reach around a centre: quantiles of earlier errors near the time of day, alike on both sides.

Belongs here: from errors to bands of any level. An error is |z - centre|, or that in units of a predicted size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.models.design import Floats

_LEVELS = np.arange(1, 100) / 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """``minutes`` since the open, ascending, and for each the reach of the bands of 1 to 99 %: ``table`` [minute, 99].

    A band of level L reaches as far as L % of the errors within some minutes of that time did: with each error mirrored
    its ends are the quantiles (100 - L) / 200 and (100 + L) / 200, and the median is exactly the centre.
    """

    minutes: Floats
    table: Floats

    def at(self, rows: pl.DataFrame, levels: Sequence[int]) -> Floats:
        """Return [row, level], by the minute nearest to the row's."""
        nearest = np.abs(since_open(rows)[:, None] - self.minutes).argmin(axis=1)
        found: Floats = self.table[np.ix_(nearest, [level - 1 for level in levels])]
        return found

    def saved(self) -> dict[str, Any]:
        """Return the fields as JSON holds them."""
        return {"minutes": self.minutes.tolist(), "table": self.table.tolist()}

    @staticmethod
    def loaded(saved: Mapping[str, Any]) -> "Reach":
        """Return the reach of ``saved``."""
        return Reach(minutes=np.array(saved["minutes"], float), table=np.array(saved["table"], float))


def reach(rows: pl.DataFrame, errors: Floats, *, window_min: int) -> Reach:
    """Return the reach of rows by their errors, none of them negative; rows within ``window_min`` minutes count."""
    at, known = since_open(rows), np.isfinite(errors)
    minutes = np.unique(at[known])
    near = (errors[known & (np.abs(at - minute) <= window_min)] for minute in minutes)
    return Reach(minutes=minutes, table=np.array([np.quantile(some, _LEVELS) for some in near]))


def since_open(rows: pl.DataFrame) -> Floats:
    """Return each row's minutes from its session's open to its snapshot."""
    opens = calendar.sessions_frame(rows["day"].unique()).select("day", "open")
    placed = rows.select("day", "snapshot_ts").join(opens, on="day", how="left", maintain_order="left")
    minutes = placed.select((pl.col("snapshot_ts") - pl.col("open")).dt.total_minutes()).to_series()
    found: Floats = minutes.to_numpy().astype(np.float64)
    return found
