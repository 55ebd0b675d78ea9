"""What does not fit within the second system's settings is refused, and what the refusal says to do helps."""

from pathlib import Path

import pytest

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.settings import load_settings
from timegpt_assets_tests.config.test_bad_configurations import only_line_about

BAD = [
    # text, key, value as shown, remedy, what is written instead
    ("end_date: 2025-01-01", "end_date", "'2025-01-01'", "on or after 2025-11-01", "end_date: 2025-11-01"),
    ("series: {freq: 7m}", "series.freq", "'7m'", "Write 6m", "series: {freq: 6m}\ncycle_min: 6"),
    ("series: {freq: 90m}", "series.freq", "'90m'", "Write 60m", "series: {freq: 60m}\ncycle_min: 60"),
    ("series: {freq: 5min}", "series.freq", "'5min'", 'e.g. "5m"', "series: {freq: 5m}"),
    ("cycle_min: 7", "cycle_min", "7", "Write 6,", None),
    ("cycle_min: 12", "cycle_min", "12", "Write 10, or choose", "cycle_min: 10"),
    ("series: {freq: 10m}", "cycle_min", "5", "Write 10, or choose", "series: {freq: 10m}\ncycle_min: 10"),
    ("cycle_min: 0", "cycle_min", "0", "e.g. 5", "cycle_min: 5"),
    ("series: {min_points: 300}", "series.input_len_steps", "288", "lower tsfm.series.min_points", None),
    ("series: {max_input_len: 200}", "series.max_input_len", "200", "lower tsfm.series.input_len_steps", None),
    ("series: {horizon_steps: 49}", "series.max_horizon_steps", "48", "lower tsfm.series.horizon_steps", None),
    ("fallback: {min_points: 33}", "series.min_points", "32", "lower tsfm.fallback.min_points", None),
    ("series: {max_gap_minutes: 4}", "series.max_gap_minutes", "4", "Raise it to 5", "series: {max_gap_minutes: 5}"),
    ("series: {horizon_steps: 0}", "series.horizon_steps", "0", "e.g. 12", "series: {horizon_steps: 12}"),
    ("alerts: {horizon_step: 13}", "alerts.horizon_step", "13", "Write 12 or less", "alerts: {horizon_step: 12}"),
    ("quantiles: [0.1, 0.9]", "quantiles", "[0.1, 0.9]", "Write [0.1, 0.5, 0.9]", "quantiles: [0.1, 0.5, 0.9]"),
    ("quantiles: [0.9, 0.5, 0.1]", "quantiles", "[0.9, 0.5, 0.1]", "Write [0.1, 0.5", "quantiles: [0.1, 0.5, 0.9]"),
    ("quantiles: [0.1, 0.5]", "quantiles", "[0.1, 0.5]", "Write [0.1, 0.5, 0.9]", "quantiles: [0.1, 0.5, 0.9]"),
    ("quantiles: [0.5]", "quantiles", "[0.5]", "Write [0.1, 0.5, 0.9]", "quantiles: [0.1, 0.5, 0.9]"),
    ("quantiles: [0, 0.5, 1]", "quantiles[0]", "0", "e.g. [0.1, 0.5, 0.9]", "quantiles: [0.1, 0.5, 0.9]"),
    ("transform: {eps: 0.5}", "transform.eps", "0.5", "e.g. 1e-06", "transform: {eps: 1.0e-6}"),
    (
        "guards: {max_width: 0.01}",
        "guards.max_width",
        "0.01",
        "for example min_width: 0.02",
        "guards: {max_width: 0.6}",
    ),
    ("liquidity: {low_below: 60000}", "liquidity.low_below", "60000", "50000 or less", "liquidity: {low_below: 50000}"),
    (
        "conformal: {tte_bounds_h: [6, 1]}",
        "conformal.tte_bounds_h",
        "[6, 1]",
        "Write [1.0, 6.0]",
        "conformal: {tte_bounds_h: [1, 6]}",
    ),
    (
        "conformal: {price_cuts: [0.5, 0.1]}",
        "conformal.price_cuts",
        "[0.5, 0.1]",
        "Write [0.1, 0.5]",
        "conformal: {price_cuts: [0.1, 0.5]}",
    ),
    ("conformal: {least_scale: 0}", "conformal.least_scale", "0", "e.g. 0.002", "conformal: {least_scale: 1}"),
    (
        "conformal: {target_coverage: 0.95}",
        "conformal.target_coverage",
        "0.95",
        "add 0.95 to tsfm.evaluation.levels",
        "conformal: {target_coverage: 0.95}\nevaluation: {levels: [0.8, 0.95]}",
    ),
    ("conformal: {segments: [venue]}", "conformal.segments[0]", "'venue'", 'e.g. ["liquidity_bucket"', None),
    (
        "selection: {weight_volume: 0, weight_open_interest: 0}",
        "selection.weight_volume",
        "0",
        "for example weight_volume: 0.6",
        "selection: {weight_volume: 0.6, weight_open_interest: 0}",
    ),
    ("rollout: {canary: 50}", "rollout.ramp", "50", "tsfm.rollout.canary below 50", "rollout: {canary: 49}"),
    ("markets: {source: files}", "markets.path", "None", "Name the folder", "markets: {source: files, path: /tapes}"),
    ("markets: {gamma_url: gamma}", "markets.gamma_url", "'gamma'", "or null for", "markets: {gamma_url: null}"),
    ("tollama: {base_url: localhost}", "tollama.base_url", "'localhost'", "Write it like http://127.0.0.1:11435", None),
    ("tollama: {base_url: http://ai.lan}", "tollama.base_url", "'http://ai.lan'", "https://", None),
    (
        "tollama: {base_url: http://ai.lan}",
        "tollama.base_url",
        "'http://ai.lan'",
        "Or set tsfm.tollama.auth_mode=none",
        "tollama: {base_url: http://ai.lan, auth_mode: none}",
    ),
    (
        "tollama: {base_url: https://me@ai.lan}",
        "tollama.base_url",
        "'https://me@ai.lan'",
        "Take them out",
        "tollama: {base_url: https://ai.lan}",
    ),
    ("tollama: {auth_mode: basic}", "tollama.auth_mode", "'basic'", 'e.g. "bearer_optional"', None),
    (
        "model: {model_name: chronos-2}",
        "model.model_name",
        "'chronos-2'",
        "Did you mean chronos2?",
        "model: {model_name: chronos2}",
    ),
    ("fallback: {order: [EWMA, ARIMA]}", "fallback.order[1]", "'ARIMA'", 'e.g. ["EWMA", "KALMAN"', None),
    ("fallback: {order: [EWMA, EWMA]}", "fallback.order", "['EWMA', 'EWMA']", 'e.g. ["EWMA", "KALMAN"', None),
    ("serve: {port: 70000}", "serve.port", "70000", "e.g. 8020", "serve: {port: 8020}"),
    ("alerts: {band_source: conformal}", "alerts.band_source", "'conformal'", 'e.g. "tsfm_conformal"', None),
]


def loads(folder: Path, text: str) -> None:
    (folder / "tsfm.yaml").write_text(text + "\n")
    load_settings(profile="offline", config_dir=folder, environment={})


@pytest.mark.parametrize(("text", "key", "value", "remedy", "instead"), BAD, ids=lambda part: str(part)[:40])
def test_what_does_not_fit_is_refused_by_key_and_value_and_the_remedy_helps(
    tmp_path: Path, text: str, key: str, value: str, remedy: str, instead: str | None
) -> None:
    with pytest.raises(ConfigError) as refused:
        loads(tmp_path, text)
    line = only_line_about(refused.value, f"tsfm.{key}")
    assert f": tsfm.{key} = {value} is refused: allowed is " in line
    assert remedy in line.split("allowed is ", 1)[1]
    assert line[-1] in ".?"
    if instead:
        loads(tmp_path, instead)


@pytest.mark.parametrize(
    ("overrides", "said", "helps"),
    [
        (("tollama.batch_timeout_s=31.0",), "hangs holds a cycle of tsfm for 62 s", "tollama.batch_timeout_s=30.0"),
        (("tollama.batch_series=50",), "hangs holds a cycle of tsfm for 160 s", "tollama.batch_series=100"),
        (("slo.cycle_s=301.0",), "longer than the 5 minutes from a cycle to the next", "cycle_min=10"),
        (("selection.top_n=401", "slo.cycle_s=300.0"), "of the others no open", "markets.max_candidates=401"),
    ],
)
def test_what_is_allowed_and_will_not_do_is_warned_of_and_the_advice_helps(
    overrides: tuple[str, ...], said: str, helps: str
) -> None:
    def warned(*given: str) -> bool:
        asked = [f"tsfm.{one}" for one in given]
        settings = load_settings(profile=None, config_dir=None, overrides=asked, environment={})
        return any(said in warning for warning in settings.warnings)

    assert warned(*overrides)
    assert not warned(*overrides, helps)
