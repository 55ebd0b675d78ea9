"""The zero-return forecast: what plain loops answer, and bands that hold where nothing can be forecast."""

import numpy as np

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.zero import Zero
from timegpt_assets_tests.core.forecasts.local.made import LEVELS, agree, answers, lessons, usual_frames


def oracle(frame: Frame, symbol: str) -> tuple[float, ...]:
    """Return mean, lo_50, hi_50 by plain loops over the frame's rows."""
    learnt, now = lessons(frame, symbol)
    near = [lesson.z for lesson in learnt if abs(lesson.minute - now["minute"]) <= 20]
    low, middle, high = np.quantile(near, [0.25, 0.5, 0.75]) * now["sigma"]
    return 0.0, low - middle, high - middle


def test_the_answer_is_the_oracle_loop_s_in_every_target_unit() -> None:
    agree(Zero(window_min=20, min_residuals=120), oracle)


def test_no_return_is_expected_and_the_bands_have_width() -> None:
    rows = answers(usual_frames(), Zero(window_min=30, min_residuals=120))
    assert rows.height > 0
    assert set(rows["mean"]) == {0.0}
    assert all((rows[f"lo_{level}"] < 0).all() and (rows[f"hi_{level}"] > 0).all() for level in LEVELS)
