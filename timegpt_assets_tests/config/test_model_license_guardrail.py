"""No profile that ships or that somebody writes asks a research_only model in prod, and every model is licensed."""

from pathlib import Path

import pytest

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.settings import PROFILES, Settings, load_settings
from timegpt_assets.config.shipped import CONFIGS

SHIPPED = load_settings(profile=None, config_dir=None, environment={}).models.tsfm
FOR_RESEARCH = [one.name for one in SHIPPED if one.use == "research_only"]


def with_model(profile: str, name: str) -> Settings:
    overrides = [f"tsfm.model.model_name={name}"]
    return load_settings(profile=profile, config_dir=None, overrides=overrides, environment={})


def test_every_profile_that_ships_is_known_here() -> None:
    assert {file.stem for file in (CONFIGS / "profiles").glob("*.yaml")} == set(PROFILES)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_shipped_profile_asks_a_model_that_may_earn_money(profile: str) -> None:
    settings = load_settings(profile=profile, config_dir=None, environment={})
    (asked,) = [one for one in settings.models.tsfm if one.name == settings.tsfm.model.model_name]
    assert asked.use == "commercial_ok"


def test_there_is_a_model_for_research_alone() -> None:
    assert FOR_RESEARCH


@pytest.mark.parametrize("name", FOR_RESEARCH)
@pytest.mark.parametrize("profile", PROFILES)
def test_a_model_for_research_alone_is_refused_in_prod_and_nowhere_else(profile: str, name: str) -> None:
    if profile != "prod":
        assert with_model(profile, name).tsfm.model.model_name == name
        return
    with pytest.raises(ConfigError) as refused:
        with_model(profile, name)
    assert len(refused.value.faults) == 1
    assert refused.value.faults[0].key == "tsfm.model.model_name"
    assert f"{name} (cc-by-nc-4.0) is for research alone" in str(refused.value)
    assert name not in refused.value.faults[0].allowed


def test_a_list_of_one_s_own_counts_in_prod_as_the_shipped_one_does(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("tsfm: [{name: chronos2, licence: cc-by-nc-4.0, use: research_only}]\n")
    with pytest.raises(ConfigError, match=r"tsfm\.model\.model_name = 'chronos2' is refused: .*for research alone"):
        load_settings(profile="prod", config_dir=tmp_path, environment={})
    load_settings(profile="dev", config_dir=tmp_path, environment={})


def test_a_licence_that_says_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("tsfm: [{name: chronos2, licence: apache-2.0, use: whatever}]\n")
    with pytest.raises(ConfigError, match=r"models\.tsfm"):
        load_settings(profile="prod", config_dir=tmp_path, environment={})


@pytest.mark.parametrize(("name", "meant"), [("chronos-2", "chronos2"), ("lagllama", "lag-llama"), ("zzz", None)])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_model_that_nobody_knows_is_refused_everywhere(profile: str, name: str, meant: str | None) -> None:
    with pytest.raises(ConfigError) as refused:
        with_model(profile, name)
    said = str(refused.value)
    assert f"Did you mean {meant}? Choose one of these" in said if meant else "Did you mean" not in said
    assert "add it with its licence under models.tsfm" in said
    assert " | ".join(one.name for one in SHIPPED) in said


def test_a_model_is_known_once_it_is_named_with_its_licence(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("tsfm: [{name: ours, licence: own, use: commercial_ok}]\n")
    overrides = ["tsfm.model.model_name=ours"]
    settings = load_settings(profile="prod", config_dir=tmp_path, overrides=overrides, environment={})
    assert settings.tsfm.model.model_name == "ours"
