"""Staleness over ages alone, against a clerk who asks Dagster's own mappings which partitions each one reads."""

import random
from datetime import date, timedelta

import dagster as dg
import pytest
from dagster import AssetKey
from dagster._core.definitions.partitions.context import partition_loading_context

from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.axes import MONTHS, SESSIONS
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.plans import PartitionRef, strata
from timegpt_assets.engine.stages import STAGES
from timegpt_assets.engine.stale import Ages, InputWindow, input_window, input_windows, stale
from timegpt_assets.partitions import day_window, graph_context, month_window, of_month
from timegpt_assets_tests.ladder_house import SETTINGS
from timegpt_assets_tests.roads import LATER, TINY, load_runtime, sessions

FIRST, LAST = date(2025, 1, 21), date(2025, 2, 6)
UTC_GRID = ("tsfm.start_date=2025-11-20", "tsfm.end_date=2026-01-06")
UTC_FIRST, UTC_RANGE = date(2025, 12, 12), [date(2025, 11, 20) + timedelta(days=number) for number in range(48)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return the whole graph on a small grid."""
    return build_definitions(load_runtime(tmp_path_factory.mktemp("stale"), base=TINY)).get_repository_def()


def test_the_clerk_finds_the_same_stale_partitions_whatever_the_order_of_making(repository):
    """Ages at random over the whole graph: each partition of ours is stale exactly when the clerk says so."""
    known, symbols = of_sessions(repository), ["AAPL", "META", "NVDA", "SPY"]
    days = sessions(FIRST, LAST)
    rng = random.Random(3)
    ages = {
        key: {
            partition: rng.randrange(10**6)
            for partition in sorted(node.partitions(days, symbols))
            if rng.random() < 0.8
        }
        for key, node in known.items()
    }
    few = {
        key: {partition: rng.randrange(20) * 1000 + n for partition in partitions}
        for n, (key, partitions) in enumerate(ages.items())
    }
    order = [key for key in repository.asset_graph.toposorted_asset_keys if key in known]
    in_order = {key: dict.fromkeys(ages[key], n) for n, key in enumerate(order)}
    assert stale(in_order, known, input_windows(repository), roots={}) == {}
    for key in order[:4]:
        in_order[key] |= dict.fromkeys(rng.sample(sorted(in_order[key]), 2), 10**6)
    for made in (ages, few, in_order):
        found = stale(made, known, input_windows(repository), roots={})
        assert found == clerk(repository, made)
        assert 50 < sum(map(len, found.values())) < sum(map(len, made.values()))


@pytest.mark.parametrize("seated", [(), (*SETTINGS, "forecast.challengers=[ridge, lightgbm, tsmixer, blend]")])
def test_every_edge_of_the_graph_maps_and_ours_are_the_partitions_that_dagster_hands_over(tmp_path, seated):
    """Refused mappings do not fail when they are loaded: each edge is mapped here, for every partition of the grid."""
    runtime = load_runtime(tmp_path, *seated, base=TINY)
    repository = build_definitions(runtime).get_repository_def()
    days = sessions(date(2025, 1, 20), runtime.settings.data.end_date)
    assert edges_compared(repository, of_sessions(repository), days, runtime.settings.universe.everyone) > 60
    # a run's files come after all of it, on demand alone
    nodes = {key: node for key, node in asset_nodes(repository).items() if key.path[-1] not in STAGES["exports"]}
    assert len(strata(nodes)) == (6 if seated else 2), "months below days where a rung is seated"


def test_every_edge_of_utc_days_maps_to_what_dagster_hands_over(tmp_path):
    """Weekends, a month's turn and a year's: UTC days know none of them."""
    runtime = load_runtime(tmp_path, *UTC_GRID, base=TINY)
    repository = build_definitions(runtime).get_repository_def()
    known = {key: node for key, node in asset_nodes(repository).items() if node.is_utc}
    assert edges_compared(repository, known, UTC_RANGE, [], first=UTC_FIRST) > 10


@pytest.mark.filterwarnings("ignore:Parameter `allow_nonexistent_upstream_partitions`")
def test_every_edge_between_utc_days_and_utc_months_maps_to_what_dagster_hands_over(tmp_path):
    grid = graph_context(load_runtime(tmp_path, *UTC_GRID, base=TINY).settings).grid

    @dg.asset(partitions_def=grid.utc_day)
    def day() -> None: ...

    @dg.asset(partitions_def=grid.utc_month, ins={"day": dg.AssetIn(partition_mapping=month_window(0))})
    def month(day: None) -> None: ...

    @dg.asset(partitions_def=grid.utc_month, ins={"month": dg.AssetIn(partition_mapping=month_window(2))})
    def later(month: None) -> None: ...

    @dg.asset(
        partitions_def=grid.utc_day,
        ins={
            "day": dg.AssetIn(partition_mapping=day_window(-14, -1)),
            "month": dg.AssetIn(partition_mapping=of_month()),
        },
    )
    def learnt(day: None, month: None) -> None: ...

    repository = dg.Definitions(assets=[day, month, later, learnt]).get_repository_def()
    assert edges_compared(repository, asset_nodes(repository), UTC_RANGE, [], first=UTC_FIRST) == 4


@pytest.mark.filterwarnings("ignore:Parameter `allow_nonexistent_upstream_partitions`")
def test_a_day_that_reads_the_month_before_its_own_is_refused_by_name():
    """Dagster hands it the own month, too: a model that was learnt from the day it answers on."""
    day, month = dg.DailyPartitionsDefinition("2025-01-01"), dg.MonthlyPartitionsDefinition("2025-01-01")
    before = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1, allow_nonexistent_upstream_partitions=True)

    @dg.asset(partitions_def=month)
    def model() -> None: ...

    @dg.asset(partitions_def=day, ins={"model": dg.AssetIn(partition_mapping=before)})
    def answers(model: None) -> None: ...

    with pytest.raises(TypeError, match=r"^answers reads the months -1\.\.-1 of model\. Let it read its own month"):
        input_windows(dg.Definitions(assets=[model, answers]).get_repository_def())


def of_sessions(repository):
    """Return the assets of sessions and months; those of UTC days have a grid of their own."""
    return {key: node for key, node in asset_nodes(repository).items() if node.axis in (SESSIONS, MONTHS)}


def edges_compared(repository, known, days, symbols, *, first=FIRST) -> int:
    """Compare what every partition reads by Dagster's mappings and by ours, and return over how many edges.

    ``known`` assets are looked at, on days from ``first`` on: the grid has none before its own to look back on.
    """
    graph = repository.asset_graph
    windows = {edge: window for edge, window in input_windows(repository).items() if edge[0] in known}
    on_grid = {key: node.partitions(days, symbols) for key, node in known.items()}
    with partition_loading_context(LATER):
        for (key, parent), window in windows.items():
            lined_up = Ages(dict.fromkeys(on_grid[parent], 1), known[parent].kind)
            for partition in sorted(on_grid[key]):
                if partition.day < first and not known[key].is_monthly:
                    continue
                ours = set(lined_up.inside(partition, window, known[key].kind))
                theirs = set(_read(graph, key, parent, partition)) & on_grid[parent]
                assert ours == theirs, (key.path, parent.path, partition)
    return len(windows)


def clerk(repository, ages: dict[AssetKey, dict[PartitionRef, int]]) -> dict[AssetKey, frozenset[PartitionRef]]:
    """Return what is stale, partition by partition, from Dagster's mappings."""
    graph = repository.asset_graph
    found: dict[AssetKey, set[PartitionRef]] = {}
    with partition_loading_context(LATER):
        for key in graph.toposorted_asset_keys:
            found[key] = set()
            for partition, age in ages.get(key, {}).items():
                for parent in graph.get(key).parent_keys:
                    for dep in _read(graph, key, parent, partition):
                        if dep in ages.get(parent, {}) and (dep in found[parent] or ages[parent][dep] > age):
                            found[key].add(partition)
    return {key: frozenset(partitions) for key, partitions in found.items() if partitions}


OF_WHOLE_MONTHS = {("training_set", "labels"), ("information_value", "bars")}
"""Month assets that the engine never asks of an open month, and what they read."""


def _read(graph, key: AssetKey, parent: AssetKey, partition: PartitionRef) -> list[PartitionRef]:
    """Return the parent's partitions that a partition reads, less what a month asset filters out again."""
    own, theirs = graph.get(key).partitions_def, graph.get(parent).partitions_def
    subset = own.subset_with_partition_keys([partition.key])
    mapping = graph.get_partition_mapping(key, parent)
    result = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, own, theirs)
    # of what is not there Dagster makes an error when the partition is run: a grid may end within a month
    if (key.path[-1], parent.path[-1]) not in OF_WHOLE_MONTHS:
        assert not result.required_but_nonexistent_subset.get_partition_keys(), (key.path, parent.path, partition)
    partitions = [
        PartitionRef(date.fromisoformat(k.split("|")[0]), k.partition("|")[2])
        for k in result.partitions_subset.get_partition_keys()
    ]
    window = input_window(mapping)
    if len(partition.key) and "month" in type(own).__name__.lower():
        first = _months_before(partition.day, -window.first)
        partitions = [c for c in partitions if c.day >= first]
    return partitions


def _months_before(day: date, months: int) -> date:
    number = day.year * 12 + day.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


def test_what_stands_on_something_stale_is_stale_and_a_root_only_if_it_is_there():
    a, b, c = (AssetKey([name]) for name in "abc")
    known = dict(zip((a, b, c), _chain(a, b), strict=True))
    day, other = date(2025, 1, 21), date(2025, 1, 22)
    ages = {
        a: {PartitionRef(day): 1, PartitionRef(other): 1},
        b: {PartitionRef(day): 2, PartitionRef(other): 2},
        c: {PartitionRef(day): 3},
    }
    hops = {(b, a): InputWindow(), (c, b): InputWindow(-1, 0)}
    assert stale(ages, known, hops, roots={}) == {}
    found = stale(ages, known, hops, roots={a: {PartitionRef(day), PartitionRef(date(2025, 1, 23))}})
    assert found == {a: {PartitionRef(day)}, b: {PartitionRef(day)}, c: {PartitionRef(day)}}


def _chain(a: AssetKey, b: AssetKey):
    from timegpt_assets.engine.plans import AssetNode

    return (
        AssetNode("trading_day", frozenset()),
        AssetNode("trading_day", frozenset({a})),
        AssetNode("trading_day", frozenset({b})),
    )
