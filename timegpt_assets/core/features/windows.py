"""Sessions side by side as arrays, and the windows that run along them.

Belongs here: the layout (day, symbol, minute) and every move in time; formulas elsewhere move nothing themselves. A
window runs along the last axis, so it cannot cross a session, and only ever takes minutes that came before. Each value
is made by element-wise operations in a fixed order, so it has the same bits whichever other sessions stand beside it.
NaN stands for null inside arrays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from timegpt_assets.core import calendar

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
FULL_SESSION = 390
"""Minutes of a full session: every grid is at least that long, so that days of different chunks lie side by side."""
NO_VARIANCE = 1e-12
"""A variance below this share of the mean square is rounding, not movement."""


class BrokenGrid(ValueError):
    """Raised for bars that are not gapless sessions; names the session and the remedy."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The bars of consecutive sessions on a dense grid of days x symbols x minutes.

    ``bars`` are sorted by day, symbol and ts; ``cells`` says where each stands in the flattened grid, None when every
    cell holds its bar. ``minutes`` are those of each session; cells past an early close, and of symbols without bars,
    are NaN.
    """

    days: tuple[date, ...]
    symbols: tuple[str, ...]
    minutes: Ints
    length: int
    bars: pl.DataFrame
    cells: Ints | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return (days, symbols, minutes of the longest session)."""
        return len(self.days), len(self.symbols), self.length

    def array(self, expr: pl.Expr) -> Floats:
        """Return the expression over the bars as floats of the grid's shape; NaN for null and where no bar stands."""
        values = self.bars.select(expr.cast(pl.Float64)).to_series().to_numpy()
        if self.cells is None:
            return values.reshape(self.shape)
        dense = np.full(self.shape, np.nan)
        dense.reshape(-1)[self.cells] = values
        return dense


def grid_of(bars: pl.DataFrame, days: Iterable[date], symbols: Sequence[str]) -> Grid:
    """Return the bars of ``days`` x ``symbols`` on a grid; every session must be gapless from its open, as BARS are.

    ``bars`` may hold other days, which are not looked at. Raises BrokenGrid for a session with a hole or a repeat.
    """
    chosen = tuple(sorted(set(days)))
    sessions = [calendar.session(day) for day in chosen]
    minutes = np.array([s.minutes for s in sessions], dtype=np.int64)
    length = int(minutes.max(initial=FULL_SESSION))
    names = tuple(sorted(set(symbols)))
    own = _of_days(bars, chosen)
    opens = np.array([s.open.timestamp() * 1e6 for s in sessions], dtype=np.int64)
    day = np.searchsorted(np.array(chosen, dtype="datetime64[D]"), own["day"].to_numpy())
    # An Enum of the sorted names: its codes are the symbols' places on the grid.
    symbol = own["symbol"].cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int64)
    minute = (own["ts"].to_physical().to_numpy() - opens[day]) // 60_000_000
    cells = (day * len(names) + symbol) * length + minute
    # The usual case is sorted already, and is not copied.
    if (np.diff(cells) <= 0).any():
        order = np.argsort(cells, kind="stable")
        own, cells = own[order], cells[order]
    _refuse_holes(own, cells, cells % length)
    size = len(chosen) * len(names) * length
    return Grid(chosen, names, minutes, length, own, None if len(cells) == size else cells)


def _of_days(bars: pl.DataFrame, days: tuple[date, ...]) -> pl.DataFrame:
    """Return the bars of some days: a slice when they are sorted by day, so that many chunks do not scan them all."""
    stood = bars["day"]
    if not (days and stood.is_sorted()):
        return bars.filter(stood.is_in(days))
    start, stop = stood.search_sorted(days[0], "left"), stood.search_sorted(days[-1], "right")
    found = bars.slice(start, stop - start)
    return found if found["day"].n_unique() <= len(days) else found.filter(pl.col("day").is_in(days))


def _refuse_holes(bars: pl.DataFrame, cells: Ints, minutes: Ints) -> None:
    """Raise BrokenGrid where a bar neither opens its session nor follows the bar of the minute before."""
    # -2: the very first bar follows nobody, so it has to open its session.
    broken = (np.diff(cells, prepend=-2) != 1) & (minutes != 0)
    if broken.any():
        day, symbol, ts = bars.select("day", "symbol", "ts").row(int(broken.argmax()))
        raise BrokenGrid(
            f"the bars of {symbol} on {day} have a hole or a repeat before {ts}. Give whole sessions from the open on, "
            "as the asset bars stores them."
        )


def earlier(values: Floats, minutes: int) -> Floats:
    """Return the values of ``minutes`` ago: NaN in the session's first minutes. Raises ValueError for the future."""
    if minutes < 0:
        raise ValueError(f"earlier({minutes}) would read the future. Give a number of minutes that have passed.")
    moved = np.full_like(values, np.nan)
    kept = max(values.shape[-1] - minutes, 0)
    moved[..., values.shape[-1] - kept :] = values[..., :kept]
    return moved


def sums(values: Floats, *windows: int) -> tuple[Floats, ...]:
    """Return the sums over the last N minutes for each window N; NaN counts nothing, fewer minutes at the start.

    Sums over 1, 2, 4, ... minutes are made from each other and joined to each window: no running sum, which would
    remember in its last bits what has left the window, and all windows share the work.
    """
    power = zero_for_nan(values)
    joined: list[Floats | None] = [None] * len(windows)
    covered, size = [0] * len(windows), 1
    while True:
        for i, window in enumerate(windows):
            if window & size:
                joined[i] = power.copy() if joined[i] is None else _added(joined[i], power, covered[i])
                covered[i] += size
        size *= 2
        if size > max(windows):
            return tuple(total for total in joined if total is not None)
        power = _joined(power, power, size // 2)


def _added(total: Floats | None, values: Floats, lag: int) -> Floats:
    """Return ``total`` with the values of ``lag`` minutes ago added in place."""
    assert total is not None  # noqa: S101 - for the type checker: a window's first part is a copy
    if lag < total.shape[-1]:
        total[..., lag:] += values[..., : total.shape[-1] - lag]
    return total


def _joined(now: Floats, past: Floats, lag: int) -> Floats:
    """Return ``now`` with ``past`` of ``lag`` minutes ago added, in new memory."""
    if lag >= now.shape[-1]:
        return now.copy()
    total = np.empty_like(now)
    total[..., :lag] = now[..., :lag]
    np.add(now[..., lag:], past[..., : now.shape[-1] - lag], out=total[..., lag:])
    return total


def decayed_sums(values: Floats, decay: float) -> Floats:
    """Return sum over k >= 0 of decay^k x the value k minutes ago, since the open; NaN counts nothing."""
    total, size = zero_for_nan(values), 1
    while size < values.shape[-1]:
        total = _joined(total, total[..., :-size] * decay**size, size)
        size *= 2
    return total


def so_far(values: Floats) -> Floats:
    """Return the sum since the open; NaN counts nothing."""
    # A running sum does no harm here: nothing ever leaves the window.
    return np.cumsum(zero_for_nan(values), axis=-1)


def elapsed(shape: tuple[int, ...]) -> Floats:
    """Return minutes since the open at the end of each minute: 1, 2, ...; the last axis alone."""
    return np.arange(1.0, shape[-1] + 1.0)


def known_minutes(values: Floats) -> Floats:
    """Return how many values have been known so far; they must be known without a gap once they are."""
    unknown = np.isnan(values)
    first = np.where(unknown[..., 0], np.argmin(unknown, axis=-1), 0)
    none = unknown.all(axis=-1)
    first = np.where(none, values.shape[-1], first)
    return np.maximum(elapsed(values.shape) - first[..., None], 0.0)


def variance(n: Floats, total: Floats, squares: Floats) -> Floats:
    """Return the sum of squared deviations from sums of values and squares; NaN when it is but rounding."""
    spread = squares - total * total / n
    return np.where(spread > NO_VARIANCE * squares, spread, np.nan)


def zero_for_nan(values: Floats) -> Floats:
    """Return a copy with 0 for NaN."""
    return np.where(np.isnan(values), 0.0, values)


def where(condition: Bools, values: Floats) -> Floats:
    """Return the values where the condition holds, else NaN."""
    return np.where(condition, values, np.nan)
