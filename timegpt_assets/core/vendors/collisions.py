"""What becomes of a file's bars beside those that are stored: new, known, in the place of others, or a contradiction.

Belongs here: rows against rows. The last bar of a download was often still forming; it gives way to the finished one.
"""

from dataclasses import dataclass

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.bars.vendor_columns import NUMBERS

_KEY = ["symbol", "ts", *NUMBERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collisions:
    """``rows``: those of the file that count; ``joined``: the month with them.

    ``unfinished``: the file's rows that give way. ``contradictions`` [ts, NUMBERS, NUMBERS_stored]:
    minutes for which file and store differ, neither being unfinished.
    """

    rows: pl.DataFrame
    joined: pl.DataFrame
    new: int
    known: int
    replaced: int
    unfinished: int
    contradictions: pl.DataFrame


def collided(stored: pl.DataFrame, rows: pl.DataFrame, *, replace: bool) -> Collisions:
    """Return what becomes of one month's rows of one symbol. A vendor's own repetitions stay repetitions.

    ``replace``: the file's rows take the place of all stored ones of their minutes.
    """
    if not stored.height:  # the usual case of a first import: nothing to compare
        return _result(stored, rows, fresh=rows)
    fresh = _missing(stored, rows)
    clashing = fresh.filter(pl.col("ts").is_in(stored["ts"].unique().implode()))
    if not clashing.height:
        return _result(stored, rows, fresh=fresh)
    if replace:
        return _result(_without(stored, clashing["ts"]), rows, fresh=fresh, clashing=clashing)
    late_stored, late_rows = _last_of_days(stored), _last_of_days(rows)
    forming = _is_forming(clashing["ts"], of=late_stored, goes_on=late_rows)
    given_way = _is_forming(clashing["ts"], of=late_rows, goes_on=late_stored)
    beaten = clashing.filter(given_way & ~forming)
    finished = clashing.filter(forming)
    open_ones = clashing.filter(~forming & ~given_way)
    kept = fresh.join(beaten.select("ts").unique(), on="ts", how="anti", maintain_order="left")
    counted = rows.join(beaten.select("ts").unique(), on="ts", how="anti", maintain_order="left")
    old = stored.drop("symbol").unique("ts", keep="first", maintain_order=True)
    differing = open_ones.drop("symbol").join(old, on="ts", how="left", maintain_order="left", suffix="_stored")
    found = _result(_without(stored, finished["ts"]), counted, fresh=kept, clashing=finished)
    return Collisions(
        rows=found.rows, joined=found.joined, new=found.new, known=found.known, replaced=found.replaced,
        unfinished=beaten.height, contradictions=differing.unique("ts", maintain_order=True),
    )  # fmt: skip


def _result(
    stored: pl.DataFrame, rows: pl.DataFrame, *, fresh: pl.DataFrame, clashing: pl.DataFrame | None = None
) -> Collisions:
    """Return the outcome when ``fresh`` join what is left of the stored rows."""
    replaced = 0 if clashing is None else clashing.height
    return Collisions(
        rows=rows,
        joined=pl.concat([stored, fresh]).sort("ts", maintain_order=True),
        new=fresh.height - replaced,
        known=rows.height - fresh.height,
        replaced=replaced,
        unfinished=0,
        contradictions=rows.head(0),
    )


def _missing(stored: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows, less those that are stored as often."""
    count = pl.int_range(pl.len()).over(_KEY).alias("nth")
    counted = stored.with_columns(count)
    # Nulls are equal here: else a row with an empty cell would be new at every import.
    fresh = rows.with_columns(count).join(
        counted, on=[*_KEY, "nth"], how="anti", nulls_equal=True, maintain_order="left"
    )
    return fresh.drop("nth")


def _without(stored: pl.DataFrame, times: pl.Series) -> pl.DataFrame:
    return stored.filter(~pl.col("ts").is_in(times.unique().implode()))


def _last_of_days(rows: pl.DataFrame) -> pl.DataFrame:
    """Return [day, ts]: the last stamp of each New York day."""
    local = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date().alias("day")
    return rows.group_by(local).agg(pl.col("ts").max())


def _is_forming(times: pl.Series, *, of: pl.DataFrame, goes_on: pl.DataFrame) -> pl.Series:
    """Return which times are the last of their day in one, while the other goes on that day."""
    day = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date().alias("day")
    asked = pl.DataFrame({"ts": times}).with_columns(day)
    asked = asked.join(of.rename({"ts": "last"}), on="day", how="left", maintain_order="left")
    asked = asked.join(goes_on.rename({"ts": "further"}), on="day", how="left", maintain_order="left")
    return asked.select((pl.col("ts") == pl.col("last")) & (pl.col("further") > pl.col("last")))["ts"].fill_null(False)
