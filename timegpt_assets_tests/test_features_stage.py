"""The features stage through the real engine: daily files, rows dropped and noted, groups switched off, chunks."""

from datetime import date
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from timegpt_assets.assets import declare
from timegpt_assets.core.features import matrix
from timegpt_assets_tests.roads import TINY, Road, road

pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
]

DAYS = [date(2025, 1, 28), date(2025, 1, 29), date(2025, 1, 30)]
FEATURES = dg.AssetKey(["features", "features"])


def files(folder: Path) -> list[str]:
    """Write daily files into the folder and return the settings that name them."""
    (folder / "vix.csv").write_text("date,close\n2025-01-27,17.9\n2025-01-28,16.41\n2025-01-29,16.56\n")
    (folder / "macro.csv").write_text(
        "date,event,time_et\n2025-01-30,cpi,08:30:00\n2025-01-29,fomc_decision,14:00:00\n"
    )
    (folder / "earnings.csv").write_text("date,ticker,timing\n2025-01-29,META,AMC\n")
    places = {"data.vix_path": "vix.csv", "events.calendar_path": "macro.csv", "events.earnings_path": "earnings.csv"}
    return [f"{key}={folder / name}" for key, name in places.items()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("features")
    with road(folder, *files(folder), base=TINY) as own:
        own.run(DAYS, assets=["panel", "snapshots", "labels"])
        yield own


def first_rows(own: Road, name: str) -> dict[tuple[date, str], object]:
    frame = own.tables()["features/features"].filter(pl.col("day").is_in(DAYS)).drop_nulls(name)
    rows = frame.group_by("day", "symbol", maintain_order=True).first()
    return {(day, symbol): value for day, symbol, value in rows.select("day", "symbol", name).iter_rows()}


def test_vix_is_that_of_the_day_before(made: Road):
    seen = {day: round(value, 2) for (day, symbol), value in first_rows(made, "vix_close").items() if symbol == "META"}
    assert seen == {DAYS[0]: 17.9, DAYS[1]: 16.41, DAYS[2]: 16.56}


def test_events_of_the_file_are_flagged_and_skipped(made: Road):
    assert [first_rows(made, "event_cpi")[day, "AAPL"] for day in DAYS] == [0, 0, 1]
    assert [first_rows(made, "event_fomc")[day, "AAPL"] for day in DAYS] == [0, 1, 0]
    snapshots = made.tables()["forecasts/snapshots"].filter(pl.col("day").is_in(DAYS))
    reasons = dict(snapshots.group_by("day").agg(pl.col("reason").first()).iter_rows())
    assert reasons == {DAYS[0]: "", DAYS[1]: "event_fomc", DAYS[2]: "event_cpi"}


def test_earnings_are_the_symbols_own(made: Road):
    flags = first_rows(made, "event_earnings")
    assert [flags[day, "META"] for day in DAYS] == [0, 1, 1]
    assert {flags[day, "AAPL"] for day in DAYS} == {0}


def test_dropped_rows_are_noted_beside_each_partition(made: Road):
    for day in DAYS:
        key = f"{day}|AAPL"
        query = dg.AssetRecordsFilter(asset_key=FEATURES, asset_partitions=[key])
        (record,) = made.engine.instance.fetch_materializations(query, limit=1).records
        noted = record.asset_materialization.metadata
        rows = made.tables()["features/features"].filter(pl.col("day") == day, pl.col("symbol") == "AAPL").height
        assert (noted["rows"].value, noted["dropped"].value) == (rows, 390 - rows)
        assert 14 <= noted["dropped"].value < 40


def test_the_panel_has_every_minute_whatever_was_dropped(made: Road):
    panel = made.tables()["features/panel"].filter(pl.col("day").is_in(DAYS))
    assert panel.group_by("day", "symbol").len()["len"].unique().to_list() == [390]
    assert panel["clock_price"].null_count() < 5


def test_labels_are_measured_in_the_volatility_that_the_features_hold_bit_for_bit(made: Road):
    tables = made.tables()
    key = ["day", "symbol", "ts"]
    known = tables["features/features"].select(*key, "vol_ewm_60m").drop_nulls()
    labels = tables["features/labels"].join(known, on=key)
    assert labels.height > 3 * 3 * 300
    assert labels["y_volatility_z"].equals((labels["y"] * (1.0 / labels["vol_ewm_60m"])).rename("y_volatility_z"))
    assert labels["y_bp"].equals((labels["y"] * 10_000.0).rename("y_bp"))


def test_chunks_of_one_day_store_the_same_bytes(made: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(matrix, "CHUNK_DAYS", 1)
    monkeypatch.setattr(declare, "CHUNK_DAYS", 1)
    places = files(made.root.parents[1])
    with road(tmp_path, *places, base=TINY) as own:
        own.run(DAYS, assets=["panel", "snapshots", "labels"])
        assert own.bytes() == made.bytes()


def test_forecasts_and_trades_are_made_with_every_group_but_the_clock_switched_off(tmp_path: Path):
    with road(tmp_path, "features.groups=[clock]", "trading.filters.enabled=false", base=TINY) as own:
        own.run(DAYS[:1], assets=["outcomes", "trades"])
        tables = own.tables()
    assert {"sigma_60m", "vol_ewm_60m", "minute_index"} <= set(tables["features/features"].columns)
    assert "ret_1m" not in tables["features/features"].columns
    assert tables["forecasts/outcomes"].height >= 12
    assert set(tables["backtest/trades"]["liquidity"]) <= {""}
