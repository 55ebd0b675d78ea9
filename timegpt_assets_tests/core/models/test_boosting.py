"""The door to LightGBM: one text whatever the threads, what is not known stays so, and contributions add up."""

from dataclasses import replace

import numpy as np
import pytest

from timegpt_assets.core.models.boosting import Booster, Boosting, trained

HOW = Boosting(rounds=10, leaves=4, learning_rate=0.2, min_rows=20, l2=1.0, seed=7)
RNG = np.random.default_rng(1)
X = np.where(RNG.random((600, 3)) < 0.05, np.nan, RNG.standard_normal((600, 3)))
Y = np.nan_to_num(X[:, 1]) + 0.1 * RNG.standard_normal(600)
NAMES = ("ret 1m", "a[b]", "c:d")
OWN = trained(X, Y, NAMES, HOW)


@pytest.mark.parametrize("quantile", [None, 0.9])
def test_one_thread_and_two_give_the_same_text_and_anything_else_another(quantile: float | None) -> None:
    one = trained(X, Y, NAMES, HOW, quantile=quantile)
    assert trained(X, Y, NAMES, replace(HOW, threads=2), quantile=quantile) == one
    for changed in ({"rounds": 9}, {"leaves": 3}, {"learning_rate": 0.1}, {"min_rows": 10}, {"l2": 50.0}):
        assert trained(X, Y, NAMES, replace(HOW, **changed), quantile=quantile) != one


def test_a_booster_read_from_its_text_says_the_same_bit_for_bit_of_many_rows_and_of_one() -> None:
    said = OWN.predicted(X)
    again = Booster(OWN.text)
    assert np.array_equal(again.predicted(X), said)
    assert np.array_equal(again.predicted(X[5:6]), said[5:6])
    assert again.predicted(X[:0]).size == 0
    assert np.corrcoef(said, Y)[0, 1] > 0.9


def test_a_quantile_s_booster_is_below_its_share_of_what_comes() -> None:
    high = trained(X, Y, NAMES, replace(HOW, rounds=60), quantile=0.9).predicted(X)
    assert np.mean(high >= Y) == pytest.approx(0.9, abs=0.04)


def test_contributions_and_what_is_said_of_nobody_add_up() -> None:
    told = OWN.contributions(X)
    np.testing.assert_allclose(told.sum(axis=1), OWN.predicted(X), atol=1e-12)
    assert np.ptp(told[:, -1]) == 0.0
    assert np.abs(told[:, :-1]).sum(axis=0).argmax() == 1


def test_rows_without_an_outcome_teach_nothing() -> None:
    holed = np.append(Y, [np.nan, np.inf])
    assert trained(np.vstack([X, X[:2]]), holed, NAMES, HOW) == OWN


def test_few_rows_still_make_a_tree() -> None:
    few = trained(X[:60], Y[:60], NAMES, replace(HOW, min_rows=300))
    assert np.ptp(few.predicted(X[:60])) > 0
