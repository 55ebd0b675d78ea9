"""Exports: a run's folder with everything that is stored of its sessions, under the names that plans gave the files."""

from collections.abc import Iterator

import dagster as dg
import polars as pl
from pydantic import Field

from timegpt_assets.adapters.storage.object_store import ObjectStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.assets.declare import declared, note_rows
from timegpt_assets.core.tables.reports import RUN_EXPORT
from timegpt_assets.core.tables.stored import STORED, Stored
from timegpt_assets.partitions import GraphContext, by_day, days_of, of_month
from timegpt_assets.reports.run_export import EVERY_STEP, RunExport
from timegpt_assets.reports.run_files import READ
from timegpt_assets.runtime import Clock


class RunName(dg.Config):
    """What the run's folder is called."""

    run_id: str = Field(
        default="", description="folder below runs/ of data.artifacts_root; empty: the id of the Dagster run"
    )


def run_export(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of a run's files."""

    @declared(
        RUN_EXPORT,
        group="reports",
        partitions=graph.grid.trading_day,
        settings=("forecast.horizon_min",),
        deps=list(_read()),
    )
    def run_export(
        context: dg.AssetExecutionContext,
        config: RunName,
        artifacts: dg.ResourceParam[ObjectStore],
        stored_tables: dg.ResourceParam[ParquetStore],
        clock: dg.ResourceParam[Clock],
    ) -> pl.DataFrame:
        """The files of the sessions in one folder, with checksums: a view of what is stored, whole or in part."""
        export = RunExport(artifacts=artifacts, tables=stored_tables, settings=graph.settings, clock=clock)
        days, run_id = days_of(context.partition_keys), config.run_id or context.run.run_id
        rows = export.rows(run_id, days, export.add(run_id, days, EVERY_STEP))
        note_rows(context, rows, {"folder": dict.fromkeys(context.partition_keys, export.folder(run_id))})
        return rows

    return run_export


def _read() -> Iterator[dg.AssetDep]:
    """Yield the tables that files are written from. Dependencies and no inputs: what is not stored has no file."""
    for name in READ:
        one = STORED[name]
        yield dg.AssetDep(dg.AssetKey(one.asset.split("/")), partition_mapping=_mapping(one))


def _mapping(one: Stored) -> dg.PartitionMapping:
    if one.span == "month":
        return of_month()
    return by_day() if one.by_symbol else dg.IdentityPartitionMapping()
