"""A vendor's shape is told by header, first row and name together, or said; what is said has to fit."""

import pytest

from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.shapes import SHAPES, chosen, named

OHLCV = ["open", "high", "low", "close", "volume"]


def shape_of(header: list[str] | None, first: list[str], stem: str) -> str:
    return chosen(None, header, first, stem)[0].name


@pytest.mark.parametrize(
    ("header", "stem", "shape"),
    [
        (["symbol", "timestamp", *OHLCV, "trade_count", "vwap"], "bars", "alpaca"),
        (["timestamp", *OHLCV], "intraday_1min_IBM", "alphavantage"),
        (["timestamp", *OHLCV], "IBM", "any"),
        (["time", *OHLCV], "NASDAQ_AAPL, 1", "tradingview"),
        (["time", *OHLCV], "NASDAQ_AAPL, 15", "any"),
        (["datetime", *OHLCV, "adj_close"], "AAPL", "yfinance"),
        (["date", "time", *OHLCV], "AAPL", "any"),
    ],
)
def test_a_header_tells_whose_the_file_is(header: list[str], stem: str, shape: str) -> None:
    assert shape_of(header, ["x"], stem) == shape


@pytest.mark.parametrize(
    ("first", "stem", "shape"),
    [
        (["34200000", *"12345"], "20250102_aapl_minute_trade", "lean"),
        (["34200000", *"12345"], "aapl", "any"),
        (["01/02/2025", "09:30", *"12345"], "AAPL", "kibot"),
        (["01/02/2025", "09:30", *"1234"], "AAPL", "any"),
        (["20250102 093000", *"12345"], "AAPL.Last", "ninjatrader"),
        ([" 2025-01-02 09:30:00 ", *"12345"], "AAPL_1min", "firstrate"),
    ],
)
def test_without_a_header_the_first_row_and_the_name_do(first: list[str], stem: str, shape: str) -> None:
    assert shape_of(None, first, stem) == shape


def test_a_said_format_need_not_be_named_so_but_has_to_fit() -> None:
    assert chosen("alphavantage", ["timestamp", *OHLCV], ["x"], "IBM")[0].name == "alphavantage"
    with pytest.raises(Refused, match=r"is not of --format polygon: no column transactions, window_start"):
        chosen("polygon", ["timestamp", *OHLCV], ["x"], "IBM")
    with pytest.raises(Refused, match="its first row is 'a,b', without a header"):
        chosen("polygon", None, ["a", "b"], "IBM")
    with pytest.raises(Refused, match="it has a header line"):
        chosen("kibot", OHLCV, ["x"], "IBM")
    with pytest.raises(Refused, match="--format nobody is unknown"):
        chosen("nobody", OHLCV, ["x"], "IBM")


@pytest.mark.parametrize(
    ("shape", "stem", "parts"),
    [
        ("lean", "20250102_aapl_minute_trade", {"day": "20250102", "ticker": "aapl"}),
        ("tradingview", "NASDAQ_AAPL, 1", {"ticker": "AAPL"}),
        ("tradingview", "NASDAQ_AAPL, 1_x", {"ticker": "AAPL"}),
        ("kibot", "AAPL_unadjusted", {"ticker": "AAPL"}),
        ("polygon", "2025-01-02", {}),
        ("eodhd", "AAPL", {}),
    ],
)
def test_the_name_says_what_the_vendor_puts_there(shape: str, stem: str, parts: dict[str, str]) -> None:
    assert named(SHAPES[shape], stem) == parts


@pytest.mark.parametrize("shape", SHAPES.values(), ids=lambda shape: shape.name)
def test_every_shape_is_told_by_something_and_says_where_it_is_described(shape: object) -> None:
    assert shape.headers or (shape.positions and shape.first)  # type: ignore[attr-defined]
    assert shape.source  # type: ignore[attr-defined]


def test_fixed_point_prices_are_of_the_unit_that_the_vendor_publishes() -> None:
    assert {name: shape.price_digits for name, shape in SHAPES.items() if shape.price_digits} == {
        "databento": 9,
        "lean": 4,
    }
