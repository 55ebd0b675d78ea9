"""Losses by plain loops, and two forecasters compared on the rows that both answered."""

import json

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import significance
from timegpt_assets.core.models.judged import compared, losses
from timegpt_assets.core.models.rows import KEY
from timegpt_assets_tests.core.models.made import rows

LEVELS = (50, 80, 95)
ROWS = rows(12)
TAILS = {"lo_80": 0.1, "lo_50": 0.25, "mean": 0.5, "hi_50": 0.75, "hi_80": 0.9}


def said(width: float) -> pl.DataFrame:
    """Return answers as wide as asked."""
    reach = {50: 0.67, 80: 1.28, 95: 1.96}
    ends = {f"{side}_{level}": way * width * reach[level] for level in LEVELS for side, way in (("lo", -1), ("hi", 1))}
    return ROWS.select(*KEY, mean=pl.lit(0.0), **{name: pl.lit(end) for name, end in ends.items()})


def test_losses_are_what_plain_loops_find() -> None:
    answers = said(1.0)
    for z, answer, loss in zip(ROWS["z"], answers.to_dicts(), losses(ROWS, answers, LEVELS).to_dicts(), strict=True):
        each = [max(tail * (z - answer[end]), (tail - 1) * (z - answer[end])) for end, tail in TAILS.items()]
        assert loss["pinball"] == pytest.approx(np.mean(each), abs=1e-12)
        assert loss["abs_error"] == pytest.approx(abs(z))


def test_a_comparison_counts_common_rows_by_days() -> None:
    good, bad = losses(ROWS, said(1.0), LEVELS), losses(ROWS, said(2.5), LEVELS)
    found = compared(good[100:], bad[:-100])
    common = good[100:-100].join(bad, on=list(KEY))
    assert (found.n, found.sessions) == (common.height, 10)
    assert found.pinball_ratio == pytest.approx(common["pinball"].sum() / common["pinball_right"].sum())
    assert found.pinball == pytest.approx(common["pinball"].mean())
    assert found.against_pinball == pytest.approx(common["pinball_right"].mean())
    assert found.pinball_ratio_low < found.pinball_ratio < found.pinball_ratio_high < 1
    assert found.mae_ratio == pytest.approx(1.0)
    daily = common.group_by("day").agg(pl.col("pinball", "pinball_right").sum()).sort("day")
    p = significance.diebold_mariano(daily["pinball"].to_numpy(), daily["pinball_right"].to_numpy())
    assert found.dm_p == pytest.approx(p)
    assert found.better
    assert not compared(bad, good).better
    assert compared(bad, good).dm_p == pytest.approx(1 - compared(good, bad).dm_p)


def test_a_lower_loss_that_one_day_made_is_not_better() -> None:
    own, first = losses(ROWS, said(1.0), LEVELS), pl.col("day") == ROWS["day"].min()
    found = compared(own, own.with_columns(pl.col("pinball") * pl.when(first).then(3.0).otherwise(0.95)))
    assert found.pinball_ratio < 1
    assert found.dm_p > 0.05
    assert not found.better


def test_nothing_in_common_is_nothing_known() -> None:
    found = compared(losses(ROWS[:0], said(1.0), LEVELS), losses(ROWS, said(1.0), LEVELS))
    assert (found.n, found.sessions, found.pinball_ratio, found.dm_p, found.better) == (0, 0, None, None, False)
    same = losses(ROWS, said(1.0), LEVELS)
    assert (compared(same, same).dm_p, compared(same, same).better) == (None, False)
    json.dumps(found.saved(), allow_nan=False)


def test_a_level_beyond_the_scored_ones_counts_for_nothing() -> None:
    wide = said(1.0).with_columns(hi_95=pl.lit(99.0))
    assert losses(ROWS, wide, LEVELS).equals(losses(ROWS, said(1.0), LEVELS))
    assert losses(ROWS, said(1.0), (50,)).columns == [*KEY, "pinball", "abs_error"]
