"""News of each minute: what counts and from when on, the same by every road, and nothing told apart from nobody asked.

That no feature of news looks ahead, and that each is what plain loops find, is proven beside all other features
(core/features/test_past_only.py, test_oracle.py).
"""

from datetime import date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from timegpt_assets.core import calendar
from timegpt_assets.core.features import news
from timegpt_assets.core.news.project import MISSING, NAMES, projected
from timegpt_assets.core.news.windows import window
from timegpt_assets.core.tables.news import NEWS_FEATURES
from timegpt_assets_tests.core.bars.bars_factory import DAYS, troubled_bars
from timegpt_assets_tests.core.features.made import SPEC, made
from timegpt_assets_tests.core.news.scored_made import Event, link, links, raw, scored

DAY, SYMBOLS = DAYS[1], ("AAA", "BBB")
OPEN = calendar.session(DAY).open
NOTHING = dict.fromkeys(NAMES, 0.0) | {"news_own_age": None, "news_market_age": None}


def told(*events: Event, day: date = DAY, symbols: tuple[str, ...] = SYMBOLS) -> pl.DataFrame:
    return projected(scored(events, [day]), raw([day]), days=[day], symbols=symbols)


def at(frame: pl.DataFrame, minute: int, symbol: str = "AAA") -> dict[str, float | None]:
    """Return what is not nothing of a symbol when the session has run that many minutes."""
    row = frame.filter(symbol=symbol, known_at=OPEN + timedelta(minutes=minute)).row(0, named=True)
    return {name: row[name] for name in NAMES if row[name] != NOTHING[name]}


def known(minute: int, **later: int) -> datetime:
    return OPEN + timedelta(minutes=minute, **later)


def test_an_event_counts_from_the_minute_that_ends_when_it_is_known_and_not_a_microsecond_earlier():
    frame = told(
        link(1, known(100)), link(2, known(100), symbol="AAA"), link(3, known(100, microseconds=1), symbol="AAA")
    )
    assert at(frame, 99) == {}
    assert at(frame, 100)["news_headline_count_30m"] == 1
    assert at(frame, 101)["news_headline_count_30m"] == 2
    assert [at(frame, minute)["news_own_age"] for minute in (100, 101)] == pytest.approx([0, 1 - 1 / 6e7])
    assert [at(frame, minute)["news_headline_count_30m"] for minute in (129, 130)] == [2, 1], "half an hour ago is gone"
    assert "news_headline_count_30m" not in at(frame, 131)
    assert at(frame, 131)["news_headline_count_1d"] == 2
    assert at(frame, 100, "BBB") == {}


def test_a_day_back_is_by_the_clock_and_reaches_into_the_session_before():
    before = known(60) - timedelta(days=1)
    frame = told(link(1, before, symbol="AAA"), link(2, before + timedelta(microseconds=1), symbol="AAA"))
    assert at(frame, 59)["news_headline_count_1d"] == 2
    assert at(frame, 60)["news_headline_count_1d"] == 1
    assert at(frame, 61) == {"news_own_age": pytest.approx(24 * 60 + 1)}


def test_no_event_of_the_day_after_is_known():
    ended = window(DAY)[1]
    frame = told(link(1, ended, symbol="AAA"), link(2, ended + timedelta(microseconds=1), symbol="AAA"))
    assert at(frame, calendar.session(DAY).minutes)["news_headline_count_1d"] == 1


def test_what_is_told_of_the_market_is_everybody_s_and_of_a_symbol_its_own():
    frame = told(
        link(1, known(5), macro=True, type="value", surprise=1.5, quality=0.25), link(2, known(5), symbol="BBB")
    )
    everybody_s = {"news_value_count": 1, "news_value_weight": 0.25, "news_first_count": 1, "news_surprise_above": 1}
    expected = {f"{name}_{w}": value for name, value in everybody_s.items() for w in ("30m", "1d")}
    expected |= {"news_sources_30m": 1, "news_sources_1d": 1, "news_market_age": 1}
    assert at(frame, 6) == expected
    assert at(frame, 6, "BBB")["news_first_count_30m"] == 2
    assert at(frame, 6, "BBB")["news_sources_30m"] == 1
    assert at(frame, 6, "BBB")["news_own_age"] == 1


def test_an_event_that_is_linked_in_several_ways_counts_once_with_its_best_link():
    same = {"symbol": "AAA", "quality": 0.25}
    links_of_one = (link(1, known(5), **same), link(1, known(5), **same | {"entity": "class B", "quality": 0.5}))
    assert at(told(*links_of_one), 5)["news_headline_count_30m"] == 1
    assert at(told(*links_of_one), 5)["news_headline_weight_30m"] == 0.5
    for of_market in (0.125, 0.75):
        frame = told(*links_of_one, link(1, known(5), macro=True, quality=of_market))
        found = at(frame, 5)
        assert (found["news_headline_count_30m"], found["news_first_count_30m"], found["news_sources_30m"]) == (1, 1, 1)
        assert found["news_headline_weight_30m"] == max(0.5, of_market)
        assert at(frame, 5, "BBB")["news_headline_weight_30m"] == of_market


def test_what_is_of_no_use_or_of_nobody_counts_nowhere():
    frame = told(link(1, known(5), symbol="AAA", used=False), link(2, known(5)), link(3, known(5), symbol="CCC"))
    assert at(frame, 60) == {} == at(frame, 60, "BBB")


def test_a_copy_is_no_first_and_a_value_as_expected_no_surprise():
    about = {"symbol": "AAA", "type": "value", "novelty": 0.5}
    frame = told(link(1, known(5), **about, surprise=0.999), link(2, known(5), **about, surprise=-1.0))
    found = at(frame, 5)
    assert found["news_value_count_30m"] == 2
    assert "news_first_count_30m" not in found
    assert "news_surprise_above_30m" not in found
    assert found["news_surprise_below_30m"] == 1


def test_a_day_without_news_is_zero_and_a_day_on_which_nobody_answered_is_null():
    nothing = scored([], DAYS[:2])
    frame = projected(nothing, raw([DAY], [DAYS[0]]), days=DAYS[:2], symbols=SYMBOLS)
    assert NEWS_FEATURES.errors(frame) == []
    assert frame.height == 2 * sum(calendar.session(day).minutes for day in DAYS[:2])
    for day, is_missing in ((DAYS[0], True), (DAY, False)):
        own = frame.filter(day=day)
        assert own.select(*MISSING).unique().row(0) == (is_missing,) * len(MISSING)
        for name in NAMES:
            value = None if is_missing else NOTHING[name]
            assert own[name].to_list() == [value] * own.height, name
    never_asked = projected(nothing, raw([]), days=DAYS[:2], symbols=SYMBOLS)
    assert never_asked.select(*MISSING).unique().row(0) == (True,) * len(MISSING)


def test_the_catalogue_lists_what_is_made_and_a_minute_that_the_news_does_not_know_is_missing():
    assert [feature.name for feature in news.FEATURES] == [*NAMES, *MISSING]
    frame = told(link(1, known(5), symbol="AAA"))
    minutes = frame.filter(pl.col("known_at") <= known(7))
    found = news.placed(minutes, frame.filter(pl.col("known_at") <= known(6)))
    assert found.schema == {feature.name: feature.dtype for feature in news.FEATURES}
    assert found["news_missing"].to_list() == [False] * 6 + [True] + [False] * 6 + [True]
    assert_frame_equal(news.placed(frame, frame), frame.select(found.columns), check_exact=True)


def test_missing_news_takes_no_row_away():
    bars = troubled_bars()
    silent = made(bars, told=NEWS_FEATURES.empty())
    assert silent.frame["news_missing"].all()
    without = made(
        bars, spec=SPEC.__class__(**{n: getattr(SPEC, n) for n in SPEC.__slots__} | {"groups": SPEC.groups[:-1]})
    )
    assert silent.dropped.equals(without.dropped)
    assert_frame_equal(silent.frame.select(without.frame.columns), without.frame, check_exact=True)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), minute=st.integers(1, 390))
def test_a_whole_day_at_once_holds_what_each_minute_knew_in_any_order_for_any_symbols(seed: int, minute: int):
    events = links([DAY], SYMBOLS, seed=seed, each=25)
    frame = told(*events)
    then = known(minute)
    alone = told(*(one for one in reversed(events) if one["known_at"] <= then), symbols=("BBB", "CCC"))
    own = pl.col("known_at") == then
    assert_frame_equal(alone.filter(own, symbol="BBB"), frame.filter(own, symbol="BBB"), check_exact=True)
    other = {"AAA": "BBB", "BBB": "AAA"}
    swapped = told(*({**one, "symbol": other.get(one["symbol"] or "")} for one in events))
    renamed = swapped.with_columns(pl.col("symbol").replace(other)).sort("symbol", "ts")
    assert_frame_equal(renamed, frame, check_exact=True)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_longer_window_holds_no_less_and_no_weight_is_more_than_its_count(seed: int):
    frame = told(*links([DAY], SYMBOLS, seed=seed, each=25))
    for short in (name for name in NAMES if name.endswith("_30m")):
        assert (frame[short] <= frame[short.replace("_30m", "_1d")]).all(), short
        assert (frame[short] >= 0).all()
    for weight in (name for name in NAMES if "_weight_" in name):
        assert (frame[weight] <= frame[weight.replace("_weight_", "_count_")] + 1e-6).all(), weight
    heard = pl.sum_horizontal(f"news_{kind}_count_1d" for kind in ("headline", "value", "release"))
    assert frame.filter(heard < pl.col("news_sources_1d")).is_empty()
    assert frame.filter((heard == 0) != (pl.col("news_sources_1d") == 0)).is_empty()
