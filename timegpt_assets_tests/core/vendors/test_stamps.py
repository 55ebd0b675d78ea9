"""What a column of times says: epochs of any unit, written stamps of any form, dates and times of day apart."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

import polars as pl
import pytest

from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.stamps import Orders, Reading, reading

AT = datetime(2025, 1, 2, 14, 30, tzinfo=UTC)
SECONDS = int(AT.timestamp())


def read(*cells: object, dtype: pl.DataType | type[pl.DataType] | None = None) -> Reading | None:
    return reading(pl.Series(cells, dtype=dtype), Orders(claimed="mdy"))


def told(*cells: object, dtype: pl.DataType | type[pl.DataType] | None = None) -> tuple[str, str, bool] | None:
    """Return kind, first wall clock and exactness of what a column says, None where it says no time."""
    found = read(*cells, dtype=dtype)
    return found and (found.kind, f"{found.wall[0]:%Y-%m-%d %H:%M:%S.%f}".removesuffix(".000000"), found.exact)


@pytest.mark.parametrize(
    ("cell", "wall"),
    [
        (SECONDS, "2025-01-02 14:30:00"),
        (SECONDS * 1_000 + 7, "2025-01-02 14:30:00.007000"),
        (SECONDS * 1_000_000 + 7, "2025-01-02 14:30:00.000007"),
        (SECONDS * 1_000_000_000 + 7_999, "2025-01-02 14:30:00.000007"),
        (SECONDS + 0.25, "2025-01-02 14:30:00.250000"),
        (SECONDS * 1_000.0 + 0.5, "2025-01-02 14:30:00.000500"),
        (631_152_000, "1990-01-01 00:00:00"),
        (2_082_758_399, "2035-12-31 23:59:59"),
    ],
)
def test_an_epoch_is_read_in_the_unit_that_puts_it_into_our_years(cell: float, wall: str) -> None:
    assert told(cell) == told(str(cell)) == ("stamp", wall, True)


@pytest.mark.parametrize("cell", [631_151_999, 2_082_758_400])
def test_an_epoch_outside_our_years_is_none(cell: int) -> None:
    assert told(cell) is None
    found = read(cell, SECONDS, SECONDS + 60)
    assert found is not None
    assert found.wall.to_list()[0] is None
    assert "all but 1 of 3 then lie in 1990 to 2035" in found.findings[0].evidence


def test_most_numbers_have_to_agree() -> None:
    assert told(5, SECONDS, dtype=pl.Int64) is None
    assert told(SECONDS, SECONDS, SECONDS, 5, 5, dtype=pl.Int64) == ("stamp", "2025-01-02 14:30:00", True)
    assert told(None, dtype=pl.Int64) is None
    assert told(None, "", dtype=pl.String) is None


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ((202501020930, 202501020931), ("stamp", "2025-01-02 09:30:00", False)),
        ((20250102093015, 20250102093115), ("stamp", "2025-01-02 09:30:15", False)),
        ((199001010000, 199001010001), ("stamp", "1990-01-01 00:00:00", False)),
        ((20250102, 20250102), ("date", "2025-01-02 00:00:00", False)),
        ((19900101, 19900101), ("date", "1990-01-01 00:00:00", False)),
        ((20360101, 20360101), ("clock", "1970-01-01 05:39:20.101000", False)),
        # Eight digits that never repeat are no dates of minute bars: milliseconds since midnight.
        ((20250102, 20250103), ("clock", "1970-01-01 05:37:30.102000", False)),
        ((45659.604166666664, 45659.60486111111), ("stamp", "2025-01-02 14:30:00", False)),
        ((32874.5, 32874.6), ("stamp", "1990-01-01 12:00:00", False)),
        ((32873.5, 32873.6), ("clock", "1970-01-01 03:29:13", False)),
        ((930, 931, 1559), ("clock", "1970-01-01 09:30:00", False)),
        ((5, 2400), ("clock", "1970-01-01 00:05:00", False)),
        ((5, 2401), ("clock", "1970-01-01 00:00:05", False)),
        ((93015, 155900), ("clock", "1970-01-01 09:30:15", False)),
        ((93015, 240000), ("clock", "1970-01-01 09:30:15", False)),
        ((93015, 240001), ("clock", "1970-01-01 00:01:33.015000", False)),
        ((34_200_000, 34_260_000), ("clock", "1970-01-01 09:30:00", False)),
        ((0, 86_400_000), ("clock", "1970-01-01 00:00:00", False)),
        ((0, 86_400_001), None),
        ((-1, 930), None),
        ((0, 1), ("clock", "1970-01-01 00:00:00", False)),
    ],
)
def test_smaller_numbers_are_dates_clocks_or_a_spreadsheets_days(
    cells: Sequence[float], found: tuple[str, str, bool] | None
) -> None:
    assert told(*cells) == found


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (("2025-01-02T14:30:00Z",), ("stamp", "2025-01-02 14:30:00", True)),
        (("2025-01-02 09:30:00-05:00",), ("stamp", "2025-01-02 14:30:00", True)),
        (("2025-01-02 09:30:00 US/Eastern",), ("stamp", "2025-01-02 14:30:00", True)),
        (("2025-01-02 09:30",), ("stamp", "2025-01-02 09:30:00", False)),
        (("01/02/2025 9:30 AM",), ("stamp", "2025-01-02 09:30:00", False)),
        (("2025-01-02", "2025-01-03"), ("date", "2025-01-02 00:00:00", False)),
        (("2025-01-02 00:00", "2025-01-03 00:00"), ("date", "2025-01-02 00:00:00", False)),
        (("2025-01-02 00:00", "2025-01-02 00:01"), ("stamp", "2025-01-02 00:00:00", False)),
        (("2025-01-02 00:00Z", "2025-01-03 00:00Z"), ("stamp", "2025-01-02 00:00:00", True)),
        (("09:30:05",), ("clock", "1970-01-01 09:30:05", False)),
        (("9:30 PM",), ("clock", "1970-01-01 21:30:00", False)),
        (("2025-01-02 09:30", "2025-01-02 09:31:00", "x"), ("stamp", "2025-01-02 09:30:00", False)),
        (("2025-01-02 09:30", "x"), ("stamp", "2025-01-02 09:30:00", False)),
        (("2025-01-02 09:30", "x", "y"), None),
        (("x",), None),
    ],
)
def test_written_stamps_are_read_whatever_their_form(cells: Sequence[str], found: tuple[str, str, bool] | None) -> None:
    assert told(*cells) == found


def test_typed_columns_say_what_they_are() -> None:
    naive = AT.replace(tzinfo=None)
    assert told(AT, dtype=pl.Datetime("ns", "UTC")) == ("stamp", "2025-01-02 14:30:00", True)
    assert told(naive, dtype=pl.Datetime("ms")) == ("stamp", "2025-01-02 14:30:00", False)
    assert told(date(2025, 1, 2)) == ("date", "2025-01-02 00:00:00", False)
    assert told(time(9, 30)) == ("clock", "1970-01-01 09:30:00", False)


def test_what_a_spreadsheet_rounded_and_zones_on_some_rows_only_are_refused() -> None:
    with pytest.raises(Refused, match=r"rounded by a spreadsheet \(1\.73583E\+12\)"):
        read("1.73583E+12", "1.73583E+12")
    with pytest.raises(Refused, match=r"some stamps carry a zone \(.*, 2 rows\) and some none \(.*, 1 rows\)"):
        read("2025-01-02 09:30Z", "2025-01-02 09:31", "2025-01-02 09:32Z")


def test_the_order_of_day_and_month_is_asked_of_the_whole_column_once() -> None:
    found = read("01/02/2025 09:30", "01/13/2025 09:30")
    assert found is not None
    assert [told.question for told in found.findings] == ["dates", "stamps"]
    assert found.wall.to_list() == [datetime(2025, 1, 2, 9, 30), datetime(2025, 1, 13, 9, 30)]  # noqa: DTZ001
    assert "2 of 2 rows are written so" in found.findings[1].evidence


def test_a_stamp_in_an_hour_that_its_zone_skips_is_none_and_a_doubled_one_the_earlier() -> None:
    found = read("2025-03-09 02:30 US/Eastern", "2025-11-02 01:30 US/Eastern", "2025-11-02 05:30 US/Eastern")
    assert found is not None
    assert [at and f"{at:%m-%d %H:%M}" for at in found.wall.to_list()] == [None, "11-02 05:30", "11-02 10:30"]
