"""What is there: partitions that are recorded, stored under this root, from this source, and under these settings.

Belongs here: the verdict on every recorded partition, and why. Dagster's records alone say what was made once; a file
may be gone since, settings may be others, the source may have delivered or may be another one (docs/adr/0020). Whether
the source has other rows is deliveries.py.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import dagster as dg
from dagster import AssetKey

from timegpt_assets.adapters.storage.lineage_store import LineageStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.lineage import Lineage, without_code
from timegpt_assets.engine.deliveries import BARS, RAW_BARS, Deliveries, stored_facts, touched
from timegpt_assets.engine.lineages import lineage_records
from timegpt_assets.engine.plans import AssetNode, PartitionRef
from timegpt_assets.io_managers import LINEAGE
from timegpt_assets.runtime import Runtime

LOST, OTHER_SETTINGS = "no longer stored", "made under other settings"
DELIVERED, OTHER_SOURCE, OVERDUE = "delivered since", "from another source", "awaited in vain"
OTHER_CODE, UNKNOWN, REVISED = "made by other code", "made nobody knows how", "revised by the source"
NOT_THERE = (LOST, OTHER_SETTINGS, DELIVERED, OTHER_SOURCE, OVERDUE)
"""Why a recorded partition is not there: whoever asks for it has it made again."""
OLD = (OTHER_CODE, UNKNOWN, REVISED)
"""Why a partition that is there is old: it stays until somebody asks for what is stale."""


@dataclass(kw_only=True)
class Inventory:
    """The verdicts over a span of days, and over ``months`` beside those of the days, each asset's worked out once.

    ``asset_nodes`` is the graph.
    """

    instance: dg.DagsterInstance
    store: ParquetStore
    lineage: LineageStore
    deliveries: Deliveries
    expected: Mapping[AssetKey, Lineage]
    asset_nodes: Mapping[AssetKey, AssetNode]
    days: frozenset[date]
    months: frozenset[date] = frozenset()
    found: dict[AssetKey, dict[PartitionRef, str]] = field(default_factory=dict)
    _codeless: dict[str, str] = field(default_factory=dict)

    def of(self, key: AssetKey) -> Mapping[PartitionRef, str]:
        """Return every recorded partition of the asset inside the days: "" when all is well, else what is not."""
        if key not in self.found:
            self.found[key] = self._verdicts(key)
        return self.found[key]

    def there(self, key: AssetKey) -> set[PartitionRef]:
        """Return the partitions that are there, old ones too."""
        return {partition for partition, why in self.of(key).items() if why not in NOT_THERE}

    def recorded(self, key: AssetKey, days: Set[date]) -> set[PartitionRef]:
        """Return the partitions of these days, or months, of which Dagster has a record, whatever became of them."""
        made = self.instance.get_materialized_partitions(key)
        return {partition for partition in map(PartitionRef.of, made) if partition.day in days}

    def _verdicts(self, key: AssetKey) -> dict[PartitionRef, str]:
        node, monthly = self.asset_nodes[key], self.asset_nodes[key].is_monthly
        recorded = self.recorded(key, {*map(node.axis.of, self.days)} | self.months if monthly else self.days)
        facts = stored_facts(self.store, key, recorded, monthly=monthly)
        # the id stands in the footer: settings are compared for a whole month without reading a row
        under = {partition: str(fact.get(LINEAGE, "")) for partition, fact in facts.items()}
        # a handful of ids over thousands of partitions: each is looked up once
        says = {made_under: self._made_under(key, made_under) for made_under in set(under.values())}
        found = {partition: says[under[partition]] if partition in under else LOST for partition in recorded}
        if key == RAW_BARS:
            changed = self._changed(recorded)
            found |= {p: why for p, why in changed.items() if p in found and found[p] not in NOT_THERE}
        if key == BARS:
            awaited = {p for p, fact in facts.items() if fact.get("verdict") == "late" and found[p] not in NOT_THERE}
            found |= dict.fromkeys((p for p in awaited if self.deliveries.is_over(p.day)), OVERDUE)
        return found

    def _changed(self, recorded: Set[PartitionRef]) -> dict[PartitionRef, str]:
        """Return what the source has other content for, in the whole months of its files, each compared at once."""
        # whole months, because agreement is noted by file: compared in part, a file could never be noted
        months = {(day.year, day.month) for day in {partition.day for partition in recorded}}
        days = {day for year, month in months for day in touched(date(year, month, 1))}
        changed = self.deliveries.changed(stored_facts(self.store, RAW_BARS, self.recorded(RAW_BARS, days)))
        return (
            dict.fromkeys(changed.revised, REVISED)
            | dict.fromkeys(changed.delivered, DELIVERED)
            | dict.fromkeys(changed.elsewhere, OTHER_SOURCE)
        )

    def _made_under(self, key: AssetKey, made_under: str) -> str:
        wanted = self.expected[key].lineage_id
        if made_under == wanted:
            return ""
        if (shape := self._shapes.get(made_under)) is None:
            return UNKNOWN
        # told apart, because code alone makes nothing again by itself: after each update that would be hours
        return OTHER_CODE if shape == without_code(self._records, wanted, self._codeless) else OTHER_SETTINGS

    @cached_property
    def _records(self) -> dict[str, Lineage]:
        return self.lineage.records() | {record.lineage_id: record for record in self.expected.values()}

    @cached_property
    def _shapes(self) -> dict[str, str]:
        """Return lineage id -> what it stands for beside the code, of every id whose records are there."""
        found = {}
        for lineage_id in self._records:
            try:
                found[lineage_id] = without_code(self._records, lineage_id, self._codeless)
            except KeyError:
                continue  # a record on its way to the bars is gone: nobody knows what it stood for
        return found


def inventory(
    runtime: Runtime,
    instance: dg.DagsterInstance,
    asset_nodes: Mapping[AssetKey, AssetNode],
    days: Iterable[date],
    months: Iterable[date] = (),
) -> Inventory:
    """Return the inventory of this runtime's root over these days, their months and these."""
    store = ParquetStore(runtime.storage)
    reads = {key: node.deps for key, node in asset_nodes.items()}
    shaped_by = {key: node.settings for key, node in asset_nodes.items()}
    return Inventory(
        instance=instance,
        store=store,
        lineage=LineageStore(runtime.storage),
        deliveries=Deliveries.of(runtime),
        expected=lineage_records(runtime.settings, reads, shaped_by),
        asset_nodes=asset_nodes,
        days=frozenset(days),
        months=frozenset(months),
    )
