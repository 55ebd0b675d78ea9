"""The control arm and zero on a rung's rows: what plain loops answer, each symbol by itself, the outcome unseen."""

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.forecasts.local.answers import Local
from timegpt_assets.core.models import control
from timegpt_assets.core.models.folds import walk_forward
from timegpt_assets.core.models.rows import KEY
from timegpt_assets_tests.core.models.made import rows, tree_spec

CONTROL, LEVELS = tree_spec().control, (50, 80, 95)
SPLIT = walk_forward(rows(linear=0.3), validation_sessions=4, embargo_days=1)
RIDGE, ZERO = CONTROL.seats
PAST = ["ret_15m", "ret_1m", "ret_5m", "ret_30m"]


def oracle(symbol: str, minute: float, *, ridge: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients of a symbol, none for zero, and its errors near a time of day."""
    train = SPLIT.train.filter(pl.col("symbol") == symbol)
    x = train.select(pl.col(name).cast(pl.Float64) / pl.col("sigma") for name in PAST).to_numpy()
    z, at = train["z"].to_numpy(), train["minute_index"].to_numpy()
    beta = np.zeros(4)
    if ridge is not None:
        gram = x.T @ x
        beta = np.linalg.solve(gram + ridge * np.diag(np.diag(gram)), x.T @ z)
    return beta, (z - x @ beta)[np.abs(at - minute) <= 30]


@pytest.mark.parametrize(("seat", "ridge"), [(RIDGE, 0.25), (ZERO, None)])
def test_a_seat_says_of_rows_what_plain_loops_find(seat: Local, ridge: float | None) -> None:
    said = control.answers(SPLIT.train, SPLIT.test, seat, LEVELS)
    assert said.select(KEY).equals(SPLIT.test.select(KEY))
    for row in said.join(SPLIT.test, on=list(KEY))[::37].to_dicts():
        beta, errors = oracle(row["symbol"], row["minute_index"], ridge=ridge)
        mean = sum(beta * np.array([row[name] / row["sigma"] for name in PAST]))
        assert row["mean"] == pytest.approx(mean, abs=1e-12)
        for level in LEVELS:
            end = mean + np.quantile(errors, (100 + level) / 200) - np.median(errors)
            assert row[f"hi_{level}"] == pytest.approx(end, abs=1e-12)


def test_the_outcome_of_what_is_asked_is_not_read() -> None:
    blind = SPLIT.test.with_columns(pl.col("y", "z", "realised") * -7)
    for seat in CONTROL.seats:
        assert control.answers(SPLIT.train, blind, seat, LEVELS).equals(
            control.answers(SPLIT.train, SPLIT.test, seat, LEVELS)
        )


def test_who_has_too_short_a_past_is_absent() -> None:
    new = SPLIT.train.filter((pl.col("symbol") != "AAA") | (pl.col("day") < SPLIT.train["day"].unique().sort()[1]))
    assert set(control.answers(new, SPLIT.test, ZERO, LEVELS)["symbol"]) == {"BBB", "CCC", "DDD"}


def test_errors_of_the_grid_are_as_few_as_the_grid_is_coarse() -> None:
    assert [seat.min_residuals for seat in CONTROL.seats] == [8, 8]


def test_rows_without_any_move_are_answered_as_if_nothing_had_moved() -> None:
    """With the group price off; there was once one row of moves for hundreds that were asked."""
    train, test = (frame.drop(PAST) for frame in (SPLIT.train, SPLIT.test))
    still = [frame.with_columns(pl.lit(0.0).alias(name) for name in PAST) for frame in (SPLIT.train, SPLIT.test)]
    assert control.answers(train, test, RIDGE, LEVELS).equals(control.answers(*still, RIDGE, LEVELS))
