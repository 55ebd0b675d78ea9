"""What gates are asked about: scores, diagnostics and figures that pass everything, to be spoilt one at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.gates import eligibility, forecast, trading
from timegpt_assets.core.gates.counted import LIVE
from timegpt_assets.core.gates.hard_metrics import HardMetrics
from timegpt_assets.core.tables.columns import REFERENCES
from timegpt_assets.core.tables.evaluation import (
    COMPARISON,
    COST_SENSITIVITY,
    FORECAST_DIAGNOSTICS,
    FORECAST_SCORES,
    OOS_SUMMARY,
    RELATIVE,
    TRADING_SCORES,
)

DAY = date(2025, 2, 21)
MONTH = {"month": "2025-02", "as_of": date(2025, 2, 28)}
SMOKE = {"score_source": "baseline", "run_source": "smoke", "data_regime": "maintenance_replay"}
SEATED = ("timegpt", *REFERENCES)
IN_PROD = "baseline+prod+maintenance_replay"
"""What the rows of a reference say where they come from in prod."""
ELIGIBILITY = eligibility.Eligibility(
    lookback_sessions=60,
    min_forecasts=200,
    rmae_lt=1.0,
    rrmse_lt=1.0,
    coverage_tol=0.02,
    bootstrap="trade",
)
FORECAST = forecast.ForecastGate(min_forecasts=1000, rmae_lt=0.95, rrmse_lt=0.97, coverage_tol=0.02)
TRADING = trading.TradingGate(
    min_observation_days=60,
    min_completed_runs=5,
    oos_sharpe_gte=0.5,
    hit_rate_gte=0.48,
    stress_multiplier=1.5,
    stressed_pnl_gte=0.0,
)
ASKED_OF_FORECASTS = forecast.Promotion(pit_dev_max=0.03, rmae_max=0.7, dm_p_lt=0.05)
ASKED_OF_ACCOUNT = trading.Promotion(
    oos_sharpe_gte=0.5, sharpe_cost_multiplier=1.5, stressed_pnl_gt=0.0, pnl_cost_multiplier=1.5
)
HARD = HardMetrics(min_observation_days=14, sharpe_daily_gte=0.7, max_drawdown_lte=0.1, reject_rate_lte=0.2)


def sessions(n: int, last: date = DAY) -> list[date]:
    return [calendar.shifted(last, -back) for back in range(n, 0, -1)]


def scores(
    days: Sequence[date],
    *,
    skill: float = 0.5,
    symbol: str = "AAA",
    sources: Mapping[str, str] = SMOKE,
    coverage: float = 0.5,
    per_day: int = 5,
) -> pl.DataFrame:
    """Scores of a forecaster whose error is (1 - skill) of y, and whose 50 % band covers a given share."""
    rng = np.random.default_rng(11)
    rows = []
    for i, day in enumerate(days):
        for k in range(per_day):
            snapshot = calendar.session(day).open + timedelta(minutes=30 + 60 * k)
            y, last = rng.normal(0, 0.002, 2)
            error = (1 - skill) * y
            covered = (i * per_day + k) % 100 < 100 * coverage
            rows.append(
                {
                    "day": day, "symbol": symbol, "snapshot_ts": snapshot, "horizon_min": 15,
                    "target_ts": snapshot + timedelta(minutes=15),
                    "y": y, "y_last": last, "abs_error": abs(error), "sq_error": error**2,
                    "abs_error_last": abs(y - last), "sq_error_last": (y - last) ** 2, "abs_error_zero": abs(y),
                    "pinball": abs(error) / 2, "raw_pinball": abs(error) / 2, "label_aligned": True,
                    "calibration": "conformal", "forecaster": "timegpt",
                    **{f"{p}covered_{level}": covered for p in ("", "raw_") for level in (50, 80, 95)},
                }
                | sources
            )  # fmt: skip
    return FORECAST_SCORES.conformed(pl.DataFrame(rows, schema=FORECAST_SCORES.schema))


def of_references(frame: pl.DataFrame) -> pl.DataFrame:
    """Return what zero and climatology scored at the snapshots of a frame: zero's error is y, climatology is worse."""
    own = frame.unique(["symbol", "snapshot_ts"], maintain_order=True)
    parts = [
        own.with_columns(
            forecaster=pl.lit(name),
            abs_error=pl.col("abs_error_zero") * factor,
            sq_error=(pl.col("abs_error_zero") * factor) ** 2,
            pinball=pl.col("abs_error_zero") * factor / 2,
            **{source: pl.lit(value) for source, value in SMOKE.items()},
        )
        for name, factor in zip(REFERENCES, (1.0, 1.1), strict=True)
    ]
    return pl.concat(parts)


def everyones(
    frame: pl.DataFrame, symbols: Sequence[str] = ("AAA",), seated: Sequence[str] = SEATED, **changes: Any
) -> pl.DataFrame:
    asked = replace(ELIGIBILITY, **changes)
    return eligibility.symbol_gates(frame, day=DAY, symbols=symbols, forecasters=seated, eligibility=asked)


def judged(frame: pl.DataFrame, *args: Any, **changes: Any) -> pl.DataFrame:
    """Return the verdicts on a frame's forecaster, with the references beside it."""
    found = everyones(pl.concat([frame, of_references(frame)]), *args, **changes)
    return found.filter(~pl.col("forecaster").is_in(REFERENCES))


def verdicts(frame: pl.DataFrame) -> dict[tuple[str, str], str]:
    rows = frame.filter(criterion="eligibility").select("symbol", "score_source", "verdict").iter_rows()
    return {(symbol, source): verdict for symbol, source, verdict in rows}


def diagnostics(
    *symbols: str, sources: Mapping[str, str] = LIVE, n: int = 1200, **changes: float | None
) -> pl.DataFrame:
    rows = []
    for symbol in symbols:
        row: dict[str, Any] = {
            "forecaster": "timegpt",
            "symbol": symbol, "stage": "calibrated", "n": n, "calibrated_share": 1.0, "mae": 0.001, "rmse": 0.002,
            "pinball": 0.0005, "coverage_50": 0.51, "coverage_50_low": 0.48, "coverage_50_high": 0.54,
            "pit_deviation": 0.01,
        }  # fmt: skip
        for name in RELATIVE:
            row |= {name: 0.65, f"{name}_low": 0.6, f"{name}_high": 0.7, f"{name}_n": n, f"{name}_p": 0.01}
        rows.append(row | MONTH | sources | changes)
    return FORECAST_DIAGNOSTICS.conformed(pl.DataFrame(rows, schema=FORECAST_DIAGNOSTICS.schema))


def compared(
    own: str = "timegpt",
    *,
    against: Sequence[str] = REFERENCES,
    sources: Mapping[str, str] = LIVE,
    answered: str = IN_PROD,
    n: int = 1200,
    **changes: float | None,
) -> pl.DataFrame:
    """Return rows of the comparison, all symbols pooled: the own better than each of the others."""
    row: dict[str, Any] = {"symbol": "*", "forecaster": own, "against_sources": answered, "n": n, "not_common": 0}
    row |= {"sessions": 60, "requests": 0}
    for name in ("rmae", "rpinball"):
        row |= {name: 0.9, f"{name}_low": 0.85, f"{name}_high": 0.95, f"{name}_p": 0.01, f"{name}_p_holm": 0.02}
    rows = [row | MONTH | sources | {"against": other} | changes for other in against]
    return COMPARISON.conformed(pl.DataFrame(rows, schema=COMPARISON.schema))


def forecast_rows(
    frame: pl.DataFrame,
    symbols: Sequence[str] = ("AAA", "BBB"),
    beside: pl.DataFrame | None = None,
    seated: Sequence[str] = SEATED,
    own: str = "timegpt",
) -> pl.DataFrame:
    """Return the rows of one forecaster (those of the references beside it say that nothing of them was measured)."""
    rows = forecast.forecast_gate(
        frame,
        compared() if beside is None else beside,
        **MONTH,  # type: ignore[arg-type]
        symbols=symbols,
        forecasters=seated,
        gate=FORECAST,
        promotion=ASKED_OF_FORECASTS,
    )
    return rows.filter(forecaster=own)


def failures(frame: pl.DataFrame) -> set[tuple[str, str, str]]:
    return set(frame.filter(~pl.col("passed")).select("gate", "symbol", "criterion").iter_rows())


def figures(table: Any, *, sources: Mapping[str, str] = LIVE, days: int = 60, **changes: Any) -> pl.DataFrame:
    row: dict[str, Any] = {
        "book": "timegpt",
        "symbol": "*", "observation_days": days, "trades": 100, "signals": 110, "reject_rate": 0.1, "hit_rate": 0.5,
        "cost": 50.0, "net_pnl": 150.0, "max_drawdown": 0.01, "sharpe_daily": 0.8,
        "sharpe_method": "daily_agg_v1", "vol_floor_applied": False, "drawdown_days": 2,
        "month_net_pnl": 40.0, "oos_start": date(2025, 1, 1),
    }  # fmt: skip
    row |= changes
    row["gross_pnl"] = row["net_pnl"] + row["cost"]
    rows = [row | MONTH | sources | {"cost_multiplier": m} for m in (1.0, 1.5)]
    frame = pl.DataFrame(rows if "cost_multiplier" in table.schema else rows[:1], schema=table.schema)
    return table.conformed(frame)


def trading_rows(
    scored: pl.DataFrame | None = None,
    stressed: pl.DataFrame | None = None,
    oos: pl.DataFrame | None = None,
    runs: int = 60,
    promotion: trading.Promotion = ASKED_OF_ACCOUNT,
) -> pl.DataFrame:
    return trading.trading_gate(
        figures(TRADING_SCORES) if scored is None else scored,
        figures(COST_SENSITIVITY) if stressed is None else stressed,
        figures(OOS_SUMMARY) if oos is None else oos,
        **MONTH,  # type: ignore[arg-type]
        books=["timegpt"],
        completed_runs=runs,
        gate=TRADING,
        promotion=promotion,
        hard=HARD,
    )
