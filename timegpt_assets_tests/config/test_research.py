"""The named grids: what ships, both names of a rule, and what is refused, naming the grid and the key."""

from datetime import time

import pytest

from timegpt_assets.config.errors import ConfigError
from timegpt_assets.config.settings import Settings, load_settings


def loaded(*overrides: str) -> Settings:
    return load_settings(profile="demo", config_dir=None, overrides=overrides, environment={})


def test_the_two_grids_of_the_seeds_ship() -> None:
    found = loaded().trading_grid
    assert found.grid == "enhancement"
    assert dict(found.grids["enhancement"].dimensions) == {
        "rule_set": ("enhancement",), "k_sigma": (0.5, 0.75, 1.0), "s_stop": (1.0, 1.5, 2.0), "s_take": (1.0,),
    }  # fmt: skip
    assert dict(found.grids["budget_sprint"].dimensions) == {
        "rule_set": ("budget_sprint",), "k_sigma": (0.25, 0.5, 0.75), "s_stop": (0.5, 1.0), "s_take": (1.0, 1.5),
    }  # fmt: skip


def test_either_name_of_a_rule_and_of_a_grid_is_understood() -> None:
    own = "trading_grid.grids.mine."
    found = loaded(f"{own}c_stop=[0.5]", f"{own}c_take=[2]", f"{own}time_stop=['15:50']", f"{own}s_trail=[null, 1.5]")
    assert dict(found.trading_grid.grids["mine"].dimensions) == {
        "s_stop": (0.5,), "s_take": (2.0,), "s_trail": (None, 1.5), "time_stop_et": (time(15, 50),),
    }  # fmt: skip
    assert loaded("trading_grid.enhancement.k_sigma=[2]").trading_grid.grids["enhancement"].k_sigma == (2.0,)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("mine={}", r"grids.mine = {} is refused: .* Write one, e.g. k_sigma: \[0.5, 1.0\]"),
        (
            "mine.k_sigma=[]",
            r"grids.mine.k_sigma = \[\] is refused: allowed is a list of at least one value, each once",
        ),
        ("mine.k_sigma=[1, 0.5, 1.0]", r"grids.mine.k_sigma = .* is refused: allowed is .* each once. Write"),
        ("mine.k_sigma=[0.5, -0.25]", r"grids.mine.k_sigma\[1\] = -0.25 is refused: .* equal to 0. Write"),
        ("mine.k_sigma=0.5", r"grids.mine.k_sigma = 0.5 is refused: allowed is list of number >= 0. Write"),
        ("mine.ksigma=[1]", r"grids.mine.ksigma .* Did you mean trading_grid.grids.mine.k_sigma\?"),
        ("mine.capital=[1]", r"grids.mine.capital .* is refused: allowed is a key of trading_grid.grids.mine"),
        ("mine.time_stop_et=['17:00']", r"grids.mine.time_stop_et .* Write them like \[\"15:55\"\]"),
        ("mine.sigma_column=[sigma_7m]", r"grids.mine.sigma_column .* Name one of these"),
        ("mine.entry_lag_bars=[0]", r"grids.mine.entry_lag_bars\[0\] = 0 is refused"),
    ],
)
def test_a_grid_nobody_can_sweep_is_refused_with_its_name_and_the_remedy(said: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(f"trading_grid.grids.{said}")


def test_a_grid_nobody_wrote_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(ConfigError, match=r"trading_grid.grid = 'mine' .* allowed is enhancement \| budget_sprint"):
        loaded("trading_grid.grid=mine")


def test_a_rule_set_whose_own_volatility_is_not_stored_is_refused_where_it_is_swept() -> None:
    without = "features.groups=[price, volume, clock, context, events]"
    with pytest.raises(ConfigError, match=r"grids.budget_sprint.rule_set .* add volatility to features.groups"):
        loaded(without, "trading_grid.grid=budget_sprint")
    named = "trading_grid.grids.budget_sprint.sigma_column=[sigma_60m]"
    assert loaded(without, "trading_grid.grid=budget_sprint", named).trading_grid.grid == "budget_sprint"
    assert loaded(without).trading_grid.grid == "enhancement", "the other grid is swept by nobody"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["search.outer=nope"], r"search.outer = 'nope' is refused: .* Choose one of these, or add it under"),
        (
            ["search.inner=search_outer"],
            r"search.inner = .* a grid without the rules of search.outer .* Take entry_lag_bars",
        ),
        (["search.forecaster=nobody"], r"search.forecaster = 'nobody' .* or set it to null: the champion"),
        (["search.folder=gs://bucket/hpo"], r"search.folder = .*: allowed is a folder of this machine"),
        (["search.study=a b"], r"search.study = 'a b' is refused"),
        (["search.batch=0"], r"search.batch = 0 is refused"),
        (
            ["gates.oos_start=2025-06-30", "search.stages.refine.until=2025-07-01"],
            r"refine.until = .* 2025-06-30 \(gates.oos_start\) or earlier: sessions after it .* or to null",
        ),
        (
            [
                "gates.oos_start=2025-06-30",
                "search.stages.refine.sessions=120",
                "search.stages.coarse.until=2025-06-16",
            ],
            r"coarse.until = .* earlier than 2025-01-06, where refine begins.* Set it to 2025-01-03 or earlier",
        ),
    ],
)
def test_a_search_that_cannot_be_is_refused_when_settings_are_loaded(said: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(*said)


def test_a_search_up_to_the_day_that_the_remedy_names_is_loaded() -> None:
    refine = "search.stages.refine.sessions=120"
    found = loaded("gates.oos_start=2025-06-30", refine, "search.stages.coarse.until=2025-01-03")
    assert str(found.search.stages.coarse.until) == "2025-01-03"


def test_a_volatility_that_is_not_stored_is_asked_of_the_grid_that_is_swept_alone() -> None:
    without = "features.groups=[price]"
    assert loaded(without).search.outer == "search_outer"
    with pytest.raises(ConfigError, match=r"grids.search_outer.sigma_column .* or add volatility to features.groups"):
        loaded(without, "trading_grid.grid=search_outer")
