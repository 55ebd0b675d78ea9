"""From a vendor's table to bars: every question is told, every row that is left out is counted by its reason."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from timegpt_assets.core.vendors.findings import Refused, Said, Table
from timegpt_assets.core.vendors.understand import BARS, Understood, months, understand

HEADER = ("symbol", "ts", "open", "high", "low", "close", "volume")
Row = tuple[str | None, ...]


def minute(n: int, *, symbol: str | None = "AAPL", day: str = "2025-01-02", **cells: str | None) -> Row:
    """Return the row of a minute after 14:30Z, as text."""
    at = datetime.fromisoformat(f"{day}T14:30:00") + timedelta(minutes=n)
    row = {"open": "10.1", "high": "10.5", "low": "10.0", "close": "10.2", "volume": "100"} | cells
    return (symbol, f"{at:%Y-%m-%dT%H:%M:%SZ}", *row.values())


def table(*rows: Row, header: tuple[str, ...] | None = HEADER, path: str = "bars.csv") -> Table:
    columns = {f"c{n}": [row[n] for row in rows] for n in range(len(header or rows[0]))}
    return Table(path=(path,), header=header, cells=pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String)))


def understood(*rows: Row, share: float = 0.5, said: Said | None = None) -> Understood:
    return understand(table(*rows), said or Said(stamp="start"), max_unreadable_share=share)


WHOLE = [minute(n) for n in range(12)]
"""Twelve minutes from the open that nothing is wrong with."""


def test_a_table_becomes_bars_in_our_names_in_its_own_order() -> None:
    found = understood(*reversed(WHOLE))
    assert dict(found.bars.schema) == dict(BARS)
    assert found.bars["ts"].dt.strftime("%H:%M").to_list()[:2] == ["14:41", "14:40"]
    assert found.bars.row(0)[2:] == (10.1, 10.5, 10.0, 10.2, 100.0)
    assert (found.read, found.left_out, found.format) == (12, {}, "any")
    assert [told.question for told in found.findings] == [
        "format", "stamps", "interval", "zone", "stamps name", "prices", "volume",
    ]  # fmt: skip


def test_ends_of_minutes_become_starts() -> None:
    assert understood(*WHOLE, said=Said(stamp="end")).bars["ts"].dt.strftime("%H:%M").to_list()[0] == "14:29"


def test_rows_that_say_too_little_are_counted_each_once_by_the_first_reason() -> None:
    nothing = dict.fromkeys(HEADER[2:], "0")
    found = understood(
        *WHOLE,
        (None, "x", *WHOLE[0][2:]),
        minute(13, symbol=None, close="x"),
        minute(14, close="x"),
        minute(15, close=""),
        minute(16, **nothing),
        minute(17, **nothing | {"volume": ""}),
        minute(18, volume="0"),
    )
    assert found.left_out == {
        "without a time": 1,
        "without a ticker": 1,
        "with an unreadable number": 1,
        "with a missing number": 1,
        "without a trade": 2,
    }
    assert (found.read, found.bars.height) == (19, 13)


def test_a_file_may_hold_its_share_of_unreadable_rows_and_no_more_and_silent_minutes_count_for_none() -> None:
    bad, silent = minute(13, close="x"), minute(14, **dict.fromkeys(HEADER[2:], "0"))
    rows = [*WHOLE[:9], bad]
    assert understood(*rows, share=0.1).left_out == {"with an unreadable number": 1}
    assert understood(*rows, silent, silent, share=0.1).left_out["without a trade"] == 2
    with pytest.raises(Refused, match=r"of 10 rows 1 with an unreadable number, over 5%: the first is row 10, 'AAPL,"):
        understood(*rows, share=0.05)


def test_a_file_without_rows_or_without_a_trade_is_refused() -> None:
    with pytest.raises(Refused, match="holds no rows"):
        understood()
    with pytest.raises(Refused, match="rows without a trade only"):
        understood(*[minute(n, **dict.fromkeys(HEADER[2:], "0")) for n in range(3)])


def test_high_and_low_have_to_be_the_highest_and_lowest_in_half_of_the_rows() -> None:
    wrong = [minute(n, high="10.0", low="10.5") for n in range(12)]
    understood(*WHOLE[:6], *wrong[6:])
    with pytest.raises(Refused, match="in 58% of its rows high or low is not the highest or lowest price"):
        understood(*WHOLE[:5], *wrong[5:])
    level = [minute(n, high="10.2", low="10.2", open="10.2") for n in range(12)]
    understood(*level)


def test_rows_outside_the_calendar_are_left_out_and_counted() -> None:
    found = understood(*WHOLE, minute(0, day="1999-06-01"))
    assert (found.bars.height, found.left_out) == (12, {"outside the calendar": 1})
    with pytest.raises(
        Refused, match=r"no row between 2000-01-01 and 2035-12-31: they run from 1999-06-01 to 1999-06-02"
    ):
        understood(*[minute(n, day="1999-06-01") for n in range(12)], minute(0, day="1999-06-02"))


def test_rows_in_an_hour_that_their_zone_skips_are_counted() -> None:
    rows = [(row[0], row[1].rstrip("Z").replace("T", " "), *row[2:]) for row in WHOLE if row[1]]  # type: ignore[misc]
    skipped = ("AAPL", "2025-03-09 02:30:00", *WHOLE[0][2:])
    found = understood(*rows, skipped, said=Said(stamp="start", timezone="America/New_York"))
    assert (found.bars.height, found.left_out) == (12, {"in an hour that the zone skips": 1})


def test_a_format_and_columns_cannot_both_be_said() -> None:
    with pytest.raises(Refused, match="--format and --columns are both given"):
        understood(*WHOLE, said=Said(format="kibot", columns="ts,open"))
    bare = tuple(row[1:] for row in WHOLE)
    said = Said(columns="ts,open,high,low,close,volume", symbol="MSFT", stamp="start")
    found = understand(table(*bare, header=None), said, max_unreadable_share=0.0)
    assert found.bars["symbol"].to_list() == ["MSFT"] * 12


def test_bars_fall_into_months_of_new_york_by_symbol() -> None:
    at = ["2025-02-01T04:59", "2025-02-01T05:00", "2025-02-01T04:59"]
    bars = pl.DataFrame({"symbol": ["A", "A", "B"], "ts": at}).with_columns(
        pl.col("ts").str.to_datetime(time_zone="UTC")
    )
    assert [(symbol, month, part.height) for symbol, month, part in months(bars)] == [
        ("A", date(2025, 1, 1), 1), ("A", date(2025, 2, 1), 1), ("B", date(2025, 1, 1), 1),
    ]  # fmt: skip
