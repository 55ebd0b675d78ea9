"""What the source has revised, and what of the stored tables is older than what it was made from.

Belongs here: comparing the source with what is stored, asking Dagster's records for ages, and the rectangles that
mend it. Which partitions that makes stale is stale.py, what starts by itself is automation_source.py.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date

import dagster as dg
from dagster import AssetKey

from timegpt_assets.adapters.storage.parquet_files import row_count
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core import calendar
from timegpt_assets.engine.deliveries import BARS, RAW_BARS, differing, stored_facts
from timegpt_assets.engine.engine import Engine, Outcome, Rectangle, asset_nodes
from timegpt_assets.engine.inventory import Inventory
from timegpt_assets.engine.months import sessions_of
from timegpt_assets.engine.plans import AssetNode, PartitionRef
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stale import causes, input_windows, stale
from timegpt_assets.partitions import GraphContext, days_of, symbols_of
from timegpt_assets.runtime import MarketData

OLDER = "older than what they were made from"
REVISED_ASSETS = ("raw_bars", "bars")


def revised(
    source: MarketData,
    store: ParquetStore,
    symbols: Iterable[str],
    days: Iterable[date],
    *,
    delivered_before: date = calendar.LAST_DAY,
) -> list[str]:
    """Return the stored raw_bars partitions that the source has other content for now, sorted.

    Only content counts, never a file's date. Partitions that were never made are nobody's revision, nor those from
    ``delivered_before`` on that had no rows: the daily run looks at them. Raises MarketDataError for a file that cannot
    be read: what was good is not given up for it.
    """
    stored = stored_facts(store, RAW_BARS, {PartitionRef(day, symbol) for symbol in symbols for day in days})
    # recent partitions without rows are late and not revised: the daily run looks at them
    had = {p.key: fact for p, fact in stored.items() if p.day < delivered_before or row_count(fact)}
    return differing(source, had)


def refresh(engine: Engine, graph: GraphContext, keys: Sequence[str]) -> Outcome:
    """Make these raw_bars partitions and the bars on them again, and nothing else; what reads them is left stale."""
    partitions = frozenset(map(PartitionRef.of, keys))
    wanted = rectangle(
        graph, asset_nodes(engine.repository), days=days_of(keys), symbols=symbols_of(keys), assets=REVISED_ASSETS
    )
    # nothing downstream: a vendor's corrected price must not start what costs calls or an hour
    return engine.run(replace(wanted, stale={RAW_BARS: partitions, BARS: partitions}, missing=False, history=()))


def only_stale(engine: Engine, wanted: Rectangle) -> Rectangle:
    """Return the rectangle that makes just what is stale of it, with what that stands on and is stale, too."""
    known = asset_nodes(engine.repository)
    asked = engine.asked(wanted)
    found = stale_now(engine, engine.inventory(wanted.days, _months(asked, known)))
    again = causes(found, asked, known, input_windows(engine.repository))
    days = {p.day for key, partitions in again.items() if not known[key].is_monthly for p in partitions}
    days |= {sessions_of(first)[0] for first in _months(again, known)}
    return replace(
        wanted,
        days=sorted({*wanted.days, *days}),
        symbols=wanted.all_symbols,
        stale=again,
        missing=False,
        history=(),
    )


def outdated(engine: Engine, wanted: Rectangle) -> dict[str, dict[AssetKey, frozenset[PartitionRef]]]:
    """Return by reason, then by asset, the partitions of the rectangle that stay although they are old."""
    asked = engine.asked(wanted)
    inventory = engine.inventory(wanted.days, _months(asked, asset_nodes(engine.repository)))
    old = stale_now(engine, inventory)
    found: dict[str, dict[AssetKey, frozenset[PartitionRef]]] = {}
    for key in sorted(old.keys() & asked.keys()):
        for partition in old[key] & asked[key]:
            why = inventory.of(key).get(partition) or OLDER
            found.setdefault(why, {}).setdefault(key, frozenset())
            found[why][key] |= {partition}
    return found


def older(engine: Engine, keys: Sequence[AssetKey], days: Sequence[date]) -> dict[AssetKey, frozenset[PartitionRef]]:
    """Return the partitions of these assets that are older than what they read is, or that other code made.

    What they read counts as it is stored, be it stale itself: making them again is then of some use.
    """
    inventory = engine.inventory(days)
    known = inventory.asset_nodes
    above = frozenset[AssetKey]().union(*(known[key].deps for key in keys)) - {*keys}
    nodes = {key: known[key] for key in keys} | {key: replace(known[key], deps=frozenset()) for key in above}
    ages = {key: _ages(engine.instance, key) for key in nodes}
    roots = {key: {partition for partition, why in inventory.of(key).items() if why} for key in keys}
    return stale(ages, nodes, input_windows(engine.repository), roots=roots)


def _months(partitions: Mapping[AssetKey, Set[PartitionRef]], known: Mapping[AssetKey, AssetNode]) -> set[date]:
    """Return the months among these partitions."""
    return {partition.day for key, own in partitions.items() if known[key].is_monthly for partition in own}


def stale_now(
    engine: Engine, inventory: Inventory, *, ignored: Set[str] = frozenset()
) -> dict[AssetKey, frozenset[PartitionRef]]:
    """Return every recorded partition that is older than what it reads, or that the inventory finds fault with.

    ``ignored``: faults that make nothing stale here.
    """
    known = inventory.asset_nodes
    ages = {key: _ages(engine.instance, key) for key in known}
    roots = {key: {p for p, why in inventory.of(key).items() if why and why not in ignored} for key in known}
    return stale(ages, known, input_windows(engine.repository), roots=roots)


def _ages(instance: dg.DagsterInstance, key: AssetKey) -> dict[PartitionRef, int]:
    """Return when each partition was last made: the number of its record, which grows."""
    made = instance.event_log_storage.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return {PartitionRef.of(partition): number for partition, number in made.items()}
