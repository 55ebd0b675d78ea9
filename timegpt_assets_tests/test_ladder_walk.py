"""What the ladder finds where something is planted, and that it finds nothing where nothing is: small, or whole."""

from datetime import date
from pathlib import Path

import pytest

from timegpt_assets.core import calendar
from timegpt_assets_tests.ladder_walk import (
    WEEKLY,
    StillMarket,
    Walk,
    blocks,
    made,
    market,
    of_house,
    pair,
    settings,
    specs,
    walked,
)

SYMBOLS = tuple("ABCDEFGH")
SESSIONS = [session.day for session in calendar.sessions(date(2025, 2, 3), date(2025, 6, 30))]
UNDER = settings("forecast.challengers=[zero]", "forecast.history_days=40")
SPEC = specs(UNDER)[1]
ONCE = Walk(least=20, block=99)


def test_on_a_planted_interaction_the_tree_beats_zero_and_the_control_arm() -> None:
    planted = made(market(7, SYMBOLS[:3], interaction=0.3), SYMBOLS[:3], SESSIONS[:32], UNDER)
    known = planted.rows()
    said = walked(known, SPEC, walk=ONCE)
    for other in ("ridge", "zero"):
        found = pair(known, said, "lightgbm", other, SPEC.levels)
        assert found.sessions == 11
        assert found.better
        assert found.mae_ratio is not None
        assert found.mae_ratio < 1, "the centre, not the bands alone"
        assert found.dm_p is not None
        assert found.dm_p < 0.01


@pytest.mark.whole
def test_in_a_still_market_the_trees_centre_says_nothing() -> None:
    known = made(StillMarket(seed=1), SYMBOLS[:3], SESSIONS[:28], UNDER).rows()
    found = pair(known, walked(known, SPEC, walk=ONCE), "lightgbm", "zero", SPEC.levels)
    assert found.mae_ratio is not None
    assert found.mae_ratio > 0.998


def test_a_block_is_answered_by_what_lies_before_its_embargo_and_each_session_once() -> None:
    known = made(StillMarket(seed=1), ["A"], SESSIONS[:24], UNDER).rows()
    found = [(sorted(set(fold.train["day"])), sorted(set(fold.test["day"]))) for fold in blocks(known, 1, WEEKLY)]
    assert [test for _, test in found] == [SESSIONS[13:18], SESSIONS[18:23], SESSIONS[23:24]]
    assert [train for train, _ in found] == [SESSIONS[:12], SESSIONS[:17], SESSIONS[:22]]


def test_a_house_gives_the_rows_of_its_panel_and_labels(tmp_path: Path) -> None:
    ready = made(StillMarket(seed=1), ["A", "B"], SESSIONS[:3], UNDER)
    for name, frame in (("panel", ready.panel), ("labels", ready.labels)):
        (tmp_path / "features" / name).mkdir(parents=True)
        for (day,), part in frame.partition_by("day", as_dict=True).items():
            if name == "panel" or day in SESSIONS[:3]:
                part.write_parquet(tmp_path / "features" / name / f"{day}.parquet")
    assert of_house(tmp_path, UNDER).equals(ready.rows())


@pytest.mark.whole
def test_on_a_linear_plant_the_control_arm_beats_zero_by_itself() -> None:
    known = made(market(7, SYMBOLS, linear=0.3), SYMBOLS, SESSIONS[:48], UNDER).rows()
    assert pair(known, walked(known, SPEC), "ridge", "zero", SPEC.levels).better
