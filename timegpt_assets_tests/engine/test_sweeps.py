"""A sweep on a road: what is stored is swept on every road alike, what is not is never made, nobody is asked."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.core.backtest import engines
from timegpt_assets.engine.engine import RunFailed, asset_nodes
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import Refused
from timegpt_assets.engine.sweeps import stored_days, swept
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.markets import DAYS, synthetic
from timegpt_assets_tests.roads import Road

MADE = DAYS[:3]
"""A Tuesday, a rate decision on which nobody is asked, a Thursday."""
GRID = (
    "trading_grid.grids.mine.k_sigma=[0.5, 0.9]",
    "trading_grid.grids.mine.s_stop=[1.0, 0.2]",
    "trading_grid.grid=mine",
    "trading.k_sigma=0.9",
)


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Yield a road of three traded days; whether it is swept yet depends on which tests ran before."""
    with synthetic().road(tmp_path_factory.mktemp("road"), *GRID) as built:
        built.run(MADE, assets=["trades"])
        yield built


def sweep(road: Road, days=MADE, *, force: bool = False) -> list[str]:
    """Sweep and return the assets that ran."""
    graph = graph_context(road.runtime.settings)
    found = stored_days(road.engine, graph, days)
    outcome = road.engine.run(swept(road.engine, graph, found, force=force, range_days=40))
    assert outcome.incomplete == {}
    return [key.path[-1] for range_run in outcome.range_runs for key in range_run.assets]


def test_nothing_stored_is_refused_and_says_what_is(road: Road) -> None:
    graph = graph_context(road.runtime.settings)
    words = f"no forecasts are stored for {DAYS[5]} to {DAYS[6]} .* asks nobody.*of {MADE[0]} to {MADE[-1]}.*backtest"
    with pytest.raises(Refused, match=words):
        stored_days(road.engine, graph, DAYS[5:7])
    assert stored_days(road.engine, graph, DAYS) == list(MADE), "days without forecasts are left out"


def test_compiled_code_makes_the_trades_of_the_loop_and_says_who_made_them_and_why(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, key = road.tables()["backtest/trades"], dg.AssetKey(["backtest", "trades"])
    assert before.filter(pl.col("quantity") != 0).height > 5
    for large, word in ((1, "compiled: "), (10**6, "loop: ")):
        monkeypatch.setattr(engines, "LARGE", large)
        road.run(MADE[2:], assets=["trades"], force=True)
        made = road.engine.instance.get_latest_materialization_event(key)
        assert made is not None
        assert str(made.asset_materialization.metadata["engine"].value).startswith(word)
        assert_frame_equal(road.tables()["backtest/trades"], before, check_exact=True)


@pytest.fixture
def once(road: Road) -> Road:
    """Return the road, swept: by a test before, or now."""
    sweep(road)
    return road


def test_a_sweep_makes_its_own_assets_and_nothing_it_stands_on(road: Road) -> None:
    before = {name: content for name, content in road.bytes().items() if not name.startswith("research/")}
    assert sweep(road, force=True) == ["grid_days", "trading_grid"]
    after = road.bytes()
    assert {name.split("/")[0] for name in after.keys() - before.keys()} - {"lineage"} == {"research"}
    assert all(after[name] == content for name, content in before.items())


def test_a_combination_earned_what_the_trades_of_the_same_rules_did(once: Road) -> None:
    tables = once.tables()
    same = '{"k_sigma": 0.9, "s_stop": 1.0}'
    days = tables["research/grid_days"].filter(pl.col("rules") == same)
    filled = tables["backtest/trades"].filter(pl.col("quantity") != 0)
    earned = filled.group_by("day", "forecaster").agg(pl.len().cast(pl.Int64).alias("trades"), pl.col("net_pnl").sum())
    traded = days.filter(pl.col("trades") > 0).select("day", "forecaster", "trades", "net_pnl")
    assert_frame_equal(traded, earned, check_row_order=False, abs_tol=1e-6)
    assert earned.filter(forecaster="ridge").height == 2
    assert earned["trades"].sum() > 5


def test_other_rules_earn_otherwise_and_the_month_ranks_them(once: Road) -> None:
    ranked = once.tables()["research/trading_grid"].filter(forecaster="ridge", cost_multiplier=1.0).sort("rank")
    assert ranked.height == 4
    assert ranked["net_pnl"].n_unique() == 4
    assert ranked["duplicate_payload"].null_count() == 4
    assert ranked["sharpe_daily"].is_sorted(descending=True)
    assert set(ranked["observation_days"]) == {3}, "the rate decision between them counts zero"
    idle = once.tables()["research/trading_grid"].filter(forecaster="zero")
    assert idle["duplicate_payload"].n_unique() == 2, "who never trades has one result"


def test_a_lone_day_is_swept_as_in_a_range_and_again_is_nothing(once: Road) -> None:
    before = once.bytes()
    assert sweep(once) == []
    assert sweep(once, MADE[2:], force=True) == ["grid_days", "trading_grid"]
    assert once.bytes() == {
        name: content for name, content in once.bytes().items() if name in before or name.startswith("trials")
    }
    after = once.bytes()
    assert {name for name in before if after[name] != before[name]} == set()


def test_what_is_stale_above_a_sweep_does_not_have_it_made_over_and_over(once: Road) -> None:
    once.run(MADE[:1], assets=["trades"], force=True)
    assert sweep(once) == [], "trades are no part of it"
    graph, symbols = graph_context(once.runtime.settings), ["META"]
    nodes = asset_nodes(once.engine.repository)
    bars = rectangle(graph, nodes, days=MADE[:1], symbols=symbols, assets=["bars"], force=True)
    once.engine.run(bars)
    assert sweep(once) == ["grid_days", "trading_grid"], "the bars it reads are newer"
    assert sweep(once) == [], "its forecasts are older than those bars still, and it is not older than they are"


def test_what_was_tried_is_recorded_once_however_often(once: Road) -> None:
    tried = TrialStore(once.runtime.storage).tried()
    names = set(once.tables()["research/grid_days"]["combination"])
    for who in ("ridge", "zero"):
        assert set(tried.filter(forecaster=who)["combination"]) == names
    assert len(names) == 4
    before = tried.height
    sweep(once, force=True)
    assert TrialStore(once.runtime.storage).tried().height == before


def test_a_grid_too_large_is_refused_by_the_asset_too_with_number_and_time(road: Road) -> None:
    graph = graph_context(road.runtime.settings)
    few = ("trading_grid.max_combinations=3",)
    with synthetic().road(road.runtime.root, *GRID, *few) as smaller:
        other = replace(smaller.engine, instance=road.engine.instance)
        wanted = swept(other, graph, MADE, force=True, range_days=40)
        with pytest.raises(RunFailed, match=r"mine has 4 combinations, more than .* = 3: about .* at .* ms each. Take"):
            other.run(wanted)
