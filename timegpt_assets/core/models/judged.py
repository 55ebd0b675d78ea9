"""How good answers are on rows whose outcome is known, and whether they are better than others' on the same rows.

Belongs here: losses of answers, and two forecasters compared. All of it in units of sigma.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from timegpt_assets.core import significance
from timegpt_assets.core.models.design import sums
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.pinball import pinball

TAILS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Quantiles whose losses are averaged, those of core/evaluation/forecast.py, as far as a row has them."""


def losses(rows: pl.DataFrame, answers: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
    """Return day, symbol, snapshot_ts, pinball, abs_error of each answered row, by key, in units of sigma.

    ``rows`` TRAINING_SET; ``answers`` mean, lo_<level>, hi_<level> by key. A level of which neither end is in TAILS
    counts for nothing.
    """
    both = rows.select(*KEY, "z").join(answers, on=list(KEY)).sort(KEY)
    ends = {0.5: "mean"} | {
        (100 + side * level) / 200: f"{name}_{level}" for level in levels for side, name in ((-1, "lo"), (1, "hi"))
    }
    lost = (pinball(pl.col("z"), pl.col(ends[tail]), tail) for tail in TAILS if tail in ends)
    return both.select(*KEY, pinball=pl.mean_horizontal(lost), abs_error=(pl.col("z") - pl.col("mean")).abs())


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A rung against another: ratios of mean losses with their 95 % intervals by days, and whether it is better.

    ``dm_p``: one-sided Diebold-Mariano p of the pinball loss being lower, over days.
    """

    n: int
    sessions: int
    pinball: float | None
    against_pinball: float | None
    pinball_ratio: float | None
    pinball_ratio_low: float | None
    pinball_ratio_high: float | None
    mae_ratio: float | None
    mae_ratio_low: float | None
    mae_ratio_high: float | None
    dm_p: float | None

    @property
    def better(self) -> bool:
        """Return whether its loss is lower, and surely so."""
        return self.pinball_ratio is not None and self.dm_p is not None and self.pinball_ratio < 1 and self.dm_p < 0.05

    def saved(self) -> dict[str, float | int | bool | None]:
        """Return the fields and ``better``, as JSON holds them."""
        return asdict(self) | {"better": self.better}


def compared(own: pl.DataFrame, against: pl.DataFrame) -> Comparison:
    """Return the comparison of two results of ``losses`` on the rows that both have."""
    common = own.join(against, on=list(KEY), suffix="_against").sort(KEY)
    days, pinball, _ = sums(common["day"], common["pinball"].to_numpy())
    other, error, other_error = (
        sums(common["day"], common[name].to_numpy())[1]
        for name in ("pinball_against", "abs_error", "abs_error_against")
    )
    ratio, mae = significance.ratio(pinball, other), significance.ratio(error, other_error)
    n = common.height
    return Comparison(
        n=n,
        sessions=len(days),
        pinball=float(np.sum(pinball)) / n if n else None,
        against_pinball=float(np.sum(other)) / n if n else None,
        pinball_ratio=ratio.value,
        pinball_ratio_low=ratio.low,
        pinball_ratio_high=ratio.high,
        mae_ratio=mae.value,
        mae_ratio_low=mae.low,
        mae_ratio_high=mae.high,
        dm_p=significance.diebold_mariano(pinball, other),
    )
