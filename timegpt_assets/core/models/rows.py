"""What the ladder learns from and is asked with: one row for a symbol and a snapshot, from panel and labels alone.

Belongs here: what stands in a row. Rows of training and of inference are made by the same functions: what a model was
taught and what it is asked can differ by no bit. Features are those known at the snapshot; nothing of a row but what
``training_rows`` adds (y, z, realised) looks beyond it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.tables.models import TRAINING_SET

KEY = ("day", "symbol", "snapshot_ts")
OUTCOME = ("y", "z", "realised", "weight")
"""Columns of a training row that come after the snapshot; a row that is asked has none of them."""
_MINUTES_APART = 2880
"""More than a session's last minute has, from the one before its day's first: minutes of two sessions never meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSpec:
    """What a row holds.

    ``sigma_column``: the panel's volatility, scale of y. ``snapshot_every_min``: minutes between the snapshots of a
    session that are learnt from. ``n_tokens`` minutes up to the snapshot, each with ``channels``, columns of the panel;
    ``features``: columns of the panel, as known at the snapshot.
    """

    horizon_min: int
    sigma_column: str
    snapshot_every_min: int
    n_tokens: int
    channels: tuple[str, ...]
    features: tuple[str, ...]


def training_rows(panel: pl.DataFrame, labels: pl.DataFrame, spec: RowSpec) -> pl.DataFrame:
    """Return TRAINING_SET: the grid's snapshots of each session that have a volatility and a label.

    ``panel`` PANEL and ``labels`` LABELS of the same sessions. ``realised`` is of the label's own minutes. Raises
    ValueError for a panel without a column of the spec.
    """
    rows = grid_rows(panel, spec)
    own = labels.filter(pl.col("horizon_min") == spec.horizon_min).select("day", "symbol", "target_ts", "y")
    learnt = rows.join(own, on=["day", "symbol", "target_ts"])
    came = learnt.join(_realised(panel, spec), on=["day", "symbol", "target_ts"], how="left")
    return TRAINING_SET.conformed(
        came.with_columns(z=pl.col("y") / pl.col("sigma"), weight=pl.lit(1.0)).select(
            *TRAINING_SET.columns, *spec.features
        )
    )


def grid_rows(panel: pl.DataFrame, spec: RowSpec) -> pl.DataFrame:
    """Return ``snapshot_rows`` of the moments that rows are learnt from, whatever came after. ``panel`` PANEL."""
    return snapshot_rows(panel, _grid(panel["day"], spec), spec)


def snapshot_rows(panel: pl.DataFrame, snapshots_ts: Collection[datetime], spec: RowSpec) -> pl.DataFrame:
    """Return the columns of TRAINING_SET that are known at the snapshots, by key: who has a volatility then.

    Each row reads its own session alone, up to the snapshot. Raises ValueError as training_rows.
    """
    _check(panel, spec)
    sorted_ = panel.sort("day", "symbol", "known_at")
    volatility = pl.col(spec.sigma_column).cast(pl.Float64)
    at = pl.Series(sorted(set(snapshots_ts)), dtype=TIME)
    asked = sorted_.filter(pl.col("known_at").is_in(at.implode()), (volatility > 0) & volatility.is_finite())
    rows = asked.select(
        "day",
        "symbol",
        pl.col("known_at").alias("snapshot_ts"),
        (pl.col("known_at") + pl.duration(minutes=spec.horizon_min)).alias("target_ts"),
        pl.lit(spec.horizon_min, pl.Int64).alias("horizon_min"),
        volatility.alias("sigma"),
        _tokens(sorted_, asked, spec),
        *(pl.col(name).cast(pl.Float32) for name in spec.features),
    )
    return rows.sort(KEY)


def _grid(days: pl.Series, spec: RowSpec) -> list[datetime]:
    """Return the moments of the sessions at which a training row may stand: its label ends by the close."""
    sessions = calendar.sessions_frame(days.unique())
    every = f"{spec.snapshot_every_min}m"
    moments = sessions.select(
        pl.datetime_ranges(
            pl.col("open").dt.offset_by(every), pl.col("close").dt.offset_by(f"-{spec.horizon_min}m"), every
        ).alias("at")
    )
    return moments.explode("at", empty_as_null=False)["at"].to_list()


def _tokens(panel: pl.DataFrame, asked: pl.DataFrame, spec: RowSpec) -> pl.Series:
    """Return each asked row's minutes up to its own, oldest first, flattened; NaN where the session has none."""
    symbols = pl.concat([panel["symbol"], asked["symbol"]]).unique().sort()
    ends, starts = _place(asked, symbols), _place(panel, symbols)
    wanted = ends[:, None] - np.arange(spec.n_tokens - 1, -1, -1)
    found = np.minimum(np.searchsorted(starts, wanted), max(starts.size - 1, 0))
    values = panel.select(pl.col(name).cast(pl.Float32).fill_null(float("nan")) for name in spec.channels).to_numpy()
    tokens = np.full((asked.height, spec.n_tokens, len(spec.channels)), np.nan, dtype=np.float32)
    if starts.size:
        held = starts[found] == wanted
        tokens[held] = values[found[held]]
    flat = pl.Series("tokens", tokens.reshape(asked.height, spec.n_tokens * len(spec.channels)), strict=False)
    return flat.cast(pl.List(pl.Float32))


def _place(rows: pl.DataFrame, symbols: pl.Series) -> np.ndarray:
    """Return a number for each row's minute, the higher the later; those of two sessions or symbols are far apart."""
    day = rows["day"].to_physical().cast(pl.Int64).to_numpy()
    symbol = rows["symbol"].cast(pl.Enum(symbols)).to_physical().cast(pl.Int64).to_numpy()
    minute = (rows["known_at"].dt.epoch("s") // 60).to_numpy() - day * 1440
    place: np.ndarray = (day * len(symbols) + symbol) * _MINUTES_APART + minute
    return place


def _realised(panel: pl.DataFrame, spec: RowSpec) -> pl.DataFrame:
    """Return day, symbol, target_ts and the root of the summed squared minute returns of the horizon up to then."""
    # clipped: a running sum of squares can fall a hair below zero
    squares = pl.col("clock_price").log().diff() ** 2
    over = ["day", "symbol"]
    return panel.sort(*over, "known_at").select(
        *over,
        pl.col("known_at").alias("target_ts"),
        squares.rolling_sum(spec.horizon_min).clip(0.0).sqrt().over(over).alias("realised"),
    )


def _check(panel: pl.DataFrame, spec: RowSpec) -> None:
    if missing := sorted({spec.sigma_column, *spec.channels, *spec.features} - set(panel.columns)):
        raise ValueError(
            f"the panel has no column {', '.join(missing)}. Switch on its group in features.groups, or take it out of "
            "models.net.channels."
        )
