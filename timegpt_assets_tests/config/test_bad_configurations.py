"""Every bad configuration is refused with its file, key, value and a remedy, all of them at once."""

from pathlib import Path

import pytest

from timegpt_assets.config.errors import ConfigError, carries_password, redacted
from timegpt_assets.config.settings import load_settings, resolved

NO_PRESET_HORIZON = "snapshot_preset: snapshots_et\n"
BAD_FILES = [
    # file, text, key, value as shown, remedy
    ("forecast", NO_PRESET_HORIZON + "horizon_min: -5", "forecast.horizon_min", "-5", "e.g. 15, the shipped default"),
    ("forecast", NO_PRESET_HORIZON + "horizon_min: 15.5", "forecast.horizon_min", "15.5", "e.g. 15"),
    ("forecast", NO_PRESET_HORIZON + "horizon_min: '15'", "forecast.horizon_min", "'15'", "e.g. 15"),
    ("forecast", "history_days: true", "forecast.history_days", "True", "e.g. 40"),
    ("forecast", "backend: auto", "forecast.backend", "'auto'", 'e.g. "nixtla"'),
    ("forecast", "backend: null", "forecast.backend", "None", 'e.g. "nixtla"'),
    ("forecast", "api_mode: live", "forecast.api_mode", "'live'", 'e.g. "offline"'),
    ("forecast", "quantiles: [0.1, 0.333, 0.9]", "forecast.quantiles", "[0.1, 0.333, 0.9]", "write 0.335 instead"),
    ("forecast", "quantiles: [0.5, 1.5]", "forecast.quantiles[1]", "1.5", "e.g. [0.1, 0.25, 0.5, 0.75, 0.9]"),
    ("forecast", "quantiles: [0.9, 0.1]", "forecast.quantiles", "[0.9, 0.1]", "Write [0.1, 0.9]"),
    ("forecast", "levels: [50, 50]", "forecast.levels", "[50, 50]", "e.g. [50, 80, 95]"),
    ("forecast", "snapshot_preset: lunch", "forecast.snapshot_preset", "'lunch'", "forecast.snapshot_presets"),
    ("forecast", "horizon_mins: 15", "forecast.horizon_mins", "15", "Did you mean forecast.horizon_min?"),
    ("forecast", "skip_events: [event_nfp]", "forecast.skip_events", "['event_nfp']", "its days under events.dates"),
    ("news", "fred_series: {GDP: event_gdp}", "news.fred_series.GDP", "'event_gdp'", "Give event_gdp its days"),
    ("news", "fred_series: {GDP: gdp}", "news.fred_series.GDP", "'gdp'", "event_"),
    (
        "news",
        "fred_releases: {release_53: event_gdp}",
        "news.fred_releases.release_53",
        "'event_gdp'",
        "Give event_gdp its days",
    ),
    ("news", "fred_releases: {gdp: null}", "news.fred_releases.gdp", "'gdp'", "[1-9]"),
    (
        "news",
        "extractor: {base_url: http://x.com/v1, model: m}",
        "news.extractor.base_url",
        "'http://x.com/v1'",
        "https",
    ),
    (
        "news",
        "extractor: {base_url: https://x.com/v1, model: null}",
        "news.extractor.model",
        "None",
        "Name it, or leave base_url",
    ),
    ("news", "source: {fred: {base_url: http://x.com}}", "news.source.fred.base_url", "'http://x.com'", "https"),
    ("news", "surprise_changes: 1", "news.surprise_changes", "1", "e.g. 12"),
    ("forecast", "target: {mode: returns}", "forecast.target.mode", "'returns'", 'e.g. "log_return_15m"'),
    ("forecast", "base_url: ftp://x", "forecast.base_url", "'ftp://x'", "null for the provider"),
    ("forecast", "api_budget: {per_run: 0}", "forecast.api_budget.per_run", "0", "e.g. 25"),
    ("forecast", "api_budget: {timezone: Mars}", "forecast.api_budget.timezone", "'Mars'", "America/New_York"),
    ("forecast", "model: ${MODEL}", "forecast.model", "'${MODEL}'", "Write the value itself"),
    ("forecast", "cache_dir: ${SOME_KEY_TOKEN}/c", "forecast.cache_dir", "'${SOME_KEY_TOKEN}/c'", "never stored"),
    ("forecast", "cache_dir: ${UNSET}/c", "forecast.cache_dir", "'${UNSET}/c'", "environment variable UNSET"),
    ("universe", "whitelist: [AAPL]", "universe.whitelist", "['AAPL']", "Take it out"),
    ("forecast", "history_days: [10, 20]", "forecast.history_days", "[10, 20]", "e.g. 40"),
    ("universe", "tickers: []", "universe.tickers", "[]", "e.g. [AAPL, MSFT]"),
    ("universe", "tickers: [AAPL, MSFT, AAPL]", "universe.tickers", "['AAPL', 'MSFT', 'AAPL']", "the second AAPL"),
    ("universe", "tickers: [../AAPL]", "universe.tickers", "['../AAPL']", "Mend ../AAPL"),
    ("universe", "tickers: [A/B]", "universe.tickers", "['A/B']", "Mend A/B"),
    ("universe", "context: [BRK..B]", "universe.context", "['BRK..B']", "Mend BRK..B"),
    ("data", "source: s3", "data.source", "'s3'", 'e.g. "synthetic"'),
    ("data", "end_date: 2024-01-01", "data.end_date", "'2024-01-01'", "on or after 2024-01-02"),
    ("data", "start_date: 2025-13-01", "data.start_date", "'2025-13-01'", "Write an allowed value"),
    ("data", "synthetic: {missing_rate: .nan}", "data.synthetic.missing_rate", "'.nan'", "e.g. 0.0001"),
    ("calibration", "embargo_days: 0", "calibration.embargo_days", "0", "e.g. 1"),
    ("calibration", "window_days: -30", "calibration.window_days", "-30", "e.g. 30"),
    ("calibration", "method: quadratic", "calibration.method", "'quadratic'", 'e.g. "affine"'),
    ("calibration", "isotonic: {fit_share: 1.0}", "calibration.isotonic.fit_share", "1.0", "e.g. 0.5"),
    ("calibration", "affine: {slope_spread: 0}", "calibration.affine.slope_spread", "0", "e.g. 0.25"),
    ("calibration", "conformal: {delta_quantile: 1.5}", "calibration.conformal.delta_quantile", "1.5", '"nominal"'),
    ("trading", "fees_bps: -1", "trading.fees_bps.default", "-1", "e.g. 0.5"),
    ("trading", "fees_bps: {AAPL@10: 2}", "trading.fees_bps.AAPL@10", "2", "Write AAPL alone"),
    ("trading", "slippage_bps: {AAPL@16: 2}", "trading.slippage_bps.AAPL@16", "2", "Write AAPL@10, for example"),
    ("trading", "slippage_ticks: {BRK.B@10: 2, default@9: 1}", "trading.slippage_ticks.default@9", "1", "default@10"),
    ("rollout", "shares: {ramp: 5}", "rollout.shares.ramp", "5", "at most 5"),
    ("rollout", "shares: {canary: 0}", "rollout.shares.canary", "0", "e.g. 10"),
    ("alarms", "channels: [pager]", "alarms.channels[0]", "'pager'", "Write an allowed value"),
    ("alarms", "mail: {host: mx.org, user: me, security: none}", "alarms.mail.security", "'none'", "Write starttls"),
    ("rollout", "anomaly_sigma: 0", "rollout.anomaly_sigma", "0", "e.g. 3.0"),
    ("trading", "half_spread_ticks: {}", "trading.half_spread_ticks", "{}", "Write an allowed value"),
    ("trading", "horizons_min: {NVDA: [10, 5]}", "trading.horizons_min.NVDA", "[10, 5]", "Write [5, 10]"),
    ("trading", "horizons_min: {NVDA: [10]}", "trading.horizons_min.NVDA", "[10]", "Write an allowed value"),
    ("trading", "max_open_per_symbol: 0", "trading.max_open_per_symbol", "0", "e.g. 1"),
    ("trading", "s_trail: 0", "trading.s_trail", "0", "Write an allowed value"),
    ("trading", "time_stop_et: 16:30", "trading.time_stop_et", "'16:30'", "Write it like 15:55"),
    ("trading", "cap_per_trade: 2", "trading.cap_per_trade", "2", "e.g. 1.0"),
    ("trading", "sigma_column: sigma_9m", "trading.sigma_column", "'sigma_9m'", "Name one of these, or add"),
    ("forecast", "sigma_column: sigma_9m", "forecast.sigma_column", "'sigma_9m'", "Name one of these"),
    ("gates", "trading_gates: {pnl_cost_multiplier: 3}", "gates.trading_gates.pnl_cost_multiplier", "3", "Add 3 to"),
    ("gates", "promotion: {sharpe_cost_multiplier: 3}", "gates.promotion.sharpe_cost_multiplier", "3", "Add 3 to"),
    ("gates", "lookback_sessions: -1", "gates.lookback_sessions", "-1", "e.g. 252"),
    ("dq_policy", "severity: {outliers: shout}", "dq_policy.severity.outliers", "'shout'", 'e.g. "warn"'),
    ("dq_policy", "min_completeness: 95", "dq_policy.min_completeness", "95", "e.g. 0.95"),
    ("features", "groups: [astrology]", "features.groups[0]", "'astrology'", "Write an allowed value"),
    ("events", "dates: {fomc: [2025-01-29]}", "events.dates.fomc", "'fomc'", "Write an allowed value"),
]
EARLY = ("09:45", "forecast.snapshot_presets.liquidity_profile.times")
BAD_OVERRIDES = [
    # profile, overrides, file, key, value as shown, remedy
    ("demo", ["alarms.channels=[mail]"], "configs/alarms.yaml", "alarms.mail.host", "None", "like smtp.example.org"),
    ("demo", ["trading.k_sigm=1"], "--set", "trading.k_sigm", "1", "Did you mean trading.k_sigma?"),
    ("demo", ["tradin.k_sigma=1"], "--set", "tradin.k_sigma", "1", "Did you mean trading?"),
    ("demo", ["forecast.target=3"], "--set", "forecast.target", "3", "Write an allowed value"),
    ("demo", ["horizon_min=3"], "--set", "horizon_min", "'3'", "Write it like --set"),
    ("demo", ["forecast.horizon_min"], "--set", "forecast.horizon_min", "''", "Write it like --set"),
    ("demo", ["forecast.levels=[50"], "--set", "forecast.levels", "'[50'", "Write it like --set"),
    ("demo", ["forecast.horizon_min=30"], "configs/forecast.yaml", EARLY[1], EARLY[0], "lower forecast.horizon_min"),
    ("demo", ["forecast.horizon_min=400"], "configs/forecast.yaml", EARLY[1], "15:15", "lower forecast.horizon_min"),
    (
        "demo",
        ["forecast.snapshot_presets.dev.times=['08:00']"],
        "--set",
        "forecast.snapshot_presets.dev.times",
        "['08:00']",
        "Move 08:00 into the session",
    ),
    ("demo", ["forecast.backend=nixtla"], "--set", "forecast.backend", "'nixtla'", "--profile dev, offline or prod"),
    ("offline", ["forecast.backend=baseline"], "--set", "forecast.backend", "'baseline'", "--profile demo or dev"),
    ("prod", ["forecast.backend=baseline"], "--set", "forecast.backend", "'baseline'", "--profile demo or dev"),
    ("prod", ["forecast.api_mode=simulate"], "--set", "forecast.api_mode", "'simulate'", "forecast.api_mode=online"),
    ("prod", ["forecast.base_url=https://evil.example/"], "--set", "forecast.base_url", "evil", "trusted_hosts"),
    ("prod", ["forecast.trusted_hosts=[other.io]"], "configs/forecast.yaml", "forecast.base_url", "None", "api.nixtla"),
    ("prod", ["data.source=synthetic"], "--set", "data.source", "'synthetic'", "--profile demo"),
    ("offline", ["forecast.api_mode=online"], "--set", "forecast.api_mode", "'online'", "forecast.api_mode=offline"),
    ("dev", ["forecast.backend=nixtla"], "configs/forecast.yaml", "forecast.base_url", "None", "Set forecast.base_url"),
    (
        "prod",
        ["data.storage_root=gs://b/x"],
        "configs/forecast.yaml",
        "forecast.api_budget.ledger_url",
        "None",
        "single_writer=true",
    ),
    *(
        ("dev", ["forecast.backend=nixtla", f"forecast.base_url={url}"], "--set", "forecast.base_url", url, remedy)
        for url, remedy in (
            ("http://api.nixtla.io", "Write https://"),
            ("https://me@api.nixtla.io", "the environment alone"),
            ("https://api.nixtla.io.", "Write the host as the provider does"),
            ("https://api%2enixtla.io", "Write the host as the provider does"),
            ("https://\uff41pi.nixtla.io", "Write the host as the provider does"),
            ("http://127.0.0.1:99999", "Write it like http://127.0.0.1:8080"),
        )
    ),
    (
        "prod",
        ["forecast.base_url=http://127.0.0.1:8080"],
        "--set",
        "forecast.base_url",
        "8080",
        "add 127.0.0.1:8080 to",
    ),
    ("demo", ["data.storage_root=gs:///x"], "--set", "data.storage_root", "'gs:///x'", "Name the bucket"),
    ("demo", ["data.dagster_home=gs://b/x"], "--set", "data.dagster_home", "'gs://b/x'", "on a disk"),
    ("staging", [], "configs/profiles/staging.yaml", "profile", "'staging'", "Choose one of these with --profile"),
]


@pytest.mark.parametrize(("section", "text", "key", "value", "remedy"), BAD_FILES, ids=lambda part: str(part)[:40])
def test_a_bad_file_is_refused_with_file_key_value_and_remedy(
    tmp_path: Path, section: str, text: str, key: str, value: str, remedy: str
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "offline.yaml").write_text("# says nothing, so that the file is heard\n")
    (tmp_path / f"{section}.yaml").write_text(text + "\n")
    with pytest.raises(ConfigError) as refused:
        load_settings(profile="offline", config_dir=tmp_path, environment={})
    line = only_line_about(refused.value, key)
    assert line.startswith(f"{tmp_path}/{section}.yaml: {key} = {value} is refused: allowed is ")
    assert remedy in line.split("allowed is ", 1)[1]
    assert line[-1] in ".?"


@pytest.mark.parametrize(("profile", "overrides", "file", "key", "value", "remedy"), BAD_OVERRIDES)
def test_a_bad_override_or_mode_is_refused_with_file_key_value_and_remedy(
    profile: str, overrides: list[str], file: str, key: str, value: str, remedy: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(profile=profile, config_dir=None, overrides=overrides, environment={})
    line = only_line_about(refused.value, key)
    said, allowed = line.split(" is refused: allowed is ", 1)
    assert said.startswith(f"{file}: {key} = ")
    assert value in said
    assert remedy in allowed


def only_line_about(error: ConfigError, key: str) -> str:
    lines = str(error).splitlines()
    assert len(lines) == len(error.faults)
    about = [line for line in lines if f": {key} = " in line]
    assert len(about) == 1, lines
    return about[0]


def test_all_faults_of_a_load_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "features.yaml").write_text("liquidity: {low: 0.9, high: 0.2}\n")
    (tmp_path / "calibration.yaml").write_text("embargo_days: 0\nmethod: affine\n")
    (tmp_path / "gates.yaml").write_text("- not a mapping\n")
    with pytest.raises(ConfigError) as refused:
        load_settings(
            profile="demo", config_dir=tmp_path, overrides=["forecast.nope=1", "x", "data.stamp=mid"], environment={}
        )
    assert {fault.key for fault in refused.value.faults} == {
        "features.liquidity.low",
        "calibration.embargo_days",
        "gates",
        "forecast.nope",
        "x",
        "data.stamp",
    }


def test_a_key_given_under_both_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trading.yaml").write_text("fees_bps: 0.5\nfee_bps: 0.6\n")
    with pytest.raises(ConfigError, match=r"trading.fee_bps = 0.6 .* Keep one of the names of trading.fees_bps"):
        load_settings(profile=None, config_dir=tmp_path, environment={})


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trading.yaml").write_text("k_sigma: 0.5\nk_sigma: 0.6\n")
    with pytest.raises(ConfigError, match=r"trading.yaml: .*the key k_sigma is written twice"):
        load_settings(profile=None, config_dir=tmp_path, environment={})


def test_a_config_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none: config_dir = .* Give the folder that holds data.yaml"):
        load_settings(profile=None, config_dir=tmp_path / "none", environment={})


@pytest.mark.parametrize(
    "override",
    [
        "forecast.api_key=hunter2hunter2",
        "forecast.model=nixak-0123456789abcdef",
        "forecast.base_url=http://me:hunter2@127.0.0.1/",
        "forecast.api_budget.ledger_url=postgresql://me:hunter2@db/x",
        "forecast.api_budget.ledger_url=postgresql://me:hunter2/hunter2@db/x",
        "forecast.api_budget.ledger_url=postgresql://me:hunter2@hunter2@db/x",
        "forecast.api_budget.ledger_url=postgresql://me:hunter2?hunter2@db/x",
        "forecast.api_budget.ledger_url=postgresql://me:hunter2#hunter2@hunter2",
        "forecast.api_budget.ledger_url=postgresql://db/x?user=me&password=hunter2",
        "forecast.api_budget.ledger_url=postgresql://db/x?password=hunter2@hunter2",
        "forecast.base_url=https://hunter2:@api.nixtla.io",
        "tsfm.base_url=http://me:hunter2@127.0.0.1/",
        "tsfm.base_url=http://me:hunter2/@127.0.0.1/",
        "data.root=postgresql://me:hunter2@db/x",
        "models.public_keys.ada=nixak-0123456789abcdef",
        "models.public_keys.ada=/0123456789abcdef/hunter2/hunter2hunter2hunter2=",
        "forecast.model=hunter2/0123456789abcdef/hunter2/hunter2/aA=",
    ],
)
def test_a_secret_in_the_settings_is_refused_and_not_repeated(override: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(profile=None, config_dir=None, overrides=[override], environment={})
    assert "hunter2" not in str(refused.value)
    assert "0123456789abcdef" not in str(refused.value)
    assert "[REDACTED]" in str(refused.value)


def test_a_public_key_is_shown_and_counts_and_anything_else_in_its_place_is_refused() -> None:
    key = "DZc6oOKRUXs2HPxKUcGmIEqaeRqCPvtxhpwKt9CStNM="
    found = load_settings(profile=None, config_dir=None, overrides=[f"models.public_keys.ada={key}"], environment={})
    assert [row.value for row in resolved(found) if row.key == "models.public_keys.ada"] == [key]
    without = load_settings(profile=None, config_dir=None, environment={})
    assert found.digest(["models.public_keys"]) != without.digest(["models.public_keys"])
    for name, value in (("ada", "short"), ("ada", key[:-1]), ("a b", key), ("ada", f"{key[:-2]}N=")):
        with pytest.raises(ConfigError, match=r"models\.public_keys\.a.* is refused: allowed is "):
            load_settings(
                profile=None, config_dir=None, overrides=[f"models.public_keys.{name}={value}"], environment={}
            )


@pytest.mark.parametrize(
    "address",
    ["postgresql://me@db:5432/x?sslmode=require", "gs://bucket/a:b@c", "sqlite:////srv/a:b@c/ledger.sqlite"],
)
def test_an_address_without_a_password_is_shown_as_it_is(address: str) -> None:
    assert not carries_password(address)
    assert redacted("forecast.api_budget.ledger_url", address) == address


def test_an_unset_root_says_what_to_set_when_it_is_used() -> None:
    settings = load_settings(profile="dev", config_dir=None, environment={})
    assert settings.data.root is None
    assert settings.origins["data.root"] == "configs/profiles/dev.yaml: TIMEGPT_ASSETS_REAL_DATA is not set"
    with pytest.raises(ConfigError, match=r"data.root = None .*--set data.root=.*TIMEGPT_ASSETS_REAL_DATA\.$"):
        _ = settings.data.required_root


def test_an_unset_bucket_says_what_to_set_when_it_is_used() -> None:
    settings = load_settings(profile="prod", config_dir=None, environment={})
    with pytest.raises(ConfigError, match=r"data.bucket = None .*--set data.bucket="):
        _ = settings.data.required_bucket
