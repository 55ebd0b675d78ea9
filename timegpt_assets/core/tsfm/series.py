"""What each market's price was at every moment of the grid, by what was known then.

Belongs here: what was seen to MARKET_SERIES; what a forecast sees of it is window.py. A price stands on the
grid from the first moment at or after it was known, so that a row never changes by what comes later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.tsfm import MARKET_SERIES
from timegpt_assets.core.tsfm.seen import LAST_TRADE, SOURCES, seen

LOOKBACK = timedelta(days=1)
"""How far before its day a row looks: the same for a day made alone and in a range."""
_DAY = timedelta(days=1)
MINUTES_OF_DAY = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesSpec:
    """The grid and what may stand on it: section tsfm.series; minutes and steps."""

    freq_min: int
    input_len: int
    horizon: int
    last_trade_max_age_min: float
    max_gap_min: float

    def __post_init__(self) -> None:
        """Refuse a grid that is another one each day."""
        if self.freq_min < 1 or MINUTES_OF_DAY % self.freq_min:
            raise ValueError(
                f"steps of {self.freq_min} minutes do not fill a day. Take one of 1, 2, 5, 10, 15, 30, 60."
            )

    @property
    def step(self) -> timedelta:
        """Return one step of the grid."""
        return timedelta(minutes=self.freq_min)


@dataclass(frozen=True, slots=True)
class Made:
    """MARKET_SERIES of some days; ``refused``: reason -> rows of what was given that count nowhere."""

    rows: pl.DataFrame
    refused: Mapping[str, int]


def series(markets: pl.DataFrame, prices: pl.DataFrame, days: Iterable[date], spec: SeriesSpec) -> Made:
    """Return MARKET_SERIES of UTC days, from rows of MARKETS and PRICES that begin LOOKBACK before the first.

    A row stands where a price was seen at most LOOKBACK before its day, up to and with the market's end: middle of bid
    and ask, else the last trade while it is young, else a point of history, each of its own step; else the last of
    them carried forward for max_gap_min; else null. Raises UnusablePrices.
    """
    found = seen(markets, prices)
    made = [_of_day(found.rows, markets, day, spec) for day in sorted(set(days))]
    return Made(MARKET_SERIES.conformed(pl.concat([MARKET_SERIES.empty(), *made])), found.refused)


def _of_day(rows: pl.DataFrame, markets: pl.DataFrame, day: date, spec: SeriesSpec) -> pl.DataFrame:
    begins = datetime.combine(day, time(), UTC)
    ends = begins + _DAY
    within = rows.filter((pl.col("seen_at") >= begins - LOOKBACK) & (pl.col("known_at") < ends))
    # the moment from which on a price stands on the grid: the first at or after it was known
    standing = within.with_columns(ts=(pl.col("known_at") - timedelta(microseconds=1)).dt.truncate(f"{spec.freq_min}m"))
    pool = _pool(standing.with_columns(pl.col("ts") + spec.step), spec)
    first = pool.group_by("market_id").agg(pl.col("ts").min().alias("first"))
    moments = pl.DataFrame({"ts": pl.datetime_range(begins, ends, spec.step, closed="left", eager=True).cast(TIME)})
    grid = first.join(moments, how="cross").filter(pl.col("ts") >= pl.col("first")).sort("ts")
    told = grid.join_asof(pool.sort("ts"), on="ts", by="market_id", check_sortedness=False)
    return _stated(_until_the_end(told, markets), day, spec)


def _pool(standing: pl.DataFrame, spec: SeriesSpec) -> pl.DataFrame:
    """Return [market_id, ts, seen_at, y, y_source, gap_min] of each step in which something was seen.

    ``y_source`` is null where the step brought only a trade that is too old to be a price of it. ``gap_min``: longest
    stretch without a price that ended in the step.
    """
    by = ("market_id", "ts")
    age = (pl.col("ts") - pl.col("seen_at")).dt.total_microseconds() / 6e7
    is_fresh = (pl.col("rank") != LAST_TRADE) | (age <= spec.last_trade_max_age_min)
    ordered = standing.sort("market_id", "ts", "seen_at", "rank")
    before = pl.col("seen_at").cum_max().shift(1).over("market_id")
    gap = ((pl.col("seen_at") - before).dt.total_microseconds() / 6e7).clip(0.0)
    best = (
        ordered.with_columns(is_fresh=is_fresh, gap_min=gap)
        .with_columns(gap_min=pl.col("gap_min").max().over(by))
        .sort("market_id", "ts", "is_fresh", pl.when("is_fresh").then("rank").otherwise(0), "seen_at")
        .unique(by, keep="last", maintain_order=True)
    )
    # a trade told late is no news where something younger was seen before
    newest = pl.col("seen_at") >= pl.col("seen_at").cum_max().over("market_id")
    return best.filter(newest | pl.col("is_fresh")).select(
        *by, pl.col("ts").alias("stands_at"), "seen_at", "y", "gap_min",
        y_source=pl.when("is_fresh").then(pl.col("rank").replace_strict(SOURCES, return_dtype=pl.String)),
    )  # fmt: skip


def _until_the_end(grid: pl.DataFrame, markets: pl.DataFrame) -> pl.DataFrame:
    """Return the rows up to the market's end, as it was told by then; one that is no longer traded ends there."""
    ends = pl.when("active").then("end_ts").otherwise(pl.min_horizontal("end_ts", "as_of"))
    told = markets.select("market_id", pl.col("as_of").alias("ts"), ends.alias("ends")).sort("ts")
    known = grid.join_asof(told, on="ts", by="market_id", check_sortedness=False)
    return known.filter((pl.col("ts") <= pl.col("ends")).fill_null(True))


def _stated(told: pl.DataFrame, day: date, spec: SeriesSpec) -> pl.DataFrame:
    age = (pl.col("ts") - pl.col("seen_at")).dt.total_microseconds() / 6e7
    is_own = (pl.col("stands_at") == pl.col("ts")) & pl.col("y_source").is_not_null()
    is_carried = age <= spec.max_gap_min
    return told.select(
        pl.lit(day).alias("day"),
        "ts",
        "market_id",
        pl.when(is_own | is_carried).then("y").alias("y"),
        pl.when(is_own).then("y_source").when(is_carried).then(pl.lit("ffill")).alias("y_source"),
        age.alias("age_min"),
        pl.max_horizontal(age, pl.when(pl.col("stands_at") == pl.col("ts")).then("gap_min")).alias("gap_min"),
    )
