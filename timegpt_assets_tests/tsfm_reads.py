"""Which file reads each setting of the second system that no run of the graph must read.

Belongs here: names. test_lineage.py holds each file to them, and every key of the section to one of the two.
"""

from collections.abc import Mapping

READ: Mapping[str, tuple[str, ...]] = {
    "partitions.py": ("start_date", "end_date"),
    "runtime_tsfm.py": (
        "cycle_min",
        *("markets.source", "markets.path", "markets.known_after_s", "markets.gamma_url", "markets.clob_url"),
        *("markets.data_url", "markets.timeout_s", "markets.max_attempts", "markets.budget_s", "markets.spacing_s"),
        *("markets.max_candidates", "series.min_points", "model.model_name", "model.model_version", "model.params"),
        *("tollama.base_url", "tollama.auth_mode", "tollama.timeout_s", "tollama.retry_count"),
        *("tollama.retry_backoff_ms", "tollama.retry_jitter_ms", "tollama.batch_timeout_s"),
        "tollama.batch_series",
        *("breaker.failures", "breaker.cooldown_s", "breaker.probes"),
    ),
    "config/tsfm_inputs.py": (
        *("series.input_len_steps", "series.horizon_steps", "series.last_trade_max_age_min", "series.max_gap_minutes"),
        *("liquidity.low_below", "liquidity.high_from", "liquidity.baseline_only_below", "conformal.tte_bounds_h"),
        *("fallback.order", "fallback.ewma_span_steps", "fallback.rolling_steps", "fallback.min_points"),
        *("guards.min_width", "guards.max_width"),
        *("rollout.canary", "rollout.ramp", "rollout.precision_drop_max", "rollout.window_days"),
        "rollout.min_breaches",
        *("evaluation.time_holdout", "evaluation.event_holdout", "evaluation.embargo_days"),
        "alerts.band_source",
        *("conformal.target_coverage", "conformal.min_samples", "conformal.segments", "evaluation.levels"),
        *("conformal.price_cuts", "conformal.least_scale"),
        *("selection.top_n", "selection.weight_volume", "selection.weight_open_interest"),
        *("degradation.probe_interval_s", "degradation.fallback_rate_max", "degradation.window_min"),
        *("degradation.min_requests", "degradation.healthy_probes"),
        *("alerts.horizon_step", "alerts.open_interest_change_max", "alerts.volume_velocity_min"),
        *("alerts.ambiguity_max", "alerts.cooldown_s"),
    ),
    "serving/tsfm/terms.py": (
        *("series.freq", "series.max_input_len", "series.max_horizon_steps", "quantiles"),
        *("transform.space", "transform.eps", "model.provider"),
    ),
    "engine/tsfm.py": ("conformal.rolling_window_days",),
    "engine/tsfm_rollout.py": ("rollout.min_days",),
    "cli/tsfm.py": ("slo.cycle_s",),
    "serving/tsfm/desk.py": (
        *("cache.ttl_s", "cache.entries", "serve.threads", "serve.max_body_bytes"),
        *("slo.request_p95_ms", "slo.fallback_ms", "slo.error_rate_max", "slo.window_min", "conformal.enabled"),
    ),
    "cli/serving.py": ("serve.host", "serve.port", "serve.shutdown_s"),
}
"""File below timegpt_assets -> keys below tsfm."""
