"""Breaches of the model's bands are held against the baseline's on the same rows."""

from datetime import timedelta

import pytest

from timegpt_assets.core.tsfm.precision import PrecisionSpec, Verdict, judged
from timegpt_assets_tests.core.tsfm.band_rows import band, bands
from timegpt_assets_tests.core.tsfm.market_rows import NOON
from timegpt_assets_tests.core.tsfm.outcome_rows import came

SPEC = PrecisionSpec(
    band_source="tsfm_conformal",
    horizon_step=1,
    follow_through_move=0.03,
    drop_max=0.15,
    window_days=3,
    min_breaches=4,
)
DAY = NOON.date()


def verdict(own: list[float], other: list[float], **changed: object) -> Verdict:
    """Return what is judged where the model's band breaks with ``own`` and the baseline's with ``other``."""
    broken = {"adjusted_upper": 0.6, "baseline_upper": 0.8}
    theirs = {"adjusted_upper": 0.8, "baseline_upper": 0.6}
    rows = [
        band(minutes=5 * i, **(broken if i < len(own) else theirs), **changed) for i in range(len(own) + len(other))
    ]
    return judged(bands(*rows), came([*own, *other]), DAY, 0, SPEC)


def test_it_fires_where_the_model_s_breaches_mean_less() -> None:
    found = verdict([0.03, 0.0, 0.0, 0.0], [0.03, 0.05, 0.01, 0.01])
    assert (found.tsfm.precision, found.baseline.precision) == (0.25, 0.5)
    assert (found.fired, found.drop) == (True, 0.5)
    assert "50.0% less" in found.reason


def test_as_much_as_is_allowed_is_not_more() -> None:
    own, other = [0.03] * 17 + [0.0] * 3, [0.03] * 20
    assert verdict(own, other).drop == pytest.approx(0.15)
    assert not verdict(own, other).fired
    assert verdict([*own[1:], 0.0], other).fired


def test_too_few_breaches_judge_nobody() -> None:
    found = verdict([0.0] * 3, [0.03] * 9)
    assert (found.fired, found.drop) == (False, None)
    assert "4 of each are asked" in found.reason


def test_what_the_model_did_not_answer_says_nothing_of_it() -> None:
    assert verdict([0.0] * 5, [0.05] * 5, fallback_used=True).rows == 0


def test_a_breach_whose_time_is_not_over_counts_nowhere() -> None:
    rows = bands(*(band(minutes=5 * i) for i in range(4)))
    found = judged(rows, came([None, 0.05, 0.05, None]), DAY, 0, SPEC)
    assert (found.rows, found.tsfm.breaches) == (2, 2)


def test_days_before_the_window_count_no_more() -> None:
    rows = bands(*(band(minutes=5 * i) for i in range(4)))
    for days, kept in ((2, 4), (3, 0)):
        assert judged(rows, came([0.05] * 4), DAY + timedelta(days=days), 0, SPEC).rows == kept
