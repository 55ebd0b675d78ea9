"""Which field of a file is which: by name, by what was said, by position."""

import pytest

from timegpt_assets.core.vendors.findings import Refused
from timegpt_assets.core.vendors.headers import Fields, fields, spelled
from timegpt_assets.core.vendors.shapes import SHAPES, Shape

OHLCV = ["open", "high", "low", "close", "volume"]
ANY = Shape(name="any")
USUAL = {name: (f"c{n + 1}",) for n, name in enumerate(OHLCV)}


def of(header: list[str] | None, said: str | None = None, shape: Shape = ANY, width: int = 6) -> Fields:
    return fields(header, width, shape, said)


@pytest.mark.parametrize(
    ("name", "plain"),
    [("<OPEN>", "open"), ("1. open", "open"), (' "Close" ', "close"), ("Volume (shares)", "volume"),
     ("Time [UTC]", "time"), ("Close/Last", "close/last"), ("Adj  Close", "adj_close"), ("Vol.", "vol")],
)  # fmt: skip
def test_a_name_is_compared_as_it_is_spelled_plainly(name: str, plain: str) -> None:
    assert spelled(name) == plain


def test_columns_are_found_by_their_names() -> None:
    found = of(["Time", "Open", "High", "Low", "Last", "Volume", "Ticker"], width=7)
    assert (found.times, found.clocks, found.symbol) == (("c0",), (), "c6")
    assert found.numbers == USUAL
    assert found.shown["c4"] == "Last"
    split = of(["Date", *OHLCV, "ms_of_day"])
    assert (split.times, split.clocks, split.symbol) == (("c0",), ("c6",), None)


def test_the_column_that_is_called_exactly_so_wins_over_aliases() -> None:
    assert of(["ts", *OHLCV, "Close"]).numbers == USUAL
    assert of(["ts", *OHLCV, "last"]).numbers == USUAL
    with pytest.raises(Refused, match=r"column close is there 2 times \(latest, last\)"):
        of(["ts", "open", "high", "low", "latest", "volume", "last"])


def test_what_is_missing_is_named_and_an_adjusted_price_is_none() -> None:
    with pytest.raises(
        Refused, match=r"no column of times is known by its name; column close is missing \(adj_close is"
    ):
        of(["open", "high", "low", "adj_close", "volume"])


def test_a_vendors_columns_may_be_added() -> None:
    found = of(["Date", "Time", "Open", "High", "Low", "Close", "Up", "Down"], shape=SHAPES["tradestation"])
    assert found.numbers["volume"] == ("c6", "c7")


def test_without_a_header_positions_count() -> None:
    found = of(None, shape=SHAPES["kibot"], width=7)
    assert (found.times, found.clocks) == (("c0",), ("c1",))
    assert found.numbers["volume"] == ("c6",)
    assert found.shown["c0"] == "field 1"
    with pytest.raises(Refused, match="what its 6 fields are"):
        of(None)


def test_what_was_said_comes_first() -> None:
    names = ["ts", *OHLCV, "Shares ", "id"]
    assert of(names, "volume=Shares, symbol=id").numbers["volume"] == ("c6",)
    assert of(names, "symbol=id").symbol == "c7"
    assert of(["when", *OHLCV], "ts=when").times == ("c0",)
    assert of(["when", *OHLCV, "at"], "date=when,clock=at").clocks == ("c6",)
    with pytest.raises(Refused, match="the file has 0 columns 'x'"):
        of(names, "volume=x")
    with pytest.raises(Refused, match="the file has 2 columns 'a'"):
        of(["a", "a"], "ts=a")
    with pytest.raises(Refused, match="--columns names 'price'"):
        of(names, "price=open")


def test_positions_that_were_said() -> None:
    found = of(None, "date, time, -, open, high, low, close, volume, ticker", width=9)
    assert (found.times, found.clocks, found.symbol) == (("c0",), ("c1",), "c8")
    assert found.numbers["open"] == ("c3",)
    assert of(None, "datetime,open,high,low,close,volume").times == ("c0",)
    with pytest.raises(Refused, match="has 5 fields, --columns names 6"):
        of(None, "ts,open,high,low,close,volume", width=5)
    with pytest.raises(Refused, match="volume is not named"):
        of(None, "ts,open,high,low,close")
    with pytest.raises(Refused, match="ts is not named"):
        of(None, "open,high,low,close,volume")
    with pytest.raises(Refused, match="'price', which is none of"):
        of(None, "ts,price")
