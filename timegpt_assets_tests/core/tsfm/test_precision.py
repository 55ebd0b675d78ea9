"""Breaches of the model's bands are held against the baseline's on the same rows."""

from collections.abc import Iterable
from datetime import timedelta

import polars as pl
import pytest

from timegpt_assets.core.tsfm.figures import figures
from timegpt_assets.core.tsfm.precision import PrecisionSpec, Verdict, judged
from timegpt_assets_tests.core.tsfm.band_rows import band, bands
from timegpt_assets_tests.core.tsfm.market_rows import NOON, at

SPEC = PrecisionSpec(
    band_source="tsfm_conformal",
    horizon_step=1,
    follow_through_move=0.03,
    drop_max=0.15,
    window_days=3,
    min_breaches=4,
)
DAY = NOON.date()


def came(moves: Iterable[float | None], y: float = 0.7) -> pl.DataFrame:
    """Return outcomes of bands five minutes apart: the price, and how far it rose after."""
    rows = [
        ("m", at(5 * i - 5), 1, at(5 * i).date(), y, rise, None if rise is None else 0.0)
        for i, rise in enumerate(moves)
    ]
    names = ("market_id", "as_of", "step", "day", "y", "rise", "fall")
    return pl.DataFrame(
        rows,
        names,
        orient="row",
        schema_overrides={"as_of": pl.Datetime("us", "UTC"), "rise": pl.Float64, "fall": pl.Float64},
    )


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


def test_figures_are_of_the_used_band() -> None:
    rows = bands(*(band(minutes=5 * i, liquidity_bucket="LOW" if i else "HIGH") for i in range(4)))
    found = figures(rows, came([0.05, 0.0, 0.05, None]), follow_through_move=0.03)
    assert found == pytest.approx(
        {
            "coverage_rolling_high": 0.0,
            "interval_width_high": 0.2,
            "coverage_rolling_low": 0.0,
            "interval_width_low": 0.2,
            "breach_rate": 1.0,
            "breach_followthrough_rate": 2 / 3,
        }
    )
    assert figures(rows.clear(), came([0.05]), follow_through_move=0.03) == {}
