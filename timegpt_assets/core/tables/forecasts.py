"""Tables of the forecasts: what is asked when, what was answered, raw quantiles, outcomes."""

from dataclasses import replace

import polars as pl

from timegpt_assets.core.schema import TIME, Column, Table
from timegpt_assets.core.tables.columns import BANDS, DAY, MADE_BY, QUANTILES, SOURCES, SYMBOL, log_return

SNAPSHOT_TIMES = {
    "snapshot_ts": Column(TIME, "when the forecast is asked"),
    "target_ts": Column(TIME, "when what it is about becomes known"),
    "horizon_min": Column(pl.Int64, "minutes from snapshot_ts to target_ts"),
}

SNAPSHOTS = Table(
    name="snapshots",
    columns=DAY
    | SNAPSHOT_TIMES
    | {
        "preset": Column(pl.String, "snapshot preset"),
        "asked": Column(pl.Boolean, "whether a forecast is asked"),
        "reason": Column(pl.String, "why not; empty when asked"),
    },
    key=("day", "snapshot_ts"),
)

ANSWERS = Table(
    name="answers",
    columns=DAY
    | {"snapshot_ts": SNAPSHOT_TIMES["snapshot_ts"]}
    | {"request_hash": Column(pl.String, "sha256 of the request: finds its bytes in the forecast cache")}
    | SYMBOL
    | {
        "step": Column(pl.Int64, "minutes ahead of the snapshot"),
        "mean": Column(pl.Float64, "as answered, in scaled target units"),
        "asked_at": Column(TIME, "when the answer was asked for"),
        "sigma": Column(pl.Float64, "volatility at the snapshot, scale of y; null when zero", nullable=True),
        "target_scale": Column(pl.Float64, "y = answered value x target_scale"),
    }
    | MADE_BY
    | SOURCES
    | {
        "stale_input": Column(pl.Boolean, "the inputs have changed since the answer was asked"),
        "host": Column(pl.String, "whose word it is, whatever trust was set to; null on this machine", nullable=True),
    },
    key=("day", "snapshot_ts", "symbol", "step", "forecaster"),
    open=True,
)
"""Further columns: lo_<level> and hi_<level> for each configured level, as answered, in scaled target units."""

BASE_ANSWERS = replace(ANSWERS, name="base_answers")
"""The same of the forecasters on this machine, every one of them."""
LOCAL_ANSWERS = replace(ANSWERS, name="local_answers")
"""Those, and what was blended of them."""

FORECAST = (
    DAY
    | SYMBOL
    | SNAPSHOT_TIMES
    | {
        "asked_at": ANSWERS.columns["asked_at"],
        "sigma": ANSWERS.columns["sigma"],
    }
    | {q: log_return(f"{q} quantile") for q in QUANTILES}
    | {f"{side}_{level}": log_return(f"{level} % band, {side}") for level in BANDS for side in ("lo", "hi")}
    | MADE_BY
    | SOURCES
    | {
        "request_hash": ANSWERS.columns["request_hash"],
        "stale_input": ANSWERS.columns["stale_input"],
        "host": ANSWERS.columns["host"],
        "label_aligned": Column(pl.Boolean, "the target's own horizon equals the forecast's; others never trade"),
        "crossings": Column(pl.Int64, "quantile pairs that crossed before the monotone projection"),
        "calibration": Column(pl.String, "method applied, or none"),
    }
)
FORECAST_KEY = ("day", "symbol", "snapshot_ts", "forecaster")
# Every pair, not neighbours alone: a null between two quantiles would hide that they cross.
ASCENDING = {
    f"{low}_le_{high}": (pl.col(low) <= pl.col(high)).fill_null(True)
    for i, low in enumerate(QUANTILES)
    for high in QUANTILES[i + 1 :]
}

RAW_FORECASTS = Table(
    name="raw_forecasts",
    columns=FORECAST,
    key=FORECAST_KEY,
    rules=ASCENDING,
    open=True,
)

OUTCOME = {
    "y": Column(pl.Float64, "realised log return over the horizon"),
    "y_last": Column(pl.Float64, "last known y at the snapshot (persistence)", nullable=True),
}

OUTCOMES = Table(
    name="outcomes",
    columns=FORECAST | OUTCOME,
    key=FORECAST_KEY,
    rules=ASCENDING,
    open=True,
)
