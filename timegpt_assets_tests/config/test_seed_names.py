"""The seeds' own files and names are understood."""

from pathlib import Path

import pytest

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.settings import Settings, load_settings

SEED_FORECAST = """
snapshot_preset: baseline
snapshot_presets:
  - name: baseline
    times: ["10:00", "14:30"]
    active_windows:
      - {start: "09:45", end: "15:30"}
    max_snapshots_per_day: 2
    horizon_min: 15
  - name: noon
    times: ["12:00"]
    active_windows:
      - {start: "09:40", end: "15:45"}
    max_snapshots_per_day: 1
    horizon_min: 15
max_snapshots_total: null
quantiles: [0.1, 0.25, 0.5, 0.75, 0.9]
levels: [50, 80, 95]
target:
  mode: log_return
  volatility_column: vol_ewm_60m
  bp_factor: 10000
calibration:
  method: METHOD
  min_samples: 121
  calibration_window_days: 31
  model_path: models/calibration.json
skip_events: [event_fomc, event_cpi]
"""


def loaded(folder: Path, *overrides: str) -> Settings:
    return load_settings(profile=None, config_dir=folder, overrides=overrides, environment={})


def test_the_forecast_file_of_seed_000_loads_with_its_calibration_block(tmp_path: Path) -> None:
    (tmp_path / "forecast.yaml").write_text(SEED_FORECAST.replace("METHOD", "affine"))
    settings = loaded(tmp_path)
    assert settings.forecast.snapshot_preset == "baseline"
    assert "noon" in settings.forecast.snapshot_presets
    assert settings.forecast.target.mode == "log_return"
    assert (settings.calibration.min_samples, settings.calibration.window_days) == (121, 31)
    written = f"{tmp_path}/forecast.yaml (as forecast.calibration.calibration_window_days)"
    assert settings.origins["calibration.window_days"] == written


def test_a_calibration_method_nobody_knows_is_refused_where_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "forecast.yaml").write_text(SEED_FORECAST.replace("METHOD", "quadratic"))
    with pytest.raises(ConfigError, match=r"forecast.yaml \(as forecast.calibration.method\): calibration.method"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("section", "text", "key", "value"),
    [
        ("trading", "fee_bps: 0.7", "trading.fees_bps.default", 0.7),
        ("trading", "fee_bps: {default: 0.4, AAPL: 0.2}", "trading.fees_bps.AAPL", 0.2),
        ("trading", "half_spread_ticks: 2", "trading.half_spread_ticks.default", 2),
        ("trading", "time_stop: 15:50", "trading.time_stop_et", "15:50:00"),
        ("trading", "c_stop: 0.5", "trading.s_stop", 0.5),
        ("trading", "c_take: 1.5", "trading.s_take", 1.5),
        ("backtest", "forecast_gates: {rmae_lt: 0.9}", "gates.forecast_gates.rmae_lt", 0.9),
        ("backtest", "trading_gates: {hit_rate_gte: 0.5}", "gates.trading_gates.hit_rate_gte", 0.5),
        ("forecast", "snapshots_et: ['11:00']", "forecast.snapshot_presets.snapshots_et.times", ["11:00:00"]),
        ("calibration", "calibration_window_days: 20", "calibration.window_days", 20),
        ("dq_policy", "sustained_fill_run: 7", "dq_policy.sustained_ffill_run", 7),
    ],
)
def test_a_seed_name_is_an_alias(tmp_path: Path, section: str, text: str, key: str, value: object) -> None:
    (tmp_path / f"{section}.yaml").write_text(text + "\n")
    settings = loaded(tmp_path)
    found: object = getattr(settings, section_of(key)).model_dump(mode="json")
    for name in key.split(".")[1:]:
        assert isinstance(found, dict)
        found = found[name]
    assert found == value
    assert settings.origins[key].startswith(f"{tmp_path}/{section}.yaml")


def section_of(key: str) -> str:
    return key.split(".")[0]


def test_aliases_work_with_set_and_win_over_the_file() -> None:
    settings = load_settings(profile=None, config_dir=None, overrides=["trading.fee_bps=0.9"], environment={})
    assert settings.trading.fees_bps == {"default": 0.9}
    assert settings.origins["trading.fees_bps.default"] == "--set (as trading.fee_bps)"
