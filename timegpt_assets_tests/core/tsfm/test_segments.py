"""Every market has one segment, and what is not told has a name of its own."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tsfm.segments import (
    SegmentSpec,
    price_bucket,
    price_bucket_of,
    price_buckets,
    segment_of,
    segmented,
    tte_buckets,
)
from timegpt_assets_tests.core.tsfm.market_rows import NOON, SEGMENTS, at, market, markets


@pytest.mark.parametrize(
    ("volume", "bucket"),
    [(None, "UNKNOWN"), (0.0, "LOW"), (999.99, "LOW"), (1000.0, "MID"), (49999.0, "MID"), (50000.0, "HIGH")],
)
def test_liquidity_is_cut_at_its_bounds(volume: float | None, bucket: str) -> None:
    assert segmented(markets(market(volume_24h=volume)), SEGMENTS)["liquidity_bucket"].to_list() == [bucket]


@pytest.mark.parametrize(
    ("hours", "bucket"),
    [(-1, "<1h"), (0.99, "<1h"), (1, "1-6h"), (6, "6-24h"), (24, "24-168h"), (167.9, "24-168h"), (168, ">168h")],
)
def test_a_bound_belongs_to_the_later_bucket(hours: float, bucket: str) -> None:
    assert segmented(markets(market(end_ts=at(60 * hours))), SEGMENTS)["tte_bucket"].to_list() == [bucket]
    assert bucket in tte_buckets(SEGMENTS)


def test_what_is_not_told_is_unknown() -> None:
    rows = segmented(markets(market("a", category="  "), market("b", category=" Sports ")), SEGMENTS)
    assert rows["category"].to_list() == ["UNKNOWN", "Sports"]
    assert rows["tte_bucket"].to_list() == ["UNKNOWN"] * 2


def test_without_bounds_there_is_one_bucket() -> None:
    none = SegmentSpec(low_below=1.0, high_from=2.0, tte_bounds_h=())
    assert segmented(markets(market(end_ts=at(60))), none)["tte_bucket"].to_list() == [">0h"]


@pytest.mark.parametrize(
    ("price", "bucket"),
    [(0.0, "<=.001"), (0.001, "<=.001"), (0.0011, ".001-.5"), (0.5, ".001-.5"), (1.0, ">.5"), (None, "UNKNOWN")],
)
def test_a_price_on_a_cut_belongs_to_the_lower_bucket(price: float | None, bucket: str) -> None:
    cuts = (0.001, 0.5)
    row = pl.DataFrame({"last_price": [price]}, schema={"last_price": pl.Float64})
    assert row.select(price_bucket(cuts)).to_series().to_list() == [bucket] == [price_bucket_of(cuts, price)]
    assert bucket in (*price_buckets(cuts), "UNKNOWN")


def test_without_cuts_all_prices_are_one() -> None:
    assert pl.DataFrame({"last_price": [0.2, 1.0]}).select(price_bucket(())).to_series().unique().to_list() == [">=0"]
    assert price_bucket_of((), 0.2) == ">=0"


@given(
    st.none() | st.floats(0, 1e6) | st.sampled_from([1000.0, 50000.0]),
    st.none() | st.integers(-(10**10), 10**12) | st.sampled_from([int(3.6e9 * hours) for hours in (1, 6, 24, 168)]),
    st.none() | st.text(st.characters(categories=["L", "N", "Zs"]), max_size=4),
)
def test_one_market_s_words_are_those_of_a_table_of_it(
    volume: float | None, left: int | None, told: str | None
) -> None:
    end = None if left is None else NOON + timedelta(microseconds=left)
    row = pl.DataFrame(
        [[volume], [end], [NOON], [told]],
        schema={"volume_24h": pl.Float64, "end_ts": TIME, "as_of": TIME, "category": pl.String},
    )
    rows = segmented(row, SEGMENTS)
    found = segment_of(SEGMENTS, volume_24h=volume, end_ts=end, as_of=NOON, told=told)
    assert found == rows.select("liquidity_bucket", "tte_bucket", "category").row(0)
