"""Small synthetic frames, as the tables declare them, for the tests of pictures and of the report page."""

import math
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables.backtest import FUNNEL, PORTFOLIO
from timegpt_assets.core.tables.bars import BARS, QUALITY
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.columns import BANDS, QUANTILES, REFERENCES
from timegpt_assets.core.tables.evaluation import (
    COMPARISON,
    COST_SENSITIVITY,
    COVERAGE_DRIFT,
    FORECAST_DIAGNOSTICS,
    INTERVAL_WIDTHS,
    PIT_RELIABILITY,
    TRADING_SCORES,
)
from timegpt_assets.core.tables.gates import GATES

DAY = date(2024, 3, 14)
SNAPSHOTS = (30, 60, 150, 240, 330)
SOURCE = {
    "forecaster": "ridge",
    "book": "live",
    "score_source": "baseline",
    "run_source": "smoke",
    "data_regime": "maintenance_replay",
}
PROBABILITIES = dict(zip(QUANTILES, (-1.96, -1.282, -0.674, 0.0, 0.674, 1.282, 1.96), strict=True))
COSTS = {"fees": 15.0, "spread": 20.0, "slippage": 2.0, "impact": 2.0, "borrow": 1.0}
"""What a trade pays, USD 40 in all."""
_BLANK = {pl.String: "", pl.Boolean: False, pl.Int64: 0, pl.Float64: 0.0}


def framed(table: Table, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Return the rows as the table declares them; columns a row lacks are null or blank."""
    blank = {name: None if c.nullable else _BLANK.get(c.dtype) for name, c in table.columns.items()}
    return table.conformed(pl.DataFrame([blank | row for row in rows], schema=table.schema))


def sessions(count: int, first: date = DAY) -> list[date]:
    """Return that many weekdays from ``first`` on."""
    return [d for i in range(2 * count) if (d := first + timedelta(days=i)).weekday() < 5][:count]


def opened(day: date) -> datetime:
    """Return 09:30 New York in summer time, as UTC."""
    return datetime(day.year, day.month, day.day, 13, 30, tzinfo=UTC)


def prices(symbol: str, day: date = DAY) -> list[float]:
    """Return 391 clock prices, a random walk of about 5 bp a minute."""
    dice, walk = random.Random(f"{symbol}{day}"), [100.0]
    for _ in range(390):
        walk.append(walk[-1] * math.exp(dice.gauss(0, 5e-4)))
    return walk


def bars(symbols: Sequence[str], day: date = DAY) -> pl.DataFrame:
    """Return gapless sessions of 390 minutes."""
    rows = []
    for symbol in symbols:
        walk = prices(symbol, day)
        for i in range(390):
            ts, low, high = opened(day) + timedelta(minutes=i), min(walk[i : i + 2]), max(walk[i : i + 2])
            ohlc = {"open": walk[i], "high": high, "low": low, "close": walk[i + 1]}
            rows.append({"day": day, "symbol": symbol, "ts": ts, "volume": 100.0} | ohlc)
    return framed(BARS, rows)


def forecasts(symbols: Sequence[str], day: date = DAY, *, sigma: float = 0.0023) -> pl.DataFrame:
    """Return five normal forecasts a symbol, 15 minutes ahead, centred near zero."""
    rows = []
    for symbol in symbols:
        dice = random.Random(f"{symbol}{day}forecast")
        for minute in SNAPSHOTS:
            at = opened(day) + timedelta(minutes=minute)
            mean = dice.gauss(0, 4e-4)
            q = {name: mean + sigma * z for name, z in PROBABILITIES.items()}
            bands = {
                f"{side}_{n}": q[b] for n, pair in BANDS.items() for side, b in zip(("lo", "hi"), pair, strict=True)
            }
            times = {"snapshot_ts": at, "target_ts": at + timedelta(minutes=15), "horizon_min": 15, "asked_at": at}
            raw = {f"raw_{name}": 0.6 * value for name, value in q.items()}
            row = {"day": day, "symbol": symbol, "sigma": sigma, "backend": "baseline", "model": "ridge"}
            rows.append(row | times | q | bands | raw | SOURCE | {"calibration": "conformal", "label_aligned": True})
    return framed(FORECASTS, rows)


def portfolio(symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
    """Return a filled trade per symbol on two days of three, some of them refused."""
    rows = []
    for symbol in symbols:
        for number, day in enumerate(days):
            if number % 3 == 2:
                continue
            dice, walk = random.Random(f"{symbol}{day}trade"), prices(symbol, day)
            entry, side, gross = opened(day) + timedelta(minutes=61), dice.choice((-1, 1)), dice.gauss(60, 160)
            times = {"snapshot_ts": entry - timedelta(minutes=1), "target_ts": entry + timedelta(minutes=14)}
            done = {"entry_ts": entry, "entry_price": walk[61], "exit_ts": times["target_ts"], "exit_price": walk[75]}
            money = {
                "gross_pnl": gross,
                **COSTS,
                "cost": 40.0,
                "net_pnl": gross - 40.0,
                "quantity": side * 10.0,
                "size": 0.5,
            }
            admitted = number % 7 != 3
            row = {"day": day, "symbol": symbol, "side": side, "admitted": admitted, "sigma": 0.0015}
            row |= {"entry_reason": "enhancement", "exit_reason": "forecast_ts"}
            row["refused_by"] = "" if admitted else "position_limit"
            rows.append(row | times | done | money | SOURCE)
    return framed(PORTFOLIO, rows)


def quality(symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
    """Return one verdict per day and symbol, most of them ok."""
    rows = []
    for symbol in symbols:
        for day in days:
            dice = random.Random(f"{symbol}{day}quality")
            verdict = dice.choices(("ok", "warned", "quarantined", "no_data"), (90, 5, 3, 2))[0]
            share = {"ok": 1.0, "warned": 0.97, "quarantined": 0.71, "no_data": 0.0}[verdict] - dice.choice((0, 0.002))
            words = "" if verdict == "ok" else f"completeness {share:.3f} below 0.98"
            row = {
                "day": day,
                "symbol": symbol,
                "verdict": verdict,
                "reason": words,
                "rows_expected": 390,
                "offending": "[]",
            }
            rows.append(row | {"completeness": max(share, 0.0), "rows_session": round(390 * max(share, 0.0))})
    return framed(QUALITY, rows)


def diagnostics(symbols: Sequence[str], month: str = "2024-03") -> pl.DataFrame:
    """Return raw bands too narrow and calibrated ones close to nominal, pooled (``*``) and per symbol."""
    shares = {"raw": (0.41, 0.70, 0.88), "calibrated": (0.512, 0.796, 0.944)}
    rows = []
    for symbol in ("*", *symbols):
        for stage, (c50, c80, c95) in shares.items():
            coverage = {"coverage_50": c50, "coverage_80": c80, "coverage_95": c95, "pit_deviation": abs(c50 - 0.5)}
            row = {"month": month, "as_of": DAY, "symbol": symbol, "stage": stage, "n": 1240, "calibrated_share": 0.93}
            ends = {
                f"{name}_day_{end}": value + side
                for name, value in coverage.items()
                for end, side in (("low", -0.02), ("high", 0.03))
                if name != "pit_deviation"
            }
            ratios = {"rmae": 0.71, "rmae_zero_return": 1.002}
            ends |= {f"{name}_low": value - 0.01 for name, value in ratios.items()}
            ends |= {f"{name}_high": value + 0.01 for name, value in ratios.items()}
            ends |= {f"{name}_n": 800 for name in ratios} | {f"{name}_p": 0.004 for name in ratios}
            rows.append(row | coverage | ratios | ends | SOURCE | {"mae": 1e-3, "rmse": 1.4e-3, "pinball": 4e-4})
    return framed(FORECAST_DIAGNOSTICS, rows)


def reliability(month: str = "2024-03") -> pl.DataFrame:
    """Return observed shares for both stages, all symbols pooled."""
    nominal = (0.025, 0.10, 0.25, 0.50, 0.75, 0.90, 0.975)
    seen = {"raw": (0.06, 0.15, 0.29, 0.49, 0.70, 0.85, 0.94), "calibrated": (0.03, 0.11, 0.25, 0.50, 0.76, 0.9, 0.97)}
    rows = [
        {"month": month, "as_of": DAY, "symbol": "*", "stage": stage, "quantile": q, "observed": o, "n": 1240}
        | SOURCE
        | share
        for stage, shares in seen.items()
        for q, o, before in zip(nominal, shares, (0.0, *shares), strict=False)
        for share in [{"bin_share": o - before, "uniform_p": 0.4}]
    ]
    return framed(PIT_RELIABILITY, rows)


def drift(month: str = "2024-03") -> pl.DataFrame:
    """Return twelve sessions of rolling coverage of every band; the 50 % band's last ones ring the alarm."""
    rows = [
        {"month": month, "as_of": DAY, "day": day, "symbol": "*", "stage": "calibrated", "level": level, "n": 400}
        | {"coverage": c, "low": c - 0.03, "high": c + 0.03, "alarm": level == 50 and at > 9}
        | SOURCE
        for at, day in enumerate(sessions(12))
        for level in BANDS
        for c in [level / 100 - (0.005 * at if level == 50 else 0.0)]
    ]
    return framed(COVERAGE_DRIFT, rows)


def widths(month: str = "2024-03") -> pl.DataFrame:
    """Return bands that widen with volatility, all symbols pooled."""
    rows = [
        {"month": month, "as_of": DAY, "symbol": "*", "stage": stage, "decile": tenth, "n": 60, "sigma": 4e-4 * tenth}
        | {f"width_{level}": 1e-5 * level * tenth for level in BANDS}
        | SOURCE
        for stage in ("raw", "calibrated")
        for tenth in range(1, 11)
    ]
    return framed(INTERVAL_WIDTHS, rows)


def costs(month: str = "2024-03") -> pl.DataFrame:
    """Return one row per cost multiplier."""
    rows = [
        {"month": month, "as_of": DAY, "cost_multiplier": m, "observation_days": 60, "trades": 31, "signals": 40}
        | {"gross_pnl": 4200.0, "cost": 1240.0 * m, "net_pnl": 4200.0 - 1240.0 * m, "max_drawdown": 0.004}
        | {"drawdown_days": 9, "month_net_pnl": 800.0}
        | {"sharpe_method": "daily_agg_v1", "sharpe_daily": 1.3, "hit_rate": 0.55, "reject_rate": 0.2}
        | {"sharpe_daily_low": 0.2, "sharpe_daily_high": 2.4, "net_pnl_low": -300.0, "net_pnl_high": 6000.0}
        | SOURCE
        for m in (1.0, 1.5, 2.0)
    ]
    return framed(COST_SENSITIVITY, rows)


def trading(symbols: Sequence[str], month: str = "2024-03") -> pl.DataFrame:
    """Return what each symbol's trades came to."""
    rows = [
        {"month": month, "as_of": DAY, "symbol": symbol, "observation_days": 60, "trades": 3, "signals": 4}
        | {"gross_pnl": 420.0, "cost": 120.0, "net_pnl": 300.0, "hit_rate": 0.66, "sharpe_method": "daily_agg_v1"}
        | SOURCE
        for symbol in symbols
    ]
    return framed(TRADING_SCORES, rows)


def funnel(days: Sequence[date]) -> pl.DataFrame:
    """Return what became of ten forecasts a day: the champion trades one of them, ridge none."""
    fates = {"timegpt": {"no_direction": 7, "low_ev": 2, "traded": 1}, "ridge": {"no_direction": 10}}
    rows = [
        {"day": day, "fate": fate, "n": n} | SOURCE | {"forecaster": name}
        for day in days
        for name, counts in fates.items()
        for fate, n in counts.items()
    ]
    return framed(FUNNEL, rows)


def gates(symbols: Sequence[str], month: str = "2024-03") -> pl.DataFrame:
    """Return a forecast gate that passes, a trading gate that does not, and one criterion with too little to judge."""
    base = {"month": month, "as_of": DAY} | SOURCE
    rows = [
        base
        | {"gate": "forecast_gate", "symbol": s, "criterion": c, "threshold": t, "n": 1240}
        | {"value": t - 0.02 * (i % 4 - 1), "passed": i % 4 != 0, "reason": "below the threshold" if i % 4 else "above"}
        for c, t in (("rmae", 0.95), ("rrmse", 0.97), ("coverage_50", 0.52))
        for i, s in enumerate(symbols, 1)
    ]
    trading = {"gate": "trading_gate", "symbol": "*"}
    rows += [
        base | trading | {"criterion": "pnl_1_5x", "value": 2340.0, "threshold": 0.0, "n": 60, "passed": True},
        base
        | trading
        | {"criterion": "sharpe_daily", "threshold": 0.5, "n": 12, "reason": "insufficient_observation: 12 of 60 days"},
        base | {"gate": "promotion", "symbol": "*", "criterion": "prod_rows", "value": 0.0, "threshold": 1.0},
    ]
    return framed(GATES, rows)


def comparison(month: str = "2024-03") -> pl.DataFrame:
    """Return four forecasters in pairs, size surely better than the champion, which beats climatology."""
    ratios = {"size": 0.93, "zero": 0.99, "ridge": 1.01, "climatology": 1.06}
    rows = []
    for name, ratio in ratios.items():
        about = {"month": month, "as_of": DAY, "symbol": "*", "against_sources": "model+prod+prod_live", "n": 1200}
        found = {"rpinball": ratio, "rpinball_low": ratio - 0.02, "rpinball_high": ratio + 0.02, "rpinball_p_holm": 0.2}
        found |= {"rmae": 1.0, "coverage_80": 0.8, "pnl_difference": 100.0 * (1 - ratio), "spent": 0.0}
        rows.append(about | SOURCE | {"forecaster": name, "against": "timegpt"} | found)
        if name != "ridge":
            rows.append(about | SOURCE | {"forecaster": name, "against": "ridge"} | found)
        if name in REFERENCES:
            won = {"rpinball": 1 / ratio, "rpinball_low": 0.9, "rpinball_high": 1.1, "rpinball_p": 0.004, "rmae": 1.0}
            rows.append(about | SOURCE | {"forecaster": "timegpt", "against": name} | won)
    return framed(COMPARISON, rows)


def books(symbols: Sequence[str], days: Sequence[date]) -> pl.DataFrame:
    """Return the portfolio of three books, each with other amounts."""
    own = portfolio(symbols, days)
    return pl.concat(
        own.with_columns(book=pl.lit(name), forecaster=pl.lit(name), gross_pnl=pl.col("gross_pnl") * factor)
        for name, factor in (("timegpt", 1.0), ("ridge", 0.6), ("zero", 0.2))
    )
