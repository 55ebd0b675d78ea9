"""The page of a comparison: what differs, on how much it rests, and nothing that was not seen."""

from dataclasses import replace

import polars as pl

from timegpt_assets.reports.html import anchor
from timegpt_assets.reports.pictures.equity import equity
from timegpt_assets.reports.runs import Difference, Side, differing, page, sentence
from timegpt_assets_tests.reports.pictures import frames

DAYS = frames.sessions(6)
HOSTILE = "<script src=//evil>\"'&</td>"
ONE = Side(name="demo:2025-01", settings={"a": "1", "b": "2"}, figures={"trades": "31", "days": "20"})
TWO = Side(name="demo:2025-02", settings={"a": "1", "b": "3", "c": "4"}, figures={"trades": "7"})
ROW = {"n": 40, "not_common": 2, "rpinball": 0.9, "rpinball_low": 0.85, "rpinball_high": 0.95, "pnl_difference": 12.0}
SURE = Difference(first="ridge in one", against="ridge in two", row=ROW)


def _page(*, name: str = "demo:2025-01", differences: list[Difference]) -> str:
    books = frames.books(["AAPL"], DAYS)
    one = replace(ONE, name=name)
    return page(name, [one, TWO], differences, lambda: equity(books, days=DAYS, seats=["timegpt"]))


def test_only_what_differs_is_listed_and_a_key_that_one_lacks_is_said() -> None:
    assert differing([ONE, TWO]) == [("b", "2", "3"), ("c", "not there", "4")]
    html = _page(differences=[SURE])
    assert "1 of 3 settings are the same." in html
    assert "<tr><td>days</td><td>20</td><td>–</td></tr>" in html
    assert html.count("<h2>") == 4
    assert f'href="#{anchor("What differs in the settings")}"' in html


def test_the_sentence_says_what_intervals_say_and_on_how_many_forecasts() -> None:
    assert sentence([SURE]) == "Surely less lost: ridge in one than ridge in two. At most 40 common forecasts a pair."
    worse = replace(SURE, row=ROW | {"rpinball_low": 1.01, "rpinball_high": 1.2})
    assert sentence([worse]).startswith("Surely more lost: ridge in one than ridge in two.")
    unsure = replace(SURE, row=ROW | {"rpinball_high": 1.2})
    bare = replace(SURE, row={"n": 1, "rpinball": 0.1, "rpinball_low": None, "rpinball_high": None})
    for one in (unsure, bare):
        assert sentence([one]).startswith("No difference is told apart from chance.")
    equal = replace(SURE, row=ROW | {"rpinball": 1.0, "pnl_difference": 0.0})
    assert sentence([equal]).startswith("On what they have in common they are equal")
    nothing = replace(SURE, row={"n": 0})
    assert sentence([nothing]) == sentence([])
    assert "no forecast in common" in _page(differences=[nothing])


def test_names_and_settings_are_text_and_a_picture_that_fails_leaves_the_page_whole() -> None:
    html = _page(name=HOSTILE, differences=[replace(SURE, first=HOSTILE)])
    assert "<script src" not in html
    assert html.count("&lt;script src=//evil&gt;") > 3

    def broken() -> None:
        raise pl.exceptions.PanicException("planted")

    failed = page("x", [ONE, TWO], [SURE], broken)
    assert "books: the picture could not be drawn" in failed
    assert failed.count("<h2>") == 4
