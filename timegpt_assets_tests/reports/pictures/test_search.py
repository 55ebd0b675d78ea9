"""The pictures of a search: every trial once, the best so far of complete ones, and rules by what they mattered."""

import json
from datetime import date
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.tables.research import SEARCH_TRIALS
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures.search import history, importance

VALUES = (-0.02, 0.01, 0.09, 0.03, 0.01, 0.02)
"""The third is of a part alone; the fifth chose what the second had."""


def trials(**changes: Any) -> pl.DataFrame:
    rows = [
        {"month": "2025-02", "as_of": date(2025, 2, 27), "study": "s", "stage": "coarse", "forecaster": "ridge",
         "score_source": "baseline", "run_source": "smoke", "data_regime": "maintenance_replay",
         "first_day": date(2025, 1, 2), "last_day": date(2025, 1, 31), "observation_days": 20, "number": n, "seed": n,
         "state": "pruned" if n == 2 else "complete",
         "outer": json.dumps({"lag": 1 if value > 0.015 else 2, "rule_set": "ab"[n % 2], "one": 1}),
         "steps": [value], "tried": 10, "duplicate_of": 1 if n == 4 else None, "value": value, "combination": str(n),
         "rules": "{}", "trades": 3, "net_return": value, "max_drawdown": 0.0, "turnover": 0.1}
        | {"finalist": None, "limited_value": None, "reject_rate": None} | changes
        for n, value in enumerate(VALUES)
    ]  # fmt: skip
    return pl.DataFrame(rows, SEARCH_TRIALS.schema)


def drawn(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return next(iter(spec["datasets"].values()))


def test_each_trial_is_drawn_once_and_the_best_so_far_is_of_complete_ones() -> None:
    spec = history(trials()).to_dict()
    rows = sorted(drawn(spec), key=lambda row: row["number"])
    assert [row["value"] for row in rows] == list(VALUES)
    assert [row["best"] for row in rows] == [-0.02, 0.01, 0.01, 0.03, 0.03, 0.03]
    assert [row["kind"] for row in rows] == ["complete", "complete", "pruned", "complete", "chosen before", "complete"]
    assert spec["title"]["text"] == "Best value +3.00% of capital"
    assert (
        spec["title"]["subtitle"][0]
        == "6 trials, 1 pruned, 1 chosen before; 50 combinations tried; line: the best so far"
    )


def test_the_rule_that_tells_good_from_bad_is_first_and_what_never_moved_is_left_out() -> None:
    rows = drawn(importance(trials()).to_dict())
    assert [row["rule"] for row in rows] == ["lag", "rule_set"]
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)


@pytest.mark.parametrize("draw", [history, importance])
def test_they_are_pictures_and_nothing_is_said_to_be_nothing(draw: Any) -> None:
    assert render.note("search", lambda: draw(trials())).startswith("![search](data:image/png")
    assert ">no rows<" in render.svg(draw(SEARCH_TRIALS.empty()))
    assert render.png(draw(trials(state="pruned"))).startswith(b"\x89PNG")
    assert render.png(draw(trials().head(1))).startswith(b"\x89PNG")
