"""The pinball loss is Koenker and Bassett's, the same of columns and of arrays, and least at the quantile itself."""

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.pinball import pinball, pinballs

CAME, SAID = [1.0, 3.0, 2.0], [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("probability", "lost"), [(0.1, [0.9, 0.1, 0.0]), (0.5, [0.5, 0.5, 0.0]), (0.9, [0.1, 0.9, 0.0])]
)
def test_what_lies_above_costs_the_probability_and_what_lies_below_the_rest(
    probability: float, lost: list[float]
) -> None:
    found = pl.DataFrame({"y": CAME, "q": SAID}).select(lost=pinball(pl.col("y"), pl.col("q"), probability))
    assert found["lost"].to_list() == pytest.approx(lost)
    arrays = pinballs(np.array(CAME)[:, None] - np.array(SAID)[:, None], np.array([probability]))
    assert arrays[:, 0].tolist() == found["lost"].to_list()


def test_what_is_not_known_costs_nothing_that_is_known() -> None:
    rows = pl.DataFrame({"y": [None, 1.0], "q": [1.0, None]}, schema={"y": pl.Float64, "q": pl.Float64})
    assert rows.select(lost=pinball(pl.col("y"), pl.col("q"), 0.5))["lost"].to_list() == [None, None]


def test_the_mean_over_a_sample_is_least_at_its_quantile() -> None:
    sample = np.random.default_rng(0).normal(size=2001)
    said = np.linspace(-3, 3, 601)
    for probability in (0.1, 0.5, 0.9):
        means = [pinballs((sample - q)[:, None], np.array([probability])).mean() for q in said]
        assert said[int(np.argmin(means))] == pytest.approx(np.quantile(sample, probability), abs=0.011)
