"""The second system's defaults are those that its specification gives, and stand on the page that it names."""

from datetime import date
from typing import Any

import pytest

from timegpt_assets.config.reference import entries
from timegpt_assets.config.settings import load_settings
from timegpt_assets.config.shipped import CONFIGS
from timegpt_assets_tests import reference_docs

SEED: dict[str, Any] = {
    # global defaults
    "series.freq": "5m",
    "series.input_len_steps": 288,
    "series.horizon_steps": 12,
    "quantiles": (0.1, 0.5, 0.9),
    "transform.space": "logit",
    "transform.eps": 1e-6,
    "series.last_trade_max_age_min": 15.0,
    "series.max_gap_minutes": 60.0,
    "tollama.timeout_s": 2.0,
    "tollama.retry_count": 1,
    "tollama.retry_backoff_ms": 200.0,
    "tollama.retry_jitter_ms": 100.0,
    "breaker.failures": 5,
    "breaker.cooldown_s": 120.0,
    "fallback.order": ("EWMA", "KALMAN", "ROLLING_QUANTILE"),
    "liquidity.baseline_only_below": 5000.0,
    "guards.min_width": 0.02,
    "guards.max_width": 0.60,
    "conformal.enabled": True,
    "conformal.rolling_window_days": 14,
    "conformal.target_coverage": 0.9,
    "conformal.min_samples": 500,
    "selection.top_n": 200,
    "selection.weight_volume": 0.6,
    "selection.weight_open_interest": 0.4,
    "cache.ttl_s": 60.0,
    "slo.request_p95_ms": 300.0,
    "slo.cycle_s": 60.0,
    "slo.fallback_ms": 50.0,
    # stages 1 to 3
    "model.provider": "tollama",
    "model.model_name": "chronos2",
    "model.model_version": "auto",
    "tollama.base_url": "http://127.0.0.1:11435",
    "tollama.auth_mode": "bearer_optional",
    "series.max_input_len": 2000,
    # stages 5 and 6
    "conformal.coverage_tolerance": 0.03,
    "conformal.segments": ("liquidity_bucket", "tte_bucket", "category"),
    "evaluation.time_holdout": 0.2,
    "evaluation.event_holdout": 0.2,
    "evaluation.levels": (0.8, 0.9),
    "evaluation.follow_through_move": 0.03,
    "evaluation.follow_through_hours": 6.0,
    # stages 7 and 8
    "degradation.probe_interval_s": 30.0,
    "degradation.fallback_rate_max": 0.5,
    "degradation.window_min": 5.0,
    "slo.error_rate_max": 0.05,
    "slo.window_min": 10.0,
    "rollout.canary": 10,
    "rollout.ramp": 50,
    "alerts.band_source": "tsfm_conformal",
    "rollout.precision_drop_max": 0.15,
    "rollout.window_days": 3,
}
"""Every default of the specification, stage by stage."""
OURS: dict[str, Any] = {
    "start_date": date(2025, 11, 1),
    "cycle_min": 5,
    "series.min_points": 32,
    "breaker.probes": 2,
    "degradation.healthy_probes": 3,
    "alerts.open_interest_change_max": -0.15,
    "alerts.volume_velocity_min": 2.0,
    "alerts.ambiguity_max": 0.35,
    "alerts.cooldown_s": 900.0,
    "tollama.batch_series": 200,
    "serve.host": "127.0.0.1",
    "conformal.price_cuts": (0.001, 0.01, 0.05, 0.25, 0.75, 0.95),
    "conformal.least_scale": 0.002,
}
"""What it leaves open and other pages promise."""
PROFILES_OF = ("demo", "dev", "offline", "prod")


def value_at(key: str, profile: str = "prod") -> Any:
    """Return the value under a key of the section tsfm."""
    found: Any = load_settings(profile=profile, config_dir=None, environment={}).tsfm
    for name in key.split("."):
        found = getattr(found, name)
    return found


@pytest.mark.parametrize("key", [*SEED, *OURS])
def test_a_default_is_the_one_that_is_promised(key: str) -> None:
    assert value_at(key) == (SEED | OURS)[key]


@pytest.mark.parametrize("profile", PROFILES_OF)
def test_no_profile_departs_from_a_default_of_the_specification(profile: str) -> None:
    told = {key: value_at(key, profile) for key in SEED}
    assert told == SEED


def test_every_default_stands_on_the_page_with_its_meaning() -> None:
    page = "\n".join(reference_docs.default_lines())
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `tsfm.")}
    keys = {entry.key: entry for entry in entries(CONFIGS) if entry.key.startswith("tsfm.")}
    assert rows.keys() == keys.keys()
    assert [key for key, entry in keys.items() if f"`{entry.default}`" not in rows[key]] == []
    assert [key for key, entry in keys.items() if not entry.description] == []
