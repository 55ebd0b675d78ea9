"""Every feature against the same feature written with pandas, session by session: values and missing ones alike."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.news.windows import window
from timegpt_assets_tests.benchmarks._pandas_features import oracle
from timegpt_assets_tests.core.bars.bars_factory import DAYS, grid_of, needs_real_data, real_raw, troubled_bars
from timegpt_assets_tests.core.features.made import EVENTS, NAMES, SILENT, SPEC, made, vix
from timegpt_assets_tests.core.news.scored_made import Event

LARGEST = 1e-5
"""Largest difference allowed, in standard deviations of the column: float32 keeps seven digits."""


def told(day: date) -> list[Event] | None:
    """Return the events of a day and of the session before it, None of the silent day and of those of other bars."""
    begun, ended = window(calendar.shifted(day, -1))[0], window(day)[1]
    return [one for one in EVENTS if begun < one["known_at"] <= ended] if day in DAYS and day != SILENT else None


def compared(bars: pl.DataFrame, days, spec: FeatureSpec, closes: pl.DataFrame | None) -> dict[str, float]:
    """Return the largest difference of each column in its standard deviations; missing values must be the same."""
    symbols = bars["symbol"].unique().sort().to_list()
    ours = made(bars, days, symbols, spec=spec, closes=closes)
    theirs = oracle(bars, closes, days=days, spec=spec, told=told)
    assert int(theirs["dropped"].sum()) == ours.dropped["dropped"].sum()
    kept = theirs[~theirs["dropped"]]
    assert kept["symbol"].tolist() == ours.frame["symbol"].to_list()
    errors = {}
    for feature in spec.features:
        own = ours.frame[feature.name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        other = kept[feature.name].to_numpy(dtype=float)
        np.testing.assert_array_equal(np.isnan(own), np.isnan(other), err_msg=feature.name)
        known = other[~np.isnan(other)]
        errors[feature.name] = (
            float(np.max(np.abs(own - other), initial=0.0, where=~np.isnan(other))) / (known.std() or 1.0)
            if known.size
            else 0.0
        )
    return errors


@pytest.fixture(scope="module")
def errors() -> dict[str, float]:
    return compared(troubled_bars(), DAYS, SPEC, vix())


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_equals_the_oracle_on_troubled_bars(errors: dict[str, float], name: str):
    assert errors[name] < LARGEST


def test_the_oracle_knows_exactly_the_features_there_are():
    row = oracle(troubled_bars(), vix(), days=[DAYS[3]], spec=SPEC)
    assert set(row.columns) - {"day", "symbol", "ts", "dropped"} == set(NAMES)


@needs_real_data
@pytest.mark.parametrize(
    ("name", "symbols"), [("mag7_spy_2025", ["AAPL", "META", "SPY"]), ("us_large_cap_2018", ["AAPL", "JPM", "MSFT"])]
)
def test_every_feature_equals_the_oracle_on_real_bars(name: str, symbols: list[str]):
    bars = grid_of(real_raw(name).filter(pl.col("symbol").is_in(symbols)))
    days = bars["day"].unique().sort().to_list()[:8]
    sectors = dict.fromkeys(symbols[:2], "one") | {symbols[2]: "another"}
    spec = FeatureSpec(
        context=(symbols[-1],), sectors=sectors, sessions=4, calendar=EventCalendar({"event_cpi": (days[2],)})
    )
    errors = compared(bars.filter(pl.col("day").is_in(days)), days, spec, None)
    assert {name: error for name, error in errors.items() if not error < LARGEST} == {}
