"""The unlearnt twin: the ladder's bands of the same rows without a centre and without a size that features tell.

Belongs here: what every rung must beat beside the control arm. Errors within hours of the day, of all symbols together,
make better bands than those few of one symbol that the control arm counts, and whoever takes a noisy volatility nearer
to the usual one makes better bands yet: neither needs anything to be known of the market.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from timegpt_assets.core.models.bands import likeliest
from timegpt_assets.core.models.design import Floats, sums
from timegpt_assets.core.models.learnt import around, no_answers
from timegpt_assets.core.models.part import shrunk
from timegpt_assets.core.models.reach import Reach, reach


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unlearnt:
    """mean = 0; a band reaches size x the reach of its level at that time of day, in units of sigma.

    ln size = ``share`` x (the symbol's ``usual`` ln sigma less its sigma's own logarithm): at 0 sigma is believed as it
    stands, at 1 the usual one is. A symbol that was never seen has the size 1.
    """

    usual: Mapping[str, float]
    share: float
    reach: Reach

    def predicted(self, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
        """Return the answers (core/models/learnt.py) of rows: day, symbol, snapshot_ts, sigma."""
        size = np.exp(shrunk(_calmer(rows, self.usual), self.share, 0.0))
        return around(rows, np.zeros(rows.height), size[:, None] * self.reach.at(rows, levels), levels)


def twin(rows: pl.DataFrame, *, window_min: int) -> Unlearnt:
    """Return the twin of whoever learns from the rows: day, symbol, snapshot_ts, sigma, z.

    ``window_min``: as a tree's. The share is the one under which |z| is likeliest.
    """
    symbols, total, n = sums(rows["symbol"], np.log(rows["sigma"].to_numpy()))
    usual = dict(zip(symbols, (total / n).tolist(), strict=True))
    z, calmer = np.abs(rows["z"].to_numpy()), _calmer(rows, usual)
    share = likeliest(z, calmer, z, 0.0)
    own = reach(rows, z / np.exp(shrunk(calmer, share, 0.0)), window_min=window_min)
    return Unlearnt(usual=usual, share=share, reach=own)


def by_the_others(rows: pl.DataFrame, levels: Sequence[int], *, window_min: int) -> pl.DataFrame:
    """Return the answers of rows, each session's by the twin of all other sessions; none where there is only one.

    For those whose rows teach nobody else, as a blend's: that some of them came later can only make the twin better.
    """
    parts = [no_answers(levels)]
    for (day,), own in rows.partition_by("day", as_dict=True, maintain_order=True).items():
        if (others := rows.filter(pl.col("day") != day)).height:
            parts.append(twin(others, window_min=window_min).predicted(own, levels))
    return pl.concat(parts, how="diagonal")


def _calmer(rows: pl.DataFrame, usual: Mapping[str, float]) -> Floats:
    """Return [row]: the logarithm of the usual sigma in units of the row's own."""
    logs = np.log(rows["sigma"].to_numpy())
    found: Floats = np.array([usual.get(symbol, log) for symbol, log in zip(rows["symbol"], logs, strict=True)]) - logs
    return found
