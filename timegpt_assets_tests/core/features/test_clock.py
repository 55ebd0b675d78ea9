"""What the clock says of a minute, full sessions and half days."""

from math import cos, pi, sin

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.features.clock import clock
from timegpt_assets_tests.core.bars_factory import DAYS


def stamped(day):
    times = calendar.sessions_frame([day])
    return calendar.minutes([day]).join(times, on="day").with_columns(**clock())


@pytest.mark.parametrize(("day", "minutes"), [(DAYS[1], 390), (DAYS[2], 210)])
def test_the_clock_counts_down_to_the_close_of_the_sessions_own_length(day, minutes):
    frame = stamped(day)
    assert frame["minute_index"].to_list() == list(range(minutes))
    assert frame["minutes_to_close"].to_list() == list(range(minutes - 1, -1, -1))
    assert frame["session_progress"][0] == 1 / minutes
    assert frame["session_progress"][-1] == 1.0
    assert frame["weekday"].unique().to_list() == [day.isoweekday()]


def test_fourier_terms_are_harmonics_of_the_session():
    for row in stamped(DAYS[2]).iter_rows(named=True):
        for k in (1, 2, 3):
            angle = 2 * pi * k * row["session_progress"]
            assert row[f"fourier_sin_{k}"] == pytest.approx(sin(angle), abs=1e-12)
            assert row[f"fourier_cos_{k}"] == pytest.approx(cos(angle), abs=1e-12)


def test_the_clock_of_a_minute_needs_no_bar_of_the_rest_of_the_session():
    times = calendar.sessions_frame([DAYS[1]])
    morning = calendar.minutes([DAYS[1]]).head(30).join(times, on="day").with_columns(**clock())
    assert morning.equals(stamped(DAYS[1]).head(30).select(morning.columns))
    assert isinstance(clock()["weekday"], pl.Expr)
