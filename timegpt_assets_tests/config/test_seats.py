"""Who may be seated: everyone known, once, and whoever is not is refused by name with who is."""

from pathlib import Path

import pytest

from timegpt_assets.config import core_inputs
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.seats import offered, package
from timegpt_assets.config.settings import load_settings


def refusal(challengers: str, profile: str = "demo") -> str:
    with pytest.raises(ConfigError) as raised:
        load_settings(
            profile=profile,
            config_dir=None,
            environment={},
            overrides=[f"forecast.challengers={challengers}"],
        )
    (fault,) = raised.value.faults
    assert fault.key == "forecast.challengers"
    return fault.line


def offering(folder: Path, package: str, word: str) -> None:
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[timegpt_assets.forecasters]\n{word} = nowhere:Nothing\n")


def test_an_unknown_seat_is_refused_with_the_known_ones_and_the_nearest() -> None:
    said = refusal("[ridge, climatolgy]")
    assert "blend | climatology | lightgbm | persistence | ridge | size | statsforecast | tsmixer | zero" in said
    assert said.endswith("Did you mean climatology? Else install the package that offers climatolgy, or take it out.")


def test_a_seat_named_twice_is_refused() -> None:
    assert "a list without repeated entries" in refusal("[zero, ridge, zero]")


def test_the_hosted_forecaster_is_no_challenger() -> None:
    assert refusal("[timegpt]").endswith("Take timegpt out: it is paid, and asked only with forecast.backend=nixtla.")


def test_the_champion_named_again_is_seated_once() -> None:
    settings = load_settings(
        profile="demo", config_dir=None, environment={}, overrides=["forecast.challengers=[zero, ridge]"]
    )
    assert settings.forecast.forecasters == ("ridge", "zero")
    hosted = load_settings(
        profile="offline", config_dir=None, environment={}, overrides=["forecast.challengers=[timegpt, zero]"]
    )
    assert hosted.forecast.forecasters == ("timegpt", "zero")


def test_packages_offer_seats_and_two_may_not_offer_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    offering(tmp_path, "one", "mine")
    found = load_settings(profile="demo", config_dir=None, environment={}, overrides=["forecast.challengers=[mine]"])
    assert found.forecast.local_forecasters == ("ridge", "mine")
    offering(tmp_path, "two", "mine")
    assert refusal("[mine]").endswith("mine is offered by one and two: uninstall one of them.")


@pytest.mark.parametrize("word", ["lightgbm", "tsmixer"])
def test_a_rung_of_the_ladder_is_seated_by_its_word(word: str) -> None:
    found = load_settings(profile="demo", config_dir=None, environment={}, overrides=[f"forecast.challengers=[{word}]"])
    assert found.forecast.local_forecasters == ("ridge", word)
    assert found.forecast.ladder == (word,)


def test_nobody_of_the_ladder_is_seated_unasked() -> None:
    for profile in ("demo", "dev", "offline"):
        assert load_settings(profile=profile, config_dir=None, environment={}).forecast.ladder == ()


def test_a_rung_misspelt_is_refused_with_the_nearest_word() -> None:
    assert "Did you mean lightgbm?" in refusal("[lightgmb]")


@pytest.mark.parametrize(
    ("challengers", "missing"),
    [("[blend]", "lightgbm, tsmixer"), ("[lightgbm, blend]", "tsmixer"), ("[zero, tsmixer, blend]", "lightgbm")],
)
def test_a_blend_without_its_parts_is_refused_with_those_to_add(challengers: str, missing: str) -> None:
    said = refusal(challengers)
    assert "blend beside lightgbm, tsmixer and ridge" in said
    assert said.endswith(f"Add {missing} to forecast.challengers, or take blend out.")


def test_a_blend_needs_the_control_arm_that_stands_in_for_it() -> None:
    said = refusal("[lightgbm, tsmixer, blend]", profile="offline")
    assert said.endswith("Add ridge to forecast.challengers, or take blend out.")
    seated = ["forecast.challengers=[lightgbm, tsmixer, blend, ridge]"]
    found = load_settings(profile="offline", config_dir=None, environment={}, overrides=seated)
    assert found.forecast.ladder == ("lightgbm", "tsmixer", "blend")


@pytest.mark.parametrize("word", ["lightgbm", "blend"])
def test_no_package_takes_a_word_of_the_ladder(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    offering(tmp_path, "one", word)
    assert word not in offered()
    assert not package(word).startswith("one ")


def test_in_prod_a_rung_that_answers_is_a_model_and_elsewhere_nobody_here_is_known_to_be_one() -> None:
    def asked(profile: str, *more: str) -> dict[str, str]:
        seated = ["forecast.challengers=[ridge, lightgbm]", *more]
        settings = load_settings(profile=profile, config_dir=None, environment={}, overrides=seated)
        return {word: source for word, *_, source in core_inputs.makers(settings)}

    assert asked("demo") == {"ridge": "baseline", "lightgbm": "baseline"}
    found = asked("prod", "data.source=local", "data.root=bars")
    assert found == {"timegpt": "model", "ridge": "baseline", "lightgbm": "model"}
