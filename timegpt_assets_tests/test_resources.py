"""Resources: the UI lists what each is made of, no key among it, and money has a resource of its own."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap

from timegpt_assets import checks, resources
from timegpt_assets.adapters.call_errors import Frozen
from timegpt_assets.adapters.ledger.ledger import LedgerEntry
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_files import StoreError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.definitions import build_definitions
from timegpt_assets.io_managers import AnswersIOManager, TableIOManager
from timegpt_assets.runtime import Runtime, load_runtime
from timegpt_assets_tests.secret_search import KEY, MARK

pytestmark = pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars` is deprecated")

PASSWORD = "hunter2"


def runtime(folder: Path, *overrides: str, profile: str = "dev") -> Runtime:
    environ = {"TIMEGPT_API_KEY": KEY, "PGPASSWORD": PASSWORD}
    found = load_runtime(overrides, profile=profile, environ=environ)
    return Runtime(settings=found.settings, root=folder, environment=environ)


def shown(*overrides: str) -> RepositorySnap:
    """Return what the UI is told of the definitions."""
    definitions = build_definitions(runtime(Path("/nowhere"), *overrides))
    return RepositorySnap.from_def(definitions.get_repository_def())


def configured(snap: RepositorySnap, name: str) -> dict[str, Any]:
    (found,) = (one for one in snap.resources or [] if one.name == name)
    return {field: json.loads(value) for field, value in found.configured_values.items()}


def test_every_resource_shows_its_configuration_and_no_secret() -> None:
    snap = shown(
        "forecast.backend=nixtla",
        "forecast.base_url=http://127.0.0.1:9",
        "forecast.api_budget.per_month=500",
        "forecast.timeout_s=7",
    )
    for resource in snap.resources or []:
        assert resource.configured_values, f"{resource.name} shows nothing in the UI"
        assert resource.resource_type.startswith(("timegpt_assets.resources", "dagster_gcp.")), resource.name
    assert configured(snap, "api_budget")["per_month"] == 500
    assert configured(snap, "hosted_forecaster")["timeout_s"] == 7
    assert configured(snap, "answers_io_manager")["cache"] == "artifacts/forecast_cache"
    said = dg.serialize_value(snap)
    assert MARK not in said
    assert PASSWORD not in said


def test_the_ui_shows_what_it_runs_under() -> None:
    snap = shown("forecast.api_budget.per_day=11", "forecast.model=timegpt-1-long-horizon")
    found = configured(snap, "settings")
    assert found["profile"] == "dev"
    assert found["said"] == {
        "forecast.api_budget.per_day": "11 (--set)",
        "forecast.model": "timegpt-1-long-horizon (--set)",
    }


def test_the_forecaster_is_made_of_the_budget_and_the_cache() -> None:
    (found,) = (one for one in shown().resources or [] if one.name == "hosted_forecaster")
    assert {"api_budget", "answers_io_manager"} <= found.nested_resources.keys()


def test_a_bucket_among_the_places_brings_the_client_of_dagster_gcp() -> None:
    local = {one.name for one in shown().resources or []}
    stored = ("data.storage_root=gs://ours/tables", "forecast.api_budget.single_writer=true")
    assert {one.name for one in shown(*stored).resources or []} - local == {"gcs"}


def test_the_budget_counts_reserves_gives_back_and_freezes(tmp_path: Path) -> None:
    budget = resources.api_budget(runtime(tmp_path, "forecast.api_budget.per_run=3"))
    entries = [LedgerEntry("forecast", f"hash-{n}", f"snapshot-{n}", {}) for n in "ab"]
    granted = budget.reserve(entries, "run")
    assert budget.left("run")["per_run"] == 1
    budget.settle(granted.values())
    assert budget.left("run")["per_run"] == 3
    budget.freeze("audit")
    with pytest.raises(Frozen, match="audit"):
        budget.reserve(entries, "run")
    budget.thaw()
    assert budget.reserve(entries, "run").keys() == granted.keys()


def test_a_row_whose_paid_answer_is_not_in_the_cache_is_not_stored(tmp_path: Path) -> None:
    tables = TableIOManager(store=ParquetStore(LocalStore(tmp_path)), tables=checks.BY_NAME, lineage=lambda _: "id")
    manager = AnswersIOManager(tables=tables, cache=ForecastCache(LocalStore(tmp_path / "cache")), host="h")
    rows = pl.DataFrame({"day": ["2025-01-21"], "backend": ["nixtla"], "request_hash": ["0" * 64]})
    with pytest.raises(StoreError, match=r"1 paid answers are not in .*pay again with --reask"):
        manager.keep(dg.AssetKey(["forecasts", "answers"]), {"table": "answers"}, rows, days=["2025-01-21"])
    assert list(tmp_path.rglob("*.parquet")) == []
