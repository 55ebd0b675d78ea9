"""Alerts pass their gates by what was known at their moment; what nobody tells passes none."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core.tables.tsfm import MARKETS
from timegpt_assets.core.tsfm.alerts import AlertSpec, alerts, flows
from timegpt_assets_tests.core.tsfm.band_rows import band, bands, hours, series
from timegpt_assets_tests.core.tsfm.market_rows import NOON, at, market, markets

SPEC = AlertSpec(
    horizon_step=1, open_interest_change_max=-0.15, volume_velocity_min=2.0, ambiguity_max=0.35, cooldown_s=900.0
)
DAY = NOON.date()
OUT = series([(0, 0.65)])
FELL, FAST, CLEAR = (100.0, 80.0), (2400.0, 2600.0), 0.35


def known(interest: Any = (None, None), volume: Any = (None, None), ambiguity: float | None = None) -> pl.DataFrame:
    """Return what a market told an hour before noon, and at noon."""
    told = [{"open_interest": o, "volume_24h": v} for o, v in zip(interest, volume, strict=True)]
    return markets(market(minutes=-60, **told[0]), market(minutes=0, ambiguity=ambiguity, **told[1]))


def made(rows: pl.DataFrame = OUT, told: pl.DataFrame | None = None, **changed: Any) -> pl.DataFrame:
    """Return alerts of a band at noon."""
    return alerts(bands(band(**changed)), rows, known() if told is None else told, DAY, SPEC)


@pytest.mark.parametrize(
    ("told", "severity", "gates"),
    [
        ((FELL, FAST, CLEAR), "HIGH", "1+2a+2b+3"),
        ((FELL, (2400.0, 2400.0), CLEAR), "MED", "1+2a+3"),
        (((100.0, 100.0), FAST, CLEAR), "MED", "1+2b+3"),
        ((FELL, FAST, 0.36), "FYI", "1+2a+2b"),
        (((100.0, 100.0), (2400.0, 2400.0), CLEAR), "FYI", "1+3"),
        ((FELL, FAST, None), "FYI", "1+2a+2b"),
        (((None, 80.0), (2400.0, None), CLEAR), "FYI", "1+3"),
    ],
)
def test_severity_is_what_passed(told: Any, severity: str, gates: str) -> None:
    row = made(told=known(*told)).row(0, named=True)
    assert (row["severity"], row["gates"]) == (severity, gates)


def test_thresholds_themselves_pass() -> None:
    row = made(told=known((100.0, 85.0), (2400.0, 2500.0), 0.35)).row(0, named=True)
    assert (row["open_interest_change"], row["volume_velocity"]) == (pytest.approx(-0.15), pytest.approx(2.0))
    assert row["gates"] == "1+2a+2b+3"
    assert made(told=known((100.0, 85.1), (2400.0, 2499.0), 0.35)).row(0, named=True)["gates"] == "1+3"


@pytest.mark.parametrize(("price", "side"), [(0.601, "above"), (0.399, "below"), (0.6, None), (0.4, None), (0.5, None)])
def test_gate_1_asks_whether_the_price_left_the_band(price: float, side: str | None) -> None:
    assert made(series([(0, price)]))["side"].to_list() == ([side] if side else [])


def test_the_band_is_the_one_forecast_so_many_steps_before() -> None:
    rows = bands(band(step=1), band(step=2, upper=0.9))
    two_steps = AlertSpec(**({name: getattr(SPEC, name) for name in SPEC.__slots__} | {"horizon_step": 2}))
    assert alerts(rows, OUT, known(), DAY, SPEC)["as_of"].to_list() == [at(-5)]
    assert alerts(rows, OUT, known(), DAY, two_steps).is_empty()


def test_a_price_carried_forward_is_no_news() -> None:
    assert made(series([(0, 0.65)], source="ffill")).is_empty()
    assert made(series([(0, None)])).is_empty()


def test_an_alert_says_whose_band_it_was_and_why() -> None:
    row = made(band_source="tsfm_raw", fallback_used=True, reason="tollama_error:timeout", model="EWMA").row(
        0, named=True
    )
    assert (row["band_source"], row["fallback_used"], row["reason"]) == ("tsfm_raw", True, "tollama_error:timeout")
    assert (row["lower"], row["upper"], row["price"]) == (0.4, 0.6, 0.65)
    said = json.loads(row["evidence"])
    assert said["unknown"] == ["open_interest_change", "volume_velocity", "ambiguity"]
    assert (said["model"], said["question"], said["thresholds"]["ambiguity_max"]) == ("EWMA", "?", 0.35)


def test_a_market_without_any_snapshot_alerts_with_nothing_known() -> None:
    row = made(told=MARKETS.empty()).row(0, named=True)
    assert (row["severity"], json.loads(row["evidence"])["snapshot"]) == ("FYI", None)


def test_volume_doubles_where_an_hour_brings_two_usual_ones() -> None:
    # 100 an hour for a day, then an hour of 250: the sum of 24 hours grows by 150
    told = flows(known(volume=(2400.0, 2550.0))).sort("snapshot")
    assert told["volume_velocity"].to_list() == [None, pytest.approx(2.5)]
    assert flows(known(volume=(0.0, 100.0)))["volume_velocity"].to_list() == [None, None]
    assert flows(known(volume=(2400.0, 100.0))).sort("snapshot")["volume_velocity"].to_list() == [None, 0.0]


def test_a_late_snapshot_is_measured_by_its_own_time_and_a_stale_one_not_at_all() -> None:
    late = markets(market(minutes=-80, volume_24h=2400.0), market(volume_24h=2600.0))
    assert flows(late).sort("snapshot")["volume_velocity"].to_list()[1] == pytest.approx(1 + 200 / (80 / 60) / 100)
    stale = markets(market(minutes=-95, volume_24h=2400.0), market(volume_24h=2600.0))
    assert flows(stale)["volume_velocity"].to_list() == [None, None]
    assert made(told=markets(market(minutes=-31, ambiguity=0.1)))["ambiguity"].to_list() == [None]


def test_a_snapshot_of_a_minute_later_tells_nothing_yet() -> None:
    told = markets(market(minutes=-10, ambiguity=0.9), market(minutes=1, ambiguity=0.1))
    assert made(told=told)["ambiguity"].to_list() == [0.9]


def test_one_market_s_snapshots_tell_nothing_of_another() -> None:
    told = markets(market("a", minutes=-60, open_interest=100.0), market("b", open_interest=50.0))
    assert flows(told)["open_interest_change"].to_list() == [None, None]


def test_a_market_is_silent_after_an_alert_and_not_for_longer() -> None:
    rows, prices = bands(*(band(minutes=m) for m in range(0, 40, 5))), series([(m, 0.7) for m in range(0, 40, 5)])
    assert alerts(rows, prices, known(), DAY, SPEC)["ts"].to_list() == [at(0), at(15), at(30)]


def test_midnight_breaks_no_silence_and_needs_the_day_before() -> None:
    night = hours(12)
    rows = bands(*(band(minutes=night + m) for m in (-5, 0, 5, 10)))
    prices = series([(night + m, 0.7) for m in (-5, 0, 5, 10)])
    assert alerts(rows, prices, known(), DAY, SPEC)["ts"].to_list() == [at(night - 5)]
    after, quiet = DAY + timedelta(days=1), prices.filter(pl.col("ts") >= at(night))
    assert alerts(rows, prices, known(), after, SPEC)["ts"].to_list() == [at(night + 10)]
    # the band of the first moment was forecast the day before
    assert alerts(rows, quiet, known(), after, SPEC)["ts"].to_list() == [at(night)]


def test_a_silence_of_days_reaches_over_all_of_them_and_the_alert_that_began_it_was_one_itself() -> None:
    long = replace(SPEC, cooldown_s=40 * 3600)
    # hours after noon: the second is silent after the first, the third rings, the fourth is silent after the third
    moments = [hours(h) for h in (0, 12, 41, 80)]
    rows, prices = bands(*(band(minutes=m) for m in moments)), series([(m, 0.7) for m in moments])
    rang = {n: alerts(rows, prices, known(), DAY + timedelta(days=n), long)["ts"].to_list() for n in range(4)}
    assert rang == {0: [at(0)], 1: [], 2: [at(hours(41))], 3: []}
    assert (SPEC.reach, long.reach) == (1, 4)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_nothing_later_changes_an_alert_and_no_order_does(data: st.DataObject) -> None:
    moments = range(0, 120, 5)
    price = st.floats(0.3, 0.7)
    points = [(float(m), data.draw(price)) for m in moments]
    told = [
        market(minutes=m, open_interest=data.draw(st.floats(50, 150)), volume_24h=data.draw(st.floats(1e3, 4e3)))
        for m in range(-90, 120, 15)
    ]
    rows = bands(*(band(minutes=m) for m in moments))
    whole = alerts(rows, series(points), markets(*told), DAY, SPEC)
    cut = data.draw(st.sampled_from(moments))
    later = [(m, y if m <= cut else 0.9) for m, y in points]
    changed = [row if row["as_of"] <= at(cut) else row | {"open_interest": 1.0, "ambiguity": 0.0} for row in told]
    mixed = data.draw(st.permutations(changed))
    again = alerts(rows.sample(fraction=1.0, shuffle=True, seed=1), series(later), pl.DataFrame(
        mixed, schema=MARKETS.schema), DAY, SPEC)  # fmt: skip
    until = pl.col("ts") <= at(cut)
    assert_frame_equal(whole.filter(until), again.filter(until))
