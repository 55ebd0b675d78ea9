"""What may be learnt from on a day: its window, the outcomes inside it, and the pools they are gathered in.

Belongs here: the embargo and the purge, enforced for every method alike, and the order in which pools are tried.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.schema import TIME

Floats = np.ndarray
POOLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cell", ("symbol", "snapshot_time")),
    ("symbol", ("symbol",)),
    ("time", ("snapshot_time",)),
    ("all", ()),
)
"""Pools in the order they are tried, with what their outcomes have in common."""


class CalibrationError(ValueError):
    """Raised for a setting under which no honest model exists; names the days and the remedy."""


def offsets(window_days: int, embargo_days: int) -> tuple[int, int]:
    """Return the first and last session of a calibration window, counted from the day it calibrates."""
    return -(window_days + embargo_days), -(1 + embargo_days)


def window(day: date, *, window_days: int, embargo_days: int) -> tuple[date, date]:
    """Return the first and last session whose outcomes may calibrate ``day``.

    Raises CalibrationError when the window would end less than one whole session before the day.
    """
    first, last = (calendar.shifted(day, sessions) for sessions in offsets(window_days, embargo_days))
    if embargo_days < 1:
        raise CalibrationError(
            f"the calibration window {first}..{last} of {day} leaves {embargo_days} sessions between its end and the "
            "day it calibrates. Set calibration.embargo_days to 1 or more."
        )
    if window_days < 1:
        raise CalibrationError(
            f"the calibration window of {day} holds {window_days} sessions. Set calibration.window_days to 1 or more."
        )
    return first, last


def breaches(models: pl.DataFrame, *, window_days: int, embargo_days: int) -> list[str]:
    """Return one sentence per day whose models saw more than their window, with the dates; none: all kept it.

    Judged are the window a row states and the newest outcome it was fitted on. Raises CalibrationError as ``window``.
    """
    found = []
    for (day,), rows in sorted(models.partition_by(["day"], as_dict=True).items()):
        first, last = window(day, window_days=window_days, embargo_days=embargo_days)
        newest = new_york("last_target_ts").dt.date().max()
        stated, until, seen = rows.select(pl.col("window_first").min(), pl.col("window_last").max(), newest).row(0)
        if stated < first or until > last or (seen is not None and seen > last):
            found.append(
                f"models of {day} state the window {stated}..{until} and saw outcomes up to {seen}; allowed are "
                f"{first}..{last}. Make calibration_models of {day} again."
            )
    return found


def new_york(column: str) -> pl.Expr:
    """Return a UTC time column in New York time."""
    return pl.col(column).cast(TIME).dt.convert_time_zone(calendar.ZONE)


def snapshot_time() -> pl.Expr:
    """Return the New York time of a row's snapshot, HH:MM."""
    return new_york("snapshot_ts").dt.strftime("%H:%M").alias("snapshot_time")


def snapshot_times(asked: pl.DataFrame) -> pl.DataFrame:
    """Return the distinct (symbol, snapshot_time) of forecasts or outcomes: the keys that models are asked for."""
    return asked.select("symbol", snapshot_time()).unique().sort("symbol", "snapshot_time")


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Outcomes as arrays, in order of time and symbol; bands as distances from q50, one column per level.

    ``known`` is the session by whose end y is known (days since 1970), ``asked`` that of the snapshot.
    """

    levels: tuple[int, ...]
    asked: Floats
    known: Floats
    target_ts: Floats
    symbol: Floats
    snapshot_time: Floats
    y: Floats
    q50: Floats
    sigma: Floats
    low: Floats
    high: Floats

    def __len__(self) -> int:
        """Return the number of outcomes."""
        return int(self.y.size)

    def of(self, chosen: Floats) -> "Samples":
        """Return the chosen outcomes, by mask or position."""
        rest = (getattr(self, name)[chosen] for name in self.__slots__ if name != "levels")
        return Samples(self.levels, *rest)

    def within(self, first: date, last: date) -> "Samples":
        """Return the outcomes asked and known in the sessions from ``first`` to ``last``: none overlaps their ends."""
        return self.of((self.asked >= _number(first)) & (self.known <= _number(last)))

    def unit(self, score: str) -> Floats:
        """Return what each outcome's error is measured in: sigma, log returns (absolute), or a band's width."""
        if score == "sigma":
            return self.sigma
        if score == "absolute":
            return np.ones_like(self.y)
        at = self.levels.index(int(score.removeprefix("band_")))
        width: Floats = self.low[:, at] + self.high[:, at]
        return width

    def recent(self, least: int, sessions: int) -> "Samples":
        """Return the latest sessions that hold ``least`` outcomes together, at least ``sessions`` of them."""
        days, counts = np.unique(self.known, return_counts=True)
        if days.size == 0:
            return self
        enough = int(np.searchsorted(np.cumsum(counts[::-1]), least)) + 1
        return self.of(self.known >= days[-min(max(enough, sessions), days.size)])

    def digest(self) -> str:
        """Return the first 16 hex digits of the sha256 of everything in here: what a model was fitted on."""
        found = sha256()
        for name in ("known", "y", "q50", "sigma", "low", "high"):
            found.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return found.hexdigest()[:16]


def samples(outcomes: pl.DataFrame, levels: Sequence[int]) -> Samples:
    """Return the outcomes with finite y and q50; a band that is absent, infinite or crossed has no distances (NaN)."""
    ordered = sorted(set(levels))
    frame = outcomes.filter(pl.col("y").is_finite() & pl.col("q50").is_finite()).sort("snapshot_ts", "symbol")
    low = _distances(frame, [pl.col("q50") - _end(frame, f"lo_{level}") for level in ordered])
    high = _distances(frame, [_end(frame, f"hi_{level}") - pl.col("q50") for level in ordered])
    # A band of no width has no unit to measure an error in, and a crossed one none that means anything.
    broken = ~(np.isfinite(low) & np.isfinite(high) & (low >= 0) & (high >= 0) & (low + high > 0))
    return Samples(
        levels=tuple(ordered),
        asked=frame.select(new_york("snapshot_ts").dt.date().to_physical()).to_series().to_numpy(),
        known=frame.select(new_york("target_ts").dt.date().to_physical()).to_series().to_numpy(),
        target_ts=frame["target_ts"].to_physical().to_numpy(),
        symbol=frame["symbol"].to_numpy().astype(object),
        snapshot_time=frame.select(snapshot_time()).to_series().to_numpy().astype(object),
        y=frame["y"].to_numpy(),
        q50=frame["q50"].to_numpy(),
        sigma=frame["sigma"].cast(pl.Float64).to_numpy(),
        low=np.where(broken, np.nan, low),
        high=np.where(broken, np.nan, high),
    )


def pools(own: Samples) -> Mapping[tuple[str, tuple[str, ...]], Floats]:
    """Return the positions of every pool's outcomes, by pool name and key, each ascending in time."""
    found: dict[tuple[str, tuple[str, ...]], Floats] = {("all", ()): np.arange(len(own))}
    for name, by in POOLS:
        if by:
            for key, positions in _grouped([getattr(own, column) for column in by]):
                found[name, key] = positions
    return found


def _grouped(columns: Sequence[Floats]) -> Iterator[tuple[tuple[str, ...], Floats]]:
    if columns[0].size == 0:
        return
    codes = [np.unique(column.astype(str), return_inverse=True) for column in columns]
    code = np.zeros(columns[0].size, dtype=np.int64)
    for names, inverse in codes:
        code = code * len(names) + inverse
    # Stable: within a group the outcomes stay in the order of time.
    order = np.argsort(code, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        yield tuple(str(names[inverse[part[0]]]) for names, inverse in codes), part


def _end(frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return the end of a band; null where no outcome holds it: nothing is stored yet, or it was not asked for."""
    return pl.col(name) if name in frame.columns else pl.lit(None, pl.Float64)


def _distances(frame: pl.DataFrame, expressions: Sequence[pl.Expr]) -> Floats:
    columns = frame.select(e.cast(pl.Float64).alias(str(i)) for i, e in enumerate(expressions))
    return columns.to_numpy(order="c").reshape(frame.height, len(expressions))


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days
