"""Persistence: the last known return comes again."""

import numpy as np

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.persistence import Persistence
from timegpt_assets_tests.core.forecasts.local.made import agree, answers, in_sigma, lessons, usual_frames


def oracle(frame: Frame, symbol: str) -> tuple[float, ...]:
    """Return mean, lo_50, hi_50 by plain loops over the frame's rows."""
    learnt, now = lessons(frame, symbol)
    near = [lesson.z - lesson.past[0] for lesson in learnt if abs(lesson.minute - now["minute"]) <= 20]
    low, middle, high = np.quantile(near, [0.25, 0.5, 0.75])
    last = in_sigma(now)[0]
    return tuple(v * now["sigma"] for v in (last, last + low - middle, last + high - middle))


def test_the_answer_is_the_oracle_loop_s_in_every_target_unit() -> None:
    agree(Persistence(window_min=20, min_residuals=120), oracle)


def test_the_median_is_the_return_known_at_the_snapshot() -> None:
    frames = usual_frames()
    rows = answers(frames, Persistence(window_min=30, min_residuals=120))
    last = [frame.history.group_by("symbol").last().sort("symbol")["y"].to_list() for frame in frames]
    np.testing.assert_allclose(rows["mean"].to_list(), np.ravel(last), rtol=1e-12)
