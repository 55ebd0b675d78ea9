"""Evaluation of the second system: whether the bands that were served in a UTC month held what they promised."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import LazyPartitions
from timegpt_assets.assets import previews
from timegpt_assets.assets.declare import declared, stored_in
from timegpt_assets.assets.tsfm import GROUP
from timegpt_assets.config import tsfm_inputs
from timegpt_assets.core.tables.tsfm import TSFM_EVALUATION
from timegpt_assets.core.tsfm import evaluation
from timegpt_assets.partitions import GraphContext, days_of, month_window, months_of


def tsfm_evaluation(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of how good the bands of a month were."""
    judging = tsfm_inputs.judging(graph.settings)

    @declared(
        TSFM_EVALUATION,
        group=GROUP,
        partitions=graph.grid.utc_month,
        settings=(
            *("tsfm.conformal.target_coverage", "tsfm.conformal.coverage_tolerance", "tsfm.guards.min_width"),
            *("tsfm.evaluation.follow_through_move", "calibration.evaluation.bootstrap_draws"),
        ),
        ins={
            "tsfm_outcomes": stored_in(GROUP, month_window(0), name="tsfm_outcomes", missing="ok"),
            # forecasts of the first day were made on the day before it, too
            "bands": stored_in(GROUP, month_window(1), name="bands", missing="ok", columns=evaluation.BANDED),
        },
    )
    def tsfm_evaluation(
        context: dg.AssetExecutionContext, tsfm_outcomes: LazyPartitions, bands: LazyPartitions
    ) -> pl.DataFrame:
        """What was served on the month's days against the prices that came: coverage first, by segment."""
        made, came = [TSFM_EVALUATION.empty()], days_of(tsfm_outcomes.facts)
        for month in months_of(context.partition_keys):
            if days := [day for day in came if f"{day:%Y-%m}" == month]:
                made.append(evaluation.served(_each(days, tsfm_outcomes, bands), month, days[-1], judging))
                context.add_asset_metadata(_noted(made[-1], days), partition_key=f"{month}-01")
        frame = pl.concat(made)
        previews.held(context, frame)
        return frame

    return tsfm_evaluation


def _each(
    days: Sequence[date], outcomes: LazyPartitions, bands: LazyPartitions
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Yield what came on each day, and the bands of it and of the day before: no more than two are held."""
    for day in days:
        yield outcomes.of([day]), bands.of([day - timedelta(days=1), day])


def _noted(frame: pl.DataFrame, days: Sequence[date]) -> dict[str, Any]:
    """Return what a person should know of a month without opening the table."""
    whole = frame.filter(pl.col("segment") == "all").sort("split", "arm")
    return {"days": len(days), "last_day": str(days[-1])} | {
        f"{arm}_coverage" if split == "adjusted" else f"{arm}_coverage_of_{split}": coverage
        for split, arm, coverage in whole.select("split", "arm", "coverage").iter_rows()
    }
