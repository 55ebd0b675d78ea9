"""What cannot be about the series sent is doubted; what is merely surprising is not."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.forecasts.plausibility import CALMER, FARTHEST, WIDEST, doubts


def said(means: list[float], widths: list[float]) -> pl.DataFrame:
    symbols = [f"S{i}" for i in range(len(means))]
    return pl.DataFrame(
        {
            "symbol": symbols,
            "step": [1] * len(means),
            "mean": means,
            "lo_80": [m - w for m, w in zip(means, widths, strict=True)],
            "hi_80": [m + w for m, w in zip(means, widths, strict=True)],
        }
    )


def sent(reach: list[float], spread: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"symbol": [f"S{i}" for i in range(len(reach))], "reach": reach, "spread": spread})


def test_a_mean_far_beyond_anything_sent_is_doubted_by_name() -> None:
    (found,) = doubts(said([0.0, 0.03], [0.004, 0.004]), sent([0.001, 0.001], [1e-4, 1e-4]))
    assert found.startswith("S1 is said to be 0.03 when nothing sent lies beyond 0.001")
    edge = said([0.0, FARTHEST * 0.001], [0.004, 0.004]).drop("lo_80", "hi_80")
    assert doubts(edge, sent([0.001, 0.001], [1e-4, 1e-4])) == []


def test_what_nobody_computed_is_doubted() -> None:
    moving = sent([1.0, 1.0], [0.1, 0.1])
    assert "S0 moves and has bands without width" in doubts(said([0.0, 0.0], [0.0, 0.0]), moving)[0]
    assert doubts(said([0.0, 0.1], [0.0, 0.1]), sent([0.0, 1.0], [0.0, 0.1])) == [], "a series that stands still"
    assert "every series and step has the same numbers" in doubts(said([0.1, 0.1], [0.2, 0.2]), moving)[0]
    assert doubts(said([0.1, 0.1], [0.2, 0.21]), moving) == []


def test_bands_far_beyond_anything_sent_are_doubted() -> None:
    moving = sent([1.0, 1.0], [0.1, 0.1])
    assert "the bands of S1 reach more than 5 times" in doubts(said([0.0, 0.0], [0.2, 1.01 * WIDEST]), moving)[0]
    assert doubts(said([0.0, 0.0], [0.2, WIDEST]), moving) == []


def test_what_no_answer_gives_away_is_not_doubted() -> None:
    ten_times, moving = said([0.0, 0.01], [2.0, 2.1]), sent([1.0, 1.0], [0.1, 0.1])
    assert doubts(ten_times, moving) == [], "an honest forecaster may be as unsure"


def test_a_wild_series_with_the_narrower_band_is_doubted() -> None:
    wild = sent([1.0, 1.0], [1e-4, CALMER * 1e-4])
    (found,) = doubts(said([0.0, 0.0], [0.02, 0.01]), wild)
    assert "S1 moves 4 times as much as S0 and has the narrower band" in found
    assert doubts(said([0.0, 0.0], [0.01, 0.02]), wild) == []


def test_series_alike_in_spread_give_no_ground_for_doubt() -> None:
    assert doubts(said([0.0, 0.0], [0.02, 0.01]), sent([1.0, 1.0], [1e-4, 0.9 * CALMER * 1e-4])) == []


def test_an_answer_without_bands_is_doubted_for_its_mean_alone() -> None:
    bare = said([0.0, 0.0], [0.02, 0.01]).drop("lo_80", "hi_80")
    assert doubts(bare, sent([1.0, 1.0], [1e-4, 1e-2])) == []


@given(
    spreads=st.lists(st.floats(1e-6, 1e-1), min_size=1, max_size=8),
    wider=st.floats(0.5, 3.0),
    offsets=st.integers(0, 2**32 - 1),
)
def test_an_honest_forecaster_is_never_doubted(spreads: list[float], wider: float, offsets: int) -> None:
    chance = np.random.default_rng(offsets)
    means = [float(chance.normal() * s) for s in spreads]
    widths = [wider * s * float(chance.uniform(0.6, 1.4)) for s in spreads]
    assert doubts(said(means, widths), sent([4 * s for s in spreads], spreads)) == []
