"""The whole feature table: every column in its type, the same by every road, rows dropped by rule, and the panel."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.features import matrix
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.features.matrix import features, panel
from timegpt_assets.core.schema import TableError
from timegpt_assets.core.tables.features import FEATURES, PANEL
from timegpt_assets_tests.core.bars.bars_factory import (
    DAYS,
    SYMBOLS,
    grid_of,
    needs_real_data,
    perturbed,
    raw_bars,
    real_raw,
    troubled_bars,
)
from timegpt_assets_tests.core.features.made import NAMES, SPEC, made, values_of

IN_SCALE_OF_Y = {"sigma_5m", "sigma_15m", "sigma_60m", "vol_ewm_15m", "vol_ewm_60m"}
PLAIN = FeatureSpec(context=("SPY",), sessions=2)


def test_the_table_has_every_feature_of_the_spec_in_order_and_in_its_own_type():
    frame = made(troubled_bars()).frame
    assert FEATURES.errors(frame) == []
    assert tuple(frame.columns) == (*FEATURES.columns, *NAMES)
    assert {f.name: f.dtype for f in SPEC.features} == {n: type(t) for n, t in frame.schema.items() if n in NAMES}
    assert {f.name for f in SPEC.features if f.dtype == pl.Float64} == IN_SCALE_OF_Y


def test_rows_with_more_missing_than_allowed_are_dropped_and_counted():
    bars = troubled_bars()
    everything = made(bars, spec=_with(max_missing=1.0))
    assert everything.frame.height == bars.height
    assert everything.dropped.is_empty()
    kept = made(bars)
    counted = [f.name for f in SPEC.features if f.counts]
    share = pl.sum_horizontal(pl.col(name).is_null() for name in counted) / len(counted)
    expected = everything.frame.filter(share <= SPEC.max_missing)
    assert_frame_equal(kept.frame, expected, check_exact=True)
    lost = (
        everything.frame.filter(share > SPEC.max_missing).group_by("day", "symbol").len("dropped").sort("day", "symbol")
    )
    assert kept.dropped.cast({"dropped": pl.UInt32}).equals(lost)
    assert 100 < kept.dropped["dropped"].sum() < 400


def test_a_full_session_loses_its_first_fourteen_minutes_and_keeps_the_first_snapshot_even_without_history():
    dropped = made(troubled_bars(), [DAYS[0]]).dropped
    assert dropped["dropped"].to_list() == [14, 14, 14]


def test_missing_context_does_not_drop_rows():
    bars = troubled_bars().filter(pl.col("symbol") != "SPY")
    frame = made(bars, symbols=("AAA", "BBB")).frame
    assert frame["context_missing"].all()
    assert frame["spy_ret_1m"].null_count() == frame.height
    assert frame["beta_spy_60m"].null_count() == frame.height
    full = frame.filter(pl.col("day") == DAYS[0], pl.col("symbol") == "AAA")
    assert full.height > 350


def test_features_are_only_of_the_days_asked_for_and_warm_up_only_what_looks_back():
    bars = troubled_bars()
    day = [DAYS[3]]
    loose = _with(max_missing=1.0)
    warm = made(bars, day, spec=loose).frame
    cold = made(bars.filter(pl.col("day") == DAYS[3]), day, spec=loose).frame
    assert warm["day"].unique().to_list() == day
    back = ("vol_ewm", "volume_percentile", "range_percentile", "liquidity_bucket")
    same = [c for c in warm.columns if not c.startswith(back)]
    assert_frame_equal(warm.select(same), cold.select(same), check_exact=True)
    assert warm["vol_ewm_warm"].all()
    assert not cold["vol_ewm_warm"].any()
    assert warm["vol_ewm_60m"].null_count() == 0 < cold["vol_ewm_60m"].null_count()
    assert set(cold["liquidity_bucket"]) == {-1}
    assert {0, 1} <= set(warm["liquidity_bucket"])


def test_sessions_outside_the_days_own_window_are_not_looked_at():
    bars = troubled_bars()
    window = bars.filter(pl.col("day").is_in(DAYS[1:4]))
    assert_frame_equal(made(bars, [DAYS[3]]).frame, made(window, [DAYS[3]]).frame, check_exact=True)
    only_before = made(bars.filter(pl.col("day") != DAYS[2]), [DAYS[3]]).frame
    assert not only_before["vol_ewm_warm"].any()


def test_changing_any_bar_after_a_minute_changes_nothing_known_at_or_before_it():
    bars = troubled_bars()
    before = made(bars).frame
    compared = 0
    for seed, minute in enumerate(np.random.default_rng(11).integers(0, 380, 8)):
        day = DAYS[seed % 2]
        moment = calendar.session(day).open + timedelta(minutes=int(minute))
        after = made(perturbed(bars, moment, seed)).frame
        known = pl.col("known_at") <= moment
        assert_frame_equal(after.filter(known), before.filter(known), check_exact=True)
        compared += values_of(before.filter(known))
    assert compared > 1_000


def test_all_at_once_is_day_by_day_and_symbol_by_symbol_bit_for_bit():
    bars = troubled_bars()
    whole = made(bars).frame
    singly = [
        made(bars.filter(pl.col("day").is_in([calendar.shifted(day, -n) for n in range(3)])), [day], [symbol]).frame
        for day in DAYS
        for symbol in SYMBOLS
    ]
    assert_frame_equal(whole, pl.concat(singly).sort("day", "symbol", "ts"), check_exact=True)
    assert values_of(whole) > 100_000


@pytest.mark.parametrize(("days", "cells", "cached"), [(1, 10**6, 10**6), (3, 10**6, 800), (20, 390 * 3 * 2, 390)])
def test_the_size_of_chunks_changes_no_bit(monkeypatch, days: int, cells: int, cached: int):
    bars = troubled_bars()
    whole = made(bars)
    for name, value in (("CHUNK_DAYS", days), ("CHUNK_CELLS", cells), ("CACHED_CELLS", cached)):
        monkeypatch.setattr(matrix, name, value)
    otherwise = made(bars)
    assert_frame_equal(otherwise.frame, whole.frame, check_exact=True)
    assert otherwise.dropped.equals(whole.dropped)


def test_days_with_a_gap_between_them_are_each_warmed_up_by_their_own_window():
    bars = troubled_bars()
    whole = made(bars).frame
    apart = made(bars, [DAYS[0], DAYS[3]]).frame
    assert_frame_equal(apart, whole.filter(pl.col("day").is_in([DAYS[0], DAYS[3]])), check_exact=True)


def test_the_order_of_bars_and_days_does_not_matter():
    bars = troubled_bars()
    shuffled = made(bars.sample(fraction=1.0, shuffle=True, seed=1), DAYS[::-1]).frame
    assert_frame_equal(shuffled, made(bars).frame, check_exact=True)


def test_no_bars_make_an_empty_table_with_every_column():
    bars = troubled_bars()
    empty = made(bars.clear()).frame
    assert empty.schema == made(bars).frame.schema
    assert empty.is_empty()
    assert made(bars, []).frame.schema == empty.schema


def test_a_minute_the_context_does_not_know_is_flagged_missing():
    bars = troubled_bars()
    context = market_context(bars, days=DAYS[:1], context=["SPY"])
    frame = features(bars, context, days=DAYS[:2], spec=PLAIN).frame
    flagged = frame.group_by("day").agg(pl.col("context_missing").all()).sort("day")
    assert flagged["context_missing"].to_list() == [False, True]


def test_volatility_scales_with_the_root_of_the_horizon():
    bars = troubled_bars()
    short, long = (made(bars, spec=_with(horizon_min=h)).frame for h in (15, 60))
    for name in sorted(IN_SCALE_OF_Y):
        ratio = (long[name] / short[name]).drop_nulls()
        assert ratio.len() > 1_000
        assert ratio.to_list() == pytest.approx([2.0] * ratio.len())


@pytest.mark.parametrize("off", ["price", "volatility", "volume", "clock", "context", "sector", "events", "news"])
def test_a_group_can_be_switched_off_and_changes_no_other_column(off: str):
    bars = troubled_bars()
    loose = _with(max_missing=1.0)
    all_on = made(bars, spec=loose).frame
    rest = _with(max_missing=1.0, groups=tuple(g for g in SPEC.groups if g != off))
    frame = made(bars, spec=rest).frame
    gone = {f.name for f in loose.by_group[off]}
    assert set(all_on.columns) - set(frame.columns) == gone
    assert_frame_equal(frame, all_on.select(frame.columns), check_exact=True)
    assert rest.feature_version != loose.feature_version
    assert rest.features_hash != loose.features_hash


def test_needed_columns_stay_when_their_group_is_off():
    spec = _with(groups=("clock",), needed=frozenset({"sigma_60m", "range_pct", "volume_norm_5m"}))
    frame = made(troubled_bars(), spec=spec).frame
    own = {f.name for f in spec.by_group["clock"]}
    assert set(frame.columns) == {*FEATURES.columns, *own, "sigma_60m", "range_pct", "volume_norm_5m"}


def test_the_version_says_which_groups_and_the_hash_which_columns():
    assert SPEC.feature_version == "price.1+volatility.1+volume.1+clock.1+context.1+sector.1+events.1+news.1"
    assert _with(sessions=5).features_hash == SPEC.features_hash
    assert _with(context=("SPY", "QQQ")).features_hash != SPEC.features_hash
    assert _with(calendar=EventCalendar({})).features_hash != SPEC.features_hash


def test_the_panel_keeps_every_bar_and_adds_prices_in_full_precision():
    bars = troubled_bars()
    made_features = made(bars).frame
    frame = panel(made_features, bars, days=DAYS[1:])
    assert PANEL.errors(frame) == []
    own = bars.filter(pl.col("day") != DAYS[0])
    assert frame["clock_price"].equals(own["close"].rename("clock_price"), null_equal=True)
    assert frame["is_filled"].equals(own["is_filled"])
    opens = frame.group_by("day", "symbol", maintain_order=True).first()["clock_open"]
    assert opens.equals(own.group_by("day", "symbol", maintain_order=True).first()["open"].rename("clock_open"))
    assert opens.null_count() == 2
    kept = made_features.filter(pl.col("day") != DAYS[0])
    assert frame.height - kept.height == frame["minute_index"].null_count() > 0
    assert_frame_equal(frame.drop_nulls("minute_index").select(kept.columns), kept, check_exact=True)


def test_features_without_their_bars_are_refused():
    bars = troubled_bars()
    frame = made(bars).frame
    fewer = bars.filter(~((pl.col("symbol") == "AAA") & (pl.col("day") == DAYS[0])))
    with pytest.raises(TableError, match=r"panel: 376 rows of features have no bar\. Materialise"):
        panel(frame, fewer, days=DAYS)


@needs_real_data
def test_thirty_real_sessions_of_eight_symbols_are_the_same_by_every_road():
    bars = grid_of(real_raw("mag7_spy_2025"))
    days = bars["day"].unique().sort().to_list()[5:35]
    symbols = bars["symbol"].unique().sort().to_list()
    whole = made(bars, days, symbols, spec=PLAIN).frame
    assert whole["symbol"].n_unique() == 8
    singly = []
    for day in days:
        window = bars.filter(pl.col("day").is_in([calendar.shifted(day, -n) for n in range(3)]))
        context = market_context(window, days=[day], context=["SPY"])
        singly += [
            features(window.filter(pl.col("symbol") == symbol), context, days=[day], spec=PLAIN).frame
            for symbol in symbols
        ]
    assert_frame_equal(whole, pl.concat(singly).sort("day", "symbol", "ts"), check_exact=True)
    assert values_of(whole) > 2_000_000


def test_seeded_bars_are_the_same_bytes_every_time():
    assert made(grid_of(raw_bars(seed=3))).frame.equals(made(grid_of(raw_bars(seed=3))).frame)


def _with(**changes: object) -> FeatureSpec:
    """Return the spec of these tests with some of it changed."""
    return FeatureSpec(**{name: getattr(SPEC, name) for name in SPEC.__slots__} | changes)  # type: ignore[arg-type]
