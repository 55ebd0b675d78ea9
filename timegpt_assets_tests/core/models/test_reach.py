"""How far bands reach: quantiles of mirrored errors near the time of day, at any level."""

import numpy as np
import polars as pl
import pytest

from timegpt_assets.core.models.reach import Reach, reach, since_open
from timegpt_assets_tests.core.models.made import rows

ROWS = rows(10)
ERRORS = np.abs(ROWS["z"].to_numpy())
OWN = reach(ROWS, ERRORS, window_min=30)


def test_a_band_is_the_quantile_of_the_errors_and_their_mirror_image_near_that_time() -> None:
    at = since_open(ROWS)
    for minute in (15.0, 195.0, 375.0):
        near = ERRORS[np.abs(at - minute) <= 30]
        both = np.concatenate([near, -near])
        row = ROWS.filter(pl.Series(at == minute))[:1]
        found = OWN.at(row, (50, 80, 95))[0]
        for level, width in zip((50, 80, 95), found, strict=True):
            assert width == pytest.approx(np.quantile(both, (100 + level) / 200), abs=2 / near.size)


def test_minutes_count_from_the_session_s_own_open() -> None:
    assert since_open(ROWS).tolist() == ROWS["minute_index"].to_list()


def test_a_time_between_the_grid_s_is_answered_by_the_nearest() -> None:
    one = ROWS.filter(pl.Series(since_open(ROWS) == 60.0))[:1]
    moved = one.with_columns(pl.col("snapshot_ts") + pl.duration(minutes=7))
    assert OWN.at(moved, (80,)).tolist() == OWN.at(one, (80,)).tolist()
    moved = one.with_columns(pl.col("snapshot_ts") + pl.duration(minutes=8))
    later = ROWS.filter(pl.Series(since_open(ROWS) == 75.0))[:1]
    assert OWN.at(moved, (80,)).tolist() == OWN.at(later, (80,)).tolist()


def test_what_is_written_is_read_bit_for_bit() -> None:
    again = Reach.loaded(OWN.saved())
    assert np.array_equal(again.table, OWN.table)
    assert np.array_equal(again.minutes, OWN.minutes)


def test_a_wider_window_knows_more_errors() -> None:
    wide = reach(ROWS, ERRORS, window_min=400)
    assert np.ptp(wide.table, axis=0).max() == 0.0
    assert np.ptp(OWN.table, axis=0).max() > 0.0
