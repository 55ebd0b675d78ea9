"""A served band lies within [0, 1], rises, and is as wide as allowed, whatever came; mended by one rule, and told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from timegpt_assets.core.tsfm.guards import Guards, guarded

GUARDS = Guards(0.02, 0.6)
THREE, FIVE = (0.1, 0.5, 0.9), (0.05, 0.25, 0.5, 0.75, 0.95)
answers = arrays(np.float64, st.tuples(st.integers(1, 4), st.just(5)), elements=st.floats(-3, 3, width=64))


@given(answers)
def test_whatever_came_a_band_keeps_every_promise(values: np.ndarray) -> None:
    found = guarded(values, FIVE, GUARDS)
    width = found.values[:, -1] - found.values[:, 0]
    assert ((found.values >= 0) & (found.values <= 1)).all()
    assert (np.diff(found.values, axis=1) >= 0).all()
    assert ((width >= 0.02 - 1e-12) & (width <= 0.6 + 1e-12)).all()
    assert len(found.width_flags) == len(values)


@given(answers)
def test_what_was_mended_once_stays_bit_for_bit(values: np.ndarray) -> None:
    once = guarded(values, FIVE, GUARDS)
    twice = guarded(once.values, FIVE, GUARDS)
    assert twice.values.tobytes() == once.values.tobytes()
    assert (twice.crossed, set(twice.width_flags)) == (0, {""})
    assert guarded(values.copy(), FIVE, GUARDS).values.tobytes() == once.values.tobytes()


@given(answers)
def test_a_step_is_mended_by_itself(values: np.ndarray) -> None:
    together = guarded(values, FIVE, GUARDS).values
    assert np.array_equal(together, np.vstack([guarded(row[None], FIVE, GUARDS).values for row in values]))


@given(st.floats(0, 1), st.floats(0, 0.019), st.floats(0, 1))
def test_a_narrow_band_lies_within_the_one_it_becomes(lower: float, width: float, share: float) -> None:
    row = np.clip(np.array([[lower, lower + share * width, lower + width]]), 0, 1)
    found = guarded(row, THREE, GUARDS)
    assert found.width_flags == ("narrow",)
    assert found.values[0, 0] <= row[0, 0] + 1e-15
    assert found.values[0, 2] >= row[0, 2] - 1e-15


@pytest.mark.parametrize(
    ("row", "served", "flag"),
    [
        ([0.3, 0.4, 0.5], [0.3, 0.4, 0.5], ""),
        ([0.4, 0.4, 0.4], [0.39, 0.4, 0.41], "narrow"),
        ([0.398, 0.399, 0.404], [0.391, 0.399, 0.411], "narrow"),  # .014 are missing: .007 on each side
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.02], "narrow"),  # shifted inside as a whole
        ([0.001, 0.002, 0.003], [0.0, 0.002, 0.02], "narrow"),
        ([1.0, 1.0, 1.0], [0.98, 1.0, 1.0], "narrow"),
        ([0.0, 0.5, 1.0], [0.2, 0.5, 0.8], "wide"),
        ([0.0, 0.25, 1.0], [0.1, 0.25, 0.7], "wide"),  # both sides keep their proportion
        ([-5.0, 0.0, 0.7], [0.0, 0.0, 0.6], "wide"),
    ],
)
def test_widths_are_mended_around_the_median(row: list[float], served: list[float], flag: str) -> None:
    found = guarded(np.array([row]), THREE, GUARDS)
    assert np.allclose(found.values[0], served, atol=1e-15)
    assert found.width_flags == (flag,)


def test_what_lies_between_keeps_its_place_in_its_side() -> None:
    found = guarded(np.array([[0.0, 0.25, 0.5, 0.9, 1.0]]), FIVE, GUARDS)
    assert np.allclose(found.values[0], [0.2, 0.35, 0.5, 0.74, 0.8])


def test_a_median_nobody_asked_for_is_read_between_its_neighbours() -> None:
    found = guarded(np.array([[0.0, 0.2, 0.4, 0.8]]), (0.1, 0.4, 0.6, 0.9), GUARDS)
    assert np.allclose(found.values[0], [0.075, 0.225, 0.375, 0.675])  # .3 stays


def test_steps_that_crossed_are_counted_as_they_came() -> None:
    values = np.array([[0.5, 0.4, 0.6], [0.3, 0.4, 0.5], [1.4, 1.2, 1.3], [0.4, 0.4, 0.4]])
    found = guarded(values, THREE, GUARDS)
    assert found.crossed == 2
    assert found.values[0].tolist() == [0.4, 0.5, 0.6]


def test_one_quantile_is_no_band() -> None:
    found = guarded(np.array([[0.4], [1.2]]), (0.5,), GUARDS)
    assert (found.values.tolist(), found.crossed, found.width_flags) == ([[0.4], [1.0]], 0, ("", ""))


def test_a_zero_has_one_sign() -> None:
    assert not np.signbit(guarded(np.array([[-0.0, 0.1, 0.2]]), THREE, GUARDS).values).any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_number_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"not finite. Refuse it and ask the fallback"):
        guarded(np.array([[0.1, wrong, 0.3]]), THREE, GUARDS)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="a column a quantile"):
        guarded(np.zeros((2, 2)), THREE, GUARDS)
