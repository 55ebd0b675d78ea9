"""Losses in validation: of the rows that everybody answered, in volatilities, day by day."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from timegpt_assets.core.models.validation import daily_losses

DAY = date(2025, 2, 3)
AT = [datetime(2025, 2, 3, 15, minute, tzinfo=UTC) for minute in (0, 15, 30)]
ROWS = pl.DataFrame({"day": [DAY] * 3, "symbol": ["AAA"] * 3, "snapshot_ts": AT, "z": [1.0, -2.0, 9.0]})


def said(mean: float, *, of: pl.DataFrame = ROWS) -> pl.DataFrame:
    keys = of.select("day", "symbol", "snapshot_ts")
    return keys.with_columns(mean=pl.lit(mean), lo_80=pl.lit(mean - 1), hi_80=pl.lit(mean + 1))


def test_losses_by_pencil_of_the_rows_that_all_answered() -> None:
    frame = daily_losses(ROWS, {"lightgbm": said(0.0), "zero": said(1.0, of=ROWS.head(2))})
    assert frame.select("forecaster", "day", "n").rows() == [("lightgbm", DAY, 2), ("zero", DAY, 2)]
    own = frame.row(0, named=True)
    assert own["abs_error"] == pytest.approx(1 + 2)
    # z = 1: median .5 x 1, lower .1 x 2, upper at z 0; z = -2: median .5 x 2, lower .9 x 1, upper .1 x 3
    assert own["pinball"] == pytest.approx((0.5 + 0.2 + 0.0) / 3 + (1.0 + 0.9 + 0.3) / 3)


def test_the_order_of_rows_changes_no_bit() -> None:
    answers = {"lightgbm": said(0.1), "ridge": said(0.2)}
    turned = {word: frame.reverse() for word, frame in answers.items()}
    assert daily_losses(ROWS.reverse(), turned).equals(daily_losses(ROWS, answers))


def test_nothing_in_common_is_nothing_lost() -> None:
    assert daily_losses(ROWS, {"lightgbm": said(0.0), "zero": said(0.0, of=ROWS.clear())}).is_empty()
