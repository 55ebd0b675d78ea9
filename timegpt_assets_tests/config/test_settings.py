"""Settings come from the layer that has the say, remember it, and are digested without their places."""

import hashlib
import json
from datetime import date, time
from pathlib import Path

import pytest
from pydantic import ValidationError

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.schema import SECTIONS
from timegpt_assets.config.settings import PROFILES, Settings, load_settings, resolved


def loaded(*overrides: str, profile: str | None = None, config_dir: Path | None = None, **more: object) -> Settings:
    return load_settings(profile=profile, config_dir=config_dir, overrides=overrides, environment={}, **more)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_loads_without_a_warning(profile: str) -> None:
    settings = loaded(profile=profile)
    assert settings.profile == profile
    assert settings.warnings == ()
    assert settings.data.storage_root == f"data/{profile}"
    assert settings.data.dagster_home == f".dagster/{profile}"


def test_profiles_are_what_semantics_says() -> None:
    demo, dev, offline, prod = (loaded(profile=profile) for profile in PROFILES)
    assert loaded().profile == "demo"
    assert [s.run_source for s in (demo, dev, offline, prod)] == ["smoke", "maintenance", "maintenance", "prod"]
    assert [s.forecast.backend for s in (demo, dev, offline, prod)] == ["baseline", "baseline", "nixtla", "nixtla"]
    assert (offline.forecast.api_mode, prod.forecast.api_mode) == ("offline", "online")
    assert [s.forecast.history_days for s in (demo, dev, offline, prod)] == [10, 10, 40, 40]
    assert [s.gates.bootstrap for s in (demo, dev, offline, prod)] == ["trade", "trade", "trade", "block"]
    assert demo.data.synthetic.predictability > 0
    assert (demo.forecast.cache_dir, demo.data.artifacts_root) == (prod.forecast.cache_dir, prod.data.artifacts_root)


def test_defaults_are_the_reconciled_ones() -> None:
    prod = loaded(profile="prod")
    assert (prod.forecast.horizon_min, prod.forecast.snapshot_preset) == (15, "liquidity_profile")
    assert prod.forecast.target.mode == "log_return_15m"
    assert prod.forecast.quantiles == (0.1, 0.25, 0.5, 0.75, 0.9)
    assert prod.forecast.levels == (50, 80, 95)
    assert (prod.forecast.api_budget.per_run, prod.forecast.api_budget.per_day) == (25, 100)
    assert (prod.calibration.method, prod.calibration.window_days, prod.calibration.embargo_days) == (
        "affine",
        30,
        1,
    )
    assert (prod.trading.rule_set, prod.trading.sigma, prod.forecast.sigma_column) == (
        "enhancement",
        "sigma_60m",
        "sigma_60m",
    )
    assert loaded("trading.rule_set=budget_sprint").trading.sigma == "sigma_5m"
    assert loaded("trading.rule_set=budget_sprint", "trading.sigma_column=vol_ewm_15m").trading.sigma == "vol_ewm_15m"
    assert (prod.backtest.annualization_days, prod.backtest.entry_lag_bars) == (252, 1)
    assert (prod.gates.trade_eligibility.rmae_lt, prod.gates.forecast_gates.rmae_lt) == (1.0, 0.95)
    assert (prod.gates.promotion.rmae_lte, prod.gates.forecast_gates.rrmse_lt) == (0.7, 0.97)
    assert len(prod.universe.tickers) == 10
    assert set(prod.forecast.snapshot_presets) == {"baseline", "liquidity_profile", "snapshots_et", "dev", "dense"}
    dense = prod.forecast.snapshot_presets["dense"].times
    assert (dense[0], dense[-1], len(dense)) == (time(9, 45), time(15, 30), 24)


def test_the_real_days_of_the_fixtures_are_in_the_calendar() -> None:
    dates = loaded().events.dates
    assert date(2025, 1, 29) in dates["event_fomc"]
    assert {date(2025, 1, 15), date(2025, 2, 12), date(2018, 3, 13)} <= set(dates["event_cpi"])
    for days in dates.values():
        assert list(days) == sorted(set(days))
        assert {day.year for day in days} == {2018, 2024, 2025, 2026}


def test_each_layer_wins_over_the_one_below(tmp_path: Path) -> None:
    own = tmp_path / "conf"
    (own / "profiles").mkdir(parents=True)
    (own / "forecast.yaml").write_text(
        "horizon_min: 5\nsnapshot_preset: mine\nsnapshot_presets: {mine: {times: ['12:00']}}\n"
    )
    horizons = [loaded(config_dir=own)]
    (own / "forecast.yaml").write_text(
        "horizon_min: 5\nsnapshot_preset: mine\nsnapshot_presets: {mine: {times: ['12:00'], horizon_min: 6}}\n"
    )
    horizons.append(loaded(config_dir=own))
    (own / "profiles" / "demo.yaml").write_text("forecast: {backend: baseline, horizon_min: 7}\n")
    horizons.append(loaded(config_dir=own))
    horizons.append(loaded(config_dir=own, grid={"forecast.horizon_min": 8}))
    horizons.append(loaded("forecast.horizon_min=9", config_dir=own, grid={"forecast.horizon_min": 8}))
    assert [s.forecast.horizon_min for s in horizons] == [5, 6, 7, 8, 9]
    assert [s.origins["forecast.horizon_min"] for s in horizons] == [
        f"{own}/forecast.yaml",
        f"preset mine in {own}/forecast.yaml",
        f"{own}/profiles/demo.yaml",
        "grid",
        "--set",
    ]


def test_a_preset_chosen_above_the_file_brings_its_horizon() -> None:
    settings = loaded("forecast.snapshot_preset=dev")
    assert settings.forecast.horizon_min == 10
    assert settings.origins["forecast.horizon_min"] == "preset dev in configs/forecast.yaml"
    assert any("label_aligned is false" in warning for warning in settings.warnings)


def test_a_folder_stands_over_the_shipped_files_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "trading.yaml").write_text("risk: {drawdown_stop: null}\n")
    settings = loaded(config_dir=tmp_path)
    assert settings.trading.risk.drawdown_stop is None
    assert settings.trading.risk.lookback_sessions == 60
    assert settings.origins["trading.risk.drawdown_stop"] == f"{tmp_path}/trading.yaml"
    assert settings.origins["trading.risk.lookback_sessions"] == "configs/trading.yaml"


@pytest.mark.parametrize("profile", PROFILES)
def test_one_s_own_settings_stand_over_the_shipped_ones_key_by_key_in_every_profile(profile, tmp_path: Path) -> None:
    shipped = loaded(profile=profile)
    (tmp_path / "data.yaml").write_text("root: /mine\nstart_date: 2024-05-01\nend_date: 2024-06-03\n")
    (tmp_path / "forecast.yaml").write_text("history_days: 3\n")
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / f"{profile}.yaml").write_text("data: {end_date: 2024-06-04}\n")
    environment = {"TIMEGPT_ASSETS_REAL_DATA": "/another set"}
    found = load_settings(profile=profile, config_dir=tmp_path, environment=environment)
    own = {"data.root", "data.start_date", "data.end_date", "forecast.history_days"}
    assert (found.data.root, found.forecast.history_days) == ("/mine", 3)
    assert (found.data.start_date, found.data.end_date) == (date(2024, 5, 1), date(2024, 6, 4))
    rest = [{row.key: row for row in resolved(each) if row.key not in own} for each in (shipped, found)]
    assert rest[0] == rest[1], "what the folder does not say is as it was shipped, the profile's own keys too"


def test_the_last_override_of_a_key_counts_and_lists_replace_lists() -> None:
    settings = loaded("forecast.levels=[50]", "forecast.levels=[80, 95]", "trading.half_spread_ticks.BRK.B=2")
    assert settings.forecast.levels == (80, 95)
    assert settings.trading.half_spread_ticks == {"default": 1, "AAPL": 1, "MSFT": 1, "NVDA": 1, "BRK.B": 2}


def test_times_and_tickers_of_an_override_stay_what_they_are() -> None:
    settings = loaded("trading.time_stop_et=15:50", "universe.tickers=[ON, BRK.B]")
    assert settings.trading.time_stop_et == time(15, 50)
    assert settings.universe.tickers == ("ON", "BRK.B")


def test_places_come_from_the_environment_that_is_passed_in() -> None:
    found = load_settings(profile="dev", config_dir=None, environment={"TIMEGPT_ASSETS_REAL_DATA": "/bars"})
    assert found.data.required_root == "/bars/mag7_spy_2025"
    assert found.origins["data.root"] == "configs/profiles/dev.yaml"


def test_every_printed_key_has_an_origin_and_secrets_are_veiled() -> None:
    rows = {row.key: row for row in resolved(loaded("forecast.horizon_min=15", profile="prod"))}
    assert rows["profile"].value == "prod"
    assert rows["forecast.horizon_min"].origin == "--set"
    assert rows["forecast.api_mode"].origin == "configs/profiles/prod.yaml"
    assert rows["forecast.framing.max_stale_min"].origin == "configs/forecast.yaml"
    assert {key.split(".")[0] for key in rows} == {"profile", *SECTIONS}


def test_the_digest_leaves_places_out() -> None:
    here = loaded()
    there = loaded(
        "data.storage_root=/elsewhere/data",
        "data.artifacts_root=/elsewhere/artifacts",
        "data.bucket=other",
        "data.vix_path=/elsewhere/vix.parquet",
        "forecast.cache_dir=/elsewhere/cache",
        "forecast.api_budget.per_run=3",
        "forecast.base_url=http://127.0.0.1:9/",
        "calibration.model_path=/elsewhere/m.json",
    )
    counted = [name for name in SECTIONS if name not in ("automation", "importing")]  # these hold places alone
    assert here.digest(counted) == there.digest(counted)


@pytest.mark.parametrize("override", ["forecast.horizon_min=14", "forecast.levels=[50]", "universe.context=[SPY]"])
def test_the_digest_counts_what_changes_a_number(override: str) -> None:
    assert loaded().digest(["forecast", "universe"]) != loaded(override).digest(["forecast", "universe"])


def test_the_digest_is_of_the_named_sections_only() -> None:
    changed = loaded("trading.k_sigma=0.75")
    assert loaded().digest(["forecast", "data"]) == changed.digest(["data", "forecast"])
    assert loaded().digest(["trading"]) != changed.digest(["trading"])
    assert loaded().digest(["forecast.quantiles"]) != loaded().digest(["forecast.levels"])
    with pytest.raises(KeyError, match="holds no settings that count"):
        loaded().digest(["forecasts"])


def test_a_number_has_one_digest_however_it_is_written() -> None:
    assert loaded("trading.k_sigma=1").digest(["trading"]) == loaded("trading.k_sigma=1.0").digest(["trading"])


def test_settings_cannot_be_changed_after_loading() -> None:
    settings = loaded()
    with pytest.raises(ValidationError):
        settings.trading.k_sigma = 2.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        settings.profile = "prod"  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.origins["profile"] = "x"  # type: ignore[index]


def test_a_preset_too_sparse_for_the_gates_is_reported_not_refused() -> None:
    warnings = loaded("forecast.snapshot_preset=baseline").warnings
    assert any("asks 2 snapshots a day, 504 in 252 sessions: gates.min_forecasts = 1000" in w for w in warnings)
    assert any("gates.symbol_min_forecasts = 200" in w for w in warnings)


def test_what_will_silently_not_happen_is_reported(tmp_path: Path) -> None:
    (tmp_path / "typo.yaml").write_text("a: 1\n")
    settings = loaded("data.start_date=2023-01-03", "gates.lookback_sessions=10", config_dir=tmp_path)
    said = " ".join(settings.warnings)
    for part in ("has no day in 2023", "gates.min_forecasts = 1000 cannot", "typo.yaml is no section"):
        assert part in said


def test_news_that_nobody_is_asked_for_is_reported_and_either_remedy_works() -> None:
    group, source = "features.groups=[price, volatility, volume, news]", "news.sources=[own]"
    assert any("news.sources nobody: all its columns are null" in warning for warning in loaded(group).warnings)
    for said in ([group, source], []):
        assert not any("news.sources nobody" in warning for warning in loaded(*said).warnings)


def test_a_grid_combination_may_hold_snapshots_that_cannot_exist() -> None:
    combination = {"forecast.horizon_min": 30, "forecast.target.mode": "volatility_z"}
    assert loaded(grid=combination).forecast.horizon_min == 30
    with pytest.raises(ConfigError):
        loaded("forecast.horizon_min=30")


def test_a_key_that_came_after_houses_were_stored_counts_only_where_it_says_something() -> None:
    def without_it(settings: Settings) -> str:
        values = settings.data.synthetic.model_dump(mode="json")
        counted = {f"data.synthetic.{name}": value for name, value in values.items() if name != "interaction"}
        text = json.dumps(counted, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    plain, planted = loaded(), loaded("data.synthetic.interaction=0.3")
    assert plain.digest(["data.synthetic"]) == without_it(plain)
    assert planted.digest(["data.synthetic"]) != plain.digest(["data.synthetic"])
