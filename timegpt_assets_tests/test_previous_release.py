"""A house as the release before wrote it is opened by this one: every table is read, refused by name, or migrated.

Guards against a change of a stored table that today's code reads as something it is not, and against answers that are
bought again because what they were asked with is told in other words.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import timegpt_assets as ta
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, StoreError
from timegpt_assets.cli.app import app
from timegpt_assets.core.tables.stored import STORED, Stored
from timegpt_assets.serving.house import House
from timegpt_assets_tests.engine.test_call_budget import modest
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY

RELEASE = PROJECT / "timegpt_assets_tests" / "fixtures" / "previous_release"
URL, DAY = "http://127.0.0.1:34607", "2025-01-31"
"""Where its server was: nobody listens there now, so that a request would fail."""


@dataclass(frozen=True, kw_only=True)
class Drill:
    """The old house in a folder of its own, under today's code."""

    folder: Path
    settings: list[str]

    @property
    def store(self) -> ParquetStore:
        """Return its tables."""
        return ParquetStore(LocalStore(self.folder / "tables"))

    def opened(self) -> House:
        """Return it as a notebook opens it."""
        said = dict(text.partition("=")[::2] for text in self.settings)
        values: dict[str, Any] = {key: yaml.safe_load(value) for key, value in said.items()}
        return ta.open("dev", settings=values)

    def there(self) -> list[Stored]:
        """Return the assets that have files."""
        return [one for one in STORED.values() if [*(self.folder / "tables" / one.asset).glob("*.parquet")]]


@pytest.fixture
def drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drill:
    """Return the house, with the environment in which its commands work."""
    for name in ("tables", "forecast_cache"):
        shutil.copytree(RELEASE / name, tmp_path / name)
    shutil.copy(RELEASE / "call_ledger.sqlite", tmp_path)
    places = {
        "data.storage_root": "tables",
        "data.artifacts_root": "artifacts",
        "data.dagster_home": "home",
        "forecast.cache_dir": "forecast_cache",
        "forecast.api_budget.ledger_file": "call_ledger.sqlite",
    }
    settings = [*TINY, *modest(URL), "universe.tickers=[AAPL, NVDA]", "forecast.challengers=[ridge, zero]"]
    settings += [f"{name}={tmp_path / place}" for name, place in places.items()]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join(settings))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "dev")
    monkeypatch.setenv("TIMEGPT_API_KEY", KEY)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return Drill(folder=tmp_path, settings=settings)


def did(*words: str) -> str:
    found = CliRunner().invoke(app, [*words])
    assert found.exit_code == 0, found.output
    return found.output


def read(drill: Drill, one: Stored) -> pl.DataFrame:
    """Return all rows of an asset, each declared column of its type. Raises StoreError for another release's."""
    rows: pl.DataFrame = getattr(drill.opened(), one.name)().collect()
    told = {name: rows.schema[name] for name in one.table.columns}
    assert told == {name: column.dtype for name, column in one.table.columns.items()}, one.asset
    return rows


def test_every_table_is_read_as_it_is_declared_or_refused_with_the_verb_that_migrates_it(drill: Drill) -> None:
    before = drill.there()
    assert len(before) > 30
    refused = set()
    for one in before:
        try:
            read(drill, one)
        except StoreError as error:
            assert "timegpt-assets migrate" in str(error) or "another version made it" in str(error), error  # noqa: PT017
            refused.add(one.name)
    said = did("migrate")
    aside = {path.parent.name for path in (drill.folder / "tables").rglob("*.old")}
    print(f"{len(before)} tables, refused before: {sorted(refused)}, set aside: {sorted(aside)}")  # noqa: T201
    for one in drill.there():
        assert read(drill, one).height >= 0
    assert {one.name for one in before} - {one.name for one in drill.there()} == aside
    assert aside <= refused, "what could be read was kept"
    assert all(name in said for name in aside)
    assert "made again, and nothing paid again" in said or not aside


@pytest.mark.whole  # a day of everything, twenty seconds of processor
@pytest.mark.timeout(600)
def test_what_is_set_aside_is_made_again_and_what_was_paid_for_is_the_same(drill: Drill) -> None:
    paid = drill.store.read("forecasts/answers", [DAY])
    did("migrate")
    did("backfill", "--start", DAY, "--end", DAY, "--json")
    again = drill.store.read("forecasts/answers", [DAY])
    named = [name for name in paid.columns if name in again.columns and name != "lineage_id"]
    keys = ["symbol", "snapshot_ts", "step"]
    assert_frame_equal(again.select(named).sort(keys), paid.select(named).sort(keys))
    missing = [one.asset for one in STORED.values() if one.name in ("trades", "forecasts", "report", "contract")]
    assert all([*(drill.folder / "tables" / asset).glob("*.parquet")] for asset in missing)
