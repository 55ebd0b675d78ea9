"""A baseline to stand on: bars, their verdicts and features that are stored elsewhere, taken over and not made again.

Belongs here: what of another storage root was made under the very settings that are wanted, and taking it over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dagster import AssetKey

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore, file_name
from timegpt_assets.core.lineage import Lineage
from timegpt_assets.engine.deliveries import stored_facts
from timegpt_assets.engine.engine import Rectangle, sessions_before
from timegpt_assets.engine.plans import AssetNode, PartitionRef
from timegpt_assets.engine.stages import STAGES, Refused
from timegpt_assets.io_managers import LINEAGE

REUSED = (*STAGES["bars"], *STAGES["features"])


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A storage root whose bars and features are taken over where they are those that are wanted."""

    objects: ObjectStore

    @property
    def place(self) -> str:
        """Return where it lies, as a person would type it."""
        return self.objects.shown("").rstrip("/")

    def refuse_absent(self, rectangle: Rectangle, nodes: Mapping[AssetKey, AssetNode]) -> None:
        """Raise Refused unless bars, their verdicts and features of every day are stored, whatever they are of."""
        store = ParquetStore(self.objects)
        for key in _reusable(rectangle):
            wanted = _wanted(rectangle, nodes, key)
            if absent := sorted(wanted - stored_facts(store, key, wanted).keys()):
                days = sorted({partition.day for partition in wanted})
                make = f"timegpt-assets build-features --start {days[0]} --end {days[-1]}"
                raise Refused(
                    f"the baseline {self.place} has no {key.to_user_string()} of {absent[0].key} "
                    f"(and {len(absent) - 1} more). Make them first: {make}; or leave --reuse-baseline out."
                )

    def reusable(
        self, rectangle: Rectangle, nodes: Mapping[AssetKey, AssetNode], expected: Mapping[AssetKey, Lineage]
    ) -> frozenset[AssetKey]:
        """Return the assets of which all that is wanted lies there, made under what ``expected`` says."""
        store = ParquetStore(self.objects)
        found = set()
        for key in _reusable(rectangle):
            wanted = _wanted(rectangle, nodes, key)
            facts = stored_facts(store, key, wanted)
            made_under = {str(fact.get(LINEAGE, "")) for fact in facts.values()}
            if facts.keys() == wanted and made_under == {expected[key].lineage_id}:
                found.add(key)
        return frozenset(found)

    def taken_over(
        self,
        target: ObjectStore,
        rectangle: Rectangle,
        nodes: Mapping[AssetKey, AssetNode],
        expected: Mapping[AssetKey, Lineage],
    ) -> Rectangle:
        """Copy what can be reused to ``target`` and return the rectangle without it; nothing here is ever written."""
        reused, book = self.reusable(rectangle, nodes, expected), LineageStore(target)
        by_id = {record.lineage_id: record for record in expected.values()}
        for key in reused:
            book.record_road(by_id, expected[key].lineage_id)
            for day in {partition.day for partition in _wanted(rectangle, nodes, key)}:
                _copy(self.objects, target, file_name(key.to_user_string(), day))
        return replace(
            rectangle,
            assets=tuple(key for key in rectangle.assets if key not in reused),
            history=tuple((assets - reused, count) for assets, count in rectangle.history if assets - reused),
        )


def _reusable(rectangle: Rectangle) -> list[AssetKey]:
    return [key for key in rectangle.assets if key.path[-1] in REUSED]


def _wanted(rectangle: Rectangle, nodes: Mapping[AssetKey, AssetNode], key: AssetKey) -> set[PartitionRef]:
    """Return the asset's partitions of the rectangle's days and of those it looks back on."""
    back = max((count for assets, count in rectangle.history if key in assets), default=0)
    return nodes[key].partitions([*sessions_before(rectangle, back), *rectangle.days], rectangle.all_symbols)


def _copy(source: ObjectStore, target: ObjectStore, name: str) -> None:
    found, there = source.read(name), target.read(name)
    if found is not None and (there is None or there.data != found.data):
        target.update(name, lambda _: found.data)
