"""The picture of a forecast grid's scoreboard: who stands on it, what is said of the others, which source is drawn."""

import itertools
import json
from typing import Any

import polars as pl

from timegpt_assets.core.research.forecast_board import board
from timegpt_assets.core.research.forecast_grid import choices, words
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures.forecast_board import SHOWN, scoreboard

GRID = {
    "horizons": (1, 15),
    "target_modes": ("log_return", "log_return_15m"),
    "snapshot_presets": ("baseline", "liquidity_profile"),
    "quantile_sets": ((0.1, 0.25, 0.5, 0.75, 0.9),),
    "calibration_methods": ("none", "affine", "isotonic", "conformal"),
}


def rows(run_source: str = "prod", count: int = 32) -> list[dict[str, Any]]:
    """Return the figures of so many combinations; half of them cannot be traded, one has no ratio."""
    found = []
    for n, choice in enumerate(choices(GRID)[:count]):
        aligned = (choice["horizons"] == 1) == (choice["target_modes"] == "log_return")
        sharpe = None if n == 3 or not aligned else 1.6 - 0.19 * n + 0.3 * (n % 3)
        found.append(
            {"combination": f"c{n:02d}", "words": words(choice), "seed": n, "tradeable": aligned, "payload": f"p{n}",
             "forecaster": "timegpt", "score_source": "model", "run_source": run_source, "data_regime": "prod_live",
             "n": 900, "rmae": 0.9, "pinball": 0.1, "pit_coverage": 0.5 + 0.02 * (n % 5), "observation_days": 60,
             "pit_deviation": 0.02 * (n % 5), "trades": 40, "hit_rate": 0.5, "net_pnl": 1.0, "sharpe_daily": sharpe,
             "max_drawdown": 0.1, "gates_passed": n in (4, 5), "gates_failed": ""}
        )  # fmt: skip
    return found


def scored(*parts: list[dict[str, Any]]) -> pl.DataFrame:
    return board(pl.DataFrame(list(itertools.chain(*parts)), infer_schema_length=None))


def test_the_best_are_named_by_what_tells_them_apart_and_the_others_are_counted() -> None:
    spec = scoreboard(scored(rows())).to_dict()
    drawn = next(data for data in spec["datasets"].values() if "label" in data[0])
    assert len(drawn) == SHOWN
    assert drawn[0]["label"] == "1  horizon 1, log_return, liquidity_profile, affine"
    assert [row["verdict"] for row in drawn[:3]] == ["gates passed", "gates passed", "gates not passed"]
    assert "quantile" not in json.dumps(drawn), "all of them have it in common"
    assert spec["title"]["text"].startswith("15 combinations scored: best composite ")
    assert spec["title"]["subtitle"][-1] == "16 not tradeable; 1 without a Sharpe ratio"
    assert render.png(scoreboard(scored(rows()))) == render.png(scoreboard(scored(rows())))


def test_the_source_with_most_combinations_is_drawn_and_named() -> None:
    spec = scoreboard(scored(rows(), rows("maintenance", 10))).to_dict()
    assert spec["title"]["subtitle"][0] == "timegpt, model / prod / prod_live"
    assert spec["title"]["text"].startswith("15 combinations scored")


def test_without_a_score_the_picture_says_so() -> None:
    spec = scoreboard(scored([row | {"sharpe_daily": None} for row in rows()])).to_dict()
    assert "no rows" in json.dumps(spec)
