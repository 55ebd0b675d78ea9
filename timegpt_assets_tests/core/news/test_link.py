"""Whom an event is about: the methods in the order of their trust, names that are words, too, and many in one title."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timegpt_assets.core.news.directory import ALIASES, directory
from timegpt_assets.core.news.link import CONFIDENCE, WHOLE, linked
from timegpt_assets.core.news.words import plain
from timegpt_assets.core.tables.news import LINKED_NEWS
from timegpt_assets_tests.core.news.linking import DAY, events, links, shipped, shipped_rows

MEANT = {
    "Shares of $AAPL and $BRK.B climb": {"AAPL": "cashtag", "BRK.A": "cashtag", "BRK.B": "cashtag"},
    "Microsoft sells its offices": {"MSFT": "name"},
    "MICROSOFT SELLS ITS OFFICES": {"MSFT": "name"},
    "Will J.P. Morgan, JP Morgan or JPMorgan tell?": {"JPM": "alias"},
    "Lowe's hires, Lowes fires": {"LOW": "name"},
    "Moodys is late": {"MCO": "name"},
    "Old insurer (NYSE: ALL) pays": {"ALL": "ticker"},
    "Insurer pays (NYSE:ALL), says NASDAQ: AAPL": {"ALL": "ticker", "AAPL": "ticker"},
    "Insurer pays <ALL.N>": {"ALL": "ticker"},
    "Why TSLA and NVDA went up": {"TSLA": "ticker", "NVDA": "ticker"},
    "NOW shares went up": {"NOW": "ticker"},
    "Why Apple waits": {"AAPL": "name"},
    "APPLE SHARES WAIT": {"AAPL": "name"},
    "apple shares wait": {"AAPL": "name"},
    "AN APPLE A DAY": {},
    "Retailers such as Target and Gap wait": {"TGT": "alias", "GPS": "alias"},
    "Target shares wait": {"TGT": "alias"},
    "Gap's new boss": {"GPS": "alias"},
    "Oracle sues Google": {"ORCL": "name", "GOOG": "alias", "GOOGL": "alias"},
    "Visa rules the payments": {},
    "A ford across the river, an apple a day, and all of it on now": {},
    "Target of the week: a gap between rich and poor": {},
    "The amazon rainforest and the Amazon River": {},
    "Brazil asks for help in the Amazon rainforest": {},
    "ALL OF IT ON NOW": {},
    "ALL you need IS love, IT is said": {},
    "Harrison Ford flies again": {},
    "Actor Mark Ford flies again": {},
    "Supporters of CEO Pearson wait": {},
    "A travel visa for Delta Force": {},
    "Pineapples and microsoftish ideas": {},
    "S&P 500 and Dow follow the Fed": {"S&P 500": "name", "Dow": "name", "Fed": "name"},
    "U.S. inflation slows": {"CPI": "name"},
    "Inflation slows in Germany": {},
    "UK GDP grows": {},
    "Stocks close higher": {"market": "market"},
    "Apple leads as stocks close higher": {"AAPL": "name"},
    "Chinese stocks close higher": {},
    "The Wall Street Journal was late": {},
    "SpaceX lands": {"SpaceX": "name"},
    "": {},
}  # fmt: skip


@pytest.mark.parametrize("title", MEANT)
def test_a_title_is_about_whom_it_means(title):
    assert links(title) == MEANT[title]


def test_who_is_linked_has_the_columns_of_the_table_and_where_it_has_none_no_symbol():
    found = linked(events("SpaceX pays Boeing while the Fed waits"), shipped(), min_confidence=0.0)
    assert found.schema == LINKED_NEWS.schema
    assert not LINKED_NEWS.broken_rules(found)
    assert found.select("entity", "entity_kind", "symbol").rows() == [
        ("BA", "symbol", "BA"), ("Fed", "macro", None), ("SpaceX", "company", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (date(2018, 3, 1), {"FB"}),
        (date(2021, 11, 15), {"FB"}),
        (date(2022, 6, 8), {"FB"}),
        (date(2022, 6, 9), {"META"}),
    ],
)
def test_a_company_is_linked_by_the_ticker_of_the_day(day, found):
    assert set(links("Facebook waits", day=day)) == found
    assert set(links(f"${'FB' if day < date(2022, 6, 9) else 'META'} waits", day=day)) == found
    assert not links(f"${'META' if day < date(2022, 6, 9) else 'FB'} waits", day=day), "a ticker of another time"


def test_days_of_one_frame_are_each_read_with_their_own_names():
    days = (date(2018, 3, 1), date(2021, 11, 15), date(2022, 6, 9))
    frame = pl.concat([events("Why Meta waits", "Why Facebook waits", day=day) for day in days])
    found = linked(frame, shipped(), min_confidence=0.0)
    assert found.select("day", "event_id", "entity").rows() == [
        (days[0], "Why Facebook waits", "FB"),
        *((days[1], title, "FB") for title in ("Why Facebook waits", "Why Meta waits")),
        *((days[2], title, "META") for title in ("Why Facebook waits", "Why Meta waits")),
    ]


def test_a_name_of_tomorrow_is_nobody_s_today():
    assert not links("Why Meta waits", day=date(2021, 10, 27))
    assert links("Why Meta waits", day=date(2021, 10, 28)) == {"FB": "alias"}
    assert links("Raytheon builds", day=date(2020, 4, 2)) == {"RTN": "name"}
    assert links("Raytheon builds", day=date(2020, 4, 3)) == {"RTX": "alias"}
    assert links("Spotify sings", day=date(2018, 4, 2)) == {"Spotify": "name"}
    assert links("Spotify sings", day=date(2018, 4, 3)) == {"SPOT": "name"}
    assert links("Twitter sings", day=date(2022, 10, 27)) == {"TWTR": "name"}
    assert links("Twitter sings", day=date(2022, 10, 28)) == {"Twitter": "alias"}


def test_both_shares_of_a_company_are_linked_whichever_is_named():
    for said in ("$GOOG", "$GOOGL", "Alphabet", "(NASDAQ: GOOG)"):
        assert set(links(f"Why {said} waits")) == {"GOOG", "GOOGL"}


def test_a_source_s_tickers_are_believed_in_whatever_form_and_only_of_their_day():
    given = ["aapl", "NASDAQ:MSFT", "BRK-B", "$T", "IBM.N", "META", "NOBODY"]
    found = linked(events("Quarterly report", tickers=given), shipped(), min_confidence=0.9)
    assert set(found["entity"]) == set(), "of seven, six of this day, each has a part of the confidence"
    found = linked(events("Quarterly report", tickers=given), shipped(), min_confidence=0.0)
    assert set(found["entity"]) == {"AAPL", "MSFT", "BRK.A", "BRK.B", "T", "IBM"}
    assert set(found["method"]) == {"given"}


def test_the_most_trusted_method_is_said():
    found = linked(events("Microsoft ($MSFT) waits", tickers=["MSFT"]), shipped(), min_confidence=0.0)
    assert found["method"].to_list() == ["given"]
    assert links("Microsoft ($MSFT) waits") == {"MSFT": "cashtag"}
    assert list(CONFIDENCE.values()) == sorted(CONFIDENCE.values(), reverse=True)


def test_what_a_model_names_counts_less_than_any_name_that_is_read_and_more_than_the_market():
    found = linked(events("Stocks of Microsoft", tickers=["MSFT", "AAPL"], by="m"), shipped(), min_confidence=0.0)
    assert dict(found.select("entity", "method").rows()) == {"AAPL": "extracted", "MSFT": "name"}
    assert min(CONFIDENCE[how] for how in CONFIDENCE if how not in ("extracted", "market")) > CONFIDENCE["extracted"]
    alone = linked(events("Stocks close higher", tickers=["AAPL"], by="m"), shipped(), min_confidence=0.0)
    assert alone.select("entity", "confidence", "synthetic_link").rows() == [("AAPL", CONFIDENCE["extracted"], False)]


def test_the_market_alone_is_marked_and_counts_as_little_as_asked():
    found = linked(events("Stocks close higher"), shipped(), min_confidence=0.5)
    assert found.select("entity_kind", "symbol", "synthetic_link").rows() == [("macro", None, True)]
    assert linked(events("Stocks close higher"), shipped(), min_confidence=0.71).is_empty()
    assert linked(events("Stocks close higher", tickers=["T"]), shipped(), min_confidence=0.0)["entity"].to_list() == [
        "T"
    ]


def test_a_series_is_linked_to_what_it_is_of_and_its_words_are_not_read():
    found = linked(events("CPIAUCSL of March: 250, was Apple", series="CPIAUCSL"), shipped(), min_confidence=0.0)
    assert found.select("entity", "entity_kind", "method").rows() == [("CPI", "macro", "given")]
    found = linked(events("HOUST of March", series="HOUST"), shipped(), min_confidence=0.0)
    assert found["entity"].to_list() == ["HOUST"], "a series that nobody has a word for is its own"


def test_forty_companies_of_one_title_share_what_three_have_each():
    tickers = sorted(shipped().as_of(DAY).tickers)[:40]
    few = linked(events("Movers", tickers=tickers[:1]), shipped(), min_confidence=0.0)
    many = linked(events("Movers", tickers=tickers), shipped(), min_confidence=0.0)
    assert few["confidence"].to_list() == [CONFIDENCE["given"]]
    assert set(many["entity"]) >= set(tickers)
    companies = len({key for ticker in tickers for key in shipped().as_of(DAY).tickers[ticker]})
    assert many["confidence"].unique().to_list() == [pytest.approx(CONFIDENCE["given"] * WHOLE / companies)]
    assert linked(events("Movers", tickers=tickers), shipped(), min_confidence=0.5).is_empty()
    three = linked(events("Apple, Boeing and Microsoft wait"), shipped(), min_confidence=0.0)
    assert set(three["confidence"]) == {CONFIDENCE["name"]}


def test_one_s_own_name_counts_before_the_shipped_one_and_brings_new_companies():
    own = pl.DataFrame(
        [
            ("Oracle", "AAPL", None, None, None, None),
            ("the big blue box", "FB", date(2018, 1, 1), date(2018, 12, 31), None, None),
            ("The Book of Faces", "FB", None, None, None, None),
            ("Acme Rockets Inc.", "ACMR", None, None, None, None),
        ],
        schema=ALIASES,
        orient="row",
    )
    mine = directory(shipped_rows(), own, ("QQQQ",))
    assert links("Why Oracle waits", directory=mine) == {"AAPL": "alias"}
    assert links("Whoever owns the big blue box", directory=mine) == {"FB": "alias"}
    assert links("Whoever owns the big blue box", directory=mine, day=date(2019, 1, 2)) == {}
    assert links("Who reads a book of faces", directory=mine, day=date(2023, 1, 3)) == {"META": "alias"}
    assert links("Why Acme Rockets waits", directory=mine) == {"ACMR": "alias"}
    assert links("$QQQQ and $ACMR wait", directory=mine) == {"QQQQ": "cashtag", "ACMR": "cashtag"}
    assert links("Nobody is here", directory=directory(own.head(0), own.head(0), ())) == {}


@settings(max_examples=10)
@given(st.permutations([title for title in MEANT if title]), st.integers(1, len(MEANT) - 1))
def test_order_and_other_rows_change_nothing(titles, count):
    found = linked(events(*titles[:count]), shipped(), min_confidence=0.0)
    assert found.equals(found.sort(LINKED_NEWS.key))
    for title in titles[:count]:
        assert dict(found.filter(event_id=title).select("entity", "method").iter_rows()) == MEANT[title]


WRAPPED = (
    *("{}", "({})", "“{}”", "'{}'", "*{}*", "…{}…", "\u200b{}\u200b", "—{}—", "{}!", "#{}", "【{}】", "{}’s", "{}-led"),
    *("anti-{}", "{}/Airbus", "«{}»", "\u00a0{}\u00a0", "{}\u2060"),
)
WRITTEN = ("Boeing", "BOEING", "boeing", "Ｂｏｅｉｎｇ", "Bo\u00adeing", "Boëing", "Boe\u0308ing")


def test_a_name_is_found_in_any_wrapping_and_case():
    titles = [f"Who builds for {wrapping.format(name)} today" for wrapping in WRAPPED for name in WRITTEN]
    found = linked(events(*titles), shipped(), min_confidence=0.0)
    assert set(found.filter(pl.col("entity") == "BA")["event_id"]) == set(titles)


@settings(max_examples=15)
@given(st.characters(categories=["L", "N"]).filter(lambda letter: plain(letter).isalnum()))
def test_a_part_of_a_word_is_no_name(letter):
    titles = [f"Who waits for {letter}Starbucks", f"Who waits for Starbucks{letter}"]
    assert linked(events(*titles), shipped(), min_confidence=0.0).is_empty()
