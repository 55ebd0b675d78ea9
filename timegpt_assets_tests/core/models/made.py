"""Rows that the ladder is tried on: of a stand-in panel, and of markets whose planted signal is known."""

from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import calendar, targets
from timegpt_assets.core.forecasts.local.ridge import Ridge
from timegpt_assets.core.forecasts.local.zero import Zero
from timegpt_assets.core.models.boosting import Boosting
from timegpt_assets.core.models.control import Control
from timegpt_assets.core.models.net_spec import NetSpec
from timegpt_assets.core.models.rows import RowSpec
from timegpt_assets.core.models.tree_spec import TreeSpec
from timegpt_assets.core.tables.features import LABELS
from timegpt_assets.core.tables.models import TRAINING_SET
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


def moments(day: date) -> list[datetime]:
    """Return a day's snapshots on the grid of SPEC."""
    session = calendar.session(day)
    every = f"{SPEC.snapshot_every_min}m"
    return pl.datetime_range(session.open, session.close, every, closed="right", eager=True, time_unit="us").to_list()[
        :-1
    ]


FEATURES = ("ret_1m", "ret_5m", "ret_15m", "ret_30m", "vol_ewm_15m", "volume_percentile", "minute_index", "spy_ret_15m")
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")


def rows(
    days: int = 24, *, linear: float = 0.0, interaction: float = 0.0, size: float = 0.5, seed: int = 1
) -> pl.DataFrame:
    """Return TRAINING_SET rows of a market whose z, size apart, has a correlation of ``linear`` with ret_15m / sigma.

    And one of ``interaction`` with its sign times that of volume_percentile - 0.5; a market's shock is common to all
    symbols. The size of z is exp(``size`` x log(vol_ewm_15m / sigma)) times a symbol's own.
    """
    rng, chosen = np.random.default_rng(seed), DAYS[:days]
    at = pl.DataFrame({"day": chosen, "snapshot_ts": [moments(day) for day in chosen]}).explode("snapshot_ts")
    grid = at.join(pl.DataFrame({"symbol": SYMBOLS}), how="cross")
    n = grid.height
    sigma, told = 2e-3 * np.exp(0.3 * rng.standard_normal(n)), rng.standard_normal((n, 4))
    busy, ratio = rng.random(n), 0.6 * rng.standard_normal(n)
    own = rng.standard_normal(n)
    shock = np.repeat(rng.standard_normal(n // len(SYMBOLS)), len(SYMBOLS))
    noise = np.sqrt(0.3) * shock + np.sqrt(0.7) * own
    signal = linear * told[:, 2] + interaction * np.sign(told[:, 2]) * np.sign(busy - 0.5)
    factor = np.tile([0.8, 0.9, 1.1, 1.2], n // len(SYMBOLS))
    scale = np.exp(size * ratio) * factor
    z = scale * (signal + np.sqrt(max(1 - linear**2 - interaction**2, 0)) * noise)
    realised = sigma * scale * np.sqrt(rng.chisquare(15, n) / 15)
    returns = {f"ret_{k}m": told[:, i] * sigma for i, k in enumerate((1, 5, 15, 30))}
    minute = 15.0 * (np.arange(n) // len(SYMBOLS) % len(moments(chosen[0])) + 1)
    features = returns | {
        "vol_ewm_15m": sigma * np.exp(ratio),
        "volume_percentile": busy,
        "minute_index": minute,
        "spy_ret_15m": np.repeat(rng.standard_normal(n // len(SYMBOLS)), len(SYMBOLS)) * sigma,
    }
    return TRAINING_SET.conformed(
        grid.with_columns(
            target_ts=pl.col("snapshot_ts") + pl.duration(minutes=HORIZON),
            horizon_min=pl.lit(HORIZON, pl.Int64),
            sigma=pl.Series(sigma),
            y=pl.Series(z * sigma),
            z=pl.Series(z),
            realised=pl.Series(realised),
            weight=pl.lit(1.0),
            tokens=pl.lit([0.0], pl.List(pl.Float32)),
            **{name: pl.Series(values, dtype=pl.Float32) for name, values in features.items()},
        ).select(*TRAINING_SET.columns, *FEATURES)
    )


def tree_spec(**changed: Any) -> TreeSpec:
    """Return how trees learn from ``rows``: small, as tests need them."""
    boosting = Boosting(rounds=24, leaves=4, learning_rate=0.15, min_rows=50, l2=10.0, seed=7)
    control = Control(
        ridge=Ridge(ridge=0.25, residual_window_min=30, min_residuals=120),
        zero=Zero(window_min=30, min_residuals=120),
        settings="digest",
        snapshot_every_min=15,
    )
    usual: dict[str, Any] = {
        "road": "apart",
        "features": FEATURES,
        "own": FEATURES[:6],
        "clock": ("minute_index",),
        "scaled": frozenset(n for n in FEATURES if n.startswith(("ret", "vol_", "spy"))),
        "embargo_days": 1,
        "min_sessions": 16,
        "validation_sessions": 6,
        "folds": 3,
        "levels": (50, 80, 95),
        "window_min": 60,
        "symbol_rows": 50,
        "boosting": boosting,
        "control": control,
    }
    return TreeSpec(**(usual | changed))


TOKENS, CHANNELS = 8, ("ret_1m", "volume_norm_5m")


def tokened(rows: pl.DataFrame, *, interaction: float = 0.0, seed: int = 5) -> pl.DataFrame:
    """Return rows with TOKENS minutes of CHANNELS; z has a correlation of ``interaction`` with what both say together.

    That is the sign of the minutes' return times that of their volume less its usual 1; alone neither says anything.
    """
    rng = np.random.default_rng(seed)
    sigma = rows["sigma"].to_numpy()[:, None]
    returns = rng.standard_normal((rows.height, TOKENS)) * sigma
    state = rng.choice([-1.0, 1.0], rows.height)
    volume = 1.0 + 0.5 * state[:, None] + 0.2 * rng.standard_normal((rows.height, TOKENS))
    both = np.stack([returns, volume], axis=2).reshape(rows.height, -1).astype(np.float32)
    signal = np.sign(returns.sum(axis=1)) * state
    z = np.sqrt(1 - interaction**2) * rows["z"].to_numpy() + interaction * signal * rows["z"].to_numpy().std()
    flat = pl.Series("tokens", both).cast(pl.List(pl.Float32))
    return rows.with_columns(flat, z=pl.Series(z), y=pl.Series(z * sigma[:, 0]))


def net_spec(**changed: Any) -> NetSpec:
    """Return how nets learn from ``tokened`` rows: small, as tests need them; ``tree`` as ``tree_spec`` has it."""
    usual: dict[str, Any] = {
        "tree": tree_spec(boosting=Boosting(rounds=20, leaves=4, learning_rate=0.1, min_rows=50, l2=10.0, seed=7)),
        "n_tokens": TOKENS,
        "channels": CHANNELS,
        "scaled": frozenset(CHANNELS[:1]),
        "hidden": 8,
        "blocks": 1,
        "epochs": 4,
        "batch_rows": 128,
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "dropout": 0.0,
        "distill_lambda": 0.5,
        "seed": 7,
    }
    return NetSpec(**(usual | changed))
