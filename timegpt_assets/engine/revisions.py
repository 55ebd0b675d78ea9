"""What the source has revised, and what of the stored tables is older than what it was made from.

Belongs here: comparing the source with what is stored, asking Dagster's records for ages, and the rectangles that
mend it. Which partitions that makes stale is stale.py, what starts by itself is automation_source.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Protocol, runtime_checkable

import dagster as dg
from dagster import AssetKey

from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.assets.bars import arrived
from timegpt_assets.core import calendar
from timegpt_assets.engine.engine import Engine, Outcome, Rectangle, asset_nodes
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.stages import rectangle
from timegpt_assets.engine.stale import InputWindow, input_window, stale
from timegpt_assets.partitions import GraphContext, days_of, symbols_of
from timegpt_assets.runtime import MarketData, Runtime, market_data

RAW_BARS, BARS = AssetKey(["bars", "raw_bars"]), AssetKey(["bars", "bars"])
REVISED = ("raw_bars", "bars")
DAMAGED = ("unreadable", "columns")


@runtime_checkable
class Dated(Protocol):
    """A source whose files can be told apart from what they were before; a made-up market has none."""

    def states(self, symbols: Sequence[str], firsts: Sequence[date]) -> Mapping[tuple[str, date], str]:
        """Return what changes with each file there is of these symbols and months (their first days)."""
        ...


def revised(source: MarketData, store: ParquetStore, symbols: Iterable[str], days: Iterable[date]) -> list[str]:
    """Return the stored raw_bars partitions that the source has other content for now, sorted.

    Only content counts, never a file's date. Partitions that were never made are nobody's revision. Raises
    MarketDataError for a file that cannot be read: what was good is not given up for it.
    """
    wanted = {str(day): tuple(symbols) for day in days}
    stored = store.contents(RAW_BARS.to_user_string(), wanted, missing="ok", columns=())[1]
    if not stored:
        return []
    now = arrived(source, [f"{day}|{symbol}" for day, symbol in stored]).facts
    if damage := [text for fact in now.values() for rule, _, text in fact.get("faults", ()) if rule in DAMAGED]:
        raise MarketDataError(damage[0])
    return sorted(
        f"{day}|{symbol}"
        for (day, symbol), fact in stored.items()
        if _content(fact) != now[f"{day}|{symbol}"]["content"]
    )


def _content(fact: Mapping[str, object]) -> object:
    return fact.get("content")


def touched(first: date) -> list[date]:
    """Return the sessions that a month's file has a say in: its own and the next one, which starts from its close."""
    own = calendar.month_sessions(f"{first:%Y-%m}")
    return [*own, calendar.shifted(own[-1], 1)]


def refresh(engine: Engine, graph: GraphContext, keys: Sequence[str]) -> Outcome:
    """Make these raw_bars partitions and the bars on them again, and nothing else; what reads them is left stale."""
    partitions = frozenset(_partition(key) for key in keys)
    wanted = rectangle(
        graph, asset_nodes(engine.repository), days=days_of(keys), symbols=symbols_of(keys), assets=REVISED
    )
    return engine.run(replace(wanted, stale={RAW_BARS: partitions, BARS: partitions}, missing=False, history=()))


def only_stale(engine: Engine, runtime: Runtime, wanted: Rectangle) -> Rectangle:
    """Return the rectangle that makes just what is stale of it, by the records or because the source was revised."""
    source, symbols = market_data(runtime), wanted.symbols
    roots = revised(source, ParquetStore(runtime.storage), symbols, wanted.days) if isinstance(source, Dated) else ()
    return replace(wanted, stale=outdated(engine, wanted, roots=roots), missing=False, history=())


def outdated(
    engine: Engine, wanted: Rectangle, *, roots: Iterable[str] = ()
) -> dict[AssetKey, frozenset[PartitionRef]]:
    """Return the existing partitions of the rectangle that are older than what they were made from, by asset.

    ``roots`` are raw_bars partitions taken as stale because the source was revised.
    """
    known = asset_nodes(engine.repository)
    ages = {key: _ages(engine.instance, key) for key in known}
    found = stale(ages, known, input_windows(engine.repository), roots={RAW_BARS: {_partition(key) for key in roots}})
    inside = {key: known[key].partitions(wanted.days, wanted.symbols) for key in wanted.assets}
    return {
        key: partitions & inside[key] for key, partitions in found.items() if key in inside and partitions & inside[key]
    }


def input_windows(repository: dg.RepositoryDefinition) -> dict[tuple[AssetKey, AssetKey], InputWindow]:
    """Return what every asset reads of each of its inputs."""
    graph = repository.asset_graph
    return {
        (key, parent): input_window(graph.get_partition_mapping(key, parent))
        for key in graph.get_all_asset_keys()
        for parent in graph.get(key).parent_keys
    }


def _ages(instance: dg.DagsterInstance, key: AssetKey) -> dict[PartitionRef, int]:
    """Return when each partition was last made: the number of its record, which grows."""
    made = instance.event_log_storage.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return {_partition(partition): number for partition, number in made.items()}


def _partition(key: str) -> PartitionRef:
    day, _, symbol = key.partition("|")
    return PartitionRef(date.fromisoformat(day), symbol)
