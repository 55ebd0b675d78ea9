"""The Dagster door to the parquet store: frames of one or many partitions of a run, in and out.

Belongs here: what partition keys mean for files, and that frames are what their table declares. Bytes on disk are
adapters/parquet_store.py; what a partition holds is said by the asset (``context.add_asset_metadata``), not here,
because metadata that an IO manager adds in a range run lands on every partition.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_files import Facts, StoreError
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, ParquetStore, Partitions, PartitionStream
from timegpt_assets.adapters.timegpt.cache import ForecastCache
from timegpt_assets.adapters.timegpt.response import PAID_BACKENDS
from timegpt_assets.core.schema import Table, TableError
from timegpt_assets.core.tables import old_shapes
from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.instance.failures import said_plainly

Slot: TypeAlias = tuple[str, str]
"""A file and a partition inside it: ("2025-01-21", "AAPL"), ("2025-01-21", "*"), ("2025-01", "*"), ("all", "*")."""

ALL = "all"
"""The file, and the key of the facts, of an asset without partitions."""

LINEAGE = "lineage_id"
"""The column of every row, and the fact of every partition, those without rows too, that say what it was made under."""


class TableIOManager(dg.IOManager):
    """Stores outputs, checked against their table and stamped with lineage, and loads any number of partitions.

    An asset names its table in its metadata, ``{"table": "bars"}``, and returns a frame, or ``Partitions`` with facts
    by partition key. Every partition of the run is stored, with or without rows; rows of other partitions are refused.
    An input annotated ``Partitions`` gets the facts too, and may say in its metadata ``{"missing": "ok"}`` and
    ``{"columns": [...]}``.
    """

    def __init__(
        self, *, store: ParquetStore, tables: Mapping[str, Table], lineage: Callable[[dg.AssetKey], str]
    ) -> None:
        self._store = store
        self._tables = tables
        self._lineage = lineage

    @said_plainly
    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame | Partitions | PartitionStream) -> None:
        """Store every partition of the run; ``PartitionStream`` as they come, each before the next one is made.

        Raises TypeError, TableError or StoreError, of a chunk before anything of it is stored.
        """
        asset, slots = context.asset_key.to_user_string(), _slots(context)
        if isinstance(obj, PartitionStream):
            # what no chunk claimed is an error: Dagster would record it as materialised, with nothing stored
            left = dict(slots)
            for files, stored in obj.parts:
                self._store_part(
                    context, stored, {key: left.pop(key) for key, slot in slots.items() if slot[0] in files}
                )
            if left:
                raise StoreError(
                    f"asset {asset} gave no chunk for {', '.join(sorted(left)[:5])}. Mend the asset's chunks."
                )
        elif isinstance(obj, pl.DataFrame | Partitions):
            self._store_part(context, Partitions(obj) if isinstance(obj, pl.DataFrame) else obj, slots)
        else:
            raise TypeError(
                f"asset {asset} returned {type(obj).__name__}. Return a DataFrame, Partitions or PartitionStream."
            )

    def _store_part(self, context: dg.OutputContext, stored: Partitions, slots: Mapping[str, Slot]) -> None:
        asset = context.asset_key.to_user_string()
        frame = _conformed(asset, self._table(asset, context.definition_metadata), stored.frame)
        made_under = self._lineage(context.asset_key)
        frame = frame.with_columns(pl.lit(made_under, dtype=pl.String).alias(LINEAGE))
        parts = _by_file(frame, context)
        _refuse_strangers(asset, parts, slots, stored.facts)
        for file, keys in sorted(_files(slots).items()):
            facts = {symbol: {**stored.facts.get(key, {}), LINEAGE: made_under} for symbol, key in keys.items()}
            # those without rows too: "empty on purpose" is another thing than "never written"
            self._store.write(asset, file, parts.get(file, frame.clear()), keys=keys.keys(), facts=facts)

    def keep(self, key: dg.AssetKey, metadata: Mapping[str, Any], frame: pl.DataFrame, *, days: Iterable[str]) -> None:
        """Store these days of a day asset outside Dagster's output, for a run that fails after they were made."""
        asset = key.to_user_string()
        checked = _conformed(asset, self._table(asset, metadata), frame)
        made_under = self._lineage(key)
        stamped = checked.with_columns(pl.lit(made_under, dtype=pl.String).alias(LINEAGE))
        parts = {str(day): part for (day,), part in stamped.partition_by("day", as_dict=True).items()}
        for day in sorted(days):
            self._store.write(
                asset, day, parts.get(day, stamped.clear()), keys=[WILDCARD], facts={WILDCARD: {LINEAGE: made_under}}
            )

    @said_plainly
    def load_input(self, context: dg.InputContext) -> pl.DataFrame | Partitions | LazyPartitions:
        """Return the rows of all partitions asked for, by day and symbol; an empty frame when none is asked for.

        An input annotated ``LazyPartitions`` reads them later, a few days at a time. Raises MissingPartition for one
        that was never stored, unless the input says ``{"missing": "ok"}``.
        """
        asset = context.asset_key.to_user_string()
        upstream = context.upstream_output
        table = self._table(asset, upstream.definition_metadata if upstream else {})
        slots = _slots(context)
        read = partial(
            self._store.contents,
            asset,
            missing=_choice(asset, context, "missing", ("error", "ok")),
            empty=table.empty(),
        )
        wanted, columns = _files(slots), context.definition_metadata.get("columns")
        is_shelf = context.dagster_type.typing_type is LazyPartitions
        # of a lazy input the facts alone: they lie in the footers, and rows are read when asked for
        frame, facts = read(wanted, columns=() if is_shelf else columns)
        told = context.definition_metadata.get("made_under", False)  # by most, it is asked of nobody
        known = {
            key: facts[slot] if told else _unstamped(facts[slot])
            for key, slot in sorted(slots.items())
            if slot in facts
        }
        if is_shelf:

            def rows(files: Collection[str]) -> pl.DataFrame:
                found, _ = read({file: wanted[file] for file in files if file in wanted}, columns=columns)
                return found.drop(LINEAGE, strict=False)

            return LazyPartitions(rows, sorted(wanted), known)
        if columns is None and frame.height and (lacking := old_shapes.lacking(table, frame.columns)):
            raise StoreError(
                f"stored {asset} of {min(wanted)} to {max(wanted)} has no column {', '.join(lacking)}: an earlier "
                "version made it. Bring it to this one's shape: timegpt-assets migrate"
            )
        frame = frame.drop(LINEAGE, strict=False)  # what is made from it is stamped with a lineage of its own
        return Partitions(frame, known) if context.dagster_type.typing_type is Partitions else frame

    def _table(self, asset: str, metadata: Mapping[str, Any]) -> Table:
        name = str(metadata.get("table"))
        if table := self._tables.get(name):
            return table
        raise TableError(
            f"asset {asset} names the table {name}, which is not declared. "
            'Give the asset metadata={"table": ...}, naming a table of core/tables/.'
        )


class AnswersIOManager(dg.IOManager):
    """The cache IO manager of the asset answers: its rows go to their table as any other's, its talk is of requests.

    What a row says was paid for must be there, byte for byte, under its request hash; nothing is ever sent from here.
    """

    def __init__(self, *, tables: TableIOManager, cache: ForecastCache, host: str) -> None:
        """Keep rows in ``tables``; the answers they are made of lie in ``cache``, under the provider's host."""
        self.tables, self.cache, self.host = tables, cache, host

    @said_plainly
    def handle_output(self, context: dg.OutputContext, obj: pl.DataFrame) -> None:
        """Store the rows. Raises StoreError for rows whose paid answer is not in the cache."""
        # before anything is stored: a row whose paid answer is gone traces back to nothing
        paid = self._checked(obj)
        self.tables.handle_output(context, obj)
        context.log.info(f"{obj.height} rows of {_requests(obj)} requests stored; {len(paid)} of them lie in the cache")

    @said_plainly
    def load_input(self, context: dg.InputContext) -> pl.DataFrame | Partitions | LazyPartitions:
        """Return the rows asked for, as any table's."""
        found = self.tables.load_input(context)
        if isinstance(found, pl.DataFrame):
            context.log.info(f"{found.height} rows of {_requests(found)} requests read")
        return found

    def keep(self, key: dg.AssetKey, metadata: Mapping[str, Any], frame: pl.DataFrame, *, days: Iterable[str]) -> None:
        """Store these days of a run that fails after they were paid for."""
        self._checked(frame)
        self.tables.keep(key, metadata, frame, days=days)

    def places(self, rows: pl.DataFrame) -> list[tuple[datetime, str, str]]:
        """Return snapshot, request hash and file of every paid answer the rows are made of, in order of time."""
        paid = rows.filter(pl.col("backend").is_in(PAID_BACKENDS)).select("snapshot_ts", "request_hash").unique()
        asked = paid.sort("snapshot_ts", "request_hash").iter_rows()
        return [(ts, key, self.cache.lies_at(self.host, key) or "not there") for ts, key in asked]

    def _checked(self, rows: pl.DataFrame) -> list[str]:
        """Return the request hashes of the paid rows, all of which are in the cache."""
        paid = sorted(rows.filter(pl.col("backend").is_in(PAID_BACKENDS))["request_hash"].unique())
        if gone := [key for key in paid if not self.cache.has(self.host, key)]:
            raise StoreError(
                f"{len(gone)} paid answers are not in {self.cache.objects.shown('')}, the first is {gone[0]}; their "
                "rows were not stored. Restore the cache from a backup, or pay again with --reask."
            )
        return paid


def _requests(rows: pl.DataFrame) -> int:
    return rows["request_hash"].n_unique() if rows.height else 0


def _unstamped(facts: Facts) -> Facts:
    return {name: value for name, value in facts.items() if name != LINEAGE}


def _slots(context: dg.OutputContext | dg.InputContext) -> dict[str, Slot]:
    """Return where each partition key of the run lies. The keys are iterated: a range fails where there are none."""
    if not context.has_asset_partitions:
        return {ALL: (ALL, WILDCARD)}
    definition = context.asset_partitions_def
    if isinstance(definition, dg.MultiPartitionsDefinition):
        return {key: (key.split("|")[0], key.split("|")[1]) for key in context.asset_partition_keys}
    end = len("YYYY-MM") if isinstance(definition, dg.MonthlyPartitionsDefinition) else None
    return {key: (key[:end], WILDCARD) for key in context.asset_partition_keys}


def _files(slots: Mapping[str, Slot]) -> dict[str, dict[str, str]]:
    """Return file -> partition inside it -> partition key."""
    files: dict[str, dict[str, str]] = {}
    for key, (file, symbol) in slots.items():
        files.setdefault(file, {})[symbol] = key
    return files


def _by_file(frame: pl.DataFrame, context: dg.OutputContext) -> dict[str, pl.DataFrame]:
    if not context.has_asset_partitions:
        return {ALL: frame}
    monthly = isinstance(context.asset_partitions_def, dg.MonthlyPartitionsDefinition)
    parts = frame.partition_by("month" if monthly else "day", as_dict=True)
    return {str(file): part for (file,), part in parts.items()}


def _conformed(asset: str, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    try:
        return table.conformed(frame).drop(LINEAGE, strict=False)
    except TableError as error:
        raise TableError(f"asset {asset}: {error}") from error


def _refuse_strangers(
    asset: str, parts: Mapping[str, pl.DataFrame], slots: Mapping[str, Slot], facts: Iterable[str]
) -> None:
    """Raise StoreError for rows and facts of partitions that are not the run's."""
    ours = set(slots.values())
    divided = any(symbol != WILDCARD for _, symbol in ours)
    found = {(file, s) for file, part in parts.items() for s in (part["symbol"].unique() if divided else (WILDCARD,))}
    strangers = [file if symbol == WILDCARD else f"{file}|{symbol}" for file, symbol in sorted(found - ours)]
    strangers += sorted(set(facts) - slots.keys())
    if strangers:
        more = f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""
        raise StoreError(
            f"asset {asset} gave rows or facts of {', '.join(strangers[:5])}{more}, which this run does not make. "
            "Filter what the asset returns to context.partition_keys."
        )


def _choice(asset: str, context: dg.InputContext, name: str, allowed: tuple[str, ...]) -> Any:
    value = context.definition_metadata.get(name, allowed[0])
    if value not in allowed:
        raise ValueError(f"an input from {asset} says {name}: {value!r}. Say {' or '.join(allowed)} in its metadata.")
    return value
