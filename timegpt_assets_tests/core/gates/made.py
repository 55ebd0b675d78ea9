"""What gates are asked about: scores, diagnostics and figures that pass everything, to be spoilt one at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.gates import contract, eligibility, forecast, hard_metrics, ladder, trading
from timegpt_assets.core.gates.counted import LIVE, Counted
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.columns import REFERENCES
from timegpt_assets.core.tables.evaluation import (
    BACKTEST_RUNS,
    COMPARISON,
    COST_SENSITIVITY,
    FORECAST_DIAGNOSTICS,
    FORECAST_SCORES,
    INTERVAL_WIDTHS,
    OOS_SUMMARY,
    RELATIVE,
    TRADING_SCORES,
)
from timegpt_assets.core.tables.models import MODEL_REPORT

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
    sampling=Sampling(draws=200, cluster_days=1),
)
JUDGED = Counted(run_sources=("prod",), data_regimes=("prod_live",))
FORECAST = forecast.ForecastGate(
    min_forecasts=1000, rmae_lt=0.95, rrmse_lt=0.97, coverage_tol=0.02, width_spearman_gt=0.8
)
TRADING = trading.TradingGate(
    min_observation_days=60,
    oos_sharpe_gte=0.5,
    hit_rate_gte=0.48,
    stress_multiplier=1.5,
    stressed_pnl_gte=0.0,
)
ASKED_OF_FORECASTS = forecast.Promotion(pit_dev_max=0.03, rmae_max=0.7, dm_p_lt=0.05)
ASKED_OF_ACCOUNT = trading.Promotion(
    oos_sharpe_gte=0.5, sharpe_cost_multiplier=1.5, stressed_pnl_gt=0.0, pnl_cost_multiplier=1.5
)
LADDER = ladder.Ladder(pinball_ratio_lt=1.0, dm_p_lt=0.05, validation_sessions=10, min_sessions=20)
HARD = hard_metrics.HardMetrics(
    min_completed_runs=5, min_observation_days=14, sharpe_daily_gte=0.7, max_drawdown_lte=0.1, reject_rate_lte=0.2
)
HOLDS = {name: f"{name} 1" for name in contract.FIELDS}
CONTRACT = contract.Contract(backend="nixtla", asked_backend="nixtla", holds=HOLDS)


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
            "pinball": 0.0005, "coverage_50": 0.51, "coverage_50_day_low": 0.48, "coverage_50_day_high": 0.54,
            "pit_deviation": 0.01, "crossed": 0,
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


def beside_zero(symbols: Sequence[str], own: str = "timegpt", **changes: Any) -> pl.DataFrame:
    """Return rows of the comparison against zero by symbol: the own 0.65 of persistence's errors, zero 0.71."""
    errors = {"rmae_last": 0.65, "rrmse_last": 0.65, "against_rmae_last": 0.71, "against_rrmse_last": 0.71}
    made = [compared(own, against=["zero"], n=1250, **errors | changes).with_columns(symbol=pl.lit(s)) for s in symbols]
    return pl.concat([COMPARISON.empty(), *made])


def widths(symbols: Sequence[str], *, sources: Mapping[str, str] = LIVE, n: int = 120, **changes: Any) -> pl.DataFrame:
    """Return INTERVAL_WIDTHS of bands that widen with volatility; ``changes``: decile, as d1, -> its median width."""
    row = {"forecaster": "timegpt", "stage": "calibrated", "n": n, "sigma": 0.001, "mae_zero": 0.001}
    rows = [
        row | MONTH | sources | {"symbol": s, "decile": d, "median_width_50": changes.get(f"d{d}", d / 1000)}
        for s in symbols
        for d in range(1, 11)
    ]
    return INTERVAL_WIDTHS.conformed(pl.DataFrame(rows, schema=INTERVAL_WIDTHS.schema))


def _bands_of(frame: pl.DataFrame, symbols: Sequence[str], own: str) -> pl.DataFrame:
    return widths(symbols if frame.height else ()).with_columns(forecaster=pl.lit(own))


def forecast_rows(
    frame: pl.DataFrame,
    symbols: Sequence[str] = ("AAA", "BBB"),
    beside: pl.DataFrame | None = None,
    seated: Sequence[str] = SEATED,
    own: str = "timegpt",
    zero: pl.DataFrame | None = None,
    bands: pl.DataFrame | None = None,
    judged: Counted = JUDGED,
    gate: forecast.ForecastGate = FORECAST,
) -> pl.DataFrame:
    """Return the rows of one forecaster (those of the references beside it say that nothing of them was measured)."""
    against_zero = beside_zero(symbols, own) if zero is None else zero
    rows = forecast.forecast_gate(
        forecast.Measured(
            diagnostics=frame,
            comparison=pl.concat([compared() if beside is None else beside, against_zero]),
            widths=_bands_of(frame, symbols, own) if bands is None else bands,
        ),
        **MONTH,  # type: ignore[arg-type]
        symbols=symbols,
        forecasters=seated,
        judged=judged,
        gate=gate,
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
    promotion: trading.Promotion = ASKED_OF_ACCOUNT,
    gate: trading.TradingGate = TRADING,
    judged: Counted = JUDGED,
) -> pl.DataFrame:
    return trading.trading_gate(
        trading.Measured(
            scores=figures(TRADING_SCORES) if scored is None else scored,
            costs=figures(COST_SENSITIVITY) if stressed is None else stressed,
            oos=figures(OOS_SUMMARY) if oos is None else oos,
        ),
        **MONTH,  # type: ignore[arg-type]
        books=["timegpt"],
        judged=judged,
        gate=gate,
        promotion=promotion,
    )


def runs(n: int = 60, *, sources: Mapping[str, str] = LIVE, regime: str = "prod_live") -> pl.DataFrame:
    """Return BACKTEST_RUNS of one book."""
    row = {"book": "timegpt", "runs": n, "first": DAY, "last": DAY, "regime": regime, "config": "{}"}
    return BACKTEST_RUNS.conformed(pl.DataFrame([row | MONTH | sources], schema=BACKTEST_RUNS.schema))


def hard_rows(
    scored: pl.DataFrame | None = None,
    made: pl.DataFrame | None = None,
    judged: Counted = JUDGED,
    asked: hard_metrics.HardMetrics = HARD,
) -> pl.DataFrame:
    return hard_metrics.hard_metrics(
        figures(TRADING_SCORES) if scored is None else scored,
        runs() if made is None else made,
        **MONTH,  # type: ignore[arg-type]
        books=["timegpt"],
        judged=judged,
        asked=asked,
    )


def ladder_report(**changes: Any) -> pl.DataFrame:
    """Return MODEL_REPORT of a live blend: better than everybody, richer than its parts, as calm as the control arm."""
    surely = {"n": 600, "sessions": 60, "control_settings": "c0ffee", "pinball_ratio": 0.85, "dm_p": 0.0105}
    books = {"net_pnl": 50.0, "against_net_pnl": 40.0, "max_drawdown": 0.05, "against_max_drawdown": 0.05}
    own = {"rung": "blend", "better": True, **surely}
    validation = dict.fromkeys(LIVE, "*") | {"stage": "validation"}
    rows = [own | {"against": word, **validation} for word in ("zero", "ridge", "lightgbm", "tsmixer")]
    rows += [own | LIVE | books | {"against": row["against"], "stage": "forward"} for row in rows]
    rows.append(own | {"against": "unlearnt", **validation})
    made = [row | (changes if row["stage"] != "validation" else {}) | MONTH for row in rows]
    return MODEL_REPORT.conformed(pl.DataFrame(made, schema=MODEL_REPORT.schema))


def ladder_rows(report: pl.DataFrame | None = None, forecasters: Sequence[str] = ("blend",)) -> pl.DataFrame:
    return ladder.ladder_gate(
        ladder_report() if report is None else report,
        **MONTH,  # type: ignore[arg-type]
        forecasters=forecasters,
        judged=JUDGED,
        asked=LADDER,
    )


def contract_rows(
    differing: Mapping[date, Mapping[str, str]] | None = None,
    days: Sequence[date] | None = None,
    asked: contract.Contract = CONTRACT,
) -> pl.DataFrame:
    """Return the rows of a window on whose sessions all was as now but for what ``differing`` says of some."""
    live = sessions(60) if days is None else days
    made_under = {day: {**HOLDS, **(differing or {}).get(day, {})} for day in live}
    given: Any = {**MONTH, "champion": "timegpt", "asked": asked}
    return contract.contract(live, made_under, **given)
