"""What a forecast grid costs, by pencil: shared questions, duplicates, parameters of each model. Nothing is sent."""

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from timegpt_assets.config.forecast_grid import forecast_grid
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.config.shipped import CONFIGS
from timegpt_assets.core.research.forecast_grid import changes, choices
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.call_budget import budget_planner
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.forecast_prices import Combination, Price, combinations, prices
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.engine.test_call_budget import modest
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY

DAY, RATE_DECISION = date(2025, 1, 30), date(2025, 1, 29)
ASKS = [word for word in modest("http://127.0.0.1:9") if "snapshot_preset" not in word]
MINE = "forecast.snapshot_presets.mine.times=['10:00', '11:00']"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("nodes")
    runtime = Runtime(settings=settings({}), root=folder, environment={})
    return asset_nodes(build_definitions(runtime).get_repository_def())


def settings(choice: Mapping[str, Any]) -> Settings:
    groups = ("price", "volatility", "volume", "clock", "context", "sector", "events")
    said = [*TINY, *ASKS, MINE]
    return load_settings(
        profile="dev", config_dir=None, environment={}, overrides=said, grid=changes(choice, groups=groups)
    )


def priced(folder: Path, nodes: Any, dimensions: Mapping[str, Any]) -> tuple[list[Combination], list[Price]]:
    made = combinations(choices(dimensions), settings, nodes)
    runtime = Runtime(settings=settings({}), root=folder, environment={"TIMEGPT_API_KEY": KEY})
    return made, prices(made, budget_planner(runtime), [DAY, RATE_DECISION])


def test_the_wide_grid_asks_24_questions_for_144_combinations(tmp_path: Path, nodes: Any) -> None:
    """Four questions a target, horizon and preset, each read by three calibrations.

    Levels are {50 80 95}, {50 60 80 90}, {50 80 90 95}, {50 60 90}. 09:45 has no return of 30 minutes, and a rate
    decision asks nothing.
    """
    made, found = priced(tmp_path, nodes, forecast_grid(CONFIGS / "forecast_grid_wide.yaml").dimensions)
    assert len(made) == len({one.name for one in made}) == 144
    assert sum(one.tradeable for one in made) == 72
    assert [one.tradeable for one in made] == [True] * 72 + [False] * 72
    asked = {10: 2 + 5, 15: 2 + 5, 30: 2 + 4}
    assert sum(price.calls for price in found) == 4 * 2 * sum(asked.values()) + 1
    assert sum(price.requests for price in found) == 3 * 4 * 2 * sum(asked.values())
    assert sum(price.shared for price in found) == 2 * 4 * 2 * sum(asked.values())
    assert found[0].calls_by_day == (0, 3), "the rate decision asks nothing; then two snapshots and the parameters"
    assert [price.calls for price in found[:4]] == [3, 0, 0, 2]
    assert found[1].shares_with == found[2].shares_with == made[0].name
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_snapshot_that_two_presets_ask_is_paid_once(tmp_path: Path, nodes: Any) -> None:
    made, found = priced(tmp_path, nodes, {"snapshot_presets": ("baseline", "mine")})
    assert [(price.requests, price.shared, price.calls) for price in found] == [(2, 0, 3), (2, 1, 1)]
    assert found[1].shares_with == made[0].name


def test_each_model_has_its_parameters_and_other_groups_of_features_ask_the_same(tmp_path: Path, nodes: Any) -> None:
    made, found = priced(tmp_path, nodes, {"models": ("a", "b"), "ablations": ((), ("volume",))})
    assert [one.choice["ablations"] for one in made] == [(), (), ("volume",), ("volume",)]
    assert [price.calls for price in found] == [6, 6, 0, 0]


def test_other_words_for_the_same_settings_are_one_combination_and_cost_nothing(tmp_path: Path, nodes: Any) -> None:
    same = (("volume", "clock"), ("clock", "volume"), ())
    made, found = priced(tmp_path, nodes, {"ablations": same})
    assert [one.duplicate for one in made] == [False, True, False]
    assert made[0].name == made[1].name != made[2].name
    assert made[0].seed == made[1].seed == int.from_bytes(bytes.fromhex(_md5(made[0].name)[:8]))
    assert [(price.requests, price.shared, price.calls) for price in found] == [(5, 0, 6), (5, 5, 0), (5, 5, 0)]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def test_a_forecaster_on_this_machine_costs_nothing(tmp_path: Path, nodes: Any) -> None:
    made = combinations(choices({"horizons": (10, 15)}), settings, nodes)
    assert prices(made, None, [DAY]) == [Price(), Price()]


def test_a_name_says_the_settings_and_not_the_places(nodes: Any) -> None:
    def named(*said: str) -> str:
        own = [*TINY, *ASKS, *said]
        load = load_settings(profile="dev", config_dir=None, environment={}, overrides=own)
        return combinations([{}], lambda _: load, nodes)[0].name

    places = ("data.storage_root=elsewhere", "forecast.api_budget.per_day=3", "automation.look_every_sec=9")
    assert named() == named(*places)
    assert len({named(), named("trading.k_sigma=0.1"), named("gates.trading_gates.hit_rate_gte=0.3")}) == 3
