"""Titles as people read them: what a tokeniser tore apart is joined, what a feed escaped is read, words stay.

Guards against a headline whose company nobody finds because a blank stands in its name.
"""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from timegpt_assets.core.news.title import mended

CASES = {
    "U . S . joins the U . K . in talks , sources say": "U.S. joins the U.K. in talks, sources say",
    "NVIDIA ;": "NVIDIA;",
    "Rises 3 . 5 % to $ 1 , 200 at 12 : 30 p . m . : exchange": "Rises 3.5% to $1,200 at 12:30 p.m.: exchange",
    "Maker 's chief does n't mind ( yet ) . . .": "Maker's chief doesn't mind (yet)...",
    "'No regrets' , she said": "'No regrets', she said",
    "Plan B . Next": "Plan B. Next",
    "U . S . -listed shares": "U.S.-listed shares",
    "AT&amp;T &#39;s offer": "AT&T's offer",
    "A&amp;amp;B sell &lt;brand&gt;": "A&B sell <brand>",
    "Bold\x1b[31m news\x00\u200b\ufeff": "Bold[31m news",
    "Two\nlines\tand\u00a0 blanks\u2028here": "Two lines and blanks here",
    "Cafe\u0301 opens": "Café opens",
    "lone \ud83d half": "lone half",
    "Rate at 3.5 % , up - or down": "Rate at 3.5%, up - or down",
    "": "",
}


@pytest.mark.parametrize(("told", "read"), CASES.items())
def test_a_title_is_mended(told: str, read: str) -> None:
    assert mended(told) == read


@pytest.mark.parametrize(
    "title", ["Q . E . D", "AI - Chipmaker moves", "Ask HN : why", "C# and .NET 8 ship", "50 % - or 60"]
)
def test_words_stay_whatever_stands_between_them(title: str) -> None:
    assert [c for c in mended(title) if c.isalnum()] == [c for c in title if c.isalnum()]


@pytest.mark.parametrize(
    "title", ["C# and .NET 8 ship", "Apple (AAPL) up 3.5%: what now?", "In room 11, 500 people wait", "- - -"]
)
def test_a_title_that_was_never_tokenised_stays_as_it_is(title: str) -> None:
    assert mended(title) == title


@given(st.text(st.characters(), max_size=60) | st.text("US . ,;:'$()%5n't-", max_size=40))
@example("a , , , b ( ( $ 5 ) )")
@example("&amp;amp;amp;amp; x")
def test_mending_what_is_mended_changes_nothing_and_a_line_is_composed_and_printable(title: str) -> None:
    once = mended(title)
    assert once == " ".join(once.split())
    assert unicodedata.is_normalized("NFC", once)
    assert all(c.isprintable() for c in once)
    if "&" not in once:  # a title that talks of entities is read anew
        assert mended(once) == once
