"""Calibration: what earlier outcomes say about the width of bands, and forecasts with those widths."""

from pathlib import PurePosixPath

import dagster as dg
import polars as pl

from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.assets.declare import declared, note_rows, stored_in
from timegpt_assets.config import core_inputs
from timegpt_assets.core.calibration import applied, export, models, samples
from timegpt_assets.core.tables.calibration import CALIBRATION_MODELS, FORECASTS
from timegpt_assets.partitions import GraphContext, by_day, day_window, days_of


def calibration_models(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the day's calibration, learnt from the outcomes of all symbols before the embargo."""
    settings = graph.settings.calibration
    first, last = samples.offsets(settings.window_days, settings.embargo_days)
    times, calibration_spec = core_inputs.snapshot_times(graph.settings), core_inputs.calibration_spec(graph.settings)
    path = PurePosixPath(settings.model_path)
    exported = (path.parent / graph.settings.profile / path.name).as_posix()
    levels, symbols = core_inputs.levels(graph.settings), sorted(graph.settings.universe.tickers)

    @declared(
        CALIBRATION_MODELS,
        group="calibration",
        partitions=graph.grid.trading_day,
        settings=(
            "calibration.method",
            "calibration.min_samples",
            "calibration.min_samples_cell",
            "calibration.window_days",
            "calibration.embargo_days",
            "calibration.pit_deviation_threshold",
            "calibration.max_width_multiple",
            "calibration.validation_share",
            "calibration.affine",
            "calibration.isotonic",
            "calibration.adaptive",
            "calibration.conformal",
            "forecast.backend",
            "forecast.model",
            "forecast.trusted_hosts",
            "forecast.quantiles",
            "forecast.levels",
            "forecast.snapshot_preset",
            "forecast.snapshot_presets.{preset}.times",
            "universe.tickers",
        ),
        ins={"outcomes": stored_in("forecasts", day_window(first, last), name="outcomes", missing="ok")},
    )
    def calibration_models(
        context: dg.AssetExecutionContext, artifacts: dg.ResourceParam[ObjectStore], outcomes: pl.DataFrame
    ) -> pl.DataFrame:
        """What to do with each raw band per symbol, snapshot time and level, or why nothing can be promised."""
        keys = pl.DataFrame({"symbol": symbols}, schema={"symbol": pl.String}).join(times, how="cross")
        days = days_of(context.partition_keys)
        # a range is handed the union of its days' windows, inside the embargo of some: core cuts each day's own
        frame = models.models(outcomes, days=days, keys=keys, levels=levels, calibration_spec=calibration_spec)
        note_rows(context, frame)
        _export(artifacts, exported, frame, graph.settings.profile)
        return frame

    return calibration_models


def _export(artifacts: ObjectStore, name: str, models: pl.DataFrame, profile: str) -> None:
    """Put the newest day's models where readers outside look; an older day's run leaves it."""
    if models.is_empty():
        return
    day = max(models["day"])

    def changed(current: Current) -> bytes:
        # read under the lock: another run may just have exported a newer day
        there = current()
        return export.newest(there.read() if there else None, models, day=day, profile=profile)

    artifacts.update(name, changed)


def forecasts(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of calibrated forecasts."""

    @declared(
        FORECASTS,
        group="calibration",
        partitions=graph.grid.day_symbol,
        settings=(),
        ins={
            "raw_forecasts": stored_in("forecasts", name="raw_forecasts"),
            "calibration_models": stored_in("calibration", by_day(), name="calibration_models"),
        },
    )
    def forecasts(
        context: dg.AssetExecutionContext, raw_forecasts: pl.DataFrame, calibration_models: pl.DataFrame
    ) -> pl.DataFrame:
        """Forecasts with calibrated bands, quantiles monotone; uncalibrated ones say why."""
        frame = applied.calibrated(raw_forecasts, calibration_models)
        note_rows(context, frame)
        return frame

    return forecasts
