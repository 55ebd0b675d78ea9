"""The values that the plans fix, id by id, are those of prod as it is shipped; what was decided otherwise says so."""

import tomllib
from typing import Any

import pytest

from timegpt_assets.config.settings import load_settings, resolved
from timegpt_assets_tests.project import PROJECT

PRESET = "forecast.snapshot_presets."
TEN = ["AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "AVGO", "ORCL", "ADBE"]


def preset(name: str, *times: str, window: tuple[str, str] | None, most: int, horizon: int | None) -> dict[str, Any]:
    windows = [{"start": f"{window[0]}:00", "end": f"{window[1]}:00"}] if window else []
    return {
        f"{PRESET}{name}.times": [f"{time}:00" for time in times],
        f"{PRESET}{name}.active_windows": windows,
        f"{PRESET}{name}.max_snapshots_per_day": most,
        f"{PRESET}{name}.horizon_min": horizon,
    }


PLANNED: dict[str, dict[str, Any]] = {
    "S0-43": {"forecast.backend": "nixtla"},
    "S0-65": preset("baseline", "10:00", "14:30", window=("09:45", "15:30"), most=2, horizon=15),
    "S0-66": preset(
        "liquidity_profile",
        *("09:45", "10:15", "12:00", "14:00", "15:15"),
        window=("09:40", "15:45"),
        most=5,
        horizon=15,
    )
    | {"forecast.snapshot_preset": "liquidity_profile"},
    "S0-67": {"forecast.max_snapshots_total": None},
    "S0-68": {"forecast.quantiles": [0.1, 0.25, 0.5, 0.75, 0.9], "forecast.levels": [50, 80, 95]},
    # log_return alone is the return of a minute: decided for the label that spans the horizon
    "S0-69": {
        "forecast.target.mode": "log_return_15m",
        "forecast.target.volatility_column": "vol_ewm_60m",
        "forecast.target.bp_factor": 10000.0,
    },
    "S0-70": {
        "calibration.method": "affine",
        "calibration.min_samples": 120,
        "calibration.window_days": 30,
        "calibration.model_path": "models/calibration.json",
    },
    "S0-71": {"forecast.skip_events": ["event_fomc", "event_cpi"]},
    "S1-04": {"universe.tickers": TEN},
    "S2-16": {
        "forecast.api_budget.per_run": 25,
        "forecast.api_budget.per_day": 100,
        "forecast.api_budget.cooldown_sec": 1.0,
    },
    "S2-18": {"forecast.cache_dir": "artifacts/forecast_cache"},
    "S2-19": preset("snapshots_et", "09:45", "10:30", "13:30", "14:45", window=None, most=4, horizon=None),
    "S2-23": {
        "trading.fees_bps.default": 0.5,
        **{f"trading.half_spread_ticks.{symbol}": 1.0 for symbol in ("AAPL", "MSFT", "NVDA")},
    },
    "S2-24": {"trading.daily_trade_cap": 3, "trading.time_stop_et": "15:55:00"},
    "S2-25": {
        "gates.forecast_gates.rmae_lt": 0.95,
        "gates.forecast_gates.rrmse_lt": 0.97,
        "gates.forecast_gates.coverage_tol": 0.02,
    },
    "S2-26": {
        "gates.trading_gates.oos_sharpe_gte": 0.5,
        "gates.trading_gates.hit_rate_gte": 0.48,
        "gates.trading_gates.pnl_at_1p5x_costs_gte": 0.0,
    },
    "S2-48": preset("dev", "10:30", "14:30", window=None, most=2, horizon=10),
    "S2-100": {"forecast.history_days": 40, "forecast.horizon_min": 15},
}
"""Id of a plan -> keys and their values."""


def shipped(profile: str, *overrides: str) -> dict[str, Any]:
    """Return every key of a profile as it is shipped."""
    environment = {"TIMEGPT_ASSETS_REAL_DATA": "bars"}
    settings = load_settings(profile=profile, config_dir=None, overrides=overrides, environment=environment)
    return {row.key: row.value for row in resolved(settings)}


@pytest.fixture(scope="module")
def prod() -> dict[str, Any]:
    return shipped("prod")


@pytest.mark.parametrize("plan", PLANNED)
def test_a_value_that_a_plan_fixes_is_shipped(prod: dict[str, Any], plan: str) -> None:
    assert {key: prod.get(key, "absent") for key in PLANNED[plan]} == PLANNED[plan]


@pytest.mark.parametrize("days", [10, 20, 40, 60, 120])
@pytest.mark.parametrize("horizon", [5, 10, 15, 20])
def test_horizons_and_histories_of_the_plans_may_be_asked_for(horizon: int, days: int) -> None:
    preset_of_any = "forecast.snapshot_preset=baseline"  # at 09:45 nothing is asked about 20 minutes
    found = shipped(
        "prod",
        preset_of_any,
        f"forecast.horizon_min={horizon}",
        f"forecast.history_days={days}",
    )
    assert (found["forecast.horizon_min"], found["forecast.history_days"]) == (horizon, days)


def test_first_calls_are_ten_minutes_ahead_twice_a_day_within_six_a_run() -> None:
    found = shipped("dev", "forecast.snapshot_preset=dev")
    assert (found["forecast.horizon_min"], found["forecast.api_budget.per_run"]) == (10, 6)


def test_the_python_that_is_asked_for_is_at_least_that_of_the_plans() -> None:
    asked = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert tuple(map(int, asked.removeprefix(">=").split("."))) >= (3, 10)
