"""Calibration: what earlier outcomes say about the width of bands, and forecasts with those widths."""

import dagster as dg
import polars as pl

from timegpt_assets.assets.declare import House, declared, note_rows, stored_in
from timegpt_assets.config import core_values
from timegpt_assets.core import tables
from timegpt_assets.core.calibration import applied, models
from timegpt_assets.partitions import all_symbols_window, days_of, symbols_of


def calibration_models(house: House) -> dg.AssetsDefinition:
    """Return the asset of the day's calibration, learnt from the outcomes of all symbols before the embargo."""
    settings = house.settings.calibration
    last = -(1 + settings.embargo_days)
    first = -(settings.window_days + settings.embargo_days)
    times, recipe = core_values.snapshot_times(house.settings), core_values.recipe(house.settings)
    levels, tickers = core_values.levels(house.settings), set(house.settings.universe.tickers)

    @declared(
        tables.CALIBRATION_MODELS,
        group="calibration",
        partitions=house.grid.day_symbol,
        ins={"outcomes": stored_in("forecasts", all_symbols_window(first, last), name="outcomes", missing="ok")},
    )
    def calibration_models(context: dg.AssetExecutionContext, outcomes: pl.DataFrame) -> pl.DataFrame:
        """Band widths per symbol, snapshot time and level, or the reason why none can be promised."""
        symbols = [s for s in symbols_of(context.partition_keys) if s in tickers]
        keys = pl.DataFrame({"symbol": symbols}, schema={"symbol": pl.String}).join(times, how="cross")
        days = days_of(context.partition_keys)
        frame = models.models(outcomes, days=days, keys=keys, levels=levels, recipe=recipe)
        note_rows(context, frame)
        return frame

    return calibration_models


def forecasts(house: House) -> dg.AssetsDefinition:
    """Return the asset of calibrated forecasts."""

    @declared(
        tables.FORECASTS,
        group="calibration",
        partitions=house.grid.day_symbol,
        ins={
            "raw_forecasts": stored_in("forecasts", name="raw_forecasts"),
            "calibration_models": stored_in("calibration", name="calibration_models"),
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
