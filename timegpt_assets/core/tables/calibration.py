"""Tables of the calibration: fitted models, and forecasts after them."""

import polars as pl

from timegpt_assets.core.schema import TIME, Column, Table
from timegpt_assets.core.tables.columns import DAY, MADE_BY, MAKER_KEY, QUANTILES, SOURCES, SYMBOL, log_return
from timegpt_assets.core.tables.forecasts import ASCENDING, FORECAST, FORECAST_KEY

_POOL = {
    "calibration_pool": Column(pl.String, "cell, symbol, time, all, or empty"),
    "calibration_n": Column(pl.Int64, "outcomes in that pool"),
    "calibration_reason": Column(pl.String, "why not calibrated; empty when it was"),
}

CALIBRATION_MODELS = Table(
    name="calibration_models",
    columns=DAY
    | SYMBOL
    | {
        "snapshot_time": Column(pl.String, "New York time of the snapshot, HH:MM"),
        **MADE_BY,
        "score_source": SOURCES["score_source"],
        "level": Column(pl.Int64, "band, percent"),
        "method": Column(pl.String, "affine, isotonic, conformal, widen, adaptive or none"),
        "half_width": Column(pl.Float64, "a band's reach from the centre, in units of score; null: not promised", True),
        "rank": Column(pl.Int64, "ceil((n+1)p)", nullable=True),
        "rank_n": Column(pl.Int64, "scores the rank was taken among", nullable=True),
        "tracked_level": Column(
            pl.Float64, "percent the rank was taken for: the level, unless adaptive", nullable=True
        ),
        "score": Column(
            pl.String, "unit of errors: sigma, absolute (log return), band_<level> (its width), own (its sides)"
        ),
        "slope": Column(pl.Float64, "centre = slope x q50 + offset x unit"),
        "offset": Column(pl.Float64, "centre = slope x q50 + offset x unit"),
        "fitted_slope": Column(pl.Float64, "least-squares slope before it was shrunk or refused", nullable=True),
        "knots_x": Column(pl.List(pl.Float64), "isotonic curve, places: q50 / unit", nullable=True),
        "knots_y": Column(pl.List(pl.Float64), "isotonic curve, heights: centre / unit", nullable=True),
        "note": Column(pl.String, "what was refused, shrunk or replaced in the fit; empty: nothing"),
        "validation_deviation": Column(
            pl.Float64, "|coverage - nominal| of the narrowest band, fitted before the window's newest sessions", True
        ),
        "validation_n": Column(pl.Int64, "outcomes of those newest sessions"),
        "fitted_on": Column(pl.String, "digest of the pool's outcomes"),
        "last_target_ts": Column(TIME, "when the pool's last outcome became known", nullable=True),
        "max_width_multiple": Column(pl.Float64, "widest calibrated band, in raw band widths"),
        "window_first": Column(pl.Date, "first session of the window"),
        "window_last": Column(pl.Date, "last session of the window"),
        "embargo_days": Column(pl.Int64, "sessions between the window and the day"),
    }
    | _POOL,
    key=("day", "symbol", "snapshot_time", *MAKER_KEY, "level"),
    rules={"embargo_kept": pl.col("window_last") < pl.col("day"), "embargo_positive": pl.col("embargo_days") >= 1},
)

FORECASTS = Table(
    name="forecasts",
    columns=FORECAST
    | _POOL
    | {
        "calibration_crossings": Column(
            pl.Int64, "quantile pairs that crossed before the calibrated ones were sorted", True
        )
    }
    | {f"raw_{q}": log_return(f"{q} before calibration") for q in QUANTILES},
    key=FORECAST_KEY,
    rules=ASCENDING,
    open=True,
)
