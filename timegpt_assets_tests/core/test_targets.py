"""Clock prices, known returns, labels and scaling; the worked example of architecture.md, Clocks."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from math import log, sqrt
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar, targets
from timegpt_assets.core.features.matrix import panel
from timegpt_assets.core.tables.features import LABELS
from timegpt_assets.core.targets import Target, clock_prices, known_returns, scaled, target_scale, unscaled
from timegpt_assets_tests.core.bars.bars_factory import DAYS, grid_of, perturbed, raw_bars, troubled_bars
from timegpt_assets_tests.core.features.made import made

DAY, HALF_DAY = DAYS[1], DAYS[2]
TARGET = Target(volatility_column="sigma_60m", bp_factor=10000.0)


def panel_of(bars: pl.DataFrame) -> pl.DataFrame:
    return panel(made(bars).frame, bars, days=DAYS)


def labels(bars: pl.DataFrame, *, horizons: Iterable[int]) -> pl.DataFrame:
    return targets.labels(bars, made(bars).frame, horizons=horizons, target=TARGET)


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), ZoneInfo(calendar.ZONE)).astimezone(UTC)


def of(frame: pl.DataFrame, symbol: str, day: date) -> pl.DataFrame:
    return frame.filter(pl.col("symbol") == symbol, pl.col("day") == day)


def test_the_worked_example_of_the_architecture_page_holds_number_by_number():
    bars = grid_of(raw_bars())
    close = {row["ts"]: row["close"] for row in of(bars, "AAA", DAY).iter_rows(named=True)}
    last_y = known_returns(panel_of(bars), horizon_min=15).row(
        by_predicate=(pl.col("symbol") == "AAA") & (pl.col("known_at") == at("10:00")), named=True
    )
    assert last_y["y"] == pytest.approx(log(close[at("09:59")]) - log(close[at("09:44")]), abs=1e-15)
    label = of(labels(bars, horizons=[15]), "AAA", DAY).row(by_predicate=pl.col("ts") == at("09:59"), named=True)
    assert label["target_ts"] == at("10:15")
    assert label["y"] == pytest.approx(log(close[at("10:14")]) - log(close[at("09:59")]), abs=1e-15)


@pytest.mark.parametrize("horizon", [1, 10, 15, 30])
def test_a_session_gives_391_less_h_values_and_a_half_day_211_less_h(horizon: int):
    bars = grid_of(raw_bars())
    for frame, clock in (
        (known_returns(panel_of(bars), horizon_min=horizon), "known_at"),
        (labels(bars, horizons=[horizon]), "target_ts"),
    ):
        full, half = of(frame, "AAA", DAY), of(frame, "AAA", HALF_DAY)
        assert (full.height, half.height) == (391 - horizon, 211 - horizon)
        assert full[clock].min() == at("09:30") + timedelta(minutes=horizon)
        assert full[clock].max() == at("16:00")
        assert half[clock].max() == at("13:00", HALF_DAY)


def test_the_first_y_of_a_session_starts_at_the_open_of_its_first_bar():
    bars = grid_of(raw_bars())
    session = of(bars, "AAA", DAY)
    first = of(labels(bars, horizons=[15]), "AAA", DAY).row(0, named=True)
    assert (first["ts"], first["target_ts"]) == (at("09:29"), at("09:45"))
    assert first["y"] == pytest.approx(log(session["close"][14]) - log(session["open"][0]), abs=1e-15)


def test_clock_prices_have_one_more_moment_than_there_are_minutes():
    prices = of(clock_prices(troubled_bars()), "AAA", DAY)
    assert prices.height == 391
    assert (prices["known_at"][0], prices["known_at"][-1]) == (at("09:30"), at("16:00"))
    assert prices["price"].is_null().arg_true().to_list() == [0, 1]


def test_without_its_first_minutes_a_session_starts_h_minutes_after_the_first_print():
    y = of(known_returns(panel_of(troubled_bars()), horizon_min=15), "BBB", DAY)
    assert y["known_at"].min() == at("09:30") + timedelta(minutes=7 + 1 + 15)
    assert y["known_at"].max() == at("16:00")
    assert y.height == 391 - 15 - 8


def test_labels_are_the_known_returns_seen_from_their_beginning():
    bars = troubled_bars()
    for horizon in (1, 15):
        known = known_returns(panel_of(bars), horizon_min=horizon)
        seen = labels(bars, horizons=[horizon])
        assert_frame_equal(seen.select("day", "symbol", known_at="target_ts", y="y"), known, check_exact=True)
        assert known.height > 3_000
        assert (seen["target_ts"] - seen["ts"]).unique().to_list() == [timedelta(minutes=horizon + 1)]


def test_labels_of_several_horizons_are_those_of_each_and_keep_their_table():
    bars = troubled_bars()
    both = labels(bars, horizons=[15, 1, 15])
    assert LABELS.errors(both) == []
    assert both["horizon_min"].unique().sort().to_list() == [1, 15]
    single = pl.concat([labels(bars, horizons=[h]) for h in (1, 15)])
    assert_frame_equal(both, single.sort("day", "symbol", "horizon_min", "target_ts"), check_exact=True)
    assert labels(bars, horizons=[]).is_empty()
    assert labels(bars.clear(), horizons=[15]).is_empty()


def test_every_label_is_the_sum_of_its_one_minute_returns():
    both = labels(troubled_bars(), horizons=[1, 5]).partition_by("horizon_min", as_dict=True)
    sums = both[(1,)].with_columns(total=pl.col("y").rolling_sum(5).over("day", "symbol"))
    joined = both[(5,)].join(sums, on=["day", "symbol", "target_ts"], suffix="_1")
    np.testing.assert_allclose(joined["y"], joined["total"], atol=1e-12)
    assert joined.height > 3_000


def test_what_happens_after_a_minute_changes_no_return_known_at_it():
    bars = troubled_bars()
    before = known_returns(panel_of(bars), horizon_min=15)
    for seed, clock in enumerate(("09:46", "11:03", "15:59")):
        known = pl.col("known_at") <= at(clock)
        after = known_returns(panel_of(perturbed(bars, at(clock), seed)), horizon_min=15)
        assert_frame_equal(after.filter(known), before.filter(known), check_exact=True)
        assert before.filter(known).height > 1_000
        assert not after.filter(~known)["y"].equals(before.filter(~known)["y"])


def test_returns_are_the_same_day_by_day_and_symbol_by_symbol():
    bars = troubled_bars()
    alone, features = bars.partition_by("day", "symbol", maintain_order=True), made(bars).frame
    singly = [targets.labels(own, features, horizons=[15], target=TARGET) for own in alone]
    assert_frame_equal(labels(bars, horizons=[15]), pl.concat(singly), check_exact=True)


def test_a_minute_missing_from_the_panel_yields_no_return_over_another_horizon():
    whole = panel_of(grid_of(raw_bars()))
    holed = whole.filter(pl.col("ts") != at("10:30"))
    y = of(known_returns(holed, horizon_min=15), "AAA", DAY)
    kept = of(known_returns(whole, horizon_min=15), "AAA", DAY)
    assert_frame_equal(y, kept.join(y, on="known_at", how="semi"))
    assert at("10:46") not in y["known_at"].to_list()


@pytest.mark.parametrize(
    ("mode", "horizon", "own", "aligned"),
    [
        ("log_return_15m", 15, 15, True),
        ("log_return_15m", 30, 15, False),
        ("log_return", 15, 1, False),
        ("log_return", 1, 1, True),
        ("bp", 10, 10, True),
        ("volatility_z", 20, 20, True),
    ],
)
def test_each_mode_has_its_own_label_horizon(mode: str, horizon: int, own: int, aligned: bool):
    target = Target(mode=mode, horizon_min=horizon)
    assert (target.label_horizon_min, target.label_aligned) == (own, aligned)


@pytest.mark.parametrize(
    "values", [{"mode": "guess"}, {"horizon_min": 0}, {"mode": "log_return_0m"}, {"bp_factor": 0.0}]
)
def test_a_target_that_means_nothing_is_refused(values: dict[str, object]):
    with pytest.raises(ValueError, match=r"; write "):
        Target(**values)


def test_a_label_in_other_units_is_its_return_over_what_was_known_when_it_began_by_a_clerk():
    bars = troubled_bars()
    known = {(r["symbol"], r["ts"]): r["sigma_60m"] for r in made(bars).frame.iter_rows(named=True)}
    found = labels(bars, horizons=[1, 15, 60])
    measured = 0
    for row in found.iter_rows(named=True):
        sigma = known.get((row["symbol"], row["ts"]))
        assert row["y_bp"] == pytest.approx(row["y"] * 10_000, rel=1e-15)
        if sigma is None:
            assert row["y_volatility_z"] is None
            continue
        unit = sigma * sqrt(row["horizon_min"] / TARGET.horizon_min)
        assert row["y_volatility_z"] == pytest.approx(row["y"] / unit, rel=1e-14)
        measured += 1
    assert measured > 9_000
    first = of(found.filter(pl.col("horizon_min") == 15), "AAA", DAY)
    assert first["y_volatility_z"][0] is None, "before the open nothing is known"


def test_what_a_forecaster_is_asked_for_in_either_unit_is_the_label_it_is_scored_by():
    bars = grid_of(raw_bars())
    found = labels(bars, horizons=[15]).drop_nulls("y_volatility_z")
    shown = panel_of(bars)
    begun = found.join(shown, on=["day", "symbol", "ts"])
    for mode in ("bp", "volatility_z"):
        scale = target_scale(replace(TARGET, mode=mode))
        back = begun.select(unscaled(pl.col(f"y_{mode}"), scale)).to_series()
        np.testing.assert_allclose(back, begun["y"], rtol=1e-14)


def test_volatility_that_becomes_known_while_a_label_runs_does_not_enter_it():
    bars = troubled_bars()
    moment = at("11:03")
    for seed in (1, 2):
        features = made(perturbed(bars, moment, seed)).frame
        after = targets.labels(bars, features, horizons=[15], target=TARGET)
        before = labels(bars, horizons=[15])
        begun = pl.col("ts") < moment
        assert_frame_equal(after.filter(begun), before.filter(begun), check_exact=True)
        assert not after.filter(~begun)["y_volatility_z"].equals(before.filter(~begun)["y_volatility_z"])


@given(y=st.floats(-1, 1), sigma=st.floats(1e-6, 1e-1), mode=st.sampled_from(["log_return_15m", "bp", "volatility_z"]))
def test_scaling_is_reversible(y: float, sigma: float, mode: str):
    frame = pl.DataFrame({"y": [y], "vol_ewm_60m": [sigma]})
    scale = target_scale(Target(mode=mode))
    there = frame.with_columns(value=scaled(pl.col("y"), scale), scale=scale)
    back = there.select(unscaled(pl.col("value"), pl.col("scale"))).item()
    assert back == pytest.approx(y, rel=1e-15, abs=1e-300)


def test_scales_say_what_one_unit_is_worth():
    frame = pl.DataFrame({"y": [0.0012, 0.0012], "vol_ewm_60m": [0.0006, None]})
    units = {
        m: frame.select(scaled(pl.col("y"), target_scale(Target(mode=m)))).to_series() for m in ("bp", "volatility_z")
    }
    assert units["bp"].to_list() == pytest.approx([12.0, 12.0])
    assert units["volatility_z"].to_list() == [pytest.approx(2.0), None]
    assert frame.select(target_scale(Target(mode="log_return"))).item() == 1.0
