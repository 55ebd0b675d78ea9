"""Whose bars a file holds: as its column, the user or its name says; a name of doubt is asked about."""

import polars as pl
import pytest

from timegpt_assets.core.vendors.findings import Refused, Said
from timegpt_assets.core.vendors.tickers import of_column, of_name, stem_of


def test_a_columns_tickers_are_spelled_our_way_and_the_change_is_told() -> None:
    column = pl.Series(["aapl", "BRK/B", "BF-B", "NASDAQ:MSFT", "SPY.US", "T US EQUITY", "", None, "A" * 16, " X "])
    found, told = of_column(column, Said(symbols={"x": "XYZ"}))
    assert found.to_list() == ["AAPL", "BRK.B", "BF.B", "MSFT", "SPY", "T", None, None, None, "XYZ"]
    assert told[0].evidence == "6 of 9 are spelled our way"
    assert told[0].answer == "BF-B is BF.B, BRK/B is BRK.B, NASDAQ:MSFT is MSFT"
    assert of_column(pl.Series(["AAPL"]), Said())[1] == []


@pytest.mark.parametrize(
    ("path", "ticker", "how"),
    [
        ("AAPL.csv", "AAPL", "the one name in"),
        ("AAPL_1min_2025.csv.gz", "AAPL", "the one name in"),
        ("BRK.B.txt", "BRK.B", "share class and all"),
        ("BF-B_1min.csv", "BF.B", "the one name in"),
        ("AAPL.US.csv", "AAPL", "the one name in"),
        ("nvda.csv", "NVDA", "the one name in"),
        ("AAPL_AAPL.csv", "AAPL", "the one name in"),
        ("symbol=MSFT/data.parquet", "MSFT", "its folder is called so"),
        ("ticker=MSFT/sym=AAPL/AAPL.csv", "AAPL", "its folder is called so"),
        ("NVDA/bars.csv", "NVDA", "its folder is called 'NVDA'"),
    ],
)
def test_a_name_that_leaves_no_doubt(path: str, ticker: str, how: str) -> None:
    found, told = of_name(path.split("/"), None, Said(known=frozenset({"NVDA"})))
    assert (found, told.answer) == (ticker, ticker)
    assert how in told.evidence


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("bars.csv", "names none"),
        ("NVDA/MSFT/bars.csv", "names none"),
        ("aapl.csv", "could be of aapl"),
        ("AAPL_MSFT.csv", "could be of AAPL or MSFT"),
        ("A_B_C_D_E.csv", r"could be of A or B or C or D\."),
        ("TOOLONGNAME.csv", "could be of TOOLONGNAME"),
        ("symbol=/bars.csv", "names none"),
    ],
)
def test_a_name_of_doubt_is_asked_about(path: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        of_name(path.split("/"), None, Said(known=frozenset({"NVDA"})))


def test_words_of_the_user_and_of_the_vendor_come_before_the_name() -> None:
    assert of_name(["MSFT.csv"], "AAPL", Said(symbol="brk/b"))[0] == "BRK.B"
    assert of_name(["MSFT.csv"], "AAPL", Said(symbols={"msft": "META"}))[0] == "META"
    assert of_name(["MSFT.csv"], "AAPL", Said())[0] == "AAPL"
    assert of_name(["MSFT.csv"], "DATA", Said())[0] == "MSFT"
    assert of_name(["MSFT.csv"], "DATA", Said(known=frozenset({"DATA"})))[0] == "DATA"
    with pytest.raises(Refused, match="is no ticker"):
        of_name(["x.csv"], None, Said(symbol="A B?"))


def test_a_stem_has_none_of_the_endings() -> None:
    assert [stem_of(name) for name in ("a.csv.GZ", "a.b.parquet", "a.us.txt", "csv")] == ["a", "a.b", "a.us", "csv"]
