"""Bars that are hard on formulas: every stored number is finite, and what cannot be known is null by rule."""

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.tables.features import FEATURES
from timegpt_assets_tests.core.bars.bars_factory import DAYS, grid_of, raw_bars, without
from timegpt_assets_tests.core.features.made import SPEC, made
from timegpt_assets_tests.core.features.test_matrix import _with

ALL_ROWS = _with(max_missing=1.0)
PRICES = ("open", "high", "low", "close")
Bars = Callable[[], pl.DataFrame]


def constant() -> pl.DataFrame:
    return grid_of(raw_bars().with_columns(pl.lit(37.25).alias(c) for c in PRICES))


def silent() -> pl.DataFrame:
    return grid_of(raw_bars().with_columns(volume=pl.lit(0.0)))


def scaled_to(price: float) -> Bars:
    return lambda: grid_of(raw_bars().with_columns(pl.col(c) * (price / 100.0) for c in PRICES))


def thirty_percent_filled() -> pl.DataFrame:
    raw = raw_bars()
    return grid_of(raw.filter((pl.col("ts").dt.minute() % 10 >= 3) | (pl.col("symbol") != "AAA")))


def halted_for_an_hour() -> pl.DataFrame:
    return grid_of(without(raw_bars(), "AAA", DAYS[1], range(100, 160)))


def one_minute() -> pl.DataFrame:
    opens = [calendar.session(day).open for day in DAYS]
    return grid_of(raw_bars()).filter(pl.col("ts").is_in(opens))


def first_day_only() -> pl.DataFrame:
    return grid_of(raw_bars(days=DAYS[:1]))


def context_day_missing() -> pl.DataFrame:
    return grid_of(raw_bars()).filter(~((pl.col("symbol") == "SPY") & (pl.col("day") == DAYS[2])))


def straight_up() -> pl.DataFrame:
    """Return prices that grow by the same share each minute: a return without any variance."""
    raw = raw_bars()
    growth = pl.lit(1.0001).pow(pl.col("row") % 390)
    return grid_of(raw.with_columns((growth * 100.0).alias(c) for c in PRICES))


BAD: dict[str, Bars] = {
    "constant prices": constant,
    "zero volume all day": silent,
    "prices of 1e-4": scaled_to(1e-4),
    "prices of 1e6": scaled_to(1e6),
    "a symbol with 30 % filled minutes": thirty_percent_filled,
    "a halt of an hour": halted_for_an_hour,
    "one-minute sessions": one_minute,
    "a first day without history": first_day_only,
    "a context day missing": context_day_missing,
    "a price that grows steadily": straight_up,
}


@pytest.mark.parametrize("bars", BAD.values(), ids=BAD.keys())
def test_no_stored_number_is_nan_or_infinite(bars: Bars):
    own = bars()
    frame = made(own, own["day"].unique().sort().to_list(), spec=ALL_ROWS).frame
    assert frame.height == own.height
    assert FEATURES.errors(frame) == []
    floats = frame.select(pl.selectors.float())
    assert floats.select(pl.all().is_finite().all()).row(0) == (True,) * floats.width
    assert frame["minute_index"].null_count() == 0


def at(frame: pl.DataFrame, symbol: str, day: int, minute: int) -> dict[str, object]:
    moment = calendar.session(DAYS[day]).open + timedelta(minutes=minute)
    return frame.filter(pl.col("symbol") == symbol, pl.col("ts") == moment).row(0, named=True)


def test_a_constant_price_has_no_variance_and_a_range_of_zero():
    row = at(made(constant(), spec=ALL_ROWS).frame, "AAA", 3, 200)
    for name in ("sigma_60m", "vol_ewm_60m", "skew_60m", "kurt_60m", "vwap_30m_z", "beta_spy_60m", "corr_spy_60m"):
        assert row[name] is None, name
    for name in ("ret_1m", "rv_30m", "atr_14m", "parkinson_30m", "garman_klass_30m", "signed_volume", "vwap_trend_5m"):
        assert row[name] == 0.0, name
    assert row["vwap_30m"] == 37.25


def test_a_steady_growth_has_returns_but_no_deviation():
    row = at(made(straight_up(), spec=ALL_ROWS).frame, "AAA", 0, 200)
    assert row["ret_1m"] == pytest.approx(1e-4, rel=1e-3)
    assert (row["sigma_60m"], row["skew_60m"], row["corr_spy_60m"]) == (None, None, None)


def test_without_volume_there_is_no_vwap_and_no_relative_volume():
    row = at(made(silent(), spec=ALL_ROWS).frame, "AAA", 3, 200)
    for name in ("vwap_30m", "vwap_30m_z", "vwap_trend_5m", "volume_norm_5m", "volume_norm_30m"):
        assert row[name] is None, name
    assert row["volume_percentile"] == 1.0
    assert row["liquidity_bucket"] == -1
    assert row["sigma_60m"] is not None


@pytest.mark.parametrize("price", [1e-4, 1e6])
def test_features_without_a_unit_of_price_do_not_hang_on_its_size(price: float):
    usual, other = (made(bars()).frame for bars in (scaled_to(100.0), scaled_to(price)))
    assert usual.height == other.height
    for name in (f.name for f in SPEC.features if f.name != "vwap_30m" and f.dtype == pl.Float32):
        pairs = pl.DataFrame({"a": usual[name], "b": other[name]}).drop_nulls()
        assert pairs.height > 2_000
        spread = max(pairs["a"].std() or 0.0, 1e-12)
        assert (pairs["a"] - pairs["b"]).abs().max() < 2e-5 * spread, name


def test_a_halt_of_an_hour_leaves_no_deviation_inside_and_comes_back_after_it():
    frame = made(halted_for_an_hour(), spec=ALL_ROWS).frame
    assert at(frame, "AAA", 1, 130)["sigma_15m"] is None
    assert at(frame, "AAA", 1, 159)["rv_30m"] == 0.0
    assert at(frame, "AAA", 1, 159)["vwap_30m"] is None
    assert at(frame, "AAA", 1, 165)["sigma_15m"] > 0.0
    assert at(frame, "AAA", 1, 165)["vwap_30m"] > 0.0


def test_a_one_minute_session_has_its_return_since_the_open_and_is_dropped_by_rule():
    assert at(made(one_minute(), spec=ALL_ROWS).frame, "AAA", 0, 0)["ret_1m"] is not None
    kept = made(one_minute())
    assert kept.frame.is_empty()
    assert kept.dropped["dropped"].to_list() == [1] * 12


def test_a_first_day_without_history_is_kept_with_nothing_to_compare_it_with():
    frame = made(first_day_only(), DAYS[:1]).frame
    assert frame.height == 3 * (390 - 14)
    assert frame["volume_percentile"].null_count() == frame.height
    assert not frame["vol_ewm_warm"].any()


def test_filled_minutes_count_as_no_movement_and_no_volume():
    frame = made(thirty_percent_filled(), spec=ALL_ROWS).frame
    filled = frame.filter(pl.col("symbol") == "AAA", pl.col("ts").dt.minute() % 10 < 3, pl.col("minute_index") > 10)
    assert filled["ret_1m"].unique().to_list() == [0.0]
    assert filled["signed_volume"].unique().to_list() == [0.0]
    assert filled["range_pct"].unique().to_list() == [0.0]
