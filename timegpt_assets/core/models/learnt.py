"""What a rung of the ladder is once it has learnt: a model that answers rows, and the report of how it came to be.

Belongs here: the protocol that trees, nets and blends keep. Answers are in units of sigma, the row's volatility.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

import polars as pl

from timegpt_assets.core.forecasts.quantiles import nested
from timegpt_assets.core.models.design import Floats
from timegpt_assets.core.models.folds import sessions
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.models import LOSSES

INSUFFICIENT_HISTORY = "insufficient_history"


class Model(Protocol):
    """What answers rows."""

    def predicted(self, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
        """Return day, symbol, snapshot_ts, mean, lo_<level>, hi_<level> in units of sigma, by key, bands nested.

        ``rows`` as ``snapshot_rows`` makes them (further columns are not read); whom it cannot answer is absent.
        """
        ...

    def saved(self) -> dict[str, bytes]:
        """Return the artifact's files, name's ending -> bytes; equal models, equal bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learnt:
    """A month's model, or why there is none.

    ``reason``: empty, or ``insufficient_history: ...`` in which case ``model`` is None. ``report``: JSON-able and
    without a clock: settings, folds, validation against zero and the control arm. ``out_of_fold``: day, symbol,
    snapshot_ts, mean from models that never saw the row's block of sessions: what a student is taught.
    ``first_day`` .. ``last_day``, ``sessions``, ``rows``: what was learnt from.
    """

    model: Model | None
    report: Mapping[str, Any]
    out_of_fold: pl.DataFrame
    first_day: date | None
    last_day: date | None
    sessions: int
    rows: int
    reason: str = ""
    losses: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LOSSES))
    """LOSSES of the validation: the model's own, the control arm's, zero's and the unlearnt twin's."""


def too_few(days: Sequence[date], least: int) -> str:
    """Return why so many sessions teach nothing, empty where they are enough."""
    found = f"{len(days)} sessions with rows, at least {least} (models.min_sessions)"
    return f"{INSUFFICIENT_HISTORY}: {found}" if len(days) < least else ""


def nothing(rows: pl.DataFrame, reason: str) -> Learnt:
    """Return that there is no model of the rows that would have been learnt from, and why."""
    days = sessions(rows)
    return Learnt(
        model=None,
        report={"reason": reason},
        out_of_fold=rows.select(KEY).clear().with_columns(mean=pl.lit(None, pl.Float64)),
        first_day=days[0] if days else None,
        last_day=days[-1] if days else None,
        sessions=len(days),
        rows=rows.height,
        reason=reason,
    )


def no_answers(levels: Sequence[int]) -> pl.DataFrame:
    """Return the columns of an answer, without rows."""
    times = {"day": pl.Date(), "symbol": pl.String(), "snapshot_ts": TIME}
    return pl.DataFrame(
        schema=times | dict.fromkeys(["mean", *(n for n in nested(levels) if n != "mean")], pl.Float64())
    )


def around(rows: pl.DataFrame, centre: Floats, reached: Floats, levels: Sequence[int]) -> pl.DataFrame:
    """Return the answer of rows whose bands reach as far on both sides: ``centre`` [row], ``reached`` [row, level]."""
    ends = {f"lo_{level}": centre - reached[:, i] for i, level in enumerate(levels)}
    return answers(rows, centre, ends | {f"hi_{level}": centre + reached[:, i] for i, level in enumerate(levels)})


def answers(rows: pl.DataFrame, centre: Any, ends: Mapping[str, Any]) -> pl.DataFrame:
    """Return the answer of rows: ``centre`` [row] and ``ends``, name of a band's end -> [row], in units of sigma."""
    columns = {"mean": centre, **ends}
    return (
        rows.select(KEY).with_columns(pl.Series(name, values, pl.Float64) for name, values in columns.items()).sort(KEY)
    )
