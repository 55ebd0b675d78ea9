"""What a forecast is asked of is the window before its cycle, and what is missing in it is told."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.tsfm.asked import Asked
from timegpt_assets.core.tsfm.selection import SelectionSpec, selection
from timegpt_assets.core.tsfm.series import SeriesSpec, series
from timegpt_assets.core.tsfm.window import asked
from timegpt_assets_tests.core.tsfm.market_rows import NOON, SEGMENTS, SPEC, at, market, markets, prices

SHORT = SeriesSpec(freq_min=5, input_len=6, horizon=12, last_trade_max_age_min=15.0, max_gap_min=60.0)
ALL = SelectionSpec(top_n=200, weight_volume=0.6, weight_open_interest=0.4)
QUANTILES = (0.1, 0.5, 0.9)


def window(points: Any, *, minutes: float = 0.0, spec: SeriesSpec = SPEC, **told: Any) -> Asked:
    """Return what is asked of a market so many minutes after noon, of these points."""
    cycle = markets(market(minutes=minutes, **told))
    rows = series(cycle, prices(points), [NOON.date()], spec).rows
    (found,) = asked(selection(cycle, ALL, SEGMENTS), rows, spec, QUANTILES)
    return found


def test_a_window_ends_at_its_cycle_and_is_no_longer_than_asked() -> None:
    points = [(5.0 * k, k / 100) for k in range(40)]
    found = window(points, minutes=100, spec=SHORT, volume_24h=2000.0)
    assert found.y.tolist() == [k / 100 for k in range(15, 21)]
    assert found.seen.all()
    assert found.longest_gap_min == 5.0
    assert (found.market_id, found.as_of, found.freq_min, found.horizon) == ("m", at(100), 5, 12)
    assert (found.quantiles, found.liquidity_bucket, found.volume_24h) == (QUANTILES, "MID", 2000.0)


def test_what_comes_later_is_not_looked_at() -> None:
    points = [(5.0 * k, k / 100) for k in range(40)]
    early, late = window(points[:21], minutes=100), window(points, minutes=100)
    assert early.y.tolist() == late.y.tolist()
    assert early.longest_gap_min == late.longest_gap_min


@pytest.mark.parametrize("gap", [59.0, 61.0])
def test_a_gap_is_told_to_the_minute_though_the_grid_hides_it(gap: float) -> None:
    points = [(-5.0, 0.2), (0.0, 0.2), (gap, 0.3)]
    found = window(points, minutes=65)
    assert found.longest_gap_min == gap
    assert np.isfinite(found.y).all()
    assert found.seen.tolist() == [
        True,
        True,
        *[False] * (11 if gap < 60 else 12),
        *[True] * (1),
        *[False] * (gap < 60),
    ]


def test_the_stretch_before_the_cycle_is_a_gap_too() -> None:
    assert window([(0.0, 0.2)], minutes=90).longest_gap_min == 90.0
    assert np.isnan(window([(0.0, 0.2)], minutes=90).y[-1])


def test_a_market_begins_with_its_first_price() -> None:
    found = window([(0.0, 0.2), (5.0, 0.3)], minutes=5)
    assert found.y.tolist() == [0.2, 0.3]
    assert found.longest_gap_min == 5.0


def test_a_gap_before_the_window_s_first_price_is_none_in_it_and_one_that_it_carries_over_is() -> None:
    points = [(0.0, 0.2), (200.0, 0.3), *[(205.0 + 5 * k, 0.3) for k in range(5)]]
    assert window(points, minutes=225, spec=SHORT).longest_gap_min == 5.0
    carried = [(0.0, 0.2), (61.0, 0.3)]
    assert window(carried, minutes=65, spec=SHORT).longest_gap_min == 61.0


def test_a_market_without_a_price_has_nothing_and_no_end_to_its_gap() -> None:
    found = window([])
    assert found.y.size == found.seen.size == 0
    assert found.longest_gap_min == math.inf


def test_rows_that_are_missing_are_a_gap_and_no_price() -> None:
    cycle = markets(market(minutes=30))
    rows = series(cycle, prices([(5.0 * k, 0.5) for k in range(7)]), [NOON.date()], SPEC).rows
    (found,) = asked(selection(cycle, ALL, SEGMENTS), rows.filter(pl.col("ts") <= at(10)), SPEC, QUANTILES)
    assert np.isnan(found.y[-4:]).all()
    assert found.longest_gap_min == 20.0


def test_several_cycles_and_markets_are_each_asked_as_alone() -> None:
    cycles = markets(*(market(name, minutes=m) for m in (10, 20) for name in ("a", "b")))
    points = pl.concat([prices([(5.0 * k, (k + i) / 100) for k in range(5)], name) for i, name in enumerate("ab")])
    rows = series(cycles, points, [NOON.date()], SPEC).rows
    found = asked(selection(cycles, ALL, SEGMENTS), rows, SPEC, QUANTILES)
    assert [(one.as_of, one.market_id) for one in found] == [(at(m), n) for m in (10, 20) for n in "ab"]
    assert [one.y.tolist() for one in found[2:]] == [[k / 100 for k in range(5)], [(k + 1) / 100 for k in range(5)]]
    unselected = selection(cycles, SelectionSpec(top_n=1, weight_volume=1, weight_open_interest=0), SEGMENTS)
    assert [one.market_id for one in asked(unselected, rows, SPEC, QUANTILES)] == ["a", "a"]


def test_a_cycle_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"12:02:00.* is no moment of a grid of 5 minutes. Round the cycle down"):
        window([(0.0, 0.2)], minutes=2)
