"""How vendors name columns and write times, and what each comes to in our names and UTC."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from timegpt_assets.core.bars.vendor_columns import Reading, names, spelled, starts, time_columns

PRICES = ["open", "high", "low", "close", "volume"]


@pytest.mark.parametrize(
    ("columns", "ts"),
    [
        (["ts"], "ts"), (["Timestamp"], "Timestamp"), (["date", "time"], "date+time"), (["Date", "Time"], "date+time"),
        (["date"], "date"), (["time"], "time"), (["ts", "date", "time"], "ts"), (["ts", "timestamp"], "ts"),
        (["timestamp", "time"], "timestamp"), (["datetime", "date"], "datetime"),
    ],
)  # fmt: skip
def test_the_column_of_times_is_a_whole_stamp_or_a_date_and_a_time(columns: list[str], ts: str) -> None:
    found, wrong = names([*columns, *PRICES])
    assert (found["ts"], wrong) == (ts, [])
    assert [found[name] for name in PRICES] == PRICES


def test_of_several_aliases_none_is_guessed_at_and_our_own_name_wins() -> None:
    assert names(["ts", "Close", "close", "open", "high", "low", "volume"])[0]["close"] == "close"
    found, wrong = names(["timestamp", "datetime", "open", "high", "low", "c", "close_price", "last"])
    assert wrong == [
        "column ts is there twice (timestamp, datetime)",
        "column close is there 3 times (c, close_price, last)",
        "column volume is missing",
    ]
    assert "close" not in found
    assert names(["ts", "open", "high", "low", "adj_close", "volume"])[1] == [
        "column close is missing (adj_close is adjusted)"
    ]
    assert "symbol" not in found, "a file may be of one ticker"


def test_a_date_and_a_time_are_two_columns_however_they_are_written() -> None:
    assert time_columns("date+time", ["Close", "Time", " Date "]) == [" Date ", "Time"]
    assert time_columns("ts", ["ts", "date"]) == ["ts"]


AT = "2025-01-02 14:30:00"


def read(*cells: object, dtype: pl.DataType | None = None, **asked: str) -> list[str | None]:
    found = starts(pl.DataFrame({"ts": pl.Series(cells, dtype=dtype)}), "ts", Reading(**asked))  # type: ignore[arg-type]
    assert found.dtype == pl.Datetime("us", "UTC")
    return [at and f"{at:%Y-%m-%d %H:%M:%S}" for at in found.to_list()]


@pytest.mark.parametrize(
    ("cell", "zone"),
    [
        ("2025-01-02T14:30:00Z", "UTC"), ("2025-01-02 09:30:00-05:00", "UTC"), ("2025-01-02 09:30:00 -0500", "UTC"),
        ("2025-01-02 14:30 UTC", "Asia/Tokyo"), ("2025-01-02 14:30", "UTC"), ("2025-01-02 09:30", "America/New_York"),
        ("20250102 14:30:00", "UTC"), ("20250102 14:30", "UTC"), ("20250102 143000", "UTC"),
        ("01/02/2025 14:30:00", "UTC"), ("01/02/2025 14:30", "UTC"), ("1735828200", "Asia/Tokyo"),
        ("1735828200.0", "UTC"), ("1735828200000", "UTC"), (1735828200, "UTC"), (1735828200000, "UTC"),
        (1735828200000000, "UTC"), (1735828200000000000, "UTC"), (1735828200.0, "Asia/Tokyo"),
        (datetime(2025, 1, 2, 14, 30, tzinfo=UTC), "Asia/Tokyo"), (datetime(2025, 1, 2, 23, 30), "Asia/Tokyo"),  # noqa: DTZ001
    ],
)  # fmt: skip
def test_a_time_of_any_kind_is_read(cell: object, zone: str) -> None:
    assert read(cell, zone=zone) == [AT]
    assert read(cell, zone=zone, stamp="end") == ["2025-01-02 14:29:00"]


def test_epochs_outside_our_years_and_what_says_no_time_are_null() -> None:
    assert read(631_151_999, 631_152_000, 2_082_758_399, 2_082_758_400) == [
        None, "1990-01-01 00:00:00", "2035-12-31 23:59:59", None,
    ]  # fmt: skip
    assert read(0.0, float("nan"), float("inf"), -1735828200.0) == [None] * 4
    assert read("", "x", "12345678") == [None] * 3
    assert read("2025-03-09 02:30", "2025-11-02 01:30", zone="America/New_York") == [None, "2025-11-02 05:30:00"]


def test_an_epochs_unit_is_told_by_its_size() -> None:
    assert read(1e11 - 1, 1e11, 1e14 - 1e3) == [None, None, None], "seconds to 5138, milliseconds from 1973"
    assert read(10**12, 10**15, 10**18) == ["2001-09-09 01:46:40"] * 3


def test_a_date_beside_a_time_is_one_stamp() -> None:
    frame = pl.DataFrame({"Date": ["20250102"], "Time": ["143000"]})
    assert starts(frame, "date+time", Reading()).to_list() == [datetime(2025, 1, 2, 14, 30, tzinfo=UTC)]


def test_dates_day_first_and_dates_alone_are_refused() -> None:
    assert read("12/01/2025 14:30") == ["2025-12-01 14:30:00"]
    with pytest.raises(ValueError, match="written day first"):
        read("12/01/2025 14:30", "13/01/2025 14:30")
    with pytest.raises(ValueError, match="column ts is Date"):
        read(date(2025, 1, 2))


def test_tickers_are_spelled_our_way() -> None:
    written = pl.DataFrame({"t": ["brk/b", " BRK-B ", "BRK B", "brk.b", "aapl"]})
    assert written.select(spelled(pl.col("t")))["t"].to_list() == [*["BRK.B"] * 4, "AAPL"]
