"""Which stored partitions are older than what they were made from: pure planning over the ages of partitions.

Belongs here: windows read off the graph's mappings, and the verdict. Ages come from Dagster's records (engine.py), what
is made again is the rectangle's business.
"""

from bisect import bisect_left
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import date

import dagster as dg
from dagster import AssetKey

from timegpt_assets.engine.axes import AXES
from timegpt_assets.engine.plans import AssetNode, PartitionRef, in_order, kind_of

STALE = 1 << 62
"""The age of what is to be made again: newer than anything."""


@dataclass(frozen=True, slots=True)
class InputWindow:
    """What a partition reads of an input: from ``first`` to ``last`` around its own, in units of the reader's axis.

    A month counts months, be the input of days or of months; a day that reads a month reads the one it lies in.
    ``own_symbol``: of its own symbol alone.
    """

    first: int = 0
    last: int = 0
    own_symbol: bool = False


def input_window(mapping: dg.PartitionMapping) -> InputWindow:
    """Return the input_window of a partition mapping. Raises TypeError for a kind the graph does not use."""
    if isinstance(mapping, dg.MultiPartitionMapping):
        parts = mapping.downstream_mappings_by_upstream_dimension
        days, symbols = (parts[name].partition_mapping for name in ("day", "symbol"))
        found = input_window(days)
        return InputWindow(found.first, found.last, own_symbol=isinstance(symbols, dg.IdentityPartitionMapping))
    if isinstance(mapping, dg.TimeWindowPartitionMapping):
        return InputWindow(mapping.start_offset, mapping.end_offset)
    if isinstance(mapping, dg.IdentityPartitionMapping):
        return InputWindow(own_symbol=True)
    if isinstance(mapping, dg.MultiToSingleDimensionPartitionMapping):
        return InputWindow()
    raise TypeError(f"{type(mapping).__name__} has no input_window. Say in stale.py which partitions it reads.")


def input_windows(repository: dg.RepositoryDefinition) -> dict[tuple[AssetKey, AssetKey], InputWindow]:
    """Return what every asset reads of each of its inputs.

    Raises TypeError for a day that reads months around its own: Dagster hands it the own month, too, which for a model
    is one that was learnt of the day itself.
    """
    graph = repository.asset_graph
    rank = {key: AXES[kind_of(graph.get(key).partitions_def)].rank for key in graph.get_all_asset_keys()}
    found = {}
    for key in rank:
        for parent in graph.get(key).parent_keys:
            window = input_window(graph.get_partition_mapping(key, parent))
            if rank[key] < rank[parent] and (window.first, window.last) != (0, 0):
                raise TypeError(
                    f"{key.to_user_string()} reads the months {window.first}..{window.last} of "
                    f"{parent.to_user_string()}. Let it read its own month: what that was learnt from lies before it."
                )
            found[key, parent] = window
    return found


def stale(
    ages: Mapping[AssetKey, Mapping[PartitionRef, int]],
    asset_nodes: Mapping[AssetKey, AssetNode],
    input_windows: Mapping[tuple[AssetKey, AssetKey], InputWindow],
    *,
    roots: Mapping[AssetKey, Set[PartitionRef]],
) -> dict[AssetKey, frozenset[PartitionRef]]:
    """Return the existing partitions that are stale: ``roots``, and whatever is older than anything it reads.

    ``ages`` grow with the time of making; ``input_windows`` is by (asset, what it reads). What reads a stale partition
    is stale.
    """
    seen: dict[AssetKey, Ages] = {}
    found: dict[AssetKey, frozenset[PartitionRef]] = {}
    for key in in_order(asset_nodes):
        node = asset_nodes[key]
        own = ages.get(key, {})
        parents = [(seen[dep], input_windows[key, dep]) for dep in node.deps if dep in seen]
        later = {c for c, age in own.items() if any(p.newest(c, r, node.kind) > age for p, r in parents)}
        found[key] = frozenset(later | (roots.get(key, frozenset()) & own.keys()))
        seen[key] = Ages(
            {partition: STALE if partition in found[key] else age for partition, age in own.items()}, node.kind
        )
    return {key: partitions for key, partitions in found.items() if partitions}


def causes(
    found: Mapping[AssetKey, Set[PartitionRef]],
    asked: Mapping[AssetKey, Set[PartitionRef]],
    asset_nodes: Mapping[AssetKey, AssetNode],
    input_windows: Mapping[tuple[AssetKey, AssetKey], InputWindow],
) -> dict[AssetKey, frozenset[PartitionRef]]:
    """Return the stale partitions that are asked for, and every stale one that they read, at any remove.

    These may lie before the days and outside the symbols that are asked for: made again without them, what is asked
    for would be stale as before.
    """
    wanted = {key: set(found.get(key, frozenset()) & asked.get(key, frozenset())) for key in asset_nodes}
    lines = {key: Ages(dict.fromkeys(partitions, STALE), asset_nodes[key].kind) for key, partitions in found.items()}
    for key in reversed(in_order(asset_nodes)):
        for dep in asset_nodes[key].deps & lines.keys():
            hop, kind = input_windows[key, dep], asset_nodes[key].kind
            wanted[dep].update(*(lines[dep].inside(partition, hop, kind) for partition in wanted[key]))
    return {key: frozenset(partitions) for key, partitions in wanted.items() if partitions}


@dataclass
class Ages:
    """The ages of one asset's partitions, ready to be asked for the newest of a window."""

    ages: Mapping[PartitionRef, int]
    kind: str
    days: list[date] = field(default_factory=list)
    by_day: dict[str, list[int]] = field(default_factory=dict)
    on_day: dict[date, list[PartitionRef]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Line the ages up by day: those of each symbol, and the newest of all under ""."""
        self.days = sorted({partition.day for partition in self.ages})
        position = {day: n for n, day in enumerate(self.days)}
        for partition, age in self.ages.items():
            self.on_day.setdefault(partition.day, []).append(partition)
            for symbol in {partition.symbol, ""}:
                line = self.by_day.setdefault(symbol, [0] * len(self.days))
                line[position[partition.day]] = max(line[position[partition.day]], age)

    def newest(self, child: PartitionRef, input_window: InputWindow, child_kind: str) -> int:
        """Return the age of the newest partition that the child reads, 0 when none of them is there."""
        line = self.by_day.get(child.symbol if input_window.own_symbol else "", [])
        start, end = self._window(child.day, input_window, child_kind)
        return max(line[start:end], default=0)

    def inside(self, child: PartitionRef, input_window: InputWindow, child_kind: str) -> list[PartitionRef]:
        """Return the partitions that the child reads."""
        start, end = self._window(child.day, input_window, child_kind)
        own = child.symbol if input_window.own_symbol else ""
        return [p for day in self.days[start:end] for p in self.on_day[day] if not own or p.symbol == own]

    def _window(self, day: date, input_window: InputWindow, child_kind: str) -> tuple[int, int]:
        first, after = AXES[child_kind].window(day, input_window.first, input_window.last)
        # a day asks for the month that holds it, whose first date lies before
        return bisect_left(self.days, AXES[self.kind].of(first)), bisect_left(self.days, after)
