"""What the clock says of a minute, full sessions and half days."""

from datetime import date
from math import cos, pi, sin

import pytest

from timegpt_assets.core.features.clock import clock
from timegpt_assets_tests.core.bars.bars_factory import DAYS


@pytest.mark.parametrize(("day", "minutes"), [(DAYS[1], 390), (DAYS[2], 210)])
def test_the_clock_counts_down_to_the_close_of_the_sessions_own_length(day, minutes):
    frame = clock([day])
    assert frame["minute_index"].to_list() == list(range(minutes))
    assert frame["minutes_to_close"].to_list() == list(range(minutes - 1, -1, -1))
    assert frame["session_progress"][0] == pytest.approx(1 / minutes)
    assert frame["session_progress"][-1] == 1.0
    assert frame["weekday"].unique().to_list() == [day.isoweekday()]


def test_fourier_terms_are_harmonics_of_the_session():
    for minute, row in enumerate(clock([DAYS[2]]).iter_rows(named=True)):
        for k in (1, 2, 3):
            angle = 2 * pi * k * (minute + 1) / 210
            assert row[f"fourier_sin_{k}"] == pytest.approx(sin(angle), abs=1e-6)
            assert row[f"fourier_cos_{k}"] == pytest.approx(cos(angle), abs=1e-6)


def test_session_buckets_end_with_the_session_whatever_its_length():
    full, half = (clock([day])["session_bucket"].to_list() for day in DAYS[1:3])
    assert full == [0] * 30 + [1] * 90 + [2] * 120 + [3] * 120 + [4] * 30
    assert half == [0] * 30 + [1] * 90 + [2] * 60 + [4] * 30


def test_the_months_last_session_is_marked():
    days = [date(2024, 11, 27), date(2024, 11, 29), date(2024, 12, 2), date(2024, 12, 31)]
    ends = clock(days).group_by("day", maintain_order=True).first()["month_end"].to_list()
    assert ends == [0, 1, 0, 1]
