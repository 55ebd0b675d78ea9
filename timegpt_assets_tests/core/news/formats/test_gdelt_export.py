"""What GDELT's export files tell: a title of the address's words, GDELT's own time, and no row that is misread."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.news.formats.gdelt_export import slug_words, told
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets_tests.core.news.formats.export_files import row, zipped

STORY = "https://news.example/2018/03/01/acme-opens-second-plant-in-ohio-1234567.html"
TITLES = {
    STORY: "Acme opens second plant in ohio",
    "http://n.example/story/12345678-acme-dividend/article_ab12cd34-1111-2222-3333-444455556666.html": "",
    "http://n.example/news/acme-cuts-dividend-again/article_ab12cd34-1111-2222-3333-444455556666.html": (
        "Acme cuts dividend again"
    ),
    "https://n.example/business/Caf%C3%A9-chain_raises+prices?x=1#top": "Café chain raises prices",
    "https://n.example/profit-rises-to-40m-in-2018": "Profit rises to 40m in 2018",
    "https://n.example/two-words": "",
    "https://n.example/?p=54960": "",
    "https://[half/acme-opens-second-plant": "",
    "acme-opens-second-plant": "",
    "": "",
}


@pytest.mark.parametrize("url", TITLES)
def test_three_words_of_an_address_make_a_title(url: str) -> None:
    assert slug_words(url) == TITLES[url]


def test_an_event_has_gdelts_own_time_and_nobody_named() -> None:
    (one,) = told(zipped(row(STORY)))
    assert one.seen_at == one.published_at == datetime(2018, 3, 1, 14, 15, tzinfo=UTC)
    assert (one.title, one.url, one.tickers) == (TITLES[STORY], STORY, ())


def test_dozens_of_events_of_one_article_are_one() -> None:
    lines = [row(STORY, actors=(f"ACTOR {n}", ""), root=f"{n % 20 + 1:02}") for n in range(500)]
    assert len(told(zipped("\n".join(lines)))) == 1


def test_without_words_it_is_who_did_what() -> None:
    said = [
        row("https://n.example/1", actors=("NEW YORK", "ACME"), root="17"),
        row("https://n.example/1", actors=("", "ACME"), root="99"),
    ]
    assert [one.title for one in told(zipped("\n".join(said)))] == ["New york coerces (Acme)", "Somebody acts (Acme)"]


def test_a_quarter_of_an_hour_without_events_is_no_event() -> None:
    assert told(zipped("")) == told(zipped("\n")) == []


@pytest.mark.parametrize("fields", [60, 62])
def test_another_number_of_fields_is_refused_by_its_line(fields: int) -> None:
    wrong = "\t".join(row(STORY).split("\t")[1:] if fields == 60 else [*row(STORY).split("\t"), ""])
    with pytest.raises(Unreadable, match=rf"has {fields} fields in line 2, not 61\. Fetch the file again"):
        told(zipped(f"{row(STORY)}\n{wrong}\n"))


@pytest.mark.parametrize("added", ["20180301", "2018030114150", "20181301141500", "", "x" * 5000])
def test_a_time_that_is_none_is_refused_by_its_line(added: str) -> None:
    with pytest.raises(Unreadable, match=r"in line 1 where a time as 20180301141500 belongs\. Fetch") as refusal:
        told(zipped(row(STORY, added=added)))
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", r"is empty\."),
        (b"<html><title>404</title></html>", "page of HTML that begins '<html>"),
        (row(STORY).encode(), "is no whole zip"),
        (zipped(row(STORY))[:-30], "is no whole zip"),
        (zipped(row(STORY), "a.csv", "b.csv"), "holds 2 files"),
        (zipped(row(STORY).encode("utf-16-le")), "in line 1 where a time"),
        (zipped(row("https://n.example/caf\xe9").encode("latin-1")), "no text in utf-8: byte"),
        (zipped("<html>busy</html>"), "page of HTML"),
    ],
)
def test_what_is_no_export_file_is_refused_with_what_helps(body: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as refusal:
        told(body)
    assert str(refusal.value).endswith("compare its md5 with the one in masterfilelist.txt.")


@given(st.data())
def test_a_damaged_zip_is_read_whole_or_refused(data: st.DataObject) -> None:
    whole = zipped("\n".join(row(f"https://n.example/{n}") for n in range(20)))
    at, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    with suppress(Unreadable):
        assert told(whole[:at] + bytes([byte]) + whole[at + 1 :]) == told(whole)
