"""What is sent beside y: numbers of every minute, past and ahead, and past values of features.

Belongs here: which columns may stand ahead of the snapshot, and their values at any moment. The clock and the events
follow from the calendar alone, so they are computed the same way for history and horizon; a column that is projected
holds what was known in the past and, ahead, what the snapshot knew of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import pi

import polars as pl

from timegpt_assets.core import calendar as trading_calendar
from timegpt_assets.core.features.volume import UNKNOWN
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


STEP = "minute_ahead"
"""1 .. h over the horizon; the past is counted in the same blocks of h minutes, the last of which ends at the snapshot:
a column that stood still in the past, or only grew, would tell a model nothing of the horizon, or of something else."""
BY_MINUTE, CARRIED = "by_minute", "carried"
PROJECTED: Mapping[str, str] = {
    "liquidity_bucket": BY_MINUTE,
    "regime_up": CARRIED,
    "regime_volatile": CARRIED,
    "regime_stress": CARRIED,
}
"""Features that may stand ahead: the most frequent value of earlier sessions at that minute of the day (of equally
frequent ones the least, -1 where none is known), or the last one known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exogenous:
    """Columns that stand ahead too (of CLOCK, STEP, PROJECTED, or names of events) and columns of the past alone.

    ``events``: event name -> its days.
    """

    future: tuple[str, ...] = ()
    historic: tuple[str, ...] = ()
    events: Mapping[str, tuple[date, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Return every column, those that stand ahead first: the order in which the provider is told them."""
        return (*self.future, *self.historic)

    @property
    def projected(self) -> tuple[str, ...]:
        """Return the columns whose values ahead are the snapshot's idea of them."""
        return tuple(name for name in self.future if name in PROJECTED)

    @property
    def of_panel(self) -> tuple[str, ...]:
        """Return the columns whose past is read off the panel."""
        return (*self.projected, *self.historic)

    def known(self) -> list[pl.Expr]:
        """Return the columns the calendar knows, over a frame of day, known_at, open and close; Float64."""
        flags = {name: pl.col("day").is_in(sorted(days)) for name, days in self.events.items()}
        of_calendar = (name for name in self.future if name not in (STEP, *PROJECTED))
        return [(CLOCK | flags)[name].cast(pl.Float64).alias(name) for name in of_calendar]

    def stepped(self, history: pl.DataFrame, *, day: date, snapshot_ts: datetime, horizon_min: int) -> pl.DataFrame:
        """Return the history (minute: from the open) with ``minute_ahead`` as of a snapshot, if it is asked for."""
        if STEP not in self.future:
            return history
        asked = (snapshot_ts - trading_calendar.session(day).open) // timedelta(minutes=1)
        step = (pl.col("minute") - asked - 1) % horizon_min + 1
        return history.with_columns(step.cast(pl.Float64).alias(STEP))

    def ahead(self, history: pl.DataFrame, *, day: date, snapshot_ts: datetime, horizon_min: int) -> pl.DataFrame:
        """Return symbol, ds and the columns that stand ahead for every minute of the horizon, by symbol and ds.

        ``history`` as in a frame of that snapshot: what is projected is made of nothing else.
        """
        session = trading_calendar.session(day)
        steps = pl.int_range(1, horizon_min + 1, eager=True)
        minutes = pl.DataFrame({"step": steps}).select(
            day=pl.lit(day),
            known_at=(pl.lit(snapshot_ts, TIME) + pl.duration(minutes=pl.col("step"))).cast(TIME),
            open=pl.lit(session.open, TIME),
            close=pl.lit(session.close, TIME),
            since=pl.lit(snapshot_ts, TIME),
        )
        known = minutes.with_columns(*self.known(), minute=_SINCE)
        whose = history.select(pl.col("symbol").unique().sort())
        asked = self._projected(history, whose.join(known, how="cross"))
        stepped = self.stepped(asked, day=day, snapshot_ts=snapshot_ts, horizon_min=horizon_min)
        return stepped.select("symbol", pl.col("known_at").alias("ds"), *self.future).sort("symbol", "ds")

    def as_projected(self, history: pl.DataFrame, *, since: datetime, horizon_min: int) -> pl.DataFrame:
        """Return the history with what was projected in the place of what came, from ``since`` on.

        For a provider that takes the past of these columns as known beforehand: each block of ``horizon_min`` minutes
        holds what was known at its beginning, at which a snapshot may be asked.
        """
        if not self.projected:
            return history
        later = pl.col("known_at") > since
        block = (pl.col("known_at") - pl.lit(since, TIME)).dt.total_minutes() - 1
        begun = pl.lit(since, TIME) + pl.duration(minutes=block - block % horizon_min)
        told = self._projected(history, history.filter(later).with_columns(since=begun.cast(TIME)))
        return pl.concat([history.filter(~later), told.select(history.columns)]).sort("symbol", "ds")

    def _projected(self, history: pl.DataFrame, minutes: pl.DataFrame) -> pl.DataFrame:
        """Return the minutes of one day (symbol, day, minute, since) with the projected columns as known at since."""
        made = minutes.drop(self.projected, strict=False)
        for name in self.projected:
            if PROJECTED[name] == CARRIED:
                last = history.select("symbol", name, since="known_at")
                made = made.join(last, on=["symbol", "since"], how="left", maintain_order="left")
                continue
            earlier = history.filter(pl.col("day") < minutes["day"].max(), pl.col(name) != UNKNOWN)
            usual = earlier.group_by("symbol", "minute").agg(pl.col(name).mode().min())
            made = made.join(usual, on=["symbol", "minute"], how="left", maintain_order="left")
            made = made.with_columns(pl.col(name).fill_null(UNKNOWN))
        return made


NOTHING = Exogenous()
