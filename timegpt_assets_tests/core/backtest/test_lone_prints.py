"""A lone bad print, from the vendor's rows to the trade: no entry, stop or take is filled at it."""

from collections.abc import Mapping

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.bars.quality_rules import QualityPolicy
from timegpt_assets_tests.core.backtest.test_event_loop import DAY, SHORT, TAKE, bars, forecasts, one

BAD: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "a high a long take lies under": {"10:05": {"high": 112.0}},
    "a low a long stop lies over": {"10:05": {"low": 88.0}},
}


def gridded(changes: Mapping[str, Mapping[str, float]], wicks: str) -> pl.DataFrame:
    """Return the grid of a day whose rows are delivered with these minutes changed."""
    raw = bars(changes).drop("is_filled").with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    known = {"sessions": calendar.sessions_frame([DAY]), "policy": QualityPolicy(wicks=wicks)}
    quality = session_grid.quality(raw, keys=raw.select("day", "symbol").unique(), **known)
    assert quality.select("verdict", "rules", "wicks").row(0) == ("warned", "wicks", 1)
    return session_grid.grid(raw, quality, **known)


@pytest.mark.parametrize("side", [{}, SHORT], ids=["long", "short"])
@pytest.mark.parametrize("name", BAD)
def test_no_stop_and_no_take_is_filled_at_a_lone_print(name: str, side: dict[str, float]) -> None:
    held = one(forecasts(side), gridded(BAD[name], "hold"))
    assert (held["exit_reason"], held["exit_price"]) == ("forecast_ts", 100.0)
    kept = one(forecasts(side), gridded(BAD[name], "keep"))
    assert kept["exit_reason"] in ("take", "stop"), "without the rule it is traded"
    assert kept["exit_price"] != 100.0


def test_no_entry_is_filled_at_a_lone_first_print() -> None:
    bad = {"10:01": {"open": 88.0, "close": 100.0, "low": 88.0}}
    assert one(forecasts({}), gridded(bad, "hold"))["entry_price"] == 100.0
    assert one(forecasts({}), gridded(bad, "keep"))["entry_price"] == 88.0


def test_a_price_that_closes_see_is_still_taken() -> None:
    risen = {"10:05": {"open": 100.0, "high": 103.0, "close": 102.5}}
    raw = bars(risen).drop("is_filled").with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    known = {"sessions": calendar.sessions_frame([DAY]), "policy": QualityPolicy()}
    quality = session_grid.quality(raw, keys=raw.select("day", "symbol").unique(), **known)
    row = one(forecasts({}), session_grid.grid(raw, quality, **known))
    assert (row["exit_reason"], row["exit_price"]) == ("take", TAKE)
