"""How a net sees rows: without a unit, as on the rows it learnt from, and whatever is not known."""

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.models.sight import WIDEST, Sight, known, sight

CHANNELS, SCALED = ("ret_1m", "volume_norm_5m"), frozenset({"ret_1m"})


def rows(tokens, sigma=0.002) -> pl.DataFrame:
    return pl.DataFrame(
        {"sigma": [sigma] * len(tokens), "tokens": pl.Series(tokens, dtype=pl.List(pl.Float32))},
    )


def seen(frame: pl.DataFrame) -> Sight:
    return sight(frame, n_tokens=2, channels=CHANNELS, scaled=SCALED)


def test_a_channel_is_its_distance_from_the_mean_in_deviations_and_returns_are_in_volatilities() -> None:
    found = seen(rows([[0.002, 1.0, -0.002, 3.0], [0.004, 1.0, -0.004, 3.0]]))
    # by hand: returns 1, -1, 2, -2 sigma about 0, volumes 1, 3, 1, 3 about 2
    assert found.middle == pytest.approx((0.0, 2.0))
    assert found.spread == pytest.approx((np.sqrt(2.5), 1.0))
    x = found.of(rows([[0.002, 3.0, 0.0, 2.0]], sigma=0.004))
    assert (x.dtype, x.shape) == (np.float32, (1, 2, 2))
    assert x.ravel() == pytest.approx([0.5 / np.sqrt(2.5), 1.0, 0.0, 0.0])
    assert Sight.loaded(found.saved()) == found


def test_what_is_not_known_counts_as_the_mean_and_moves_no_other_value() -> None:
    whole = [[0.002, 1.0, -0.002, 3.0], [0.004, 1.0, -0.004, 3.0]]
    nan, inf = float("nan"), float("inf")
    found = seen(rows([*whole, [nan, nan, nan, inf]]))
    assert found == seen(rows(whole))
    assert found.of(rows([[nan, 3.0, inf, nan]])).ravel() == pytest.approx([0.0, 1.0, 0.0, 0.0])


def test_a_channel_nobody_knows_or_that_never_changes_is_nothing() -> None:
    nan = float("nan")
    found = seen(rows([[nan, 7.0, nan, 7.0], [nan, 7.0, nan, 7.0]]))
    assert found.spread == (0.0, 0.0)
    assert not found.of(rows([[0.1, 9.0, 0.1, 9.0]])).any()


def test_a_wild_print_counts_as_a_few_spreads() -> None:
    found = seen(rows([[0.002, 1.0, -0.002, 3.0]] * 2))
    assert found.of(rows([[1e6, 2.0, -1e6, 2.0]])).ravel() == pytest.approx([WIDEST, 0.0, -WIDEST, 0.0])


def test_rows_of_other_tokens_are_refused_with_the_remedy() -> None:
    found = seen(rows([[0.002, 1.0, -0.002, 3.0]]))
    with pytest.raises(ValueError, match=r"2 minutes of 2 channels .*timegpt-assets train"):
        found.of(rows([[0.0, 1.0]]))


def test_a_row_without_any_token_is_not_seen() -> None:
    nan = float("nan")
    frame = rows([[nan, nan, nan, nan], [nan, 1.0, nan, nan]])
    assert known(frame).equals(frame[1:])
    assert known(frame.clear()).is_empty()
    assert seen(frame[:1]).of(frame.clear()).shape == (0, 2, 2)
