"""Which segment a market falls into: how liquid it is, how near its end, of which category, and at which price.

Belongs here: the buckets as expressions, and the words they come to. What a segment is for is conformal.py.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl

UNKNOWN = "UNKNOWN"
"""What is not told: no volume, no end, no category."""
LOW, MID, HIGH = "LOW", "MID", "HIGH"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSpec:
    """Where buckets are cut: LOW below and HIGH from a volume of 24 hours, USD; hours to the end, rising."""

    low_below: float
    high_from: float
    tte_bounds_h: tuple[float, ...]


def liquidity_bucket(spec: SegmentSpec, volume: str = "volume_24h") -> pl.Expr:
    """Return LOW, MID or HIGH by a column of USD traded in 24 hours; UNKNOWN where it is null."""
    told = pl.col(volume)
    return (
        pl.when(told.is_null()).then(pl.lit(UNKNOWN))
        .when(told < spec.low_below).then(pl.lit(LOW))
        .when(told >= spec.high_from).then(pl.lit(HIGH))
        .otherwise(pl.lit(MID))
    )  # fmt: skip


def tte_buckets(spec: SegmentSpec) -> tuple[str, ...]:
    """Return the words for hours to the end, nearest first: <1h, 1-6h, ..., >168h."""
    cuts = [f"{bound:g}" for bound in spec.tte_bounds_h]
    between = (f"{low}-{high}h" for low, high in pairwise(cuts))
    return (f"<{cuts[0]}h", *between, f">{cuts[-1]}h") if cuts else (">0h",)


def tte_bucket(spec: SegmentSpec, end: str = "end_ts", at: str = "as_of") -> pl.Expr:
    """Return the word for the time from ``at`` to ``end``; a bound belongs to the later bucket, null is UNKNOWN."""
    hours = (pl.col(end) - pl.col(at)).dt.total_microseconds() / 3.6e9
    words = tte_buckets(spec)
    found = pl.lit(words[0])
    for bound, word in zip(spec.tte_bounds_h, words[1:], strict=True):
        found = pl.when(hours >= bound).then(pl.lit(word)).otherwise(found)
    return pl.when(hours.is_null()).then(pl.lit(UNKNOWN)).otherwise(found)


def category(told: str = "category") -> pl.Expr:
    """Return the venue's category; UNKNOWN where there is none, or none but blanks."""
    word = pl.col(told).str.strip_chars()
    return pl.when(word.fill_null("") == "").then(pl.lit(UNKNOWN)).otherwise(word)


def price_buckets(cuts: tuple[float, ...]) -> tuple[str, ...]:
    """Return the words for prices cut so, rising: <=.001, .001-.01, ..., >.95."""
    told = [f"{cut:g}".lstrip("0") for cut in cuts]
    between = (f"{low}-{high}" for low, high in pairwise(told))
    return (f"<={told[0]}", *between, f">{told[-1]}") if told else (">=0",)


def price_bucket(cuts: tuple[float, ...], price: str = "last_price") -> pl.Expr:
    """Return the word for a price; a cut belongs to the lower bucket, null is UNKNOWN."""
    words = price_buckets(cuts)
    found = pl.lit(words[0])
    for cut, word in zip(cuts, words[1:], strict=True):
        found = pl.when(pl.col(price) > cut).then(pl.lit(word)).otherwise(found)
    return pl.when(pl.col(price).is_null()).then(pl.lit(UNKNOWN)).otherwise(found)


def price_bucket_of(cuts: tuple[float, ...], price: float | None) -> str:
    """Return the word of one price: that of ``price_bucket``, in no time."""
    return UNKNOWN if price is None else price_buckets(cuts)[bisect_left(cuts, price)]


def segment_of(
    spec: SegmentSpec, *, volume_24h: float | None, end_ts: datetime | None, as_of: datetime, told: str | None
) -> tuple[str, str, str]:
    """Return the words of one market, liquidity, time to the end and category: those of ``segmented``, in no time."""
    hours = None if end_ts is None else (end_ts - as_of) // timedelta(microseconds=1) / 3.6e9
    words = tte_buckets(spec)
    tte = UNKNOWN if hours is None else words[bisect_right(spec.tte_bounds_h, hours)]
    if volume_24h is None:
        liquidity = UNKNOWN
    else:
        liquidity = LOW if volume_24h < spec.low_below else HIGH if volume_24h >= spec.high_from else MID
    return liquidity, tte, (told or "").strip() or UNKNOWN


def segmented(rows: pl.DataFrame, spec: SegmentSpec) -> pl.DataFrame:
    """Return rows of MARKETS with the columns of SEGMENT."""
    return rows.with_columns(liquidity_bucket=liquidity_bucket(spec), tte_bucket=tte_bucket(spec), category=category())
