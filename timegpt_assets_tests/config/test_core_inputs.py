"""What core is given of the settings: what the ladder's rows hold, and what its tree may see."""

from dataclasses import fields

import pytest

from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core.features import news
from timegpt_assets.core.models.arms import without
from timegpt_assets.core.models.rows import RowSpec
from timegpt_assets.core.models.tree_spec import TreeSpec


def loaded(*overrides: str) -> Settings:
    return load_settings(profile="demo", config_dir=None, overrides=overrides, environment={})


def row_spec(*overrides: str) -> RowSpec:
    """Return what rows hold under some settings."""
    settings = loaded(*overrides)
    return core_inputs.row_spec(settings, core_inputs.event_calendar(settings))


def tree_spec(*overrides: str) -> TreeSpec:
    """Return how a tree learns under some settings."""
    settings = loaded(*overrides)
    return core_inputs.tree_spec(settings, core_inputs.event_calendar(settings))


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("forecast.sigma_column", "vol_ewm_60m", "sigma_column"),
        ("models.snapshot_every_min", "5", "snapshot_every_min"),
        ("models.net.n_tokens", "16", "n_tokens"),
        ("models.net.channels", "[ret_1m]", "channels"),
        ("features.groups", "[price]", "features"),
    ],
)
def test_each_setting_of_a_row_changes_it_and_nothing_else(key: str, value: str, field: str) -> None:
    usual, changed = row_spec(), row_spec(f"{key}={value}")
    differ = [f.name for f in fields(RowSpec) if getattr(usual, f.name) != getattr(changed, f.name)]
    assert differ == [field]


@pytest.mark.parametrize(
    ("key", "value", "field"),
    [
        ("models.road", "together", "road"),
        ("models.embargo_days", "2", "embargo_days"),
        ("models.min_sessions", "30", "min_sessions"),
        ("models.validation_sessions", "5", "validation_sessions"),
        ("models.folds", "4", "folds"),
        ("forecast.levels", "[50, 80]", "levels"),
        ("models.tree.window_min", "30", "window_min"),
        ("models.tree.symbol_rows", "30", "symbol_rows"),
        ("models.tree.rounds", "30", "boosting"),
        ("models.tree.leaves", "30", "boosting"),
        ("models.tree.learning_rate", "0.3", "boosting"),
        ("models.tree.min_rows", "30", "boosting"),
        ("models.tree.l2", "30", "boosting"),
        ("models.tree.threads", "2", "boosting"),
        ("models.seed", "30", "boosting"),
        ("forecast.baseline.ridge", "0.5", "control"),
        ("forecast.zero.window_min", "60", "control"),
        ("models.snapshot_every_min", "5", "control"),
    ],
)
def test_each_setting_of_a_tree_changes_how_it_learns(key: str, value: str, field: str) -> None:
    usual, changed = tree_spec(), tree_spec(f"{key}={value}")
    differ = [f.name for f in fields(TreeSpec) if getattr(usual, f.name) != getattr(changed, f.name)]
    assert differ == [field]


def test_what_the_road_apart_sees_is_the_symbol_s_own_and_means_the_same_of_every_symbol() -> None:
    spec = tree_spec()
    market = ("spy_", "qqq_", "sector_", "beta_", "corr_", "regime_", "dispersion", "event_", "context_")
    assert not [name for name in spec.own + spec.clock if name.startswith(market)]
    assert not {"vwap_30m", "signed_volume"} & {*spec.own}  # USD and shares
    assert {"ret_15m", "sigma_5m", "atr_14m", "garman_klass_30m", "spy_ret_5m"} <= spec.scaled
    assert not {"volume_norm_5m", "volume_percentile", "skew_60m", "minute_index", "vwap_30m_z"} & spec.scaled
    assert {*spec.own, *spec.clock} < {*spec.features}
    assert spec.features == row_spec().features


def test_features_that_are_switched_off_are_not_learnt_from() -> None:
    spec = tree_spec("features.groups=[price]", "trading.filters.enabled=false")
    assert spec.clock == ()
    assert {"ret_15m", "sigma_60m"} <= {*spec.own}
    assert not {"rv_5m", "volume_norm_5m"} & {*spec.own, *spec.features}
    assert row_spec("features.groups=[price]").features


def test_the_digest_of_the_control_arm_follows_its_settings_and_no_other() -> None:
    usual = tree_spec().control.settings
    assert tree_spec("forecast.baseline.residual_window_min=45").control.settings != usual
    assert tree_spec("forecast.zero.window_min=45", "models.tree.rounds=9").control.settings == usual


def test_a_tree_with_news_is_the_one_that_switching_the_group_on_gives() -> None:
    off, events = loaded(), core_inputs.event_calendar(loaded())
    groups = ", ".join((*off.features.groups, "news"))
    on = loaded(f"features.groups=[{groups}]")
    told = core_inputs.tree_spec(off, events, with_news=True)
    assert told == core_inputs.tree_spec(on, events) == core_inputs.tree_spec(on, events, with_news=True)
    usual, names = core_inputs.tree_spec(off, events), {feature.name for feature in news.FEATURES}
    assert not names & {*usual.features, *usual.own, *usual.clock}
    assert without(told, frozenset(names)) == usual


def test_what_the_whole_market_is_told_says_how_much_moves_and_never_which_way() -> None:
    off = loaded()
    told = core_inputs.tree_spec(off, core_inputs.event_calendar(off), with_news=True)
    assert {"news_surprise_above_1d", "news_value_count_30m", "news_market_age", "news_missing"} <= news.OF_THE_MARKET
    assert {*told.clock} >= news.OF_THE_MARKET
    assert not {*told.own} & news.OF_THE_MARKET
    assert {"news_headline_count_30m", "news_release_weight_1d", "news_own_age"} <= {*told.centre_design.names}
