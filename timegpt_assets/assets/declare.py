"""How an asset of ours is declared: its table gives name, columns and storage; its inputs say what may be absent.

Belongs here: the decorator and input helpers every asset module uses, what is noted beside a materialisation, and the
span of sessions a month asset looks back over.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_files import Facts
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, Partitions, missing_partition
from timegpt_assets.core import calendar
from timegpt_assets.core.schema import Table
from timegpt_assets.instance.failures import said_plainly
from timegpt_assets.instance.internals import note_partitions
from timegpt_assets.io_managers import AnswersIOManager
from timegpt_assets.partitions import GraphContext, month_window, months_of

LOOKBACK = "gates.lookback_sessions"
"""How many sessions month assets look back over."""
SURENESS = ("calibration.evaluation.bootstrap_draws", "calibration.evaluation.block_days")
"""What intervals and tests of scores are drawn with."""
SHARES = "shares"
"""The fact of a day's book and portfolio that says which challengers ``live`` traded, where any was."""
CHUNK_DAYS = 5
"""Days that day-wise assets of a range hold at once."""
SESSIONS_A_MONTH = 19
"""The fewest sessions of a month (February): how many months hold a number of sessions."""


def declared(
    table: Table,
    *,
    group: str,
    partitions: dg.PartitionsDefinition[str],
    settings: Sequence[str],
    ins: Mapping[str, dg.AssetIn] | None = None,
    name: str | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return the decorator that makes a function the asset ``group/<name or table name>`` holding ``table``.

    ``settings``: the keys and sections that shape its rows beside those that shape what it reads; they are in its
    lineage id. A test compares them with what is read.
    """
    decorator = dg.asset(
        name=name or table.name,
        key_prefix=[group],
        group_name=group,
        partitions_def=partitions,
        ins=ins,
        metadata={
            "table": table.name,
            "settings": list(settings),
            "dagster/column_schema": column_schema(table),
        },
        # for day and month assets; on the grid of days and symbols Dagster makes a run for each symbol or day of it
        backfill_policy=dg.BackfillPolicy.single_run(),
        **options,
    )

    def made(function: Callable[..., Any]) -> dg.AssetsDefinition:
        asset: dg.AssetsDefinition = decorator(said_plainly(function))
        return asset

    return made


def in_blocks(asset: dg.AssetsDefinition, graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset as backfills of the UI take it: its days in blocks of ``automation.backfill_days``, if set."""
    days, partitions = graph.settings.automation.backfill_days, asset.partitions_def
    if days is None or partitions is None or isinstance(partitions, dg.MonthlyPartitionsDefinition):
        return asset
    # counted in partitions: a day of the grid has one for each symbol
    a_day = len(graph.settings.universe.everyone) if isinstance(partitions, dg.MultiPartitionsDefinition) else 1
    return asset.with_attributes(backfill_policy=dg.BackfillPolicy.multi_run(days * a_day))


def column_schema(table: Table) -> dg.TableSchema:
    """Return the UI's column schema of a table: dtypes and meanings as declared."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                str(column.dtype),
                description=column.meaning,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for name, column in table.columns.items()
        ]
    )


def stored_in(
    group: str,
    mapping: dg.PartitionMapping | None = None,
    *,
    name: str,
    missing: str = "error",
    columns: tuple[str, ...] | None = None,
    made_under: bool = False,
    lazy: bool = False,
) -> dg.AssetIn:
    """Return the input ``group/name``; ``missing`` "ok" lets absent partitions be, ``columns`` reads these alone.

    ``made_under``: the facts of each partition say its lineage id. ``lazy``: read a few days at a time, of an input
    that is there under some settings only, which no annotation can say.
    """
    metadata: dict[str, Any] = {"missing": missing, "made_under": made_under}
    metadata |= {} if columns is None else {"columns": list(columns)}
    read = dg.AssetIn(key=dg.AssetKey([group, name]), partition_mapping=mapping, metadata=metadata)
    return read._replace(dagster_type=dg.PythonObjectDagsterType(LazyPartitions)) if lazy else read


def trailing(graph: GraphContext, group: str, name: str, **options: Any) -> dg.AssetIn:
    """Return the input of a month asset that looks back ``gates.lookback_sessions``; ``options`` as of stored_in."""
    # in months, because that is what Dagster can map from a month; core keeps to the sessions
    months = -(-graph.settings.gates.lookback_sessions // SESSIONS_A_MONTH)
    return stored_in(group, month_window(months), name=name, missing="ok", **options)


@dataclass(frozen=True, kw_only=True)
class Span:
    """A month as far as it is complete: its last complete session, and every complete session up to it."""

    month: str
    as_of: date
    sessions: tuple[date, ...]

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the month's own rows."""
        return frame.filter(pl.col("month") == self.month)


def spans(context: dg.AssetExecutionContext, complete: Partitions) -> Iterator[Span]:
    """Yield every month of the run that has a complete session; the facts' keys say which are."""
    days = sorted(date.fromisoformat(key) for key in complete.facts)
    for month in months_of(context.partition_keys):
        # filtered by its own sessions: when the 1st is none, Dagster hands over the last day of the month before, too
        own = set(calendar.month_sessions(month))
        if known := [day for day in days if day in own]:
            yield Span(month=month, as_of=known[-1], sessions=tuple(day for day in days if day <= known[-1]))


def judged_months(
    context: dg.AssetExecutionContext, table: Table, complete: Partitions, judged: Callable[[Span], pl.DataFrame]
) -> pl.DataFrame:
    """Return ``judged`` of every month of the run that has a complete session."""
    frame = pl.concat([table.empty(), *(judged(span) for span in spans(context, complete))])
    for key in context.partition_keys:
        context.add_asset_metadata({"rows": frame.filter(month=key[:7]).height}, partition_key=key)
    return frame


def with_own(context: dg.AssetExecutionContext, read: Partitions, asset: str) -> pl.DataFrame:
    """Return the rows of a window that must hold the run's own partitions; only what lies before them may be absent.

    Raises MissingPartition.
    """
    # the input says missing is ok for what lies before the grid; for the run's own days it never is
    refuse_absent(context, read.facts, asset)
    return read.frame


def refuse_absent(context: dg.AssetExecutionContext, facts: Mapping[str, Facts], asset: str) -> None:
    """Raise MissingPartition for the run's own partitions that are not among those a window was read with."""
    absent = [key.partition("|") for key in context.partition_keys if key not in facts]
    if absent:
        raise missing_partition(asset, [(day, symbol or None) for day, _, symbol in absent])


def of_partitions(context: dg.AssetExecutionContext, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the run's day_symbol partitions, from a frame of whole days."""
    keys = pl.concat_str(pl.col("day").cast(pl.String), pl.col("symbol"), separator="|")
    return frame.filter(keys.is_in(list(context.partition_keys)))


def in_chunks(days: Sequence[date]) -> Iterator[Sequence[date]]:
    """Yield the days a few at a time: what is held at once is bounded by them, not by the run."""
    return (days[start : start + CHUNK_DAYS] for start in range(0, len(days), CHUNK_DAYS))


def note_rows(
    context: dg.AssetExecutionContext,
    frame: pl.DataFrame,
    facts: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    *,
    of: Sequence[str] | None = None,
) -> None:
    """Put row counts, span and further ``facts`` (name -> partition key -> value) beside each materialisation.

    ``of``: the partitions the frame is of; all of the run's when it is not cut into chunks.
    """
    keys = list(context.partition_keys if of is None else of)  # the context works them out anew each time it is asked
    notes = _counted(frame, ["day", "symbol"] if "|" in keys[0] else ["day"])
    note_partitions(
        context,
        {
            key: notes.get(key, {"rows": 0}) | {name: values[key] for name, values in facts.items() if key in values}
            for key in keys
        },
    )


def _counted(frame: pl.DataFrame, by: list[str]) -> dict[str, dict[str, Any]]:
    """Return by partition key the rows, the span of their clock and how many symbols, as people read them."""
    clock = next((name for name in ("ts", "snapshot_ts") if name in frame.columns), None)
    found = [pl.len().alias("rows")]
    if clock:
        times = pl.col(clock).min().dt.strftime("%H:%M"), pl.col(clock).max().dt.strftime("%H:%M")
        found.append(pl.format("{} to {} UTC", *times).alias("span"))
    if "symbol" in frame.columns and "symbol" not in by:
        found.append(pl.col("symbol").n_unique().alias("symbols"))
    counts = frame.group_by(by).agg(found)
    keys = counts.select(pl.concat_str([pl.col(name).cast(pl.String) for name in by], separator="|")).to_series()
    said = counts.drop(by).to_dicts()
    return {
        key: {name: value for name, value in notes.items() if name != "symbols" or value > 1}
        for key, notes in zip(keys, said, strict=True)
    }


def keep_days(
    context: dg.AssetExecutionContext,
    store: AnswersIOManager,
    frame: pl.DataFrame,
    notes: Mapping[str, Mapping[str, Any]],
) -> None:
    """Store and mark the days of a run that are done although the run is about to fail: what was paid for is kept.

    ``notes`` holds an entry for each such day; days without one stay unmarked.
    """
    store.keep(context.asset_key, context.assets_def.metadata_by_key[context.asset_key], frame, days=notes)
    counted = _counted(frame, ["day"])
    for day, noted in notes.items():
        said = {**counted.get(day, {"rows": 0}), **noted, "run_failed_later": True}
        context.log_event(dg.AssetMaterialization(asset_key=context.asset_key, partition=day, metadata=said))
