"""Models: what the ladder learns from, month by month, and what it has learnt."""

from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.storage.parquet_store import LazyPartitions, Partitions, PartitionStream
from timegpt_assets.assets.declare import declared, in_chunks, stored_in
from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.models import rows
from timegpt_assets.core.tables.models import TRAINING_SET
from timegpt_assets.partitions import GraphContext, by_day, month_window

ROW = (
    "forecast.horizon_min",
    "forecast.sigma_column",
    "models.snapshot_every_min",
    "models.net.n_tokens",
    "models.net.channels",
)
"""What a row of the ladder holds beside the features."""


def training_set(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of a month's rows to learn from."""

    @declared(
        TRAINING_SET,
        group="models",
        partitions=graph.grid.month,
        settings=ROW,
        ins={
            "panel": stored_in("features", month_window(0), name="panel", missing="ok"),
            "labels": stored_in("features", by_day(), name="labels", missing="ok"),
        },
    )
    def training_set(
        context: dg.AssetExecutionContext,
        panel: LazyPartitions,
        labels: LazyPartitions,
        daily_files: dg.ResourceParam[DailyFiles],
    ) -> PartitionStream:
        """Each symbol at each snapshot of the month's grid: what was known of it then, and what came after."""
        spec = core_inputs.row_spec(graph.settings, daily_files.calendar)

        def parts() -> Iterator[tuple[Sequence[str], Partitions]]:
            for key in context.partition_keys:
                # its own sessions: where the 1st is none, Dagster hands over the last of the month before, too
                days = [day for day in calendar.month_sessions(key[:7]) if str(day) in panel.facts]
                chunks = [rows.training_rows(panel.of(part), labels.of(part), spec) for part in in_chunks(days)]
                frame = pl.concat([TRAINING_SET.empty(), *chunks], how="diagonal").with_columns(month=pl.lit(key[:7]))
                context.add_asset_metadata({"rows": frame.height, "sessions": len(days)}, partition_key=key)
                yield [key[:7]], Partitions(frame)

        return PartitionStream(parts())

    return training_set
