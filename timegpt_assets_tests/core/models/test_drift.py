"""Drift of features: nothing between equal samples, the more the further they lie apart, whatever the order of rows."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.core.models.drift import BINS, FLOOR, feature_drift, psi

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60)


def series(values: object) -> pl.Series:
    return pl.Series(values, dtype=pl.Float32)


@settings(max_examples=60, deadline=None)
@given(learnt=VALUES, seen=VALUES, seed=st.integers(0, 99))
def test_it_is_zero_between_equal_samples_never_negative_and_knows_no_order(
    learnt: list[float | None], seen: list[float | None], seed: int
) -> None:
    own, other = series(learnt), series(seen)
    assert psi(own, own) == 0
    found = psi(own, other)
    assert found is not None
    assert found >= 0
    assert psi(own.shuffle(seed), other.shuffle(seed + 1)) == found


def test_it_grows_with_a_shift() -> None:
    normal = np.random.default_rng(3).standard_normal(4000)
    found = [psi(series(normal), series(normal[::-1] + shift)) for shift in (0.0, 0.1, 0.3, 0.6, 1.2, 2.4)]
    assert found == sorted(found)
    assert found[1] < 0.02 < found[2] < 0.25 < found[4], "a shift of a tenth of a deviation is none, of one is"


def test_it_is_what_the_formula_gives_by_pencil() -> None:
    learnt = series(range(BINS))
    seen = series([0.0] * 5 + [9.0] * 5)
    halves = 2 * (0.5 - 0.1) * math.log(0.5 / 0.1)
    empty = 8 * (FLOOR - 0.1) * math.log(FLOOR / 0.1)
    assert psi(learnt, seen) == pytest.approx(halves + empty)


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_what_is_missing_is_a_bin_of_its_own(missing: float | None) -> None:
    whole, holes = series(np.linspace(0, 1, 100)), series([*np.linspace(0, 1, 50), *[missing] * 50])
    gone = (0.5 - FLOOR) * math.log(0.5 / FLOOR)
    assert (psi(whole, holes) or 0) > gone
    assert psi(holes, holes) == 0
    assert (psi(series([missing] * 9), whole) or 0) > 10, "all of it was missing, and none is"


def test_a_constant_has_not_drifted_until_it_changes() -> None:
    flags = pl.Series([True] * 99 + [False])
    assert (psi(flags, pl.Series([True] * 20)) or 0) < 0.1
    assert (psi(pl.Series([7] * 50), pl.Series([8] * 50)) or 0) > 5


def test_nothing_is_said_without_rows() -> None:
    assert psi(series([]), series([1.0])) is None
    assert psi(series([1.0]), series([])) is None


def test_each_forecaster_and_feature_has_a_row_and_the_alarm_rings_above_the_threshold() -> None:
    learnt = pl.DataFrame({"calm": np.linspace(0, 1, 200), "moved": np.linspace(0, 1, 200)})
    seen = learnt.with_columns(pl.col("moved") + 0.5)
    given = {"month": "2025-02", "as_of": date(2025, 2, 28), "forecasters": ["tsmixer", "lightgbm"]}
    frame = feature_drift(learnt, seen, features=["moved", "calm"], psi_max=0.25, **given)  # type: ignore[arg-type]
    assert frame.select("forecaster", "feature", "drifted", "n").rows() == [
        ("lightgbm", "calm", False, 200),
        ("lightgbm", "moved", True, 200),
        ("tsmixer", "calm", False, 200),
        ("tsmixer", "moved", True, 200),
    ]
    value = frame["psi"].max()
    at = feature_drift(learnt, seen, features=["moved"], psi_max=value, **given)  # type: ignore[arg-type]
    assert not at["drifted"].any(), "the threshold itself is none"
