"""Whom every rung is judged against: the control arm and zero, by their frozen settings, on a rung's own rows.

Belongs here: showing rows to local forecasters, whose code is the seats' own. They learn each symbol by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import numpy as np
import polars as pl

from timegpt_assets.core.forecasts.local.answers import Local, answered
from timegpt_assets.core.forecasts.local.evidence import PAST, Floats, Known, Lessons
from timegpt_assets.core.forecasts.local.ridge import Ridge
from timegpt_assets.core.forecasts.local.zero import Zero
from timegpt_assets.core.models.reach import since_open

_PAST = ("ret_15m", "ret_1m", "ret_5m", "ret_30m")
"""Where a row holds what PAST is; in the first minutes of a session a frame reaches back to the first price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The forecasters with their settings as configured, and the digest of the control arm's.

    ``snapshot_every_min``: minutes between the rows of a session. The seats count errors minute by minute; on this grid
    the same span of time holds so many fewer.
    """

    ridge: Ridge
    zero: Zero
    settings: str
    snapshot_every_min: int

    @property
    def seats(self) -> tuple[Local, ...]:
        """Return the control arm and zero as they are tried on rows."""
        every = self.snapshot_every_min
        return tuple(replace(seat, min_residuals=-(-seat.min_residuals // every)) for seat in (self.ridge, self.zero))


def answers(train: pl.DataFrame, test: pl.DataFrame, seat: Local, levels: Sequence[int]) -> pl.DataFrame:
    """Return day, symbol, snapshot_ts, mean, lo_<level>, hi_<level> in units of sigma: what a seat makes of rows.

    ``train`` and ``test`` TRAINING_SET; the outcome of ``test`` is not read. Whom the seat refuses is absent.
    """
    lessons = _lessons(train, test)
    known = [
        _known(rows, lessons)
        for _, rows in test.sort("snapshot_ts", "symbol").group_by("snapshot_ts", maintain_order=True)
    ]
    said = answered(known, seat, levels=levels).rows
    return (
        test.select("day", "symbol", "snapshot_ts")
        .join(said.drop("step"), on=["symbol", "snapshot_ts"], how="inner")
        .sort("day", "symbol", "snapshot_ts")
    )


def _lessons(train: pl.DataFrame, test: pl.DataFrame) -> Lessons:
    symbols = tuple(sorted({*train["symbol"], *test["symbol"]}))
    minutes = 1 + int(max(since_open(train).max(), since_open(test).max()))
    days = {day: place for place, day in enumerate(train["day"].unique().sort())}
    place = _places(train, symbols, days)
    past = np.full((len(symbols), len(days), minutes, len(PAST)), np.nan)
    sigma, came = past[..., 0].copy(), past[..., 0].copy()
    past[place], sigma[place] = _past(train), train["sigma"].to_numpy()
    came[place] = train["y"].to_numpy()
    return Lessons(horizon_min=int(train["horizon_min"][0]), symbols=symbols, past=past, sigma=sigma, came=came)


def _known(rows: pl.DataFrame, lessons: Lessons) -> Known:
    moment: datetime = rows["snapshot_ts"][0]
    minute, sigma = int(since_open(rows[:1])[0]), rows["sigma"].to_numpy()
    return Known(
        snapshot_ts=moment,
        horizon_min=lessons.horizon_min,
        minute=minute,
        symbols=tuple(rows["symbol"]),
        rows=np.searchsorted(lessons.symbols, rows["symbol"].to_list()).astype(np.int64),
        past=_past(rows),
        sigma=sigma,
        target_scale=sigma,
        today=np.full((rows.height, minute + 1), np.nan),
        lessons=lessons,
    )


def _places(rows: pl.DataFrame, symbols: Sequence[str], days: dict[date, int]) -> tuple[np.ndarray, ...]:
    symbol = np.searchsorted(symbols, rows["symbol"].to_list())
    day = np.array([days[day] for day in rows["day"]], dtype=np.int64)
    return symbol, day, since_open(rows).astype(np.int64)


def _past(rows: pl.DataFrame) -> Floats:
    """Return [row, of PAST] in units of sigma; what is not known is no move: a row is judged whoever knows it."""
    # beside the rows and not selected from them: literals alone would be one row
    told = rows.with_columns(
        (pl.col(name).cast(pl.Float64) / pl.col("sigma") if name in rows.columns else pl.lit(None, pl.Float64))
        .fill_null(0.0)
        .alias(name)
        for name in _PAST
    )
    return told.select(_PAST).to_numpy(order="c")
