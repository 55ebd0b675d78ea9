"""Measures are those of the literature, on the rows that they are of."""

import sys

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.tsfm.scoring import ScoringSpec, measures, scored
from timegpt_assets_tests.core.tsfm.outcome_rows import outcomes

with pytest.MonkeyPatch.context() as hidden:
    # where numba is, scoringrules compiles 58 kernels of its own when imported
    hidden.setitem(sys.modules, "numba", None)
    import scoringrules

SPEC = ScoringSpec(move=0.03, tolerance=0.03, draws=200)
RAW = {"raw": ""}


def of_all(rows: pl.DataFrame, level: float = 0.8, segment: str = "all") -> dict[str, object]:
    return scored(rows, RAW, SPEC, level=level, split="all", floor=True).row(
        by_predicate=pl.col("segment") == segment, named=True
    )


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_pinball_and_winkler_are_those_of_scoringrules(level: float) -> None:
    draws = np.random.default_rng(2)
    y, bands = draws.random(200), np.sort(draws.random((200, 3)), axis=1)
    lower, median, upper = bands.T
    rows = outcomes(y.tolist(), lower=lower, median=median, upper=upper)
    told = rows.select(**measures("", level, 0.03))
    tail = (1 - level) / 2
    pinball = [
        scoringrules.quantile_score(y, end, share)
        for end, share in ((lower, tail), (median, 0.5), (upper, 1 - tail))
    ]  # fmt: skip
    winkler = scoringrules.interval_score(y, lower, upper, 1 - level)
    np.testing.assert_allclose(told["pinball"].to_numpy(), np.mean(pinball, axis=0), atol=1e-12)
    np.testing.assert_allclose(told["winkler"].to_numpy(), winkler, atol=1e-12)


def test_a_row_worked_by_hand() -> None:
    found = of_all(outcomes([0.4, 0.6, 0.7, 0.1], rise=[0.5, 0.5, 0.03, 0.9], fall=[0.5, 0.5, 0.9, 0.02]))
    assert (found["samples"], found["events"], found["coverage"], found["breach_rate"]) == (4, 1, 0.5, 0.5)
    assert found["follow_through_rate"] == 0.5  # up by .03 after it rose above; down by less than that
    assert found["width"] == pytest.approx(0.2)
    assert found["winkler"] == pytest.approx((0.2 * 4 + 0.1 * 10 + 0.3 * 10) / 4)
    assert found["coverage_lo"] is None  # one event says nothing of how events differ


def test_breaches_whose_hours_reach_beyond_the_day_count_in_neither_part_of_the_rate() -> None:
    none = [None, None]
    assert of_all(outcomes([0.7, 0.1], rise=none, fall=none))["follow_through_rate"] is None
    assert of_all(outcomes([0.7, 0.7], rise=[None, 0.5], fall=[None, 0.0]))["follow_through_rate"] == 1.0


def test_the_interval_is_of_events_and_not_of_rows() -> None:
    apart = pl.concat(outcomes([0.5 if n % 2 else 0.9] * 200, market=f"m{n}") for n in range(8))
    wide = of_all(apart)
    lo, hi = wide["coverage_lo"], wide["coverage_hi"]
    assert isinstance(lo, float)
    assert isinstance(hi, float)
    assert wide["coverage"] == 0.5
    assert hi - lo > 0.4


@pytest.mark.parametrize(("held", "is_within"), [(77, True), (83, True), (76, False), (84, False)])
def test_tolerance_holds_at_its_ends(held: int, is_within: bool) -> None:
    assert of_all(outcomes([0.5] * held + [0.9] * (100 - held)))["within_tolerance"] is is_within


def test_every_segment_has_its_own_row_and_they_add_up() -> None:
    rows = pl.concat([
        outcomes([0.5, 0.9], market="a", liquidity_bucket="LOW", last_price=0.0005),
        outcomes([0.5], market="b", step=2, last_price=None),
        outcomes([0.5], market="c", step=3, last_price=0.97),
    ])  # fmt: skip
    told = scored(rows, RAW, SPEC, level=0.8, split="all", floor=True)
    counts = dict(told.select("segment", "samples").rows())
    assert counts["all"] == 4
    assert {name: n for name, n in counts.items() if name.startswith("price=")} == {
        "price=<=.001": 2, "price=UNKNOWN": 1, "price=>.95": 1,
    }  # fmt: skip
    for cut in ("liquidity_bucket", "tte_bucket", "category", "step", "price"):
        assert sum(n for name, n in counts.items() if name.startswith(f"{cut}=")) == 4
    assert of_all(rows, segment="liquidity_bucket=LOW")["coverage"] == 0.5
