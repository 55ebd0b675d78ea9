"""Outcomes are read with what became of their prices over midnight, as far as prices are stored."""

from datetime import timedelta
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.storage import moves
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.tsfm import TSFM_OUTCOMES
from timegpt_assets_tests.core.tsfm.band_rows import series
from timegpt_assets_tests.core.tsfm.market_rows import NOON, at
from timegpt_assets_tests.core.tsfm.outcome_rows import outcomes

DAY = NOON.date()


def test_a_late_price_is_followed_into_as_many_days_as_are_stored(tmp_path: Path) -> None:
    store, after = ParquetStore(LocalStore(tmp_path)), DAY + timedelta(days=1)
    came = outcomes([0.5], day=DAY, as_of=[at(690)], target_ts=[at(695)], rise=None, fall=None)
    prices = series([(695.0, 0.5), (800.0, 0.6), (1100.0, 0.2)])

    def rises(hours: float = 6.0) -> list[float | None]:
        found = moves.outcomes(store, [DAY, after], TSFM_OUTCOMES.empty(), follow_through_hours=hours)
        assert found.columns == list(TSFM_OUTCOMES.columns)
        return [one and round(one, 9) for one in found["rise"]]

    assert rises() == [], "nothing is stored"
    store.write(moves.OUTCOMES, DAY, came.with_columns(lineage_id=pl.lit("a")), facts={"*": {}})
    assert rises() == [None]
    for day, rows in prices.group_by("day"):
        store.write(moves.SERIES, day[0], rows.with_columns(lineage_id=pl.lit("a")), facts={"*": {}})
    assert rises() == [0.1]
    assert rises(24.0) == [None], "the prices end before"
