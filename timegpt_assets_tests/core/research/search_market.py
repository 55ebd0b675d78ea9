"""A market small enough to be searched in a test: random walks, and forecasts that know a little of what comes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.backtest.costs import Costs
from timegpt_assets.core.backtest.signals import TradingSpec
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.research.objective import Penalties
from timegpt_assets.core.research.search import Material, Space, material
from timegpt_assets.core.research.trading_grid import Grid
from timegpt_assets.core.tables.bars import BARS
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.gates import SYMBOL_GATES
from timegpt_assets_tests.core.house_rules import RULES

MINUTE = timedelta(minutes=1)
SESSIONS = tuple(one.day for one in calendar.sessions(date(2025, 1, 6), date(2025, 6, 30)))
SNAPSHOTS = range(30, 360, 30)
SPEC = TradingSpec(
    rules=replace(RULES, require_positive_ev=False),
    costs=Costs(
        fees_bps={"*": 0.5},
        half_spread_ticks={"*": 1.0},
        tick_size=0.01,
        slippage_ticks={"*": 0.5},
        slippage_bps={"*": 0.0},
        borrow_bps={"*": 0.0},
    ),
    capital=100_000.0,
    bootstrap="trade",
    participation=0.1,
    sigma_column="sigma_60m",
)
OUTER: dict[str, tuple[Any, ...]] = {
    "rule_set": ("enhancement", "budget_sprint"),
    "sigma_column": ("sigma_15m", "sigma_60m"),
    "exit_at_forecast_ts": (True, False),
    "ev_lambda": (0.0, 0.25, 0.5),
    "entry_lag_bars": (1, 2, 3),
}
INNER: dict[str, tuple[Any, ...]] = {"k_sigma": (0.25, 0.5, 1.0), "s_stop": (0.5, 1.0, 2.0), "s_take": (1.0, 2.0)}
PENALTIES = Penalties(max_drawdown=2.5, reject_rate=1.5, turnover=0.0002)


def grid(dimensions: dict[str, tuple[Any, ...]], spec: TradingSpec = SPEC) -> Grid:
    """Return a grid of these rules."""
    return Grid(
        name="mine",
        dimensions=dimensions,
        base=spec,
        stored={"history_days": 10, "horizon_min": 15},
        filters=None,
        own_sigma=False,
        max_combinations=100_000,
    )


def space(
    outer: dict[str, tuple[Any, ...]] | None = None,
    inner: dict[str, tuple[Any, ...]] | None = None,
    *,
    smooth: bool = True,
    penalties: Penalties = PENALTIES,
) -> Space:
    """Return what is searched."""
    return Space(outer=grid(outer or OUTER), inner=grid(inner or INNER), penalties=penalties, smooth=smooth)


def frames(days: Sequence[date], symbols: Sequence[str], *, seed: int = 1) -> dict[str, pl.DataFrame]:
    """Return bars, forecasts, the features they are measured in, and no gates."""
    bars, forecasts, features = [], [], []
    for number, day in enumerate(days):
        session = calendar.session(day)
        ts = pl.datetime_range(session.open, session.close, "1m", closed="left", eager=True).cast(BARS.schema["ts"])
        for place, symbol in enumerate(symbols):
            rng = np.random.default_rng([seed, number, place])
            close = 100 * np.exp(np.cumsum(rng.normal(0, 0.0006, session.minutes)))
            opened = np.r_[100.0, close[:-1]]
            wick = 1 + np.abs(rng.normal(0, 0.0003, (2, session.minutes)))
            prices = {"open": opened, "high": np.maximum(opened, close) * wick[0]}
            prices |= {"low": np.minimum(opened, close) / wick[1], "close": close}
            keys = {"day": [day] * session.minutes, "symbol": [symbol] * session.minutes, "ts": ts}
            rest = {"volume": np.full(session.minutes, 5_000), "is_filled": np.zeros(session.minutes, bool)}
            bars.append(pl.DataFrame(keys | prices | rest))
            at = [m for m in SNAPSHOTS if m < session.minutes - 20]
            sigma = 0.0006 * np.sqrt(15) * rng.uniform(0.7, 1.4, len(at))
            ahead = np.array([np.log(close[m + 14] / close[m - 1]) for m in at])
            q50 = 0.35 * ahead + rng.normal(0, 0.6, len(at)) * sigma
            snapshots = [session.open + m * MINUTE for m in at]
            own = {"day": [day] * len(at), "symbol": [symbol] * len(at), "snapshot_ts": snapshots}
            forecasts.append(pl.DataFrame(own | {"q25": q50 - 0.7 * sigma, "q50": q50, "q75": q50 + 0.7 * sigma}))
            known = {"day": [day] * len(at), "symbol": [symbol] * len(at), "known_at": snapshots}
            features.append(pl.DataFrame(known | {"sigma_60m": sigma, "sigma_15m": sigma * rng.uniform(0.6, 1.5)}))
    return {
        "bars": BARS.conformed(pl.concat(bars).cast(dict(BARS.schema))),  # type: ignore[arg-type]
        "forecasts": _forecasts(pl.concat(forecasts)),
        "features": pl.concat(features).cast({"known_at": BARS.schema["ts"]}),
        "symbol_gates": SYMBOL_GATES.empty(),
    }


def _forecasts(frame: pl.DataFrame) -> pl.DataFrame:
    words = {name: pl.lit("") for name, dtype in FORECASTS.schema.items() if dtype == pl.String and name != "symbol"}
    said = {
        "forecaster": pl.lit("ridge"),
        "target_ts": pl.col("snapshot_ts") + 15 * MINUTE,
        "label_aligned": pl.lit(True),
        "horizon_min": pl.lit(15, pl.Int64),
        "sigma": pl.lit(None, pl.Float64),
        "score_source": pl.lit("baseline"),
        "run_source": pl.lit("smoke"),
        "data_regime": pl.lit("maintenance_replay"),
    }
    frame = frame.cast({"snapshot_ts": BARS.schema["ts"]}).with_columns(**(words | said))
    missing = {name: pl.lit(None, dtype) for name, dtype in FORECASTS.schema.items() if name not in frame.columns}
    return frame.with_columns(**missing).select(*FORECASTS.schema).with_columns(history_days=pl.lit(10, pl.Int64))


def made(searched: Space, *, days: int = 6, symbols: Sequence[str] = ("AAPL", "MSFT"), seed: int = 1) -> Material:
    """Return what trials of the space are swept on."""
    chosen = SESSIONS[:days]
    found = frames(chosen, symbols, seed=seed)
    return material(searched, **_named(found), days=chosen, events=EventCalendar({}))


def _named(found: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return {name: found[name] for name in ("forecasts", "bars", "symbol_gates", "features")}
