"""A session is seen where volume draws both of its edges, or where a feed of extended hours ends."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from timegpt_assets.core.bars.session_hours import SHIFTS, shifts

DAY, OPEN = date(2025, 1, 2), datetime(2025, 1, 2, 14, 30, tzinfo=UTC)


def shifted(volumes: dict[int, float | None], *, expected: int = 390, symbol: str = "A") -> int | None:
    """Return the shift found in rows at the middle of half hours from the open; None where there are no rows."""
    rows = pl.DataFrame(
        [{"day": DAY, "symbol": "A", "ts": OPEN + timedelta(minutes=30 * at), "open_time": OPEN, "volume": volume}
         for at, volume in volumes.items()],
        schema_overrides={"volume": pl.Float64},
    )  # fmt: skip
    doubtful = pl.DataFrame({"day": [DAY], "symbol": [symbol], "rows_expected": [expected]})
    found = shifts(rows, doubtful)
    return found["shifted_min"].item() if found.height else None


def session(first: int, slots: int = 13, volume: float = 10.0) -> dict[int, float | None]:
    return dict.fromkeys(range(first, first + slots), volume)


@pytest.mark.parametrize("hours", [0, 1, -1, 5, -5, 8, -9])
def test_a_session_with_nothing_around_it_is_seen_where_it_lies(hours: int) -> None:
    assert shifted(session(2 * hours)) == 60 * hours


def test_shifts_are_whole_hours_inside_the_day() -> None:
    assert (min(SHIFTS), max(SHIFTS), len(SHIFTS)) == (-540, 480, 17)
    assert 0 not in SHIFTS


def test_an_edge_is_steep_from_more_than_twice_the_volume_outside() -> None:
    around = {1: 5.0, 15: 4.9}
    assert shifted(session(2) | around) == 0, "twice is not steep"
    assert shifted(session(2) | around | {1: 4.9}) == 60
    assert shifted(session(2) | {1: 4.9, 15: 5.0}) == 0


def test_a_half_day_has_seven_slots() -> None:
    assert shifted(session(-2, 7), expected=210) == -60
    assert shifted(session(-2, 7)) == 0, "of a full day the second edge is missing"


def test_of_two_sessions_the_one_that_holds_more_counts_and_of_equals_the_one_in_its_place() -> None:
    assert shifted(session(0) | {-4: 1.0}) == 0
    two = session(0, 5) | session(6, 5)
    assert shifted(two, expected=150) == 0
    assert shifted(two | session(6, 5, 11.0), expected=150) == 180


def test_where_volume_is_level_a_feed_of_extended_hours_tells_by_its_ends() -> None:
    whole = dict.fromkeys(range(-11, 21), 1.0)
    assert shifted(whole) == 0
    assert shifted({at + 2: 1.0 for at in whole}) == 60
    assert shifted({at - 4: 1.0 for at in whole}) == -120
    assert shifted({at + 2: None for at in whole}) == 60, "rows count where nothing has a volume"
    assert shifted(dict.fromkeys(range(-9, 21), 1.0)) == 0, "one end alone tells nothing"


def test_empty_volumes_count_as_none_and_a_key_without_rows_is_absent() -> None:
    assert shifted(session(2) | {1: None, 15: float("nan")}) == 60
    assert shifted(session(2), symbol="B") is None
