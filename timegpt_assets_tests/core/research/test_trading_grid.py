"""The trading grid: what combinations are called, that each trades by its own values, and what is refused."""

import itertools
from dataclasses import replace
from datetime import time
from typing import Any

import polars as pl
import pytest

from timegpt_assets.config import strategy_inputs
from timegpt_assets.config.research import Grid as Asked
from timegpt_assets.config.settings import Settings, load_settings
from timegpt_assets.core.research import trading_grid as grids
from timegpt_assets.core.research.trading_grid import Grid, GridError
from timegpt_assets_tests.core.backtest import test_event_loop as loop

SECTIONS = {"entry_lag_bars": "backtest", "history_days": "forecast", "horizon_min": "forecast"}
EVERYTHING: dict[str, tuple[Any, ...]] = {
    "rule_set": ("enhancement", "budget_sprint"),
    "sigma_column": (None, "sigma_15m"),
    "k_sigma": (0.5, 1.0),
    "s_stop": (1.5,),
    "s_take": (1.25,),
    "s_trail": (None, 2.0),
    "cap_per_trade": (0.5,),
    "daily_trade_cap": (None, 2),
    "max_open_per_symbol": (2,),
    "cooldown_bars": (0,),
    "exit_at_forecast_ts": (False,),
    "time_stop_et": (time(15, 30),),
    "early_close_margin_min": (10,),
    "require_positive_ev": (False,),
    "ev_lambda": (0.5,),
    "max_width_sigma": (None, 3.0),
    "entry_lag_bars": (2,),
}


def loaded(*overrides: str, grid: dict[str, Any] | None = None) -> Settings:
    return load_settings(profile="demo", config_dir=None, overrides=overrides, environment={}, grid=grid)


def grid_of(dimensions: dict[str, tuple[Any, ...]], *overrides: str, **changes: Any) -> Grid:
    made = strategy_inputs.trading_grid(
        loaded("trading.filters.enabled=false", "trading.skip_events=[]", "gates.bootstrap=trade", *overrides)
    )
    return replace(made, name="mine", dimensions=dimensions, **changes)


def swept(grid: Grid, forecasts: pl.DataFrame, bars: pl.DataFrame, sigma: float = loop.SIGMA) -> pl.DataFrame:
    features = forecasts.select("day", "symbol", known_at="snapshot_ts").unique()
    features = features.with_columns(pl.lit(sigma).alias(name) for name in grid.columns())
    asked = forecasts.with_columns(history_days=pl.lit(10, pl.Int64))
    combinations = list(grid.combinations())
    return grids.grid_days(grid, combinations, asked, bars, loop.NO_GATES, features, events=loop.NO_EVENTS)


def test_each_combination_trades_by_the_very_rules_that_its_values_would_make_as_settings() -> None:
    grid, count = grid_of(EVERYTHING), 0
    for one, values in zip(grid.combinations(), _products(), strict=True):
        said = {f"{SECTIONS.get(name, 'trading')}.{name}": value for name, value in values.items()}
        said |= {"trading.time_stop_et": "15:30", "trading.skip_events": [], "gates.bootstrap": "trade"}
        assert one.spec == strategy_inputs.trading_spec(loaded(grid=said)), values
        count += 1
    assert count == grid.size == 64


def _products() -> list[dict[str, Any]]:
    return [dict(zip(EVERYTHING, chosen, strict=True)) for chosen in itertools.product(*EVERYTHING.values())]


def test_every_field_of_a_grid_can_be_a_dimension_here() -> None:
    assert set(Asked.model_fields) == {*EVERYTHING, *grids.OUTER}


def names(*overrides: str) -> list[str]:
    return [
        one.name for one in strategy_inputs.trading_grid(loaded("trading_grid.grid=mine", *overrides)).combinations()
    ]


def test_aliases_and_values_that_stand_anyway_are_the_same_combinations() -> None:
    own = "trading_grid.grids.mine."
    plain = names(f"{own}s_stop=[0.5, 1]", f"{own}s_take=[1]")
    assert names(f"{own}c_stop=[0.5, 1]", f"{own}c_take=[1.0]") == plain
    assert names(f"{own}s_stop=[0.5, 1]", f"{own}rule_set=[enhancement]", f"{own}horizon_min=[15]") == plain
    assert names(f"{own}s_stop=[0.5, 1]", f"{own}sigma_column=[sigma_60m]", f"{own}ev_lambda=[0.25]") == plain


@pytest.mark.parametrize(
    "other",
    ["trading.fees_bps=0.6", "trading.capital=1", "trading.filters.lookback_sessions=21", "backtest.entry_lag_bars=2",
     "trading.skip_events=[]", "forecast.history_days=11", "gates.bootstrap=block"],
)  # fmt: skip
def test_whatever_else_decides_the_trades_makes_another_combination(other: str) -> None:
    own = "trading_grid.grids.mine.s_stop=[0.5, 1]"
    assert not {*names(own)} & {*names(own, other)}


def test_combinations_that_trade_alike_are_one_under_the_first_ones_words() -> None:
    grid = grid_of({"sigma_column": (None, "sigma_60m", "sigma_5m")})
    found = list(grid.combinations())
    assert [one.rules for one in found] == ['{"sigma_column": null}', '{"sigma_column": "sigma_5m"}']
    assert grid.size == 3
    assert grid.columns() == ["sigma_5m", "sigma_60m"]


def test_names_and_seeds_are_the_same_in_every_process() -> None:
    assert grids.seed("abc") == 0x90015098, "MD5 of abc, RFC 1321"
    one, two = (list(grid_of({"k_sigma": (0.5, 1.0)}).combinations()) for _ in range(2))
    assert [a.name for a in one] == [b.name for b in two]
    assert {len(a.name) for a in one} == {16}
    assert len({grids.seed(a.name) for a in one}) == 2
    assert all(0 <= grids.seed(a.name) < 2**32 for a in one)


def market() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two signals on a day whose price falls a little and then rises: which levels are set decides both trades."""
    moved = {"10:05": {"low": 98.7}, "10:10": {"high": 101.2}}
    return loop.forecasts({"clock": "10:00"} | loop.LONG, {"clock": "11:00"} | loop.SHORT), loop.bars(moved)


def test_other_values_have_other_results_and_equal_the_event_loop() -> None:
    forecasts, bars = market()
    grid = grid_of({"k_sigma": (0.5, 1.0), "s_stop": (1.0, 1.5)})
    rows = swept(grid, forecasts, bars)
    nets = dict(rows.select("combination", "net_pnl").iter_rows())
    assert len({round(net, 6) for net in nets.values()}) == 3, "k of 1 enters nothing at either stop"
    for one in grid.combinations():
        measured = forecasts.with_columns(sigma=pl.lit(loop.SIGMA))
        trades = loop.event_loop.trades(loop.inputs(measured, bars), one.spec)
        assert nets[one.name] == pytest.approx(trades["net_pnl"].sum(), abs=1e-9)


def test_a_day_holds_every_combination_and_whose_forecasts_they_were() -> None:
    forecasts, bars = market()
    rows = swept(grid_of({"k_sigma": (0.5, 9.0)}), forecasts, bars)
    assert rows.height == 2
    idle = rows.filter(pl.col("rules") == '{"k_sigma": 9.0}').row(0, named=True)
    assert (idle["trades"], idle["gross_pnl"], idle["cost"]) == (0, 0.0, 0.0)
    assert idle["run_source"] == forecasts["run_source"][0]
    later = pl.when(pl.col("snapshot_ts") == loop.at("11:00")).then(pl.lit("prod_live")).otherwise("data_regime")
    mixed = swept(grid_of({"k_sigma": (0.5,)}),
                  forecasts.with_columns(data_regime=later), bars)  # fmt: skip
    assert mixed["data_regime"].to_list() == ["mixed"]


def test_sigma_is_that_of_each_combination() -> None:
    forecasts, bars = market()
    grid = grid_of({"sigma_column": ("sigma_5m", "sigma_60m")})
    features = pl.DataFrame(
        {"day": [loop.DAY] * 2, "symbol": ["AAA"] * 2, "known_at": [loop.at("10:00"), loop.at("11:00")],
         "sigma_5m": [0.001] * 2, "sigma_60m": [0.01] * 2}
    )  # fmt: skip
    asked = forecasts.with_columns(history_days=pl.lit(10, pl.Int64))
    rows = grids.grid_days(
        grid, list(grid.combinations()), asked, bars, loop.NO_GATES, features, events=loop.NO_EVENTS
    )  # fmt: skip
    assert rows["net_pnl"].n_unique() == 2


@pytest.mark.parametrize("name", ["horizon_min", "history_days"])
def test_forecasts_that_are_not_stored_are_refused_with_those_that_are(name: str) -> None:
    forecasts, bars = market()
    stored = {"horizon_min": 15, "history_days": 10}[name]
    with pytest.raises(
        GridError, match=rf"grids.mine asks for forecasts of {name} 7; stored .* is {stored}.*Take {name}"
    ):
        swept(grid_of({name: (7, stored)}), forecasts, bars)
    assert swept(grid_of({name: (stored,)}), forecasts, bars).height == 1


def test_a_day_without_forecasts_is_a_day_without_rows() -> None:
    forecasts, bars = market()
    assert swept(grid_of({"k_sigma": (0.5,)}), forecasts.clear(), bars).is_empty()


def test_ten_million_combinations_are_refused_with_their_number_and_time_and_never_made() -> None:
    wide = {name: tuple(float(v) for v in range(1, 101)) for name in ("k_sigma", "s_stop", "s_take")}
    grid = grid_of(wide | {"cooldown_bars": tuple(range(10))})
    assert grid.too_large
    words = str(grids.too_large(grid, grids.Pace(shared=0.1, each=0.1).of(3)))
    assert "10,000,000 combinations" in words
    assert "about 35 days at 300 ms each" in words
    assert words.endswith("Take values out of trading_grid.grids.mine, or raise trading_grid.max_combinations.")
    assert next(iter(grid.combinations())).rules.startswith('{"k_sigma": 1.0')


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.26, "0.3 s"), (10, "10 s"), (59, "59 s"), (119, "119 s"), (120, "2 min"), (150, "2 min"), (7_199, "120 min"),
     (7_200, "2 h"), (172_799, "48 h"), (172_800, "2 days"), (86_400 * 3, "3 days")],
)  # fmt: skip
def test_times_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert grids.duration(seconds) == words
