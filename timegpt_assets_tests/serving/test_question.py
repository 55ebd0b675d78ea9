"""What a person may write for a day and for names, and what is said of the rest."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.serving.question import ReadingError, first_and_last, several

DAY = date(2025, 3, 12)


@pytest.mark.parametrize(
    "written",
    [
        DAY,
        "2025-03-12",
        " 2025-03-12 ",
        datetime(2025, 3, 12, 23, 59),  # noqa: DTZ001 - what a notebook holds often says no zone
        datetime(2025, 3, 13, 3, 59, tzinfo=UTC),
        "2025-03-12T10:00",
        "2025-03-13T03:59+00:00",
    ],
)
def test_a_day_is_said_in_many_ways_and_a_moment_lies_on_its_day_in_new_york(written):
    assert first_and_last(written, written) == (DAY, DAY)


def test_a_month_is_all_its_days_and_no_bound_is_none():
    assert first_and_last("2024-02", "2024-02") == (date(2024, 2, 1), date(2024, 2, 29))
    assert first_and_last(None, "2025-03-12") == (date.min, DAY)
    assert first_and_last(DAY, None) == (DAY, date.max)


@pytest.mark.parametrize("written", ["", "12.3.2025", "2025-3-12", "2025-02-30", "2025-13", "today", 20250312, 1.5, []])
def test_what_is_no_day_is_told_with_how_to_write_one(written):
    with pytest.raises(ReadingError) as told:
        first_and_last(written, None)
    assert str(told.value).startswith(f"start is {written!r}, which is no day.")
    assert "like 2025-03-12" in str(told.value)


@given(st.dates(), st.dates())
def test_a_range_is_kept_or_refused_and_never_turned_round(one: date, other: date):
    if one <= other:
        assert first_and_last(one.isoformat(), other) == (one, other)
    else:
        with pytest.raises(ReadingError, match=f"start {one} lies after end {other}"):
            first_and_last(one, other)


def test_names_are_one_or_several_each_once():
    assert several("symbols", None) is None
    assert several("symbols", "AAPL") == ("AAPL",)
    assert several("symbols", (name for name in ("AAPL", "META", "AAPL"))) == ("AAPL", "META")


@pytest.mark.parametrize("asked", [[], 5, ["AAPL", 5], [["AAPL"]]])
def test_what_is_no_name_is_told(asked):
    with pytest.raises(ReadingError, match="Give a name or a list of names"):
        several("symbols", asked)
