"""What goes into the space of forecasts comes back, and nothing comes back that is no probability."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.tsfm.transform import Transform

LOGIT = Transform("logit", 1e-6)


@given(st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1))
def test_a_price_comes_back(prices: list[float]) -> None:
    p = np.array(prices)
    assert np.allclose(LOGIT.back(LOGIT.forward(p)), p, rtol=1e-12, atol=1e-15)


def test_it_is_the_logit() -> None:
    assert np.allclose(LOGIT.forward(np.array([0.5, 0.9, 0.1])), [0.0, np.log(9), -np.log(9)])


@given(st.lists(st.floats(allow_nan=False), min_size=2))
def test_of_any_number_comes_a_probability_and_order_is_kept(numbers: list[float]) -> None:
    z = np.sort(np.array(numbers))
    p = LOGIT.back(z)
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()


def test_certain_prices_are_taken_as_almost_certain_and_holes_stay_holes() -> None:
    z = LOGIT.forward(np.array([0.0, 1.0, np.nan, 1e-9]))
    assert np.allclose(z[[0, 1, 3]], [-13.815510, 13.815510, -13.815510], atol=1e-5)
    assert np.isnan(z[2])
    assert np.isnan(LOGIT.back(z)[2])


def test_the_identity_changes_nothing_and_hands_over_numbers_of_its_own() -> None:
    p = np.array([0.0, 0.3, 1.0])
    same = Transform("identity", 1e-6)
    assert same.forward(p).tolist() == same.back(p).tolist() == p.tolist()
    assert not np.shares_memory(same.forward(p), p)
    assert not np.shares_memory(same.back(p), p)
