"""What local forecasters learn from: the earlier days of a history as arrays, and what is known at a snapshot.

Belongs here: turning frames into arrays, once for all local forecasters. What they learn is each one's own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from timegpt_assets.core.forecasts.framing import PAST_MINUTES, Frame

Floats = npt.NDArray[np.float64]
PAST = ("ret", *(f"past_{k}m" for k in PAST_MINUTES))
"""Past returns; ``ret`` is the unscaled y known at that moment."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lessons:
    """The days before a frame's day: arrays by symbol, day and minute since the open, NaN where nothing is known.

    ``past`` holds PAST along its last axis, in units of ``sigma``, the volatility of that minute; ``came`` the return,
    as log return, that a forecast of that minute was about. Nobody may write into them: every forecaster reads them.
    """

    horizon_min: int
    symbols: tuple[str, ...]
    past: Floats
    sigma: Floats
    came: Floats

    @property
    def z(self) -> Floats:
        """Return what came in units of the volatility of its minute."""
        return self.came / self.sigma


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What is known at a snapshot of its symbols, ascending; ``rows`` are their places in ``lessons``.

    ``past`` and ``sigma`` as in the lessons; ``target_scale``: log return of one unit asked for. ``today`` [symbol,
    minute up to the snapshot]: the return known at each, in units of its ``sigma``, NaN where none is.
    """

    snapshot_ts: datetime
    horizon_min: int
    minute: int
    symbols: tuple[str, ...]
    rows: npt.NDArray[np.int64]
    past: Floats
    sigma: Floats
    target_scale: Floats
    today: Floats
    lessons: Lessons

    def near(self, lessons: Floats, within_min: int) -> Floats:
        """Return [symbol, n] of an array like the lessons: those within some minutes of the snapshot's time of day."""
        first, end = max(self.minute - within_min, 0), self.minute + within_min + 1
        chosen = lessons[:, :, first:end][self.rows]
        symbols, days, minutes = chosen.shape
        return chosen.reshape(symbols, days * minutes)  # not -1, which nothing can be divided by


def known(frames: Iterable[Frame]) -> tuple[Known, ...]:
    """Return what is known at each frame's snapshot, by snapshot; frames with the same earlier days share lessons.

    Those are the frames of one day whose history begins with the same session.
    """
    alike: dict[tuple[date, Any, int], list[Frame]] = {}
    for frame in frames:
        alike.setdefault((frame.day, frame.history["day"].min(), frame.horizon_min), []).append(frame)
    found = []
    for together in alike.values():
        lessons = _lessons(together)
        found += [_known(frame, lessons) for frame in together]
    return tuple(sorted(found, key=lambda one: one.snapshot_ts))


def _known(frame: Frame, lessons: Lessons) -> Known:
    today = frame.history.filter(pl.col("day") == frame.day)
    now = today.filter(pl.col("known_at") == frame.snapshot_ts).sort("symbol")
    symbols, sigma = tuple(now["symbol"]), now["sigma"].to_numpy()
    minute = now["minute"][0] if symbols else 0  # one for all: minutes since the open
    return Known(
        snapshot_ts=frame.snapshot_ts,
        horizon_min=frame.horizon_min,
        minute=minute,
        symbols=symbols,
        rows=np.searchsorted(lessons.symbols, symbols).astype(np.int64),
        past=_past(now) / sigma[:, None],
        sigma=sigma,
        target_scale=now["target_scale"].to_numpy(),
        today=_today(today, symbols, minute),
        lessons=lessons,
    )


def _today(rows: pl.DataFrame, symbols: Sequence[str], minute: int) -> Floats:
    ours = rows.filter(pl.col("symbol").is_in(symbols), pl.col("sigma") > 0)
    found = np.full((len(symbols), minute + 1), np.nan)
    place = np.searchsorted(symbols, ours["symbol"]), ours["minute"].to_numpy()
    found[place] = ours.select(pl.col("y") * pl.col("target_scale") / pl.col("sigma")).to_series().to_numpy()
    return found


def _lessons(frames: Sequence[Frame]) -> Lessons:
    """Return the lessons of frames that share their earlier days: each symbol's from the first frame that shows it."""
    seen: set[str] = set()
    parts = []
    for frame in frames:
        new = sorted(set(frame.sigma["symbol"]) - seen)
        seen |= set(new)
        parts.append(frame.history.filter((pl.col("day") < frame.day) & pl.col("symbol").is_in(new)))
    rows, symbols = pl.concat(parts), tuple(sorted(seen))
    place = (
        rows["symbol"].cast(pl.Enum(symbols)).to_physical().to_numpy(),
        (rows["day"].rank("dense") - 1).to_numpy(),
        rows["minute"].to_numpy(),
    )
    # the snapshots' own minutes have a place too, whatever the days before hold
    minutes = 1 + max(int(np.max(frame.history["minute"].to_numpy(), initial=0)) for frame in frames)
    sigma = np.full((len(symbols), rows["day"].n_unique(), minutes), np.nan)
    past = np.full((*sigma.shape, len(PAST)), np.nan)
    past[place], sigma[place] = _past(rows), rows["sigma"].to_numpy()
    sigma[sigma == 0] = np.nan
    # y is stamped when it became known: a horizon earlier it was what that minute would have been asked.
    came, horizon_min = np.full_like(sigma, np.nan), frames[0].horizon_min
    came[..., :-horizon_min] = past[..., horizon_min:, 0]
    past /= sigma[..., None]
    for array in (past, sigma, came):
        array.flags.writeable = False
    return Lessons(horizon_min=horizon_min, symbols=symbols, past=past, sigma=sigma, came=came)


def _past(rows: pl.DataFrame) -> Floats:
    """Return [row, of PAST] as log returns."""
    return rows.with_columns(ret=pl.col("y") * pl.col("target_scale")).select(PAST).to_numpy(order="c")
