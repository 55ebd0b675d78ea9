"""Tables of the features: market context, features, the panel that forecasts are framed from, labels."""

import polars as pl

from timegpt_assets.core.schema import TIME, Column, Table
from timegpt_assets.core.tables.columns import BAR_TIME, DAY, KNOWN_AT, SYMBOL

MARKET_CONTEXT = Table(
    name="market_context",
    columns=DAY | BAR_TIME | KNOWN_AT | {"context_missing": Column(pl.Boolean, "a context symbol had no bars")},
    key=("day", "ts"),
    open=True,
)

FEATURES = Table(name="features", columns=DAY | SYMBOL | BAR_TIME | KNOWN_AT, key=("day", "symbol", "ts"), open=True)

PANEL = Table(
    name="panel",
    columns=DAY
    | SYMBOL
    | BAR_TIME
    | KNOWN_AT
    | {
        "clock_price": Column(pl.Float64, "P(known_at), USD: close of the bar that ends then", nullable=True),
        "clock_open": Column(pl.Float64, "P(open), USD; null when the first minute has no print", nullable=True),
        "is_filled": Column(pl.Boolean, "no print in this minute"),
    },
    key=("day", "symbol", "ts"),
    open=True,
)

LABELS = Table(
    name="labels",
    columns=DAY
    | SYMBOL
    | BAR_TIME
    | {
        "target_ts": Column(TIME, "when y becomes known"),
        "horizon_min": Column(pl.Int64, "minutes from known_at to target_ts"),
        "y": Column(pl.Float64, "ln P(target_ts) - ln P(target_ts - horizon)"),
        "y_bp": Column(pl.Float64, "y in basis points (forecast.target.bp_factor)"),
        "y_volatility_z": Column(
            pl.Float64,
            "y / forecast.target.volatility_column at known_at, that times sqrt(horizon_min / forecast.horizon_min); "
            "null where it is not known",
            nullable=True,
        ),
    },
    key=("day", "symbol", "horizon_min", "target_ts"),
)
