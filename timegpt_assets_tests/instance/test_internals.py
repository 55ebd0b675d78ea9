"""Every private name of Dagster and of the SDK that the package stands on, by name; and the public road beside it.

Guards against a moved pin: whoever raises dagster or nixtla in requirements.lock reads here which name has gone, before
a run does. A new use of a private name anywhere is found by itself, and must lie behind one of the doors.
"""

import ast
import inspect
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.context import metadata_logging
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.snap import JobSnap
from dagster._core.storage.event_log import SqliteEventLogStorage

from timegpt_assets.adapters.timegpt.sdk import SdkRequests
from timegpt_assets.engine import pending
from timegpt_assets.instance import internals
from timegpt_assets_tests.project import PROJECT

PACKAGE = PROJECT / "timegpt_assets"
DOORS = {
    "instance/empty_log.py",
    "instance/packed_events.py",
    "instance/internals.py",
    "event_storage.py",
    "instance/run_launcher.py",
    "instance/celery_launcher.py",
    "instance/run_owners.py",
    "instance/failures.py",
    "instance/old_events.py",
    "instance/timeline.py",
    "cli/ui.py",  # the webserver and the daemon are started in this process, which has no public entry
    "cli/context.py",  # Dagster raises CheckError at people, and exports it nowhere
}
SIGNATURES = {
    "_event_to_row": "(self, event)",
    "_event_insert_timestamp": "(self, event)",
    "_store_asset_check_evaluation_planned": "(self, event, event_id)",
    "_update_asset_check_evaluation": "(self, event, event_id)",
    "_store_asset_event_tags": "(self, conn, events, event_ids)",
    "_has_asset_key_index_cols_on_connection": "(self, conn)",
    "_get_asset_entry_values": "(self, event, event_id, has_asset_key_index_cols)",
    "store_event_batch": "(self, events)",
    "store_asset_check_event": "(self, event, event_id)",
    "_connect": "(self, shard)",
    "_initdb": "(self, engine, for_index_shard)",
    "run_connection": "(self, run_id)",
    "index_connection": "(self)",
}
"""Methods of the stock storage that ours calls or overrides, with their arguments."""


def private_imports() -> Iterator[tuple[str, str, str]]:
    """Yield file, module and name of every private import from Dagster in the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster._"):
                yield from ((path.relative_to(PACKAGE).as_posix(), str(node.module), a.name) for a in node.names)


NAMED_TUPLE = ("_asdict", "_fields", "_make", "_replace")
"""What the library reference says a named tuple has: the underscore keeps them apart from its fields."""


def private_attributes(text: str) -> Iterator[str]:
    """Yield every ``x._name`` of something that is not ``self``, ``cls`` or ``super()``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            if node.attr in NAMED_TUPLE:
                continue
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls", "super()"):
                yield f"{owner}.{node.attr}"


NAMES = sorted({(module, name) for _, module, name in private_imports()})


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[f"{module}.{name}" for module, name in NAMES])
def test_a_private_name_of_dagster_is_where_it_was(module: str, name: str) -> None:
    assert hasattr(import_module(module), name), f"{module}.{name} has moved: read its successor before moving the pin"


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_private_method_of_the_stock_storage_takes_what_it_took(name: str) -> None:
    found = list(inspect.signature(getattr(SqliteEventLogStorage, name)).parameters)
    assert f"({', '.join(found)})" == SIGNATURES[name]


def test_what_notes_are_put_into_is_where_it_was() -> None:
    fields = metadata_logging.OutputMetadataAccumulator._fields
    assert fields == ("per_output_metadata",)
    assert "_metadata_accumulator" in inspect.getsource(StepExecutionContext.__init__)
    assert metadata_logging.AssetMetadataHandle._fields == ("asset_key", "partition_key")


@pytest.mark.parametrize("name", ["_client_kwargs", "_make_client", "_model_params", "_get_model_params"])
def test_a_private_name_of_the_sdk_is_where_it_was(name: str) -> None:
    client = SdkRequests("http://127.0.0.1:9", 1.0)._client
    assert hasattr(client, name), f"NixtlaClient.{name} has moved: read its successor before moving the pin"


def test_the_sdk_asks_for_its_parameters_with_the_arguments_it_took() -> None:
    client = SdkRequests("http://127.0.0.1:9", 1.0)._client
    assert list(inspect.signature(client._get_model_params).parameters) == ["model", "freq"]


def test_private_names_lie_behind_the_doors() -> None:
    assert {file for file, _, _ in private_imports()} <= DOORS
    inside = {*DOORS, "adapters/timegpt/sdk.py"}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).as_posix() not in inside:
            assert list(private_attributes(path.read_text(encoding="utf-8"))) == [], path


def test_the_search_for_private_attributes_finds_them() -> None:
    assert list(private_attributes("step._metadata_accumulator = x\nself._own\nsuper()._mine()\nPairs._fields")) == [
        "step._metadata_accumulator"
    ]


def noted(context_of: Any = None) -> dict[str, dict[str, Any]]:
    """Return the metadata of each partition that a run of three noted."""
    days = dg.StaticPartitionsDefinition(["a", "b", "c"])
    policy = dg.BackfillPolicy.single_run()

    @dg.asset(partitions_def=days, backfill_policy=policy)
    def three(context: dg.AssetExecutionContext) -> None:
        context.add_asset_metadata({"before": 1}, partition_key="b")
        internals.note_partitions(context, {key: {"rows": n} for n, key in enumerate("abc")})

    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "c"}
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([three], instance=instance, tags=tags).success
        made = instance.fetch_materializations(dg.AssetKey("three"), limit=9).records
    return {
        str(record.partition_key): {k: v.value for k, v in record.asset_materialization.metadata.items() if k in SEEN}
        for record in made
        if record.asset_materialization
    }


SEEN = ("rows", "before")
NOTED = {"a": {"rows": 0}, "b": {"rows": 1, "before": 1}, "c": {"rows": 2}}


@pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")
def test_notes_are_put_beside_all_partitions_at_once() -> None:
    assert noted() == NOTED


@pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning")
@pytest.mark.parametrize("hidden", ["AssetMetadataHandle", "OutputMetadataAccumulator"])
def test_without_the_private_names_notes_take_the_public_road_and_say_so_once(
    hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(internals, "_noted_at_once", _gone(hidden))  # Dagster itself still needs the name
    internals._say.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert noted() == NOTED
        assert noted() == NOTED
    told = [str(w.message) for w in caught if "one by one" in str(w.message)]
    assert len(told) == 1
    assert hidden in told[0]
    assert told[0].endswith(internals.REMEDY)


def _gone(name: str) -> Any:
    def raises(*_: object) -> None:
        raise ImportError(f"cannot import name {name!r}")

    return raises


def test_without_the_cursor_storage_what_waits_is_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    internals._say.cache_clear()
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        internals.keep_text(instance, "a/b", "one")
        assert internals.kept_text(instance, "a/b") == "one"
        monkeypatch.delattr(dg.DagsterInstance, "daemon_cursor_storage")
        with pytest.warns(UserWarning, match=r"daemon_cursor_storage.*kept in a file"):
            assert internals.kept_text(instance, "a/b") is None
        internals._say.cache_clear()
        with pytest.warns(UserWarning, match="kept in a file") as caught:
            internals.keep_text(instance, "a/b", "two")
        assert internals.kept_text(instance, "a/b") == "two"  # said once a process: a second warning is an error
        assert pending.waiting(instance) == []
        assert len(caught) == 1


@dg.asset
def first() -> int:
    return 1


@dg.asset
def second(first: int) -> int:
    return first + 1


def ran(job: dg.JobDefinition, *assets: str) -> tuple[Any, ...]:
    """Return what Dagster keeps of a run of these assets: its steps, its assets, its events, what it is a part of."""
    selection = [dg.AssetKey(name) for name in assets]
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(instance=instance, asset_selection=selection)
        run = done.dagster_run
        part = instance.get_job_snapshot(run.job_snapshot_id)
        events = [event.event_type_value for event in done.all_events]
        return run.step_keys_to_execute, run.asset_selection, part.node_names, part.lineage_snapshot is None, events


def test_a_run_is_the_same_where_its_part_of_the_graph_is_drawn_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = dg.Definitions(assets=[first, second]).resolve_implicit_global_asset_job_def()
    once, drawn = internals.drawn_up_once(stock), list[str]()
    whole, own = (("first", "second"), ("first",)), JobSnap.from_job_def
    expected = [ran(stock, *assets) for assets in whole]
    assert expected[0] != expected[1]
    monkeypatch.setattr(JobSnap, "from_job_def", lambda job: [drawn.append(job.name), own(job)][1])
    assert [ran(once, *assets) for assets in whole] == expected
    assert len(drawn) == 3, "the graph and each part of it"
    assert [ran(once, *assets) for assets in whole] == expected
    assert len(drawn) == 3
    ran(stock, "first")
    assert len(drawn) > 5, "guard: stock draws up all of it again"
    of_its_own = {"asked": dg.ResourceDefinition.none_resource()}
    part = once.as_ephemeral_job(resource_defs=of_its_own, input_values={}, asset_selection=[dg.AssetKey("first")])
    assert "asked" in part.resource_defs, "a run with resources of its own is none of those that are kept"


def test_without_the_private_names_every_run_draws_up_the_graph_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    internals._say.cache_clear()
    job = dg.Definitions(assets=[first]).resolve_implicit_global_asset_job_def()
    monkeypatch.delattr(dg.JobDefinition, "as_ephemeral_job")
    with pytest.warns(UserWarning, match=r"as_ephemeral_job.*every run draws up the whole graph"):
        assert internals.drawn_up_once(job) is job
