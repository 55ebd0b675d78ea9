"""What a month's row says of a rung: of which months it learns, and what a blend lost where it was chosen."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.models import blend, folds, stated
from timegpt_assets.core.models.blend import BlendSpec
from timegpt_assets.core.tables.models import BASE_SCORES

DAYS = [s.day for s in calendar.sessions(date(2025, 1, 28), date(2025, 3, 4))]
ENDS = {"lo_80": 0.1, "mean": 0.5, "hi_80": 0.9}
TREE, NET = "lightgbm", "tsmixer"


def scores(words: tuple[str, ...] = (TREE, NET, "ridge", "zero"), source: str = "baseline") -> pl.DataFrame:
    rng = np.random.default_rng(1)
    rows: list[dict[str, Any]] = []
    for day in DAYS:
        snapshot, y = calendar.session(day).open + timedelta(minutes=30), rng.normal(0, 0.002)
        for word in words:
            centre = y * (0.6 if word == NET else 0.1) + rng.normal(0, 0.001)
            row = {"day": day, "symbol": "AAA", "snapshot_ts": snapshot, "horizon_min": 15, "forecaster": word}
            row |= {"target_ts": snapshot + timedelta(minutes=15), "sigma": 0.002, "y": y, "pinball": 0.0}
            row |= {"score_source": source, "mean": centre, "lo_80": centre - 0.003, "hi_80": centre + 0.003}
            rows.append(row)
    return BASE_SCORES.conformed(pl.DataFrame(rows, schema={**BASE_SCORES.schema, "lo_80": float, "hi_80": float}))


def test_a_window_is_the_months_before_and_nothing_of_the_month_itself() -> None:
    days = pl.DataFrame({"day": [date(2024, 12, 31), *DAYS]})
    assert folds.months_before(days, "2025-03", 1)["day"].to_list() == [day for day in DAYS if day.month == 2]
    assert folds.months_before(days, "2025-02", 1)["day"].to_list() == [day for day in DAYS if day.month == 1]
    assert folds.months_before(days, "2025-02", 2)["day"].min() == date(2024, 12, 31)


def test_a_blend_s_row_holds_what_it_lost_day_by_day_beside_its_parts_and_the_control_arm() -> None:
    chosen = blend.policy(scores(), month="2025-03", spec=BlendSpec(months=1, min_sessions=5), control="ridge")
    parts = pl.DataFrame({"forecaster": [TREE, NET], "digest": ["a" * 64, "b" * 64]})
    own = folds.months_before(scores(), "2025-03", 1)
    taught = stated.of_blend(chosen, own, parts, window_min=120)
    assert chosen.policy is not None
    assert chosen.policy.alpha > 0.5, "guard: the net knows more"
    assert taught.own == {"policy": chosen.policy.name, "parts": {TREE: "a" * 64, NET: "b" * 64}}
    row = stated.row("2025-03", "blend", taught, name="x", digest="c" * 64, control_settings="d").row(0, named=True)
    assert (row["policy"], row["as_of"], row["last_day"]) == (chosen.policy.name, date(2025, 2, 28), date(2025, 2, 28))
    assert row["validation_sessions"] == chosen.sessions == 19
    assert {one["forecaster"] for one in row["validation"]} == {"blend", TREE, NET, "ridge", "zero", "unlearnt"}
    assert row["pinball"] == pytest.approx(clerk(own, chosen.policy.alpha), rel=1e-12) == chosen.pinball
    assert row["control_pinball"] == pytest.approx(chosen.control_pinball, rel=1e-12)


def clerk(own: pl.DataFrame, alpha: float) -> float:
    """Return the mean loss of the blend of rows that a clerk would find."""
    by_word = {word: own.filter(forecaster=word).sort("day").to_dicts() for word in (TREE, NET)}
    lost = []
    for tree, net in zip(by_word[TREE], by_word[NET], strict=True):
        for name, q in ENDS.items():
            missed = (tree["y"] - (1 - alpha) * tree[name] - alpha * net[name]) / tree["sigma"]
            lost.append(q * missed if missed > 0 else (q - 1) * missed)
    return sum(lost) / len(lost)


def test_a_blend_that_nothing_was_chosen_for_says_why_and_has_no_files() -> None:
    for seen in (scores((TREE, "ridge")), scores(source="fallback"), scores().clear()):
        chosen = blend.policy(seen, month="2025-03", spec=BlendSpec(months=1, min_sessions=5), control="ridge")
        taught = stated.of_blend(
            chosen,
            folds.months_before(seen, "2025-03", 1),
            pl.DataFrame(schema={"forecaster": str, "digest": str}),
            window_min=120,
        )
        row = stated.row("2025-03", "blend", taught, name="x", digest=None, control_settings="d").row(0, named=True)
        assert row["reason"].startswith("insufficient_history: 0 sessions")
        assert (row["policy"], row["pinball"], row["validation"], taught.files) == (None, None, [], {})
