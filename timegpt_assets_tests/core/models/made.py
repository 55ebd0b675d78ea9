"""Rows that the ladder is tried on: of a stand-in panel, and of markets whose planted signal is known."""

from datetime import date

import polars as pl

from timegpt_assets.core import calendar, targets
from timegpt_assets.core.models.rows import RowSpec
from timegpt_assets.core.tables.features import LABELS
from timegpt_assets_tests.core.panels import HORIZON, panel

DAYS = tuple(calendar.month_sessions("2025-03") + calendar.month_sessions("2025-04"))
SPEC = RowSpec(
    horizon_min=HORIZON,
    sigma_column="sigma_60m",
    snapshot_every_min=15,
    n_tokens=20,
    channels=("clock_price", "sigma_60m"),
    features=("sigma_60m", "vol_ewm_60m", "clock_price"),
)
PANEL = panel(DAYS[:3], ("AAA", "BBB"))


def labels(rows: pl.DataFrame) -> pl.DataFrame:
    """Return LABELS of a panel."""
    known = targets.known_returns(rows, horizon_min=HORIZON)
    return LABELS.conformed(
        known.select(
            "day",
            "symbol",
            ts=pl.col("known_at") - pl.duration(minutes=HORIZON + 1),
            target_ts="known_at",
            horizon_min=pl.lit(HORIZON, pl.Int64),
            y="y",
            y_bp=pl.col("y") * 1e4,
            y_volatility_z=pl.lit(None, pl.Float64),
        )
    )


def moments(day: date) -> list:
    """Return a day's snapshots on the grid of SPEC."""
    session = calendar.session(day)
    every = f"{SPEC.snapshot_every_min}m"
    return pl.datetime_range(session.open, session.close, every, closed="right", eager=True, time_unit="us").to_list()[
        :-1
    ]
