"""The size model: bands widen where moves are large, what plain loops answer, and no direction."""

from collections import defaultdict

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.size import Size
from timegpt_assets_tests.core.forecasts.local.made import (
    LEVELS,
    SYMBOLS,
    agree,
    answers,
    framed,
    in_sigma,
    lessons,
    said,
    usual_frames,
    with_history,
)  # fmt: skip

SIZE = Size(ridge=1.0, least_scale=0.25, window_min=60, min_residuals=120)


def minutes_ahead(frame: Frame, symbol: str) -> dict[int, list[tuple[object, float]]]:
    """Return minute -> each earlier day and the sum of the squared one-minute returns of the horizon ahead of it."""
    rows = frame.history.filter((pl.col("symbol") == symbol) & (pl.col("day") < frame.day)).to_dicts()
    squares = {(row["day"], row["minute"]): row["past_1m"] ** 2 for row in rows}
    found = defaultdict(list)
    for day, minute in squares:
        if (day, minute + 15) in squares:
            found[minute].append((day, sum(squares[day, minute + k] for k in range(1, 16))))
    return found


def oracle(frame: Frame, symbol: str, *, ridge: float = 1.0, least: float = 0.25) -> tuple[float, ...]:
    """Return mean, lo_50, hi_50 by plain loops over the frame's rows."""
    learnt, now = lessons(frame, symbol)
    ahead = minutes_ahead(frame, symbol)

    def usual(minute: int, without: object = None) -> float:
        others = [total for day, total in ahead[minute] if day != without]
        return float(np.sqrt(np.mean(others)))

    x = np.array([[*map(abs, one.past), usual(one.minute, one.day) / one.sigma] for one in learnt])
    z = np.array([one.z for one in learnt])
    middle, mean = x.mean(axis=0), np.abs(z).mean()
    gram = (x - middle).T @ (x - middle)
    slope = np.linalg.inv(gram + ridge * np.diag(np.diag(gram))) @ (x - middle).T @ (np.abs(z) - mean)

    def scale(at: list[float]) -> float:
        return max(mean + sum(slope * (np.array(at) - middle)), least * mean)

    pairs = zip(learnt, x, strict=True)
    near = [one.z / scale(list(at)) for one, at in pairs if abs(one.minute - now["minute"]) <= 60]
    reach = np.quantile([*near, *(-value for value in near)], 0.75)
    width = reach * now["sigma"] * scale([*map(abs, in_sigma(now)), usual(now["minute"]) / now["sigma"]])
    return 0.0, -width, width


def test_the_answer_is_the_oracle_loop_s_in_every_target_unit() -> None:
    agree(SIZE, oracle)


@pytest.mark.parametrize("least", [0.25, 1.5])
def test_no_scale_is_less_than_the_least(least: float) -> None:
    frame = usual_frames()[7]
    rows = answers([frame], Size(ridge=0.0, least_scale=least, window_min=60, min_residuals=1), levels=(50,))
    for symbol, high in rows.select("symbol", "hi_50").iter_rows():
        assert high == pytest.approx(oracle(frame, symbol, ridge=0.0, least=least)[2], rel=1e-9)


def test_bands_are_alike_on_both_sides_of_zero() -> None:
    rows = answers(usual_frames(), SIZE)
    assert set(rows["mean"]) == {0.0}
    for level in LEVELS:
        np.testing.assert_allclose(rows[f"hi_{level}"], -rows[f"lo_{level}"], rtol=1e-12)


def test_a_symbol_that_never_moved_before_is_refused() -> None:
    still = [pl.when(pl.col("day") < pl.col("day").max()).then(0.0).otherwise(c).alias(c) for c in ("y", "past_1m")]
    found = said([with_history(f, lambda rows: rows.with_columns(still)) for f in usual_frames()[:2]], SIZE)
    assert found.rows.is_empty()
    expected = "short history: 0 residuals near this time, each with its mirror image, at least 240"
    assert found.refused["reason"].to_list() == [expected] * 2 * len(SYMBOLS)


def test_one_earlier_day_cannot_say_what_is_usual_and_is_refused() -> None:
    found = said(framed(history_days=1)[10:11], SIZE, min_residuals=1)
    assert found.rows.is_empty()
    assert found.refused.height == len(SYMBOLS)
