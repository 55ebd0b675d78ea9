"""Two runs on their common rows: how much more or less each forecaster lost and earned in the one than in the other.

Belongs here: rows of two stored runs meeting. What makes two rows comparable is comparison.py.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core.evaluation.comparison import met, ratios
from timegpt_assets.core.significance import Sampling, bootstrap_total
from timegpt_assets.core.tables.columns import BANDS

_ENDS = {
    f"{name}{end}": pl.Float64() for name in ("rpinball", "rmae", "pnl_difference") for end in ("", "_low", "_high")
}
DIFFERENCES = pl.Schema(
    {"forecaster": pl.String(), "n": pl.Int64(), "not_common": pl.Int64(), "sessions": pl.Int64()}
    | _ENDS
    | {"rpinball_p": pl.Float64()}
    | {f"{whose}coverage_{level}": pl.Float64() for level in BANDS for whose in ("", "against_")}
)
"""Columns of ``differences``; ratios below 1 and differences above 0 speak for the first run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a comparison needs of a run: DAY_SCORES, PORTFOLIO, and the sessions that both are complete of."""

    scores: pl.DataFrame
    portfolio: pl.DataFrame
    sessions: Collection[date]


def differences(own: Run, other: Run, sampling: Sampling) -> pl.DataFrame:
    """Return DIFFERENCES of each forecaster that is in both runs, on forecasts and sessions that are in both.

    Money is that of the forecaster's own book: net P&L of the first run less the other's, USD, on common sessions. A
    forecaster without a common row has n 0 and nulls.
    """
    both = sorted(set(own.scores["forecaster"]) & set(other.scores["forecaster"]))
    return pl.DataFrame(list(_rows(own, other, both, sampling)), schema=DIFFERENCES, orient="row")


def _rows(own: Run, other: Run, both: Collection[str], sampling: Sampling) -> Iterator[dict[str, object]]:
    sessions = sorted(set(own.sessions) & set(other.sessions))
    for name in both:
        mine = own.scores.filter(forecaster=name)
        common = met(mine, other.scores.filter(forecaster=name))
        row: dict[str, object] = {"forecaster": name, "n": common.height, "not_common": mine.height - common.height}
        row |= {"sessions": common["day"].n_unique()} | _money(own, other, name, sessions, sampling)
        if common.height:
            row |= ratios(common)
        row |= {
            f"{whose}coverage_{level}": common[f"{whose}covered_{level}"].mean()
            for level in BANDS
            for whose in ("", "against_")
        }
        yield {column: row.get(column) for column in DIFFERENCES}


def _money(own: Run, other: Run, name: str, sessions: list[date], sampling: Sampling) -> dict[str, object]:
    if not sessions:
        return {}
    net = [dict(_daily(run.portfolio, name).iter_rows()) for run in (own, other)]
    daily = np.array([net[0].get(day, 0.0) - net[1].get(day, 0.0) for day in sessions])
    found = bootstrap_total(daily, draws=sampling.draws, cluster_days=sampling.cluster_days)
    return {"pnl_difference": found.value, "pnl_difference_low": found.low, "pnl_difference_high": found.high}


def _daily(portfolio: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return day and net P&L of the admitted trades of a forecaster's own book."""
    own = portfolio.filter("admitted", book=name).sort("day", "symbol", "snapshot_ts")
    return own.group_by("day", maintain_order=True).agg(pl.col("net_pnl").sum())
