"""The heat map of a sweep: the two rules asked for, the slice the best one lies in, and what is framed."""

import itertools
import json
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.evaluation.trading import Account
from timegpt_assets.core.research.scoreboard import Scoring, scoreboard
from timegpt_assets.core.tables.research import GRID_DAYS, TRADING_GRID
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures.sweep import plateau
from timegpt_assets_tests.reports.pictures import frames

DAYS = frames.sessions(4)
SCORING = Scoring(
    account=Account(capital=1e5, symbols=("AAPL",), annualization_days=252), multipliers=(1.0, 2.0), plateau_share=0.9
)


def scores() -> pl.DataFrame:
    """Return the scores of 3 x 2 x 2 combinations; the best has k 0.75, stop 2 and a trail of 1."""
    rows = [
        {"day": day, "combination": f"{k}-{stop}-{trail}",
         "rules": json.dumps({"k_sigma": k, "s_stop": stop, "s_trail": trail}), "forecaster": "ridge",
         "score_source": "baseline", "run_source": "smoke", "data_regime": "maintenance_replay",
         "trades": 3, "hits": 2, "gross_pnl": 100.0 + 10 * n + 30 * (k == 0.75) * stop + 5 * (trail or 0), "cost": 9.0,
         "net_pnl": 0.0, "notional": 1e5}
        for (k, stop, trail) in itertools.product((0.5, 0.75, 1.0), (1.0, 2.0), (None, 1.0))
        for n, day in enumerate(DAYS)
    ]  # fmt: skip
    return scoreboard(pl.DataFrame(rows, schema=GRID_DAYS.schema), sessions=DAYS, scoring=SCORING)


def cells(**asked: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    spec = plateau(scores(), **asked).to_dict()
    return spec, next(iter(spec["datasets"].values()))


def test_the_two_rules_with_most_values_are_drawn_and_the_others_stand_as_in_the_best() -> None:
    spec, drawn = cells()
    assert {(cell["x"], cell["y"]) for cell in drawn} == {(k, s) for k in ("0.5", "0.75", "1") for s in ("1", "2")}
    best = next(cell for cell in drawn if cell["rank"] == 1)
    assert (best["x"], best["y"], best["plateau"]) == ("0.75", "2", True)
    assert spec["title"]["subtitle"][-1] == "elsewhere as the best: s_trail 1"
    assert "of 12 combinations" in spec["title"]["text"]


def test_the_rules_and_the_figure_that_are_asked_for_are_drawn() -> None:
    spec, drawn = cells(across=("s_trail", "s_stop"), figure="net_pnl")
    assert {(cell["x"], cell["y"]) for cell in drawn} == {(t, s) for t in ("none", "1") for s in ("1", "2")}
    assert max(cell["net_pnl"] for cell in drawn) == pytest.approx(4 * (100 + 60 + 5 - 9) + 60)
    assert "net P&L" in spec["title"]["text"]


def test_a_rule_that_is_none_of_the_grid_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"s_top is no rule of the grid. Choose from: k_sigma, s_stop, s_trail"):
        plateau(scores(), across=("s_top",))


def test_it_is_a_note_that_fits_and_nothing_is_said_to_be_nothing() -> None:
    assert render.note("plateau", lambda: plateau(scores())).startswith("![plateau](data:image/png")
    assert ">no rows<" in render.svg(plateau(TRADING_GRID.empty()))
    alone = scores().filter(combination="0.5-1.0-None").with_columns(rank=pl.lit(1, pl.Int64))
    assert render.png(plateau(alone)).startswith(b"\x89PNG")
