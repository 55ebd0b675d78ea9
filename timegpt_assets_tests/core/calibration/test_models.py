"""The rows of a day's models: which pool they rest on, from how many outcomes, and what validation refuses."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.calibration.methods import CalibrationSpec
from timegpt_assets.core.calibration.models import models

DAY = date(2025, 2, 21)
MAKER = {"forecaster": "f", "backend": "b", "model": "m", "score_source": "s"}
SPEC = CalibrationSpec(
    method="conformal", window_days=60, embargo_days=1, min_samples=8, min_samples_cell=4, max_width_multiple=3.0,
    recent_samples=1, recent_days=1, makers=(),
)  # fmt: skip


def outcomes(
    days: int, *, symbols: str = "A", hours: tuple[int, ...] = (15,), last: int = 2, y: Any = 1.0
) -> pl.DataFrame:
    """Return an outcome a session, symbol and hour; ``y`` of one of them, or a function of sessions before DAY."""
    rows = []
    for back in range(days + last - 1, last - 1, -1):
        for symbol in symbols:
            for hour in hours:
                at = datetime.combine(calendar.shifted(DAY, -back), datetime.min.time(), UTC) + timedelta(hours=hour)
                rows.append({
                    "symbol": symbol, "snapshot_ts": at, "target_ts": at + timedelta(minutes=15), **MAKER,
                    "y": y(back) if callable(y) else y, "q50": 0.1 * (back % 3), "sigma": 1.0,
                    "lo_50": 0.1 * (back % 3) - 1.0, "hi_50": 0.1 * (back % 3) + 1.0,
                })  # fmt: skip
    return pl.DataFrame(rows)


def row(frame: pl.DataFrame, spec: CalibrationSpec = SPEC, *, symbol: str = "A", time: str = "10:00") -> dict[str, Any]:
    """Return the one model row of a key."""
    keys = pl.DataFrame({"symbol": ["A", "B", "A"], "snapshot_time": ["10:00", "10:00", "14:00"]})
    found = models(frame, days=[DAY], keys=keys, levels=[50], calibration_spec=spec)
    return found.filter(symbol=symbol, snapshot_time=time).row(0, named=True)


@pytest.mark.parametrize(
    ("days", "symbols", "hours", "pool"),
    [
        (4, "A", (15,), None),  # a cell of four has no fifth for the pool of all
        (4, "AB", (15, 19), "cell"),
        (3, "AB", (15, 19), "all"),
        (3, "ABCD", (19, 20), "all"),
        (8, "A", (19,), "symbol"),
        (8, "B", (15,), "time"),
        (8, "B", (19,), "all"),
        (7, "B", (19,), ""),
    ],
)
def test_the_first_pool_that_is_large_enough_is_learnt_from(
    days: int, symbols: str, hours: tuple[int, ...], pool: str | None
) -> None:
    found = row(outcomes(days, symbols=symbols, hours=hours))
    assert found["calibration_pool"] == ("cell" if pool is None else pool)
    if pool == "":
        assert found["calibration_reason"] == "insufficient_history: 7 outcomes in the window, 8 needed"
        assert (found["method"], found["calibration_n"]) == ("none", 7)


def test_a_method_that_estimates_more_than_ranks_waits_for_more_of_a_cell() -> None:
    frame = outcomes(4, symbols="AB", hours=(15, 19))
    assert row(frame)["calibration_pool"] == "cell"
    for method in ("affine", "isotonic", "adaptive"):
        assert row(frame, replace(SPEC, method=method))["calibration_pool"] == "symbol"
    assert row(frame, replace(SPEC, method="adaptive", min_samples_cell=9))["calibration_pool"] == "symbol"
    assert row(outcomes(8, symbols="AB"), replace(SPEC, method="adaptive"))["calibration_pool"] == "cell"


def test_a_blend_learns_from_all_its_outcomes_whatever_share_of_the_net_each_month_chose() -> None:
    made = outcomes(9).with_columns(forecaster=pl.lit("blend"))
    early = pl.int_range(pl.len()) < 5
    lived = made.with_columns(model=pl.when(early).then(pl.lit("tabular_only")).otherwise(pl.lit("blend_alpha_0.3")))
    keys = pl.DataFrame({"symbol": ["A"], "snapshot_time": ["10:00"]})
    found = models(lived, days=[DAY], keys=keys, levels=[50], calibration_spec=SPEC)
    assert found.select("forecaster", "model", "calibration_n").rows() == [("blend", "blend", 9)]
    # of anybody else another model is another maker
    others = lived.with_columns(forecaster=pl.lit("timegpt"))
    apart = models(others, days=[DAY], keys=keys, levels=[50], calibration_spec=SPEC)
    assert set(apart["model"]) == {"tabular_only", "blend_alpha_0.3"}


def test_a_row_says_its_window_and_what_it_was_fitted_on() -> None:
    found = row(outcomes(9, y=lambda back: float(back)))
    assert (found["window_first"], found["window_last"]) == (calendar.shifted(DAY, -61), calendar.shifted(DAY, -2))
    assert found["last_target_ts"].date() == calendar.shifted(DAY, -2)
    assert (found["calibration_n"], found["rank_n"], found["rank"], found["embargo_days"]) == (9, 9, 5, 1)
    assert found["half_width"] == sorted(abs(back - 0.1 * (back % 3)) for back in range(2, 11))[4]
    assert (found["slope"], found["offset"], found["validation_n"]) == (1.0, 0.0, 0)


def test_outcomes_without_a_unit_are_counted_apart() -> None:
    frame = outcomes(9).with_columns(sigma=pl.when(pl.int_range(pl.len()) < 2).then(0.0).otherwise(1.0))
    words = "insufficient_history: 7 outcomes in the window (2 more have a band of no width or no sigma), 8 needed"
    assert row(frame, replace(SPEC, min_samples_cell=8))["calibration_reason"] == words
    assert row(frame, replace(SPEC, method="none"))["calibration_reason"] == "calibration.method is none"


def judged(frame: pl.DataFrame, **changes: Any) -> tuple[str, int, float | None]:
    """Return the method of the affine model's row, on how many it was validated, and by how much it was off."""
    found = row(frame, replace(SPEC, method="affine", **{"min_samples": 8, "recent_samples": 99} | changes))
    return found["method"], found["validation_n"], found["validation_deviation"]


def near(spread: float, sharp: float) -> Any:
    """Return y by session: ``spread`` wide until ten sessions before the day, ``sharp`` wide since."""
    signs = np.random.default_rng(4).uniform(-1, 1, 200)
    return lambda back: float(signs[back]) * (sharp if back <= 11 else spread) + 0.1 * (back % 3)


def test_a_quarter_of_the_sessions_judges_what_was_learnt_before_an_embargo() -> None:
    """Forty sessions: ten judge, one is the embargo, twenty-nine are learnt from."""
    frame = outcomes(40, y=near(1.0, 1.0))
    assert judged(frame)[1] == 10
    assert judged(frame, min_samples=29)[1] == 10
    assert judged(frame, min_samples=30)[1] == 0
    assert judged(outcomes(41, y=near(1.0, 1.0)))[1] == 11
    assert judged(frame, validation_share=0.001)[1] == 1
    assert judged(outcomes(9))[1] == 0


def test_what_missed_by_more_than_the_threshold_beyond_chance_gives_way_to_conformal() -> None:
    assert judged(outcomes(40, y=near(1.0, 1.0)))[0] == "affine"
    method, n, deviation = judged(outcomes(40, y=near(1.0, 0.01)))
    assert (method, n, deviation) == ("conformal", 10, 0.5)
    found = row(outcomes(40, y=near(1.0, 0.01)), replace(SPEC, method="affine", recent_samples=99))
    assert found["note"] == "affine missed by 0.500 in validation (10 outcomes): conformal instead"
    assert judged(outcomes(40, y=near(1.0, 0.01)), pit_deviation_threshold=0.5)[0] == "affine"


def test_a_curve_is_judged_along_its_own_knots_and_stored_with_them() -> None:
    """Far from a median of 0 to .2 lies what comes, in bands of 2: only a curve reaches it."""
    heights, signs = (5.0, 9.0, 10.0), np.random.default_rng(4).uniform(-1, 1, 200)
    frame = outcomes(40, y=lambda back: heights[back % 3] + 0.01 * float(signs[back]))
    found = row(frame, replace(SPEC, method="isotonic"))
    assert (found["method"], found["validation_n"]) == ("isotonic", 10)
    assert found["validation_deviation"] < 0.5
    assert sorted(set(found["knots_x"])) == pytest.approx([0.0, 0.05, 0.1])
    assert np.interp([0.0, 0.05, 0.1], found["knots_x"], found["knots_y"]) == pytest.approx([2.5, 4.5, 5.0], abs=0.01)


def test_days_and_keys_are_one_row_each_and_an_unknown_method_is_refused() -> None:
    keys = pl.DataFrame({"symbol": ["A", "A"], "snapshot_time": ["10:00", "10:00"]})
    days = [DAY, calendar.shifted(DAY, 1), DAY]
    found = models(outcomes(9), days=days, keys=keys, levels=[50], calibration_spec=SPEC)
    assert found.select("day", "symbol", "level").rows() == [(day, "A", 50) for day in sorted(set(days))]
    with pytest.raises(ValueError, match=r"calibration\.method is 'guess'"):
        models(outcomes(9), days=days, keys=keys, levels=[50], calibration_spec=replace(SPEC, method="guess"))
