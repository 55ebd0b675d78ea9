"""Which column of times counts, and how a date and a time of day become one clock."""

from datetime import datetime

import polars as pl
import pytest

from timegpt_assets.core.vendors.findings import Refused, Said, Table
from timegpt_assets.core.vendors.headers import Fields
from timegpt_assets.core.vendors.shapes import Shape
from timegpt_assets.core.vendors.times import Clock, clock

EXACT, NAIVE = ["2025-01-02T14:30:00Z", "2025-01-02T14:31:00Z"], ["2025-01-02 09:30", "2025-01-02 09:31"]
DATES, CLOCKS = ["2025-01-02", "2025-01-02"], ["09:30", "09:31"]


def told(*times: list[str], clocks: tuple[list[str], ...] = (), day: str | None = None) -> Clock:
    """Return the clock of a table whose columns of times are called A, B, ... and X, Y, ..."""
    columns = dict(zip("AB", times, strict=False)) | dict(zip("XY", clocks, strict=False))
    cells = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    fields = Fields(times=tuple("AB"[: len(times)]), clocks=tuple("XY"[: len(clocks)]), numbers={}, symbol=None,
                    shown={name: name.lower() for name in columns})  # fmt: skip
    table = Table(path=("x.csv",), header=tuple(columns), cells=cells)
    return clock(table, fields, Shape(name="any"), Said(), day)


def walls(found: Clock) -> list[str]:
    return [f"{at:%m-%d %H:%M}" for at in found.wall.to_list()]


def test_the_column_that_says_its_zone_counts_before_one_that_does_not() -> None:
    found = told(NAIVE, EXACT)
    assert (walls(found), found.exact) == (["01-02 14:30", "01-02 14:31"], True)
    assert [str(one) for one in found.findings if one.question == "time column"] == [
        "time column: 'b'; it says its zone, 'a' do not"
    ]
    alone = told(EXACT)
    assert alone.exact
    assert all(one.question != "time column" for one in alone.findings)
    assert not told(NAIVE).exact


def test_a_date_and_a_clock_beside_an_exact_column_are_named_too() -> None:
    found = told(EXACT, DATES, clocks=(CLOCKS,))
    assert "it says its zone, 'b', 'x' do not" in str(found.findings[-1])
    assert all(one.question != "time column" for one in told(EXACT, DATES).findings)


def test_stamps_of_one_kind_may_differ_within_the_minute_only() -> None:
    within = ["2025-01-02 09:30:59", "2025-01-02 09:31:30"]
    assert walls(told(NAIVE, within)) == ["01-02 09:30", "01-02 09:31"]
    with pytest.raises(Refused, match=r"columns 'a' and 'b' name different times.*--columns ts=NAME"):
        told(NAIVE, ["2025-01-02 09:30", "2025-01-02 09:32"])


def test_a_date_and_a_time_of_day_are_put_together() -> None:
    found = told(DATES, clocks=(CLOCKS,))
    assert found.wall.to_list() == [datetime(2025, 1, 2, 9, 30), datetime(2025, 1, 2, 9, 31)]  # noqa: DTZ001
    assert (found.exact, found.findings[-1].answer) == (False, "'a' and 'x'")
    named = told(clocks=(CLOCKS,), day="20250103")
    assert walls(named) == ["01-03 09:30", "01-03 09:31"]
    assert named.findings[-1].answer == "20250103"


def test_two_dates_or_two_clocks_are_asked_about() -> None:
    with pytest.raises(Refused, match=r"columns 'a', 'b' could all be it"):
        told(DATES, DATES, clocks=(CLOCKS,))
    with pytest.raises(Refused, match=r"columns 'x', 'y' could all be it"):
        told(DATES, clocks=(CLOCKS, CLOCKS))


def test_parts_that_are_missing_are_named() -> None:
    with pytest.raises(Refused, match=r"holds no times of day \(column 'a' is dates\)"):
        told(DATES, day="20250103")
    with pytest.raises(Refused, match="holds times of day and no dates"):
        told(clocks=(CLOCKS,))
    with pytest.raises(Refused, match=r"no time that can be read in 'a' \(for example 'x'\), 'b' \(empty\)"):
        told(["x", "y"], [None, None])  # type: ignore[list-item]
