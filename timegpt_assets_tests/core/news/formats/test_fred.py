"""What FRED's answers tell, and which are refused: nothing of a later day, of another question or of a made-up day."""

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timegpt_assets.core.news.formats import fred
from timegpt_assets.core.news.formats.fred import FredSpec
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets_tests.servers.fred import gdp, observations, release_dates

NOW = datetime(2025, 1, 20, 18, tzinfo=UTC)
MOMENT = datetime(2018, 4, 27, 12, 30, tzinfo=UTC)
SPEC = FredSpec(
    moments={"GDP": {date(2018, 4, 27): MOMENT}}, releases={10: {}, 53: {date(2018, 4, 27): MOMENT}}, changes=8
)
RELEASES = [(10, "Consumer Price Index", "2018-04-11"), (53, "Gross Domestic Product", "2018-04-27")]
RELEASES += [(101, "FOMC Press Release", f"2018-04-{day:02}") for day in range(1, 31)]
Change = Callable[[dict[str, Any]], Any]


def answered(rows: list[dict[str, str]], begin: str, end: str, *, since: str = "2013-01-01") -> tuple[bytes, str]:
    """Return FRED's answer about the vintages of a window, and the question."""
    asked = {"series_id": "GDP", "realtime_start": begin, "realtime_end": end, "observation_start": since}
    said = observations({"GDP": rows}, asked, today="2025-01-20")[1]
    return json.dumps(said).encode(), fred.named(fred.OBSERVATIONS, asked)


def told(begin: str, end: str, rows: list[dict[str, str]] | None = None, **kwargs: Any) -> list[fred.Told]:
    body, asked = answered(gdp() if rows is None else rows, begin, end, **kwargs)
    return fred.told(body, asked=asked, fetched_at=NOW, spec=SPEC)


def rows(*vintages: tuple[str, str, str]) -> list[dict[str, str]]:
    """Return observations (period, vintage, value), each standing until the period's next."""
    found = []
    for n, (period, start, value) in enumerate(vintages):
        later = [s for p, s, _ in vintages[n + 1 :] if p == period]
        end = str(date.fromisoformat(min(later)) - timedelta(days=1)) if later else "9999-12-31"
        found.append({"realtime_start": start, "realtime_end": end, "date": period, "value": value})
    return found


@pytest.mark.parametrize(
    ("day", "value"), [("2018-04-27", 19965.326), ("2018-05-30", 19956.811), ("2018-06-28", 19960.097)]
)
def test_gdp_is_what_was_known_on_the_day_and_never_a_later_value(day: str, value: float) -> None:
    asked = date.fromisoformat(day)
    (event,) = (e for e in told(str(asked - timedelta(days=2)), day) if "2018-01-01" in e.title)
    assert (event.type, event.series, event.value, event.published_on) == ("value", "GDP", value, asked)
    body, question = answered(gdp(), "1776-07-04", "9999-12-31", since="1600-01-01")
    whole = fred.observations(body, asked=question, fetched_at=NOW)
    assert dict(fred.as_of(whole, asked).rows())[date(2018, 1, 1)] == value
    assert date(2018, 1, 1) not in dict(fred.as_of(whole, date(2018, 4, 26)).rows())


def test_what_was_known_before_the_window_is_told_of_no_day_of_it() -> None:
    assert told("2018-04-27", "2018-05-29") == []
    assert [event.published_on for event in told("2018-04-26", "2018-05-29")] == [date(2018, 4, 27)]


def test_first_revised_withdrawn_missing_and_restored_values_are_told_apart() -> None:
    vintages = rows(
        ("2018-01-01", "2018-04-27", "10"),
        ("2018-01-01", "2018-05-30", "12.5"),
        ("2018-01-01", "2018-06-28", "."),
        ("2018-01-01", "2018-07-27", "12.5"),
        ("2018-04-01", "2018-07-27", "."),
    )
    found = [(e.title, e.value, e.published_on) for e in told("2018-04-01", "2018-08-01", vintages)]
    assert found == [
        ("GDP of 2018-01-01: 10", 10, date(2018, 4, 27)),
        ("GDP of 2018-01-01: 12.5, revised from 10", 12.5, date(2018, 5, 30)),
        ("GDP of 2018-01-01: withdrawn, was 12.5", None, date(2018, 6, 28)),
        ("GDP of 2018-01-01: 12.5", 12.5, date(2018, 7, 27)),
        ("GDP of 2018-04-01: no value", None, date(2018, 7, 27)),
    ]


def test_recorded_withdrawals_are_no_values() -> None:
    body, asked = answered(gdp(), "2003-12-01", "2003-12-31", since="2003-01-01")
    found = fred.told(body, asked=asked, fetched_at=NOW, spec=SPEC)
    assert [(e.title, e.value) for e in found] == [
        ("GDP of 2003-07-01: withdrawn, was 11063.4", None),
        ("GDP of 2003-07-01: 11107", 11107),
    ]


def test_the_same_number_again_is_no_news() -> None:
    assert (
        told(
            "2018-05-01", "2018-06-01", rows(("2018-01-01", "2018-04-27", "302"), ("2018-01-01", "2018-05-30", "302.0"))
        )
        == []
    )


def test_a_date_with_a_moment_is_published_then_any_other_is_known_at_the_next_open() -> None:
    timed, dated = told("2018-04-26", "2018-05-30")
    assert (timed.published_at, timed.known_from) == (MOMENT, None)
    assert (dated.published_at, dated.known_from) == (None, datetime(2018, 5, 31, 13, 30, tzinfo=UTC))
    friday = told("2018-04-01", "2018-08-01", rows(("2018-01-01", "2018-07-27", "1")))
    assert friday[0].known_from == datetime(2018, 7, 30, 13, 30, tzinfo=UTC)


def test_a_surprise_comes_with_the_value_from_the_history_of_its_own_answer() -> None:
    event = told("2018-04-26", "2018-04-27")[0]
    known = {period: value for period, value in _known(gdp(), "2018-04-27") if period >= "2013"}
    levels = [known[period] for period in sorted(known)]
    changes = [b - a for a, b in pairwise(levels)]
    past = changes[-9:-1]
    mean = sum(past) / 8
    deviation = (sum((x - mean) ** 2 for x in past) / 7) ** 0.5
    assert event.surprise == pytest.approx((changes[-1] - mean) / deviation)


def _known(vintages: list[dict[str, str]], day: str) -> list[tuple[str, float]]:
    alive = (r for r in vintages if r["realtime_start"] <= day <= r["realtime_end"] and r["value"] != ".")
    return [(r["date"], float(r["value"])) for r in alive]


def _set(**fields: Any) -> Change:
    return lambda said: said.update(fields)


def _row(**fields: Any) -> Change:
    return lambda said: said["observations"][-1].update(fields)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_set(realtime_start="2025-01-20"), r"is about realtime_start 2025-01-20, asked was 2018-04-25: values"),
        (_set(realtime_end="9999-12-31"), r"is about realtime_end 9999-12-31, asked was 2018-04-27"),
        (_set(output_type=4), r"is of output_type 4 in units lin, not 1 in lin: type 4 begins at the first vintage"),
        (_set(units="chg"), r"is of output_type 1 in units chg"),
        (_set(count=99), r"says that it has 99 observations and has 17"),
        (_set(observations=None), r"has none"),
        (_row(realtime_start="2018-04-28", realtime_end="2018-04-30"), r"dated 2018-04-28, outside 2018-04-25"),
        (_row(realtime_start="2018-04-24"), r"dated 2018-04-24, outside"),
        (_row(date="2017-10-01"), r"has two values of 2017-10-01 on 2018-04-27"),
        (_row(value="about 5"), r"'about 5'.* as observation 16"),
        (_row(value="NaN"), r"as observation 16: no finite number"),
        (_row(value=None), r"as observation 16"),
        (_row(date="2018-13-01"), r"as observation 16"),
        (lambda said: said.pop("observations"), r"lacks observations"),
        (lambda said: said.update(error_message=f"Bad {said.pop('count')}."), r"lacks count: Bad 17."),
    ],
)  # fmt: skip
def test_an_answer_to_another_question_or_of_a_made_up_day_is_refused(change: Change, why: str) -> None:
    body, asked = answered(gdp(), "2018-04-25", "2018-04-27", since="2014-01-01")
    said = json.loads(body)
    change(said)
    with pytest.raises(Unreadable, match=why) as refused:
        fred.told(json.dumps(said).encode(), asked=asked, fetched_at=NOW, spec=SPEC)
    assert str(refused.value).endswith("if it stays so, report it.")


def test_a_vintage_dated_ahead_of_today_in_chicago_is_refused_though_it_was_asked_about() -> None:
    body, asked = answered(gdp(), "2018-04-25", "2018-04-27")
    evening = datetime(2018, 4, 27, 4, 59, tzinfo=UTC)
    with pytest.raises(
        Unreadable, match=r"dated 2018-04-27, outside 2018-04-25..2018-04-26, which was asked about and has"
    ):
        fred.told(body, asked=asked, fetched_at=evening, spec=SPEC)
    assert fred.told(body, asked=asked, fetched_at=evening + timedelta(minutes=1), spec=SPEC)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html><body>FRED is being maintained.</body></html>", "page of HTML"),
        (b'{"realtime_start":"2018-04-25","realti', "is no JSON"),
        (b"[]", "is no JSON object"),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        fred.told(body, asked=answered([], "2018-04-25", "2018-04-27")[1], fetched_at=NOW, spec=SPEC)


def test_an_escape_that_json_does_not_know_is_mended() -> None:
    body, asked = answered(gdp(), "2018-04-26", "2018-04-27")
    good = fred.told(body, asked=asked, fetched_at=NOW, spec=SPEC)
    assert good
    assert fred.told(body.replace(b'"lin"', rb'"l\in"'), asked=asked, fetched_at=NOW, spec=SPEC) == good


def released(offset: int = 0, *, every: list[tuple[int, str, str]] = RELEASES) -> tuple[dict[str, Any], str]:
    asked = {"realtime_start": "2018-04-10", "realtime_end": "2018-04-27", "offset": f"{offset}"}
    return release_dates(every, asked, today="2025-01-20")[1], fred.named(fred.RELEASES, asked)


def test_of_all_releases_those_that_are_asked_for_are_told() -> None:
    said, asked = released()
    found = fred.told(json.dumps(said).encode(), asked=asked, fetched_at=NOW, spec=SPEC)
    assert [(e.type, e.title, e.published_on, e.published_at) for e in found] == [
        ("release", "Consumer Price Index: released on 2018-04-11", date(2018, 4, 11), None),
        ("release", "Gross Domestic Product: released on 2018-04-27", date(2018, 4, 27), MOMENT),
    ]
    assert found[0].known_from == datetime(2018, 4, 12, 13, 30, tzinfo=UTC)


def test_pages_of_release_dates_are_whole_or_refused() -> None:
    many = [(n, f"release {n}", "2018-04-11") for n in range(1001)]
    first, asked = released(every=many)
    assert len(fred.release_dates(json.dumps(first).encode(), asked=asked)) == 1000
    assert fred.pages_left(json.dumps(first).encode())
    last, asked = released(1000, every=many)
    assert len(fred.release_dates(json.dumps(last).encode(), asked=asked)) == 1
    assert not fred.pages_left(json.dumps(last).encode())
    twice = json.dumps(released(every=[*many, *many])[0]).encode()
    with pytest.raises(Unreadable, match="has 1000 release dates from number 0 of 2002, asked for 1000 from number"):
        fred.release_dates(twice, asked=asked)
    first["release_dates"] = first["release_dates"][:999]
    with pytest.raises(Unreadable, match="has 999 release dates"):
        fred.release_dates(json.dumps(first).encode(), asked=released()[1])


def test_a_release_outside_the_days_asked_about_is_refused() -> None:
    said, asked = released()
    said["release_dates"][0]["date"] = "2018-04-28"
    with pytest.raises(Unreadable, match="has a release dated 2018-04-28"):
        fred.release_dates(json.dumps(said).encode(), asked=asked)


DAYS = st.dates(date(2018, 2, 1), date(2018, 12, 31))
PERIODS = st.sampled_from(["2017-07-01", "2017-10-01", "2018-01-01"])
VALUES = st.sampled_from([".", "1", "2", "3.5"])


@given(st.dictionaries(st.tuples(PERIODS, DAYS), VALUES, max_size=12), DAYS)
def test_later_vintages_never_change_what_is_told_as_of_an_earlier_day(said: dict, day: date) -> None:
    every = [(period, str(at), value) for (period, at), value in sorted(said.items())]
    until = [row for row in every if row[1] <= str(day)]
    begin = str(day - timedelta(days=20))
    assert told(begin, str(day), rows(*every)) == told(begin, str(day), rows(*until))
    body, asked = answered(rows(*every), "1776-07-04", "9999-12-31")
    whole = fred.observations(body, asked=asked, fetched_at=NOW)
    expected = {period: value for period, _, value in until}
    found = [(str(period), value) for period, value in fred.as_of(whole, day).rows()]
    assert found == [(period, None if value == "." else float(value)) for period, value in sorted(expected.items())]


BODIES = Path(os.environ.get("TIMEGPT_ASSETS_REAL_DATA", "")) / "extras" / "fred_api_bodies" / "bodies"


@pytest.mark.skipif(not BODIES.is_dir(), reason="TIMEGPT_ASSETS_REAL_DATA names no folder of recorded FRED bodies")
def test_what_was_known_on_a_day_of_all_vintages_is_what_fred_answered_about_that_day() -> None:
    whole, then = (
        fred.observations(
            (BODIES / f"get_series_{name}.json").read_bytes(),
            asked=fred.named(fred.OBSERVATIONS, {"realtime_start": "1776-07-04", "realtime_end": end}),
            fetched_at=NOW,
        )
        for name, end in (("all_releases_1", "9999-12-31"), ("asof_date", "2019-01-01"))
    )
    assert (whole.height, whole["value"].null_count()) == (3201, 245)
    for day in (date(1999, 10, 28), date(2003, 12, 15), date(2018, 5, 30), date(2019, 1, 1)):
        assert fred.as_of(whole, day).equals(fred.as_of(then, day))
        assert fred.as_of(whole, day).height > 180
    with pytest.raises(Unreadable, match="is of output_type 4"):
        fred.observations(
            (BODIES / "get_series_initial_release_1.json").read_bytes(),
            asked=fred.named(fred.OBSERVATIONS, {"realtime_start": "1776-07-04", "realtime_end": "9999-12-31"}),
            fetched_at=NOW,
        )
