"""A trial: its value by pencil, equal to the scoreboard of the serial sweep, and no other in parts than whole."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.evaluation.trading import Account
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.research import trading_grid as grids
from timegpt_assets.core.research.objective import Daily, Figures, Penalties, smoothed
from timegpt_assets.core.research.scoreboard import Scoring, scoreboard
from timegpt_assets.core.research.search import Material, Space
from timegpt_assets.core.research.trading_grid import GridError
from timegpt_assets.core.research.trials import COMPLETE, Trial
from timegpt_assets_tests.core.research import search_market as market

SYMBOLS = ("AAPL", "MSFT")
CAPITAL = 200_000.0
CHOICE = {"rule_set": "enhancement", "sigma_column": "sigma_15m", "exit_at_forecast_ts": False, "ev_lambda": 0.25,
          "entry_lag_bars": 2}  # fmt: skip


def test_the_objective_by_pencil() -> None:
    """Two combinations over three sessions, 1,000 USD of capital."""
    daily = Daily(
        net=np.array([[10.0, -20.0, 30.0], [0.0, 0.0, 0.0]]),
        notional=np.array([[500.0, 1000.0, 1500.0], [0.0, 0.0, 0.0]]),
        trades=np.array([[1, 2, 3], [0, 0, 0]]),
    )
    found = daily.figures(1000.0)
    assert found[0] == Figures(net_return=0.02, max_drawdown=pytest.approx(0.02), turnover=1.0, trades=6)
    assert found[1] == Figures(net_return=0.0, max_drawdown=0.0, turnover=0.0, trades=0)
    seeds = Penalties(max_drawdown=2.5, reject_rate=1.5, turnover=0.02)
    assert seeds.value(found[0]) == pytest.approx(0.02 - 2.5 * 0.02 - 0.02 * 1.0)
    assert seeds.value(replace(found[0], reject_rate=0.1)) == pytest.approx(seeds.value(found[0]) - 0.15)
    assert seeds.value(found[1]) == 0.0


def test_a_plateau_beats_a_lone_peak_by_pencil() -> None:
    values = np.array([[0.0, 0.0, 4.0], [0.0, 6.0, 5.0], [9.0, 0.0, 4.0]])
    found = smoothed(values, axes=(0, 1))
    assert found[1, 2] == pytest.approx((5 + 4 + 4 + 6) / 4)
    assert found[2, 0] == pytest.approx((9 + 0 + 0) / 3)
    assert np.unravel_index(int(np.argmax(found)), found.shape) == (1, 2)
    assert np.unravel_index(int(np.argmax(values)), values.shape) == (2, 0)
    np.testing.assert_array_equal(smoothed(values, axes=()), values)
    assert smoothed(values, axes=(1,))[2, 0] == pytest.approx(4.5), "words have no neighbours"


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=6))
def test_smoothing_keeps_within_what_is_there_and_leaves_what_is_flat(values: list[float]) -> None:
    cells = np.array(values).reshape(2, 3)
    found = smoothed(cells, axes=(0, 1))
    assert found.min() >= cells.min() - 1e-12
    assert found.max() <= cells.max() + 1e-12
    np.testing.assert_allclose(smoothed(np.full((2, 3), values[0]), axes=(0, 1)), values[0])


def serial(searched: Space, choice: dict[str, Any], days: int) -> pl.DataFrame:
    """Return the scoreboard of the serial sweep of one choice: another road to the same figures."""
    found = market.frames(market.SESSIONS[:days], SYMBOLS)
    grid = searched.grid(choice)
    rows = grids.grid_days(
        grid, list(grid.combinations()), found["forecasts"], found["bars"], found["symbol_gates"], found["features"],
        events=EventCalendar({}),
    )  # fmt: skip
    account = Account(capital=CAPITAL / 2, symbols=SYMBOLS, annualization_days=252)
    scoring = Scoring(account=account, multipliers=(1.0,), plateau_share=0.9)
    return scoreboard(rows, sessions=market.SESSIONS[:days], scoring=scoring)


@pytest.mark.parametrize(
    "choice",
    [
        CHOICE,
        pytest.param(CHOICE | {"rule_set": "budget_sprint", "exit_at_forecast_ts": True}, marks=pytest.mark.whole),
    ],
)
def test_a_trial_is_worth_what_the_scoreboard_of_the_serial_sweep_says(choice: dict[str, Any]) -> None:
    searched, days = market.space(smooth=False), 6
    tried = searched.tried(choice)
    daily = market.made(searched, days=days, symbols=SYMBOLS).swept(tried.combinations)
    scores = serial(searched, choice, days)
    assert scores["trades"].sum() > 50
    by_name = {row["combination"]: row for row in scores.iter_rows(named=True)}
    for one, figures in zip(tried.combinations, daily.figures(CAPITAL), strict=True):
        row = by_name[one.name]
        assert figures.net_return * CAPITAL == pytest.approx(row["net_pnl"], abs=1e-9)
        assert (figures.max_drawdown, figures.trades) == (pytest.approx(row["max_drawdown"]), row["trades"])
        assert figures.turnover == pytest.approx(row["turnover"])
    weights = market.PENALTIES
    own = scores.with_columns(
        value=pl.col("net_pnl") / CAPITAL - weights.max_drawdown * pl.col("max_drawdown")
        - weights.turnover * pl.col("turnover")
    ).sort("value", descending=True)  # fmt: skip
    worth = searched.worth(tried, daily, CAPITAL)
    assert worth.value == pytest.approx(own["value"][0])
    assert by_name[worth.combination]["rules"] == worth.rules


def test_a_plateau_is_the_best_mean_of_a_combination_and_its_neighbours() -> None:
    """Held against a plain loop over the inner grid; the rule sets lie beside each other and are no neighbours."""
    searched = market.space({"entry_lag_bars": (1, 2)}, market.INNER | {"rule_set": ("enhancement", "budget_sprint")})
    tried = searched.tried({"entry_lag_bars": 2})
    daily = market.made(searched, symbols=SYMBOLS).swept(tried.combinations)
    value = {one.name: market.PENALTIES.value(own) for one, own in zip(tried.combinations, daily.figures(CAPITAL))}  # noqa: B905
    grid = searched.grid({"entry_lag_bars": 2})
    names = list(grid.dimensions)
    cells = {tuple(json.loads(one.rules).values()): value[one.name] for one in grid.choices()}

    def near(cell: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
        apart = [n for n, (a, b) in enumerate(zip(cell, other, strict=True)) if a != b]
        if not apart:
            return True
        own = grid.dimensions[names[apart[0]]]
        steps = abs(own.index(cell[apart[0]]) - own.index(other[apart[0]]))
        return len(apart) == 1 and names[apart[0]] != "rule_set" and steps == 1

    means = {cell: float(np.mean([cells[other] for other in cells if near(cell, other)])) for cell in cells}
    worth = searched.worth(tried, daily, CAPITAL)
    assert worth.value == pytest.approx(max(means.values()))
    best = max(means, key=lambda cell: means[cell])
    assert tuple(json.loads(worth.rules).values()) == best
    assert worth.value < max(cells.values()), "else this test looks at nothing"


def test_a_trial_in_parts_is_the_trial_whole() -> None:
    searched = market.space()
    whole, tried = market.made(searched, days=7), searched.tried(CHOICE)
    parts = whole.parts(3)
    assert [len(part.days) for part in parts] == [3, 3, 1]
    daily = parts[0].swept(tried.combinations)
    for part in parts[1:]:
        daily = daily.followed_by(part.swept(tried.combinations))
    at_once = whole.swept(tried.combinations)
    for name in ("net", "notional", "trades"):
        np.testing.assert_array_equal(getattr(daily, name), getattr(at_once, name))
    assert searched.worth(tried, daily, CAPITAL) == searched.worth(tried, at_once, CAPITAL)


def test_sessions_nobody_was_asked_on_count_between_and_not_at_the_ends() -> None:
    searched, found = market.space(), market.frames(market.SESSIONS[:6], SYMBOLS)
    silent = (market.SESSIONS[0], market.SESSIONS[3], market.SESSIONS[5])
    asked = found["forecasts"].filter(~pl.col("day").is_in(silent))
    made = market.material(
        searched, asked, found["bars"], found["symbol_gates"], found["features"], days=market.SESSIONS[:6],
        events=EventCalendar({}),
    )  # fmt: skip
    assert made.days == market.SESSIONS[1:5]
    daily = made.swept(searched.tried(CHOICE).combinations)
    assert daily.trades[:, 2].sum() == 0
    assert daily.trades[:, 0].sum() > 0


def test_combinations_that_trade_alike_are_tried_once_and_stand_in_every_cell() -> None:
    inner = {"k_sigma": (0.5, 1.0), "sigma_column": (None, "sigma_60m")}
    outer = {name: values for name, values in market.OUTER.items() if name != "sigma_column"}
    searched = market.space(outer, inner)
    tried = searched.tried({name: value for name, value in CHOICE.items() if name in outer})
    assert len(tried.combinations) == 2
    assert tried.cells.tolist()[0][0][0][0] == [[0, 0], [1, 1]]


def test_a_choice_is_json_and_back_and_names_the_very_rules() -> None:
    searched = market.space(market.OUTER | {"time_stop_et": (market.SPEC.rules.time_stop_et,)})
    values = searched.values()
    assert values["time_stop_et"] == ("15:55",)
    choice = {name: own[-1] for name, own in values.items()}
    grid = searched.grid(json.loads(json.dumps(choice)))
    one = next(iter(grid.combinations()))
    assert one.spec.rules.rule_set == "budget_sprint"
    assert one.spec.rules.time_stop_et == market.SPEC.rules.time_stop_et
    assert (one.spec.rules.entry_lag_bars, one.spec.sigma_column) == (3, "sigma_60m")
    assert searched.size == 72
    assert searched.whole.size == 72 * 18


def test_forecasts_that_are_not_stored_are_refused() -> None:
    with pytest.raises(GridError, match=r"horizon_min 30; stored under these settings is 15"):
        market.made(market.space(market.OUTER | {"horizon_min": (15, 30)}))


def test_a_trial_is_its_json_and_back() -> None:
    searched = market.space()
    made: Material = market.made(searched)
    tried = searched.tried(CHOICE)
    worth = searched.worth(tried, made.swept(tried.combinations), CAPITAL)
    trial = Trial(number=3, seed=5, state=COMPLETE, outer=CHOICE, steps=(0.1, worth.value), tried=18, duplicate_of=None,
                  worth=worth)  # fmt: skip
    assert Trial.of_json(json.loads(json.dumps(trial.as_json()))) == trial
