"""Outcomes to calibrate on: the baseline walked forward over a set of bars at the dense preset, synthetic or real.

Belongs here: the road from bars to outcomes without Dagster, as calibration benchmarks and their tests need it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from timegpt_assets.adapters.market.market_data import LocalMarketData
from timegpt_assets.adapters.market.synthetic_market import SyntheticMarket
from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core import calendar, targets
from timegpt_assets.core.bars import session_grid
from timegpt_assets.core.features import matrix
from timegpt_assets.core.features.context import market_context
from timegpt_assets.core.forecasts import framing, quantiles, snapshots
from timegpt_assets.runtime import MarketData, local_forecasters

DENSE = ("forecast.snapshot_preset=dense", "forecast.history_days=10", "forecast.challengers=[]")
REAL = {
    "mag7_spy_2025": (date(2025, 1, 2), date(2025, 2, 28)),
    "us_large_cap_2018": (date(2018, 2, 1), date(2018, 4, 30)),
}
"""Folder of a real set -> the span its bars lie in."""


def settings(*overrides: str) -> Settings:
    """Return the demo's settings with the dense preset: what every set here is forecast under."""
    return load_settings(profile="demo", config_dir=None, overrides=[*DENSE, *overrides], environment={})


def real(folder: Path, name: str, *, symbols: Sequence[str] = (), last: date | None = None) -> pl.DataFrame:
    """Return the outcomes of a real set, of all its symbols unless some are named, up to ``last``."""
    first, end = REAL[name]
    found = sorted(path.name for path in (folder / name / "stocks" / "1m").iterdir())
    return outcomes(LocalMarketData(folder / name), symbols or found, first, last or end)


def synthetic(
    seed: int, *, symbols: Sequence[str], first: date, last: date, predictability: float = 0.0
) -> pl.DataFrame:
    """Return the outcomes of the synthetic market of ``seed``."""
    market = SyntheticMarket(symbols=tuple(symbols), context=("SPY",), seed=seed, predictability=predictability)
    return outcomes(market, symbols, first, last)


def outcomes(market: MarketData, symbols: Sequence[str], first: date, last: date, batch: int = 8) -> pl.DataFrame:
    """Return OUTCOMES of every session from ``first`` to ``last`` that the baseline can forecast."""
    parts = [symbols[i : i + batch] for i in range(0, len(symbols), batch)]
    return pl.concat([_outcomes(market, part, first, last) for part in parts]).sort("day", "symbol", "snapshot_ts")


def _outcomes(market: MarketData, symbols: Sequence[str], first: date, last: date) -> pl.DataFrame:
    under = settings()
    days = [session.day for session in calendar.sessions(first, last)]
    raw = market.bars(list(symbols), days)
    policy, sessions = core_inputs.quality_policy(under), calendar.sessions_frame(pl.Series(days))
    keys = pl.DataFrame({"day": days}).join(pl.DataFrame({"symbol": list(symbols)}), how="cross")
    quality = session_grid.quality(raw, keys=keys, sessions=sessions, policy=policy)
    grid = session_grid.grid(raw, quality, sessions=sessions, policy=policy)
    context = market_context(grid, days=days, context=())
    target = core_inputs.target(under)
    calendar_of = core_inputs.event_calendar(under)
    spec = replace(core_inputs.feature_spec(under, calendar_of), context=())
    features = matrix.features(grid, context, days=days, spec=spec).frame
    panel = matrix.panel(features, grid, days=days)
    asked = snapshots.snapshots(days, replace(core_inputs.snapshot_spec(under, calendar_of), skip_events=()))
    shown = replace(core_inputs.frame_spec(under), symbols=tuple(symbols))
    made = [local_forecasters(under).answers(framing.frames(panel, asked, shown, day=day)) for day in days]
    raw_forecasts = quantiles.raw_forecasts(
        pl.concat([one.rows for one in made]),
        asked,
        target=target,
        quantiles=under.forecast.quantiles,
        levels=under.forecast.levels,
    )
    labels = targets.labels(grid, features, horizons=[target.horizon_min], target=target)
    return quantiles.outcomes(raw_forecasts, labels, target=target)
