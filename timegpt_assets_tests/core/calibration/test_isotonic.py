"""The rising curve nearest to the outcomes: by hand, at its ends, and the same for many cells as for one."""

import numpy as np
import pytest

from timegpt_assets.core.calibration import isotonic


@pytest.mark.parametrize(
    ("y", "risen"),
    [
        ([], []), ([3.0], [3.0]), ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), ([2.0, 1.0], [1.5, 1.5]),
        ([3.0, 2.0, 1.0], [2.0, 2.0, 2.0]), ([1.0, 4.0, 2.0, 3.0, 9.0], [1.0, 3.0, 3.0, 3.0, 9.0]),
        ([4.0, 1.0, 1.0, 6.0, 5.0], [2.0, 2.0, 2.0, 5.5, 5.5]), ([1.0, 1.0], [1.0, 1.0]),
    ],
)  # fmt: skip
def test_falling_runs_become_their_mean(y: list[float], risen: list[float]) -> None:
    assert isotonic.rising(np.array(y)).tolist() == pytest.approx(risen)


def test_a_curve_keeps_the_ends_of_its_flat_stretches_and_is_straight_between_them() -> None:
    x, y = np.array([5.0, 1.0, 2.0, 3.0, 4.0, 6.0]), np.array([3.0, 0.0, 3.0, 3.0, 3.0, 7.0])
    places, heights = isotonic.curve(x, y)
    assert places.tolist() == [1.0, 2.0, 5.0, 6.0]
    assert heights.tolist() == [0.0, 3.0, 3.0, 7.0]
    at = isotonic.at((places, heights), np.array([0.0, 1.5, 4.0, 5.5, 9.0]))
    assert at.tolist() == [0.0, 1.5, 3.0, 5.0, 7.0]


def test_outcomes_at_one_place_have_one_height() -> None:
    places, heights = isotonic.curve(np.array([1.0, 1.0, 2.0]), np.array([0.0, 4.0, 3.0]))
    assert isotonic.at((places, heights), np.array([1.0, 2.0])).tolist() == [2.0, 3.0]


def test_no_outcomes_make_no_curve_and_leave_forecasts_as_they_are() -> None:
    nothing = isotonic.curve(np.empty(0), np.empty(0))
    assert [part.size for part in nothing] == [0, 0]
    assert isotonic.at(nothing, np.array([0.3])).tolist() == [0.3]


def test_cells_share_nothing_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 9, size=(7, 6)).astype(float), rng.normal(size=(7, 6))
    alone = np.stack([isotonic.at(isotonic.curve(*cell), cell[0]) for cell in zip(x, y, strict=True)])
    assert isotonic.fitted(x, y) == pytest.approx(alone)
    monkeypatch.setattr(isotonic, "_CHUNK", 12)  # two cells at a time, the last one alone
    assert isotonic.fitted(x, y) == pytest.approx(alone)
