"""Tables of an earlier version: rewritten where they can tell, set aside where not, and the next day goes on.

Guards against a column added to a table that makes every day after an upgrade fail on the days before it.
"""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets import checks
from timegpt_assets.adapters.storage.migration import migrate
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.columns import BOOK_KEY
from timegpt_assets.engine.engine import RunFailed
from timegpt_assets_tests.markets import DAYS
from timegpt_assets_tests.roads import TINY, Road, road

OLD = {
    "forecasts/outcomes": ("forecaster", "host"),
    "evaluation/forecast_scores": ("forecaster",),
    "evaluation/day_scores": ("forecaster", "request_hash"),
    "backtest/book": ("book", "forecaster"),
}
"""Asset -> columns that an earlier version did not have."""
DIVIDED = "forecasts/outcomes"
"""What an earlier version divided by symbol, and is whole now."""


def made_old(store: ParquetStore, asset: str, day: date) -> pl.DataFrame:
    """Rewrite a file as an earlier version would have left it: the control arm's rows, without the new columns."""
    rows = store.read(asset, [day]).filter(forecaster="ridge")
    rows = rows.filter(book="ridge") if "book" in rows.columns else rows
    keys = {symbol for _, symbol in store.read_facts(asset, [day])}
    if asset == DIVIDED:
        keys = set(rows["symbol"].unique())
        store.objects.move(f"{asset}/{day}.parquet", f"elsewhere/{day}.parquet")  # a whole file takes no part of it
    store.write(asset, day, rows.drop(OLD[asset]), keys=keys)
    return rows


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory):
    days = [day for day in DAYS if day != date(2025, 1, 29)]
    with road(tmp_path_factory.mktemp("old"), base=TINY, pictures=False) as built:
        built.run(days[:3])
        yield built, days


def test_the_day_after_an_upgrade_says_migrate_and_after_it_goes_on(walked: tuple[Road, list[date]]) -> None:
    built, days = walked
    store = ParquetStore(built.runtime.storage)
    before = {(asset, day): made_old(store, asset, day) for asset in OLD for day in days[:2]}
    with pytest.raises(RunFailed, match="timegpt-assets migrate"):
        built.run(days[3:4], assets=["calibration_models"])
    tables = {asset: checks.BY_NAME[asset.partition("/")[2]] for asset in OLD}
    found = migrate(store, tables, whole=[DIVIDED])
    assert found.rewritten == {asset: 2 for asset in OLD if asset != "backtest/book"}
    assert found.aside == {"backtest/book": 2}
    for (asset, day), rows in before.items():
        if asset == "backtest/book":
            assert (built.root / f"{asset}/{day}.parquet.old").exists(), "set aside, never deleted"
            assert store.read(asset, [day], missing="ok").is_empty()
            continue
        gone = [name for name in OLD[asset] if name != "forecaster"]
        assert_frame_equal(store.read(asset, [day]).drop(gone), rows.drop(gone), check_column_order=False)
        assert checks.BY_NAME[asset.partition("/")[2]].errors(store.read(asset, [day])) == []
    again = migrate(store, tables, whole=[DIVIDED])
    assert (again.rewritten, again.aside) == ({}, {})
    built.run(days[3:4])
    assert set(built.tables()["forecasts/raw_forecasts"].filter(pl.col("day") == days[3])["forecaster"]) > {"ridge"}


def test_a_file_divided_by_symbol_is_joined_where_it_is_whole_now_and_read_only_then(tmp_path: Path) -> None:
    table, store, day = checks.BY_NAME["outcomes"], ParquetStore(LocalStore(tmp_path)), "2025-01-21"
    store.write(DIVIDED, day, table.empty(), keys=["A", "B"])
    with pytest.raises(StoreError, match=r"is divided by symbol.*timegpt-assets migrate"):
        store.read(DIVIDED, [day], ["*"], missing="ok")
    assert migrate(store, {DIVIDED: table}).kept == 1, "nobody said that it is whole"
    assert migrate(store, {DIVIDED: table}, whole=[DIVIDED]).rewritten == {DIVIDED: 1}
    assert store.read_facts(DIVIDED, [day], ["*"]) == {(day, "*"): {"rows": 0}}
    assert migrate(store, {DIVIDED: table}, whole=[DIVIDED]).kept == 1


def test_whose_rows_they_were_follows_from_the_sources(tmp_path: Path) -> None:
    table = checks.BY_NAME["symbol_gates"]
    sources = ["baseline", "model", "simulated", "*"]
    rows = pl.DataFrame(
        {"day": [date(2025, 1, 21)] * 4, "symbol": ["A", "B", "C", "D"], "score_source": sources},
        schema={"day": pl.Date, "symbol": pl.String, "score_source": pl.String},
    ).with_columns(
        *(pl.lit("x").alias(n) for n in ("run_source", "data_regime", "criterion", "reason", "verdict", "bootstrap")),
        n=pl.lit(0, pl.Int64),
        passed=pl.lit(False),
    )
    store = ParquetStore(LocalStore(tmp_path))
    store.write("gates/symbol_gates", "2025-01-21", rows, keys=["A", "B", "C", "D", "E"], facts={"E": {"seen": 1}})
    migrate(store, {"gates/symbol_gates": table})
    found = store.read("gates/symbol_gates", ["2025-01-21"])
    assert found["forecaster"].to_list() == ["ridge", "timegpt", "timegpt", "*"]
    assert table.errors(found) == []
    facts = store.read_facts("gates/symbol_gates", ["2025-01-21"])
    assert facts["2025-01-21", "E"] == {"seen": 1, "rows": 0}
    assert "book" in BOOK_KEY
