"""What a forecast sees of a market: the stretch of its series up to a cycle, as numbers, with what is missing in it.

Belongs here: MARKET_SERIES and SELECTION to Asked. How the series is made is series.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from timegpt_assets.core.tsfm.asked import Asked, Floats
from timegpt_assets.core.tsfm.series import SeriesSpec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def asked(selected: pl.DataFrame, rows: pl.DataFrame, spec: SeriesSpec, quantiles: Sequence[float]) -> list[Asked]:
    """Return what is asked of each row of SELECTION that is selected, in its order, whatever its cycle.

    ``rows``: MARKET_SERIES of at least the window before every cycle; later ones are not looked at. A window begins
    with its first price; a market without any has an empty ``y``. Raises ValueError for a cycle off the grid.
    """
    chosen = selected.filter(pl.col("selected"))
    past = _past(rows, chosen["market_id"].unique().sort().to_list(), spec)
    return [_asked(one, past, spec, tuple(quantiles)) for one in chosen.iter_rows(named=True)]


@dataclass(frozen=True, slots=True)
class _Past:
    """Series as numbers: a line per market, a column per moment from ``origin``; nan and False without a row."""

    lines: dict[str, int]
    origin: int
    y: Floats
    age: Floats
    gap: Floats
    is_seen: NDArray[np.bool_]


def _past(rows: pl.DataFrame, markets: list[str], spec: SeriesSpec) -> _Past:
    step_us, lines = spec.freq_min * 60_000_000, {market: line for line, market in enumerate(markets)}
    wanted = rows.filter(pl.col("market_id").is_in(markets))
    column = (wanted["ts"].dt.epoch("us") // step_us).to_numpy()
    origin = int(column.min()) if wanted.height else 0
    shape = (len(markets), int(column.max()) - origin + 1 if wanted.height else 0)
    line = wanted["market_id"].replace_strict(lines, return_dtype=pl.Int64).to_numpy() if wanted.height else column
    at = (line, column - origin)
    y, age, gap = (np.full(shape, np.nan) for _ in range(3))
    is_seen = np.zeros(shape, dtype=np.bool_)
    y[at], age[at], gap[at] = (wanted[name].to_numpy() for name in ("y", "age_min", "gap_min"))
    is_seen[at] = (wanted["y_source"].fill_null("ffill") != "ffill").to_numpy()
    return _Past(lines, origin, y, age, gap, is_seen)


def _asked(one: dict[str, Any], past: _Past, spec: SeriesSpec, quantiles: tuple[float, ...]) -> Asked:
    market_id, as_of = one["market_id"], one["as_of"]
    steps, beside = divmod(as_of - _EPOCH, spec.step)
    if beside:
        raise ValueError(f"{as_of} is no moment of a grid of {spec.freq_min} minutes. Round the cycle down to one.")
    y, age, gap, is_seen = (
        _window(numbers[past.lines[market_id]], steps - past.origin, spec.input_len, empty)
        for numbers, empty in ((past.y, np.nan), (past.age, np.nan), (past.gap, np.nan), (past.is_seen, False))
    )
    known = np.flatnonzero(np.isfinite(y))
    kept = slice(int(known[0]) if known.size else y.size, None)
    return Asked(
        market_id=market_id,
        as_of=as_of,
        y=y[kept],
        seen=is_seen[kept],
        longest_gap_min=_longest_gap(age[kept], gap[kept], is_seen[kept], spec),
        freq_min=spec.freq_min,
        horizon=spec.horizon,
        quantiles=quantiles,
        liquidity_bucket=one["liquidity_bucket"],
        volume_24h=one["volume_24h"],
    )


def _window(numbers: NDArray[Any], end: int, length: int, empty: float) -> NDArray[Any]:
    """Return the ``length`` numbers up to and with column ``end``; those outside of the columns are ``empty``."""
    found = np.full(length, empty, dtype=numbers.dtype)
    first, last = max(0, end - length + 1), min(numbers.size, end + 1)
    if first < last:
        found[first - (end - length + 1) : last - (end - length + 1)] = numbers[first:last]
    return found


def _longest_gap(age: Floats, gap: Floats, is_seen: NDArray[np.bool_], spec: SeriesSpec) -> float:
    """Return the minutes of the longest stretch without a price, that before the end included; inf without any."""
    if not age.size:
        return math.inf
    if is_seen[0]:  # what lies before the first price of a window is no gap in it
        gap = np.concatenate([age[:1], gap[1:]])
    # without a row, its age is that of the row before and a step for each since
    place = np.arange(age.size)
    before = np.maximum.accumulate(np.where(np.isfinite(age), place, 0))
    since = age[before] + (place - before) * spec.freq_min
    return float(max(np.nanmax(gap), since.max()))
