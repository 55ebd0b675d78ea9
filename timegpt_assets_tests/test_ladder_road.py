"""The ladder on a whole road: what each month's models learn from, and what the days make of them."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import product

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets_tests.ladder_house import JANUARY, january, ladder_road
from timegpt_assets_tests.roads import Road, non_null


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield a house without a rung of the ladder seated, its month to learn from made."""
    with ladder_road(tmp_path_factory.mktemp("taught")) as built:
        january(built)
        built.run(JANUARY, assets=["training_set"])
        yield built


def test_a_month_s_training_set_holds_every_symbol_at_every_snapshot_of_its_own_sessions(taught: Road) -> None:
    stored = taught.tables()["models/training_set"]
    assert set(stored["month"]) == {"2025-01"}
    every = taught.runtime.settings.models.snapshot_every_min
    expected = {
        (day, symbol, calendar.session(day).open + timedelta(minutes=minute))
        for day, symbol in product(JANUARY, taught.runtime.settings.universe.tickers)
        for minute in range(every, 390 - 15 + 1, every)
    }
    found = set(stored.select("day", "symbol", "snapshot_ts").iter_rows())
    assert found <= expected, "guard: of no other moment"
    assert len(found) > 0.9 * len(expected), "those without a volatility are left out"
    assert non_null(stored) > 10_000
    assert (stored["z"] - stored["y"] / stored["sigma"]).abs().max() == pytest.approx(0, abs=1e-12)
    labels = taught.tables()["features/labels"].filter(horizon_min=15)
    joined = stored.join(labels, on=["day", "symbol", "target_ts"], suffix="_label")
    assert joined.height == stored.height
    assert joined.filter(pl.col("y") != pl.col("y_label")).is_empty()
