"""What the UI's catalog says of every asset: who looks after it, what kind it is, where its source and its page are."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from timegpt_assets.assets.catalog import LONGEST_PAUSE, PAGES
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.settings import load_settings
from timegpt_assets.core import calendar
from timegpt_assets.definitions import build_definitions
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.test_definitions import repository


def test_every_asset_has_kinds_owners_tags_and_links_that_lead_somewhere() -> None:
    graph = repository().asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.kinds >= {"polars", "parquet"}, key
        assert node.owners == ["team:research"], key
        stage = key.path[0]
        assert {k: v for k, v in node.tags.items() if "/" not in k} == {
            "stage": stage, "regime": "smoke", "cost": "free",
        }  # fmt: skip
        source, page = node.metadata["dagster/code_references"].code_references
        line = Path(source.file_path).read_text(encoding="utf-8").splitlines()[source.line_number - 1]
        assert line.strip() in ("@declared(", f"def {key.path[-1]}("), (key, line)
        assert page.file_path == str(PROJECT / PAGES[stage])
        assert node.metadata["settings"] is not None, "what was declared stays"


def test_what_is_paid_and_where_it_is_stored_are_said_of_the_profile(tmp_path) -> None:
    said = ("data.source=local", f"data.root={tmp_path}", "data.storage_root=gs://b/t")
    graph = _graph(
        "prod", *said, "forecast.api_budget.single_writer=true", "automation.owners=[ops@example.org, team:quant]"
    )
    paid = graph.get(dg.AssetKey(["forecasts", "answers"]))
    assert (paid.tags["cost"], paid.tags["regime"]) == ("paid", "prod")
    assert paid.kinds == {"polars", "gcs", "nixtla"}
    assert paid.owners == ["ops@example.org", "team:quant"]
    assert graph.get(dg.AssetKey(["forecasts", "base_answers"])).tags["cost"] == "free"


def test_only_what_every_session_makes_on_a_grid_without_an_end_must_be_fresh(tmp_path) -> None:
    assert all(
        repository().asset_graph.get(k).freshness_policy is None for k in repository().asset_graph.get_all_asset_keys()
    )
    graph = _graph("dev", "data.source=local", f"data.root={tmp_path}", "data.end_date=null")
    fresh = {k.path[-1] for k in graph.get_all_asset_keys() if graph.get(k).freshness_policy}
    assert {"bars", "answers", "portfolio", "symbol_gates"} <= fresh
    assert not fresh & {"promotion", "report", "forecast_gate", "grid_days", "trading_grid"}


def test_no_pause_of_the_exchange_is_longer_than_what_is_called_stale() -> None:
    days = [s.day for s in calendar.sessions(calendar.LAST_DAY.replace(year=2015, month=1, day=2), calendar.LAST_DAY)]
    longest = max(b - a for a, b in pairwise(days))
    assert longest <= timedelta(days=4) < LONGEST_PAUSE


def test_an_owner_is_a_team_or_an_address() -> None:
    with pytest.raises(ConfigError, match=r"automation\.owners"):
        load_settings(profile="demo", config_dir=None, overrides=["automation.owners=[somebody]"], environment={})


def _graph(profile: str, *overrides: str):
    settings = load_settings(profile=profile, config_dir=None, overrides=overrides, environment={})
    runtime = Runtime(settings=settings, root=PROJECT, environment={})
    return build_definitions(runtime).get_repository_def().asset_graph
