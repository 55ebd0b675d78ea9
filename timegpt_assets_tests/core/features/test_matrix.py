"""The whole feature table: past only, the same by every road, never a number that is none."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.features.matrix import features, panel
from timegpt_assets.core.schema import TableError
from timegpt_assets.core.tables import FEATURES, PANEL
from timegpt_assets_tests.core.bars_factory import (
    DAYS,
    SYMBOLS,
    grid_of,
    needs_real_data,
    perturbed,
    raw_bars,
    real_raw,
    troubled_bars,
)

IN_SCALE_OF_Y = {"sigma_5m", "sigma_15m", "sigma_60m", "vol_ewm_15m", "vol_ewm_60m"}
NAMES = {
    *("ret_1m", "ret_5m", "ret_15m", "ret_30m", "rv_5m", "rv_15m", "rv_30m", "vwap_30m_z", "range_pct"),
    *("volume_norm_5m", "signed_volume", "minute_index", "session_progress", "minutes_to_close", "weekday"),
    *(f"fourier_{wave}_{k}" for wave in ("sin", "cos") for k in (1, 2, 3)),
    *IN_SCALE_OF_Y,
}


def made(bars: pl.DataFrame, days=DAYS, symbols=SYMBOLS) -> pl.DataFrame:
    """Return the features as the assets make them: context of the days from all symbols, then the symbols asked for."""
    context = market_context(bars, days=days, context=["SPY"])
    return features(bars.filter(pl.col("symbol").is_in(list(symbols))), context, days=days, horizon_min=15)


def values_of(frame: pl.DataFrame) -> int:
    """Return how many numbers a frame of features holds."""
    return int(frame.select(pl.selectors.float().count()).sum_horizontal().item())


def test_the_table_has_every_feature_in_its_own_type():
    frame = made(troubled_bars())
    assert FEATURES.errors(frame) == []
    assert set(frame.columns) >= NAMES
    for name in NAMES:
        assert frame.schema[name] == (pl.Float64 if name in IN_SCALE_OF_Y else pl.Float32), name
    assert frame.height == 3 * (3 * 390 + 210)
    assert {"spy_ret_1m", "spy_ret_15m", "spy_vol_60m", "dispersion", "context_missing", "vol_ewm_warm"} <= set(
        frame.columns
    )


def test_features_are_only_of_the_days_asked_for_and_warm_up_only_the_ewm():
    bars = troubled_bars()
    day = [DAYS[3]]
    warm = made(bars, day)
    cold = made(bars.filter(pl.col("day") == DAYS[3]), day)
    assert warm["day"].unique().to_list() == day
    same = [c for c in warm.columns if not c.startswith("vol_ewm")]
    assert_frame_equal(warm.select(same), cold.select(same), check_exact=True)
    assert warm["vol_ewm_warm"].all()
    assert not cold["vol_ewm_warm"].any()
    assert warm["vol_ewm_60m"].null_count() == 0 < cold["vol_ewm_60m"].null_count()


def test_only_the_session_just_before_warms_however_much_history_is_given():
    bars = troubled_bars().filter(pl.col("day") != DAYS[2])
    assert not made(bars, [DAYS[3]])["vol_ewm_warm"].any()
    assert_frame_equal(made(bars, [DAYS[3]]), made(bars.filter(pl.col("day") == DAYS[3]), [DAYS[3]]), check_exact=True)


def test_changing_any_bar_after_a_minute_changes_nothing_known_at_or_before_it():
    bars = troubled_bars()
    before = made(bars)
    compared = 0
    for seed, minute in enumerate(np.random.default_rng(11).integers(0, 380, 8)):
        day = DAYS[seed % 2]
        moment = calendar.session(day).open + timedelta(minutes=int(minute))
        after = made(perturbed(bars, moment, seed))
        known = pl.col("known_at") <= moment
        assert_frame_equal(after.filter(known), before.filter(known), check_exact=True)
        compared += values_of(before.filter(known))
        later = ~known & (pl.col("known_at") <= moment + timedelta(hours=2))
        for name in sorted(NAMES | {"spy_ret_1m", "dispersion"}):
            if name.startswith(("ret_1m", "rv", "sigma", "vol", "vwap", "range", "signed", "spy", "disp")):
                assert not after.filter(later)[name].equals(before.filter(later)[name], null_equal=True), name
    assert compared > 1_000


def test_a_session_cut_short_has_the_same_features_up_to_the_cut():
    bars = troubled_bars()
    before = made(bars, [DAYS[2]])
    for minute in (1, 17, 60, 133):
        moment = calendar.session(DAYS[2]).open + timedelta(minutes=minute)
        cut = made(bars.filter(pl.col("ts") < moment), [DAYS[2]])
        assert_frame_equal(cut, before.filter(pl.col("known_at") <= moment), check_exact=True)
        assert cut.height == 3 * minute


def test_all_at_once_is_day_by_day_and_symbol_by_symbol_bit_for_bit():
    bars = troubled_bars()
    whole = made(bars)
    singly = [
        made(bars.filter(pl.col("day").is_in([calendar.shifted(day, -1), day])), [day], [symbol])
        for day in DAYS
        for symbol in SYMBOLS
    ]
    assert_frame_equal(whole, pl.concat(singly).sort("day", "symbol", "ts"), check_exact=True)
    assert values_of(whole) > 100_000


def test_the_order_of_bars_and_days_does_not_matter():
    bars = troubled_bars()
    shuffled = made(bars.sample(fraction=1.0, shuffle=True, seed=1), DAYS[::-1])
    assert_frame_equal(shuffled, made(bars), check_exact=True)


def test_no_feature_is_ever_nan_or_infinite_and_the_troubles_are_null():
    frame = made(troubled_bars())
    floats = frame.select(pl.selectors.float())
    assert floats.select(pl.all().is_finite().all()).row(0) == (True,) * floats.width
    still = frame.filter(pl.col("symbol") == "BBB", pl.col("day") == DAYS[3], pl.col("minute_index") == 120)
    assert still.select("sigma_60m", "vwap_30m_z").row(0) == (None, None)
    assert still["rv_30m"].item() == 0.0
    late = frame.filter(pl.col("symbol") == "BBB", pl.col("day") == DAYS[1]).head(8)
    assert late["ret_1m"].is_null().to_list() == [True] * 8
    assert frame["ret_1m"].null_count() == 8 + 1 + 1


def test_no_bars_make_an_empty_table_with_every_column():
    bars = troubled_bars()
    empty = made(bars.clear())
    assert empty.schema == made(bars).schema
    assert empty.is_empty()


def test_a_minute_the_context_does_not_know_is_flagged_missing():
    bars = troubled_bars()
    context = market_context(bars, days=DAYS[:1], context=["SPY"])
    frame = features(bars, context, days=DAYS[:2], horizon_min=15)
    flagged = frame.group_by("day").agg(pl.col("context_missing").all()).sort("day")
    assert flagged["context_missing"].to_list() == [False, True]


def test_volatility_scales_with_the_root_of_the_horizon():
    bars = troubled_bars()
    context = market_context(bars, days=DAYS, context=["SPY"])
    short, long = (features(bars, context, days=DAYS, horizon_min=h) for h in (15, 60))
    for name in sorted(IN_SCALE_OF_Y):
        ratio = (long[name] / short[name]).drop_nulls()
        assert ratio.len() > 1_000
        assert ratio.to_list() == pytest.approx([2.0] * ratio.len())


def test_the_panel_adds_prices_in_full_precision():
    bars = troubled_bars()
    frame = panel(made(bars), bars, days=DAYS[1:])
    assert PANEL.errors(frame) == []
    own = bars.filter(pl.col("day") != DAYS[0])
    assert frame["clock_price"].equals(own["close"].rename("clock_price"), null_equal=True)
    assert frame["is_filled"].equals(own["is_filled"])
    opens = frame.group_by("day", "symbol", maintain_order=True).first()["clock_open"]
    assert opens.equals(own.group_by("day", "symbol", maintain_order=True).first()["open"].rename("clock_open"))
    assert opens.null_count() == 2


def test_features_without_their_bars_are_refused_by_name():
    bars = troubled_bars()
    frame = made(bars)
    fewer = bars.filter(~((pl.col("symbol") == "BBB") & (pl.col("day") == DAYS[3])))
    with pytest.raises(TableError, match="panel: rule is_filled_not_null broken by 390 rows"):
        panel(frame, fewer, days=DAYS)


@needs_real_data
def test_thirty_real_sessions_of_eight_symbols_are_the_same_by_every_road():
    bars = grid_of(real_raw("mag7_spy_2025"))
    days = bars["day"].unique().sort().to_list()[5:35]
    symbols = bars["symbol"].unique().sort().to_list()
    whole = made(bars, days, symbols)
    assert (whole.height, whole["symbol"].n_unique()) == (30 * 8 * 390, 8)
    singly = []
    for day in days:
        window = bars.filter(pl.col("day").is_in([calendar.shifted(day, -1), day]))
        context = market_context(window, days=[day], context=["SPY"])
        singly += [
            features(window.filter(pl.col("symbol") == symbol), context, days=[day], horizon_min=15)
            for symbol in symbols
        ]
    assert_frame_equal(whole, pl.concat(singly).sort("day", "symbol", "ts"), check_exact=True)
    assert values_of(whole) > 2_000_000


def test_seeded_bars_are_the_same_bytes_every_time():
    assert made(grid_of(raw_bars(seed=3))).equals(made(grid_of(raw_bars(seed=3))))
