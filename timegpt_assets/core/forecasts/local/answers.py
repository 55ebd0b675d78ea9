"""What every local forecaster answers, whoever it is: a centre, and around it bands of its own earlier errors.

Belongs here: the protocol of local forecasters, and from what one says to rows or refusals. They need nothing but the
frames, learn from the days before a frame's day alone, and none sees what another said.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from timegpt_assets.core.forecasts.local.evidence import Floats, Known, Lessons
from timegpt_assets.core.schema import TIME

BACKEND = "baseline"
"""How the rows of all of them were asked."""
_KEY = {"snapshot_ts": TIME, "symbol": pl.String()}
REFUSED = _KEY | {"reason": pl.String()}
"""Columns of who is not answered, and why."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """What one forecaster says at a snapshot, by its symbols: ``centre`` [symbol], ``errors`` [symbol, n].

    Both in ``unit`` [symbol] (log return); an error is what came less the centre of then, NaN where there was none.
    Symbols with fewer than ``least`` errors are not answered. ``counted``: what the errors are, in words.
    """

    centre: Floats
    errors: Floats
    unit: Floats
    least: int
    counted: str = "residuals near this time"


Learnt = Callable[[Known], Outlook]


class Local(Protocol):
    """A local forecaster: a frozen dataclass whose fields are everything that shapes its answers.

    ``word`` names its rows' model.
    """

    word: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def learnt(self, lessons: Lessons) -> Learnt:
        """Return what it makes of the earlier days: a function from what is known at a snapshot to its outlook."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """``rows``: snapshot_ts, symbol, step (the horizon), mean, lo_<level>, hi_<level> in scaled target units, by key.

    ``refused``: snapshot_ts, symbol, reason, by key, of those that have no row.
    """

    rows: pl.DataFrame
    refused: pl.DataFrame


def answered(snapshots: Iterable[Known], forecaster: Local, *, levels: Sequence[int]) -> Answered:
    """Return what one forecaster answers at each snapshot, and whom it does not answer.

    mean = centre x unit; a band adds the quantiles of the errors, centred on their median so that bands nest around
    the mean.
    """
    outward = sorted(levels)
    tails = np.array([(100 - level) / 200 for level in outward] + [(100 + level) / 200 for level in outward])
    names = ["mean", *(f"lo_{level}" for level in outward), *(f"hi_{level}" for level in outward)]
    learnt: dict[Lessons, Learnt] = {}
    rows = [pl.DataFrame(schema=_KEY | {"step": pl.Int64()} | dict.fromkeys(names, pl.Float64()))]
    refused = [pl.DataFrame(schema=REFUSED)]
    for known in snapshots:
        if known.lessons not in learnt:
            learnt[known.lessons] = forecaster.learnt(known.lessons)
        outlook = learnt[known.lessons](known)
        counts = np.count_nonzero(~np.isnan(outlook.errors), axis=1)
        enough = counts >= outlook.least
        values = _values(outlook, enough, tails) / known.target_scale[enough, None]
        step = pl.lit(known.horizon_min, pl.Int64).alias("step")
        rows.append(_key(known, enough).select(pl.all(), step).hstack(pl.DataFrame(values, schema=names)))
        reasons = [f"short history: {n} {outlook.counted}, at least {outlook.least}" for n in counts[~enough]]
        refused.append(_key(known, ~enough).with_columns(pl.Series("reason", reasons, pl.String)))
    order = list(_KEY)
    return Answered(rows=pl.concat(rows).sort(order), refused=pl.concat(refused).sort(order))


def row_quantiles(values: Floats, probabilities: Floats) -> Floats:
    """Return [row, probability]: np.quantile, bit for bit, of the values of each row that are not NaN, at least one.

    One sort of all rows: np.quantile by itself takes longer for one row than this for ten.
    """
    ascending = np.sort(values, axis=1)  # NaN last
    last = np.count_nonzero(~np.isnan(values), axis=1)[:, None] - 1
    at = last * probabilities
    below = np.floor(at).astype(np.int64)
    low, high = (np.take_along_axis(ascending, place, axis=1) for place in (below, np.minimum(below + 1, last)))
    span, share = high - low, at - below
    # from the nearer end, as numpy does: the last bit hangs on it
    found: Floats = np.where(share < 0.5, low + span * share, high - span * (1 - share))
    return found


def _values(outlook: Outlook, enough: npt.NDArray[np.bool_], tails: Floats) -> Floats:
    """Return [symbol, (mean, ends of the bands)] as log returns, of the symbols with enough errors."""
    if not enough.any():
        return np.empty((0, 1 + tails.size))
    quantiles = row_quantiles(outlook.errors[enough], np.append(tails, 0.5))
    centre = outlook.centre[enough, None]
    ends = centre + (quantiles[:, :-1] - quantiles[:, -1:])
    values: Floats = np.hstack([centre, ends]) * outlook.unit[enough, None]
    return values


def _key(known: Known, chosen: npt.NDArray[np.bool_]) -> pl.DataFrame:
    symbols = pl.Series("symbol", known.symbols, pl.String).filter(pl.Series(chosen))
    return pl.DataFrame(symbols).select(pl.lit(known.snapshot_ts, TIME).alias("snapshot_ts"), "symbol")
