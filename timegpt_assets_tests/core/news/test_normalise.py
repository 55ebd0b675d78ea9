"""Events of all sources: known when they could be, named by what they say, once each, in one order.

Guards against news that a feature sees before anybody could have read it.
"""

import dataclasses
import random
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.news.delivered import Delivered, Told
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets.core.news.normalise import AHEAD, OUTSIDE, TIMELESS, UNTITLED, normalised
from timegpt_assets.core.news.url import shown
from timegpt_assets.core.news.windows import window
from timegpt_assets_tests.core.news.told import LATE, LIVE, REPLAY, delivery, headline, rows

DAYS = [s.day for s in calendar.sessions(date(2018, 3, 1), date(2018, 4, 6))]  # Good Friday and the change of the clock
THURSDAY, MONDAY = date(2018, 3, 29), date(2018, 4, 2)
NOON = datetime(2018, 3, 29, 16, tzinfo=UTC)
MOMENTS = st.integers(0, 35 * 24 * 60).map(lambda m: datetime(2018, 3, 1, tzinfo=UTC) + timedelta(minutes=m))
HEADLINES = st.lists(
    st.builds(
        headline,
        st.sampled_from(["Acme rises ;", "Acme rises;", "Acme falls", "U . S . data", ""]),
        MOMENTS | MOMENTS.map(datetime.date),
        st.sampled_from([None, "https://n.example/a"]),
        st.lists(st.sampled_from(["AAPL", "MSFT"]), max_size=2),
    ),
    max_size=12,
)


def known(*told: Told, days: list[date] = DAYS, **words: object) -> list[tuple[date, datetime]]:
    return rows({"x": told}, days, **words).frame.select("day", "known_at").rows()  # type: ignore[arg-type]  # words


def test_a_replay_knows_an_event_at_its_time_and_its_source_s_latency() -> None:
    assert known(headline("Acme rises", NOON)) == [(THURSDAY, NOON + timedelta(minutes=1))]


def test_what_its_source_saw_later_is_known_later() -> None:
    seen = Told(type="headline", title="Acme", published_at=NOON, seen_at=NOON + timedelta(hours=1))
    assert known(seen) == [(THURSDAY, NOON + timedelta(hours=1, minutes=1))]


def test_latency_carries_an_event_of_the_last_minute_into_the_next_session() -> None:
    close = window(THURSDAY)[1]
    assert known(headline("Acme", close - timedelta(seconds=59))) == [(MONDAY, close + timedelta(seconds=1))]


def test_live_nothing_is_known_before_it_was_delivered() -> None:
    fetched = NOON + timedelta(hours=3)
    assert known(headline("Acme", NOON), clock=LIVE, fetched_at=fetched) == [(THURSDAY, fetched)]
    assert known(headline("Acme", THURSDAY), clock=LIVE, fetched_at=fetched) == [
        (MONDAY, calendar.session(MONDAY).open)
    ]


@pytest.mark.parametrize("day", [date(2018, 3, 29), date(2018, 3, 30), date(2018, 3, 31), date(2018, 4, 1)])
def test_a_date_alone_is_known_at_the_next_session_s_open(day: date) -> None:
    assert known(headline("Acme", day)) == [(MONDAY, datetime(2018, 4, 2, 13, 30, tzinfo=UTC))]


def test_what_a_parser_says_nobody_could_know_earlier_is_not_known_earlier() -> None:
    said = dataclasses.replace(headline("Acme", NOON), known_from=NOON + timedelta(minutes=20))
    assert known(said) == [(THURSDAY, NOON + timedelta(minutes=20))]
    dated = dataclasses.replace(headline("Acme", THURSDAY), known_from=NOON)
    assert known(dated) == [(THURSDAY, NOON)], "the parser knows the release's moment"


def test_what_lies_ahead_of_its_delivery_is_refused_and_counted_but_for_a_release() -> None:
    later = LATE + timedelta(minutes=6)
    told = [headline("Acme", later), headline("Acme", LATE.date() + timedelta(days=2)), headline("Acme", NOON)]
    assert rows({"x": told}, DAYS).refused == {("own", AHEAD): 2}
    assert known(*told) == [(THURSDAY, NOON + timedelta(minutes=1))]
    day = calendar.last_closed_session(LATE + timedelta(days=1))
    near = [headline("Acme", LATE + timedelta(minutes=4)), Told(type="release", title="CPI", published_at=later)]
    assert rows({"x": near}, [day]).frame["title"].sort().to_list() == ["Acme", "CPI"]
    beginning = headline("Acme", LATE.date() + timedelta(days=1))
    assert rows({"x": [beginning]}, DAYS).refused == {}, "somewhere that day has begun"


def test_what_has_no_title_no_time_or_a_date_beyond_the_calendar_is_refused_and_counted() -> None:
    told = [headline("\u200b ", NOON), Told(type="headline", title="Acme"), headline("Acme", date(1999, 12, 30))]
    made = rows({"x": [*told, headline("Acme", date(1899, 1, 1))]}, DAYS)
    assert made.refused == {("own", UNTITLED): 1, ("own", TIMELESS): 1, ("own", OUTSIDE): 1 + 1}
    assert made.frame.is_empty()


def test_a_body_that_nobody_can_read_is_told_and_the_others_are_read() -> None:
    def reader(answer: Delivered) -> list[Told]:
        if answer.body == b"bad":
            raise Unreadable("is a page of HTML. Ask again later.")
        return [headline("Acme", NOON)]

    given = [delivery("bad"), delivery("good")]
    made = normalised(given, readers={"own": reader}, clock=REPLAY, days=DAYS)
    assert made.frame.height == 1
    (unread,) = made.unreadable
    assert (unread.source, unread.asked, unread.content_hash) == ("own", "bad", given[0].content_hash)
    assert unread.why == "is a page of HTML. Ask again later."


def test_a_day_without_news_is_a_day_without_rows() -> None:
    made = rows({"x": []}, DAYS)
    assert made.frame.is_empty()
    assert (made.unreadable, made.refused) == ((), {})
    assert rows({}, DAYS).frame.schema == made.frame.schema


def test_five_hundred_times_the_same_is_one_event() -> None:
    made = rows({name: [headline("Acme rises", NOON, "https://n.example/a")] * 500 for name in "ab"}, DAYS)
    assert made.frame.height == 1


def test_one_headline_in_a_row_for_each_ticker_is_one_event_of_all_of_them() -> None:
    told = [headline("Acme rises", NOON, tickers=[ticker]) for ticker in ("MSFT", "AAPL", "MSFT")]
    assert rows({"x": told}, DAYS).frame["tickers"].to_list() == [["AAPL", "MSFT"]]


def test_live_an_event_is_known_by_its_first_delivery_and_a_later_one_adds_nothing() -> None:
    first, second = (delivery(name, fetched_at=NOON + timedelta(days=n)) for n, name in enumerate("ab"))
    said = {b"a": headline("Acme", NOON, tickers=["AAPL"]), b"b": headline("Acme", NOON, tickers=["MSFT"])}
    made = normalised([second, first], readers={"own": lambda one: [said[one.body]]}, clock=LIVE, days=DAYS)
    assert made.frame.select("day", "known_at", "tickers").rows() == [(THURSDAY, NOON + timedelta(minutes=1), ["AAPL"])]
    later = normalised([second, first], readers={"own": lambda one: [said[one.body]]}, clock=LIVE, days=[MONDAY])
    assert later.frame.is_empty(), "the later copy makes no event of a later day"


def test_titles_are_mended_and_tokenised_copies_are_the_same_event() -> None:
    made = rows({"x": [headline("U . S . data ; Acme &amp; Co", NOON), headline("U.S. data; Acme & Co", NOON)]}, DAYS)
    assert made.frame["title"].to_list() == ["U.S. data; Acme & Co"]


def test_source_address_title_and_time_name_an_event_each_alone() -> None:
    told = [
        headline("A", NOON, "https://n.example/a"),
        headline("B", NOON, "https://n.example/a"),
        headline("A", NOON, "https://n.example/b"),
        headline("A", NOON + timedelta(minutes=1), "https://n.example/a"),
        headline("A", NOON),
        headline("A", NOON.date()),
    ]
    assert rows({"x": told}, DAYS).frame["event_id"].n_unique() == len(told)
    other = rows({"x": told}, DAYS, source="gdelt_doc").frame
    assert not set(other["event_id"]) & set(rows({"x": told}, DAYS).frame["event_id"])


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("https://me:pw@n.example/a?id=7&api_key=abc&x-token=d#top", "https://n.example/a?id=7#top"),
        ("https://n.example/a?KEY=abc", "https://n.example/a"),
        ("https://n.example/monkey?keyword=acme", "https://n.example/monkey?keyword=acme"),
        ("no address: key=abc", "noaddress:key=abc"),
        ("https://[half?key=a", "https://[half?key=a"),
        ("https://n.example/\ud83d.html\n", "https://n.example/?.html"),
    ],
)
def test_an_address_is_stored_without_its_secrets(said: str, read: str) -> None:
    assert shown(said) == read
    made = rows({"x": [headline("Acme", NOON, said)]}, DAYS)
    assert made.frame["url"].to_list() == [read]


@settings(max_examples=25)
@given(HEADLINES, HEADLINES, st.randoms(use_true_random=False))
def test_the_same_bytes_give_the_same_rows_whatever_the_order_of_deliveries(
    one: list[Told], two: list[Told], shuffle: random.Random
) -> None:
    said = {"a": one, "b": two, "c": one}
    mixed = list(said)
    shuffle.shuffle(mixed)
    assert_frame_equal(rows(said, DAYS).frame, rows({name: said[name] for name in mixed}, DAYS).frame)


@settings(max_examples=25)
@given(HEADLINES, HEADLINES, st.sampled_from([REPLAY, LIVE]), st.sampled_from(DAYS))
def test_nothing_published_later_changes_a_row_of_an_earlier_day(
    early: list[Told], more: list[Told], clock: object, day: date
) -> None:
    close = window(day)[1]
    later = [
        told for told in more if (told.published_at or datetime.combine(told.published_on, NOON.time(), UTC)) > close
    ]  # type: ignore[arg-type]  # one of the two
    words = {"clock": clock, "fetched_at": close - timedelta(minutes=1) if clock is LIVE else LATE}
    before = rows({"a": early}, [d for d in DAYS if d <= day], **words)  # type: ignore[arg-type]  # words
    after = rows({"a": early, "b": later}, [d for d in DAYS if d <= day], **words)  # type: ignore[arg-type]  # words
    assert_frame_equal(before.frame, after.frame)
    assert after.frame.filter(pl.col("known_at") < pl.col("published_at")).is_empty()


@settings(max_examples=25)
@given(HEADLINES, st.sampled_from(DAYS[1:]))
def test_days_made_alone_are_the_days_made_together(told: list[Told], day: date) -> None:
    together = rows({"a": told}, DAYS).frame.filter(pl.col("day") == day)
    assert_frame_equal(rows({"a": told}, [day]).frame, together)
