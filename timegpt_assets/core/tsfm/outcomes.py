"""What became of a forecast: the price at the moment that it was of, and how far it moved on from there.

Belongs here: TSFM_FORECASTS and MARKET_SERIES to TSFM_OUTCOMES. Whether a band was any good is evaluation.py.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.tsfm import TSFM_OUTCOMES

CARRIED = "ffill"
"""y_source of a price that was not seen at its moment: it says nothing of whether a band held."""


def outcomes(
    forecasts: pl.DataFrame, series: pl.DataFrame, days: Iterable[date], *, follow_through_hours: float
) -> pl.DataFrame:
    """Return TSFM_OUTCOMES of UTC days, those of ``target_ts``, from TSFM_FORECASTS of them and of the day before each.

    ``series``: MARKET_SERIES of the days. A price that was carried forward is no outcome, and a market that was over
    has none. ``rise`` and ``fall`` look no further than the day; where the hours reach beyond it they are null, since
    what was seen of them would count late breaches as followed by less. ``followed`` tells them once they are over.
    """
    made = [_of_day(forecasts, series, day, timedelta(hours=follow_through_hours)) for day in sorted(set(days))]
    return TSFM_OUTCOMES.conformed(pl.concat([TSFM_OUTCOMES.empty(), *made]))


def followed(came: pl.DataFrame, series: pl.DataFrame, *, follow_through_hours: float) -> pl.DataFrame:
    """Return rows of TSFM_OUTCOMES whose ``rise`` and ``fall`` are told, too, where their hours reach over midnight.

    ``series``: MARKET_SERIES of their day and of as many after it as are there; hours that reach beyond it are not
    over, and what they bring stays null.
    """
    hours = timedelta(hours=follow_through_hours)
    moves = _moves(series.filter(pl.col("y").is_not_null()), hours).drop("y")
    found = came.join(moves, on=["market_id", "target_ts"], how="left", maintain_order="left")
    is_over = pl.col("target_ts") + hours <= pl.lit(series["ts"].max(), TIME)
    rise, fall = pl.col("highest") - pl.col("y"), pl.col("y") - pl.col("lowest")
    told = {name: pl.coalesce(name, pl.when(is_over).then(move)) for name, move in (("rise", rise), ("fall", fall))}
    return found.with_columns(**told).drop("highest", "lowest")


def _of_day(forecasts: pl.DataFrame, series: pl.DataFrame, day: date, hours: timedelta) -> pl.DataFrame:
    begins = datetime.combine(day, time(), UTC)
    ends = begins + timedelta(days=1)
    due = forecasts.filter(pl.col("target_ts").is_between(begins, ends, closed="left"))
    own = series.filter((pl.col("day") == day) & pl.col("y").is_not_null())
    whole = pl.col("target_ts") + hours < ends
    came = due.rename({"day": "made_on"}).join(_moves(own, hours), on=["market_id", "target_ts"])
    return came.select(
        pl.lit(day).alias("day"),
        *(name for name in TSFM_OUTCOMES.columns if name not in ("day", "rise", "fall")),
        rise=pl.when(whole).then(pl.col("highest") - pl.col("y")),
        fall=pl.when(whole).then(pl.col("y") - pl.col("lowest")),
    )


def _moves(series: pl.DataFrame, hours: timedelta) -> pl.DataFrame:
    """Return [market_id, target_ts, y, highest, lowest] of each price that was seen, from it to so many hours on."""
    # rolling windows look back: on a clock that runs backwards that is ahead
    backwards = -pl.col("ts").dt.epoch("us")
    window = f"{hours // timedelta(microseconds=1)}i"
    ordered = series.with_columns(backwards=backwards).sort("market_id", "backwards")
    ahead = ordered.with_columns(
        highest=pl.col("y").rolling_max_by("backwards", window, closed="both").over("market_id"),
        lowest=pl.col("y").rolling_min_by("backwards", window, closed="both").over("market_id"),
    )
    seen = ahead.filter(pl.col("y_source") != CARRIED)
    return seen.select("market_id", "y", "highest", "lowest", target_ts="ts")
