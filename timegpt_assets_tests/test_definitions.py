"""Definitions: the graph as a text that reviewers read, and an import that stays lean.

After a wanted change of the graph: ``python -m timegpt_assets_tests.test_definitions --renew``, and read the diff.
"""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import dagster as dg
from dagster._config.pythonic_config.resource import ConfigurableResourceFactoryResourceDefinition

from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.tables.stored import STORED
from timegpt_assets.definitions import ASSETS, build_definitions
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.lineages import lineage_records
from timegpt_assets.engine.stages import EVERYDAY, STAGES
from timegpt_assets.runtime import Runtime, load_runtime

GOLDEN = Path(__file__).parent / "golden" / "graph.txt"
KINDS = {
    "day_symbol": "day x symbol",
    "trading_day": "day",
    "month": "month",
    "utc_day": "UTC day",
    "utc_month": "UTC month",
}


@cache
def repository() -> dg.RepositoryDefinition:
    """Return the repository of the demo profile as it is shipped."""
    settings = load_settings(profile="demo", config_dir=None, environment={})
    return build_definitions(Runtime(settings=settings, root=Path("/nowhere"), environment={})).get_repository_def()


def graph_text() -> str:
    """Return the whole graph as text: assets with what they read, checks, jobs, schedules and sensors."""
    graph, kinds = repository().asset_graph, asset_nodes(repository())
    lines = [
        "# The graph of profile demo. `python -m timegpt_assets_tests.test_definitions --renew` renews it.",
        "",
    ]
    for key in sorted(graph.get_all_asset_keys(), key=lambda k: k.path):
        node = graph.get(key)
        asset = node.assets_def
        marks = [f"pool {asset.op.pool}"] if asset.op.pool else []
        stored_by = asset.get_io_manager_key_for_asset_key(key)
        marks += [f"stored by {stored_by}"] if stored_by != "io_manager" else []
        kind = KINDS[kinds[key].kind]
        lines.append(" | ".join([key.to_user_string(), f"group {node.group_name}", kind, _table(asset, key), *marks]))
        lines += [
            f"    <- {parent.to_user_string()}: {_window(asset.get_partition_mapping(parent))}{_reading(asset, parent)}"
            for parent in sorted(node.parent_keys, key=lambda k: k.path)
        ]
    checks = sorted((c.asset_key.to_user_string(), c.name, graph.get(c).blocking) for c in graph.asset_check_keys)
    lines += ["", *(f"check {asset} {name}{' blocking' if blocking else ''}" for asset, name, blocking in checks)]
    lines += ["", *(f"job {job.name}" for job in repository().get_all_jobs() if not job.name.startswith("__"))]
    lines += [f"schedule {s.name}: {s.cron_schedule} {s.execution_timezone} -> {s.job_name}" for s in _schedules()]
    lines += [f"sensor {s.name}: every {s.minimum_interval_seconds} s -> {_launched(s)}" for s in _sensors()]
    resources = sorted(repository().get_top_level_resources().items())
    lines += ["", *(f"resource {name}: {_fields(resource)}" for name, resource in resources)]
    return "\n".join(lines) + "\n"


def _fields(resource: dg.ResourceDefinition) -> str:
    shape = resource.config_schema.default_value if resource.config_schema.default_provided else {}
    nested = resource.nested_resources if isinstance(resource, ConfigurableResourceFactoryResourceDefinition) else {}
    return ", ".join([*sorted(shape), *(f"{name} (nested)" for name in nested)])


def _table(asset: dg.AssetsDefinition, key: dg.AssetKey) -> str:
    return f"table {asset.metadata_by_key[key]['table']}"


def _reading(asset: dg.AssetsDefinition, parent: dg.AssetKey) -> str:
    name = next(name for name, key in asset.keys_by_input_name.items() if key == parent)
    metadata = asset.op.ins[name].metadata
    absent = ", may be absent" if metadata.get("missing") == "ok" else ""
    columns = metadata.get("columns")
    if columns is None:
        return absent
    return f"{absent}, columns {' '.join(columns)}" if len(columns) < 10 else f"{absent}, {len(columns)} columns"


def _window(mapping: dg.PartitionMapping | None) -> str:
    """Return in words which partitions are read."""
    match mapping:
        case None:
            return "the same"
        case dg.TimeWindowPartitionMapping():
            return f"[{mapping.start_offset}..{mapping.end_offset}]"
        case dg.MultiToSingleDimensionPartitionMapping():
            return f"by {mapping.partition_dimension_name}"
        case dg.MultiPartitionMapping():
            parts = mapping.downstream_mappings_by_upstream_dimension
            return ", ".join(f"{name} {_window(part.partition_mapping)}" for name, part in sorted(parts.items()))
        case dg.IdentityPartitionMapping():
            return "the same"
        case dg.AllPartitionMapping():
            return "all"
    raise TypeError(f"{mapping} has no words here. Add them to _window.")


def _schedules() -> list[dg.ScheduleDefinition]:
    return sorted(repository().schedule_defs, key=lambda s: s.name)


def _sensors() -> list[dg.SensorDefinition]:
    return sorted(repository().sensor_defs, key=lambda s: s.name)


def _launched(sensor: dg.SensorDefinition) -> str:
    return ", ".join(target.job_name for target in sensor.targets) or "nothing is launched"


def ancestors(name: str) -> set[str]:
    """Return every asset that ``name`` reads, directly or not, without its group."""
    by_name = {key.path[-1]: shape for key, shape in asset_nodes(repository()).items()}
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = {key.path[-1] for key in by_name[waiting.pop()].deps} - found
        found |= new
        waiting += new
    return found


def test_the_graph_is_the_one_that_was_reviewed():
    assert GOLDEN.exists(), "run python -m timegpt_assets_tests.test_definitions --renew"
    assert graph_text().splitlines() == GOLDEN.read_text().splitlines()


def test_the_text_shows_the_windows_and_the_embargo():
    text = graph_text()
    assert "<- forecasts/outcomes: [-31..-2], may be absent" in text
    assert "<- features/panel: [-10..0], may be absent" in text
    assert text.count("\ncheck ") == len(ASSETS) + 6


def test_every_stored_asset_is_in_the_list_that_python_reads_by():
    kinds = {
        ("day", True, "sessions"): "day_symbol",
        ("day", False, "sessions"): "trading_day",
        ("month", False, "sessions"): "month",
        ("day", False, "UTC"): "utc_day",
        ("month", False, "UTC"): "utc_month",
    }
    listed = {
        one.asset: (one.table.name, kinds[one.span, one.by_symbol, one.days])
        for name, one in STORED.items()
        if name == one.name
    }
    graph, nodes = repository().asset_graph, asset_nodes(repository())
    declared = {
        key.to_user_string(): (_table(graph.get(key).assets_def, key).removeprefix("table "), nodes[key].kind)
        for key in graph.get_all_asset_keys()
    }
    assert listed == declared


def test_no_edge_pairs_symbols_with_symbols():
    """Dagster maps such an edge key by key: with the square of the symbols, in every run, the daemon and the UI."""
    graph, on_the_grid = repository().asset_graph, 0
    for key in graph.get_all_asset_keys():
        for parent in graph.get(key).parent_keys:
            mapping = graph.get(key).assets_def.get_partition_mapping(parent)
            if isinstance(mapping, dg.MultiPartitionMapping):
                of_symbol = mapping.downstream_mappings_by_upstream_dimension["symbol"].partition_mapping
                assert isinstance(of_symbol, dg.IdentityPartitionMapping), f"{key} <- {parent}: put a day asset between"
                on_the_grid += 1
    assert on_the_grid >= 3


def test_no_forecast_stands_on_labels_and_nothing_of_a_day_stands_on_what_came_after():
    for name in ("answers", "raw_forecasts", "snapshots", "panel", "features", "market_context"):
        assert not {"labels", "outcomes", "forecast_scores", "trades"} & ancestors(name), name
    assert "labels" in ancestors("outcomes"), "else this test looks at nothing"


def test_every_asset_is_checked_against_its_table_before_anything_reads_it():
    graph = repository().asset_graph
    checked = {
        key.asset_key for key in graph.asset_check_keys if key.name == "matches_table" and graph.get(key).blocking
    }
    assert checked == set(graph.get_all_asset_keys())


EXPORT = dg.AssetKey(["reports", "run_export"])
"""Made on request alone, of whatever is there: it has dependencies and no inputs."""


def test_every_windowed_input_says_that_partitions_may_be_absent():
    graph, windowed = repository().asset_graph, 0
    for key in graph.get_all_asset_keys() - {EXPORT}:
        asset = graph.get(key).assets_def
        for parent in graph.get(key).parent_keys:
            if "[" in _window(asset.get_partition_mapping(parent)):
                assert "may be absent" in _reading(asset, parent), (key, parent)
                windowed += 1
    assert windowed >= 10


def test_where_no_rung_is_seated_no_day_stands_on_a_month_and_a_house_stored_before_is_read_as_it_was():
    nodes = {key.path[-1]: node for key, node in asset_nodes(repository()).items()}
    monthly = {name for name, node in nodes.items() if node.kind == "month"}
    read = {name: {key.path[-1] for key in node.deps} for name, node in nodes.items()}
    days = nodes.keys() - monthly - {EXPORT.path[-1]}
    assert {name: read[name] & monthly for name in days if read[name] & monthly} == {}
    assert read["raw_forecasts"] == {"answers", "base_answers", "snapshots"}
    shaped = {name: [key for key in nodes[name].settings if key.startswith("models.")] for name in EVERYDAY}
    assert {name: keys for name, keys in shaped.items() if keys} == {}
    assert not any({"base_scores", "local_answers", "attribution"} & read[name] for name in EVERYDAY)


def test_where_the_group_news_is_off_nothing_of_a_day_stands_on_news_and_a_house_stored_before_is_read_as_it_was():
    nodes = asset_nodes(repository())
    told = {key for key in nodes if key.path[0] == "news"}
    assert {key.path[-1] for key in told} >= {*STAGES["news"]}
    others = {key: node for key, node in nodes.items() if key not in told and not node.is_monthly}
    assert {key: node.deps & told for key, node in others.items() if node.deps & told} == {}
    assert {key: found for key, node in others.items() if (found := [s for s in node.settings if "news" in s])} == {}


def test_only_the_paid_asset_waits_for_the_pool():
    graph = repository().asset_graph
    pooled = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).assets_def.op.pool}
    assert pooled == {"answers"}


def test_a_later_stage_s_settings_leave_an_earlier_row_s_lineage_alone():
    def records(*overrides: str) -> dict[str, str]:
        settings = load_settings(profile="demo", config_dir=None, overrides=overrides, environment={})
        reads = {key: set(graph.get(key).parent_keys) for key in graph.get_all_asset_keys()}
        shaped_by = {key: graph.get(key).metadata["settings"] for key in graph.get_all_asset_keys()}
        return {key.path[-1]: record.lineage_id for key, record in lineage_records(settings, reads, shaped_by).items()}

    graph = repository().asset_graph
    before, after = records(), records("calibration.window_days=20")
    changed = {name for name in before if before[name] != after[name]}
    assert not changed & {"raw_bars", "bars", "features", "panel", "answers", "raw_forecasts", "outcomes"}
    assert {"calibration_models", "forecasts", "trades", "portfolio", "report"} <= changed


def test_set_values_reach_started_processes_and_the_command_line_stands_over_them(tmp_path):
    inherited = {"TIMEGPT_ASSETS_SET": "forecast.history_days=7\ncalibration.window_days=9\n"}
    settings = load_runtime(["calibration.window_days=11"], environ=inherited).settings
    assert (settings.forecast.history_days, settings.calibration.window_days) == (7, 11)


def test_definitions_are_built_without_the_calendar_s_library_pandas_or_the_sdk():
    heavy = ("exchange_calendars", "pandas", "nixtla", "optuna", "httpx", "rapidfuzz", "ahocorasick", "cleanco")
    code = (
        "import json, sys; import timegpt_assets.definitions as d; "
        f"d.build_definitions(); print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    )
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [], "imported when something is asked, or by whoever needs it"


if __name__ == "__main__":
    if sys.argv[1:] != ["--renew"]:
        sys.exit("usage: python -m timegpt_assets_tests.test_definitions --renew")
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(graph_text())
