"""The scoreboard: figures by hand, ranks that cannot toss a coin, plateaus, and combinations that are no other."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import significance
from timegpt_assets.core.evaluation.trading import Account, max_drawdown
from timegpt_assets.core.research.scoreboard import Scoring, scoreboard
from timegpt_assets.core.tables.research import GRID_DAYS

DAYS = [date(2025, 1, 2), date(2025, 1, 3), date(2025, 1, 6)]
SCORING = Scoring(
    account=Account(capital=1_000.0, symbols=("AAA", "BBB"), annualization_days=252),
    multipliers=(1.0, 2.0),
    plateau_share=0.5,
)
GROSS = {"aa": (30.0, -10.0, 20.0), "bb": (5.0, 6.0, 7.0), "cc": (30.0, -10.0, 20.0), "dd": (-9.0, -8.0, -10.0)}


def rows(gross: dict[str, tuple[float, ...]] = GROSS, *, days: list[date] = DAYS, who: str = "ridge") -> pl.DataFrame:
    made = [
        {"day": day, "combination": name, "rules": f'{{"k_sigma": "{name}"}}', "forecaster": who,
         "score_source": "baseline", "run_source": "smoke", "data_regime": "maintenance_replay",
         "trades": 4, "hits": 1, "notional": 500.0, "gross_pnl": amount, "cost": 2.0, "net_pnl": amount - 2.0}
        for name, amounts in gross.items()
        for day, amount in zip(days, amounts, strict=True)
    ]  # fmt: skip
    return GRID_DAYS.conformed(pl.DataFrame(made, schema=GRID_DAYS.schema))


def scores(frame: pl.DataFrame, sessions: list[date] = DAYS) -> pl.DataFrame:
    return scoreboard(frame, sessions=sessions, scoring=SCORING)


def test_figures_are_those_of_the_days_at_each_cost_from_one_pass() -> None:
    found = scores(rows()).filter(combination="aa").sort("cost_multiplier")
    for row, multiple in zip(found.iter_rows(named=True), (1.0, 2.0), strict=True):
        net = np.array([30.0, -10.0, 20.0]) - multiple * 2.0
        assert (row["trades"], row["observation_days"]) == (12, 3)
        assert row["net_pnl"] == pytest.approx(net.sum())
        assert row["cost"] == 6.0 * multiple
        assert row["gross_pnl"] == 40.0
        assert row["sharpe_daily"] == pytest.approx(net.mean() / net.std(ddof=1) * 252**0.5)
        assert row["sharpe_daily"] == significance.sharpe(net / 2_000, periods=252).value
        assert row["max_drawdown"] == pytest.approx((10.0 + 2.0 * multiple) / 2_000)
        assert row["max_drawdown"] == max_drawdown(net / 2_000)
        assert row["drawdown_days"] == 1
        assert row["turnover"] == 0.25, "three days of 500 / 2,000 of capital / three days"
        assert row["hit_rate"] == (0.25 if multiple == 1.0 else None)
        assert (row["first_day"], row["last_day"]) == (DAYS[0], DAYS[-1])


def test_the_best_is_first_and_equal_ones_stand_by_name() -> None:
    found = scores(rows()).filter(cost_multiplier=1.0)
    assert found["combination"].to_list() == ["bb", "aa", "cc", "dd"]
    assert found["rank"].to_list() == [1, 2, 3, 4]
    shuffled = rows().sample(fraction=1.0, shuffle=True, seed=3)
    assert scores(shuffled).equals(scores(rows()))


def test_ranks_are_of_each_forecaster_and_cost_by_itself() -> None:
    both = pl.concat([rows(), rows({"aa": (1.0, 2.0, 3.0)}, who="zero")])
    found = scores(both)
    assert found.filter(forecaster="zero")["rank"].to_list() == [1, 1]
    assert scores(both.filter(forecaster="ridge")).equals(found.filter(forecaster="ridge"))


def test_a_combination_without_variance_has_no_ratio_and_comes_last() -> None:
    found = scores(rows(GROSS | {"ee": (2.0, 2.0, 2.0)})).filter(cost_multiplier=1.0)
    last = found.row(-1, named=True)
    assert (last["combination"], last["sharpe_daily"], last["vol_floor_applied"]) == ("ee", None, True)
    assert not last["plateau"]


def test_other_values_with_the_same_days_are_told_to_be_no_other() -> None:
    found = dict(scores(rows()).filter(cost_multiplier=1.0).select("combination", "duplicate_payload").iter_rows())
    assert found == {"aa": None, "bb": None, "cc": "aa", "dd": None}
    nearly = GROSS | {"cc": (30.0, -10.0, 20.0 + 1e-9)}
    assert scores(rows(nearly))["duplicate_payload"].null_count() == 8


def test_the_plateau_is_what_comes_near_the_best_and_there_is_none_around_a_loss() -> None:
    near = {"aa": (5.0, 6.0, 7.0), "bb": (5.0, 6.0, 7.9), "dd": (-9.0, -8.0, -10.0)}
    found = dict(scores(rows(near)).filter(cost_multiplier=1.0).select("combination", "plateau").iter_rows())
    assert found == {"aa": True, "bb": True, "dd": False}
    assert scores(rows({"dd": (-9.0, -8.0, -10.0), "ee": (-9.0, -7.0, -10.0)}))["plateau"].sum() == 0


@pytest.mark.parametrize(("best", "found"), [((2.1, -2.0, 2.1), True), ((2.0, -2.0, 0.0), False)])
def test_the_best_lies_on_its_own_plateau_however_little_it_gained_and_nothing_gained_has_none(
    best: tuple[float, ...], found: bool
) -> None:
    nets = tuple(net + 2.0 for net in best)  # each day costs 2
    told = scoreboard(rows({"aa": nets}), sessions=DAYS, scoring=replace(SCORING, plateau_share=1.0))
    told = told.filter(cost_multiplier=1.0)
    assert (told["sharpe_daily"].item() > 0, told["plateau"].item()) == (found, found)
    little = scoreboard(rows({"aa": (2.1, 0.0, 4.0)}), sessions=DAYS, scoring=SCORING).filter(cost_multiplier=1.0)
    assert 0 < little["sharpe_daily"].item() < 1
    assert little["plateau"].item()


def test_sessions_on_which_nobody_was_asked_count_zero_in_between_and_not_outside() -> None:
    sessions = [date(2024, 12, 31), DAYS[0], DAYS[1], DAYS[2], date(2025, 1, 7)]
    asked = rows({"aa": (30.0, 20.0)}, days=[DAYS[0], DAYS[2]])
    found = scores(asked, sessions).filter(cost_multiplier=1.0).row(0, named=True)
    assert found["observation_days"] == 3
    assert found["turnover"] == pytest.approx(1_000 / 2_000 / 3)
    assert found["sharpe_daily"] == pytest.approx(significance.sharpe(np.array([28.0, 0.0, 18.0]), periods=252).value)


def test_days_outside_the_sessions_are_not_counted_and_nothing_gives_nothing() -> None:
    found = scores(rows(), DAYS[:2]).filter(combination="aa", cost_multiplier=1.0)
    assert found["observation_days"].to_list() == [2]
    assert scores(GRID_DAYS.empty()).is_empty()
