"""What is sent beside y: the clock and event flags of every minute, past and ahead, and past values of features.

Belongs here: which columns may be known ahead, and their values at any moment. What is known ahead follows from the
calendar alone, so it is computed the same way for history and for the minutes of the horizon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from math import pi

import polars as pl

from timegpt_assets.core import calendar as trading_calendar
from timegpt_assets.core.schema import TIME

_SINCE = (pl.col("known_at") - pl.col("open")).dt.total_minutes()
_LENGTH = (pl.col("close") - pl.col("open")).dt.total_minutes()
# Not divided by _LENGTH: see features/clock.py.
_PROGRESS = _SINCE * (1.0 / _LENGTH)
CLOCK: dict[str, pl.Expr] = {
    "minutes_since_open": _SINCE,
    "minutes_to_close": _LENGTH - _SINCE,
    "session_progress": _PROGRESS,
    "fourier_sin_1": (_PROGRESS * (2 * pi)).sin(),
    "fourier_cos_1": (_PROGRESS * (2 * pi)).cos(),
    "weekday": pl.col("day").dt.weekday(),
}
"""Columns of the clock over a frame of day, known_at, and the session's open and close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exogenous:
    """Columns known ahead (of CLOCK, or names of events) and columns of the panel whose past alone is known.

    ``events``: event name -> its days.
    """

    future: tuple[str, ...] = ()
    historic: tuple[str, ...] = ()
    events: Mapping[str, tuple[date, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Return every column, those known ahead first: the order in which the provider is told them."""
        return (*self.future, *self.historic)

    def known(self) -> list[pl.Expr]:
        """Return the columns known ahead, over a frame of day, known_at, open and close; Float64."""
        flags = {name: pl.col("day").is_in(sorted(days)) for name, days in self.events.items()}
        return [(CLOCK | flags)[name].cast(pl.Float64).alias(name) for name in self.future]

    def ahead(self, day: date, snapshot_ts: datetime, horizon_min: int, symbols: Sequence[str]) -> pl.DataFrame:
        """Return symbol, ds and the columns known ahead for every minute of the horizon, by symbol and ds."""
        session = trading_calendar.session(day)
        steps = pl.int_range(1, horizon_min + 1, eager=True)
        minutes = pl.DataFrame({"step": steps}).select(
            day=pl.lit(day),
            known_at=(pl.lit(snapshot_ts, TIME) + pl.duration(minutes=pl.col("step"))).cast(TIME),
            open=pl.lit(session.open, TIME),
            close=pl.lit(session.close, TIME),
        )
        values = minutes.select(pl.col("known_at").alias("ds"), *self.known())
        return pl.DataFrame({"symbol": sorted(symbols)}, schema={"symbol": pl.String}).join(values, how="cross")


NOTHING = Exogenous()
