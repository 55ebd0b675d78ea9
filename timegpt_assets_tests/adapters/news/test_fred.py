"""FRED asked by the real client over a local server: which windows, which words mean what, and a key nobody sees."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest

from timegpt_assets.adapters.news.calendar import Scheduled
from timegpt_assets.adapters.news.connector import Doubt, Question, SecretMissing, Verdict
from timegpt_assets.adapters.news.fred import Fred
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.news.sources import NewsSources
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.news.delivered import Delivered, Told
from timegpt_assets.core.news.formats import fred
from timegpt_assets.core.news.formats.calendar import told as told_by_calendar
from timegpt_assets.core.news.formats.fred import FredSpec
from timegpt_assets.core.news.normalise import ClockSpec, normalised
from timegpt_assets.core.news.windows import window
from timegpt_assets_tests.adapters.news.askers import FILES as RULES
from timegpt_assets_tests.adapters.news.askers import Hands, sources
from timegpt_assets_tests.adapters.news.askers import asked as asked_with
from timegpt_assets_tests.secret_search import KEY, WRONG, is_marked, leaking
from timegpt_assets_tests.servers.fred import Fault, FredServer, gdp, recorded

NOW = datetime(2025, 1, 20, 18, tzinfo=UTC)
DAY = date(2018, 4, 30)  # the first session after Friday 27 April
SPEC = FredSpec(changes=8, releases={53: {}})
RELEASES = [(n, f"release {n}", f"2018-04-{day}") for n in range(100, 400) for day in (27, 28, 29, 30)]
RELEASES += [(53, "Gross Domestic Product", "2018-04-27")]


def connector(server: FredServer, key: str | None = KEY, series: tuple[str, ...] = ("GDP",), **kwargs: bool) -> Fred:
    kwargs = {"releases": False} | kwargs
    return Fred(series=series, key=lambda: key, clock=lambda: NOW, base_url=f"{server.url}/fred", **kwargs)


def served(**kwargs: object) -> FredServer:
    return FredServer({"GDP": gdp()}, RELEASES, key=KEY, **kwargs)  # type: ignore[arg-type]


def asked(source: Fred, question: Question) -> tuple[bytes, Verdict | None]:
    """Return the answer to a question and what it is worth."""
    response = httpx.get(question.url, params={**question.params, **source.secret()})
    headers = {name.lower(): value for name, value in response.headers.items()}
    return response.content, source.judged(question, response.status_code, headers, response.content)


def told(source: Fred, day: date) -> list[Told]:
    """Return what every question of a session, and what it makes necessary, tells."""
    questions, found = list(source.questions(window(day), day)), []
    while questions:
        question = questions.pop(0)
        body, doubt = asked(source, question)
        assert doubt is None
        found += fred.told(body, asked=question.asked, fetched_at=NOW, spec=SPEC)
        questions += source.further(question, body) if question.paged else ()
    return found


def normalized(desk: NewsSources, day: date) -> pl.DataFrame:
    """Return NORMALIZED_NEWS of a session, of what was delivered for it and for the one before."""
    raw = pl.concat([desk.deliver([calendar.shifted(day, -1)]), desk.deliver([day])])

    def reader(answer: Delivered) -> list[Told]:
        return fred.told(answer.body, asked=answer.asked, fetched_at=answer.fetched_at, spec=SPEC)

    spec = ClockSpec(clock="replay", latency={"fred": timedelta(seconds=60)}, tolerance=timedelta(0))
    found = normalised(desk.delivered(raw), readers={"fred": reader}, clock=spec, days=[day])
    assert (found.unreadable, dict(found.refused)) == ((), {})
    return found.frame


@pytest.mark.parametrize(
    ("day", "value"), [("2018-04-27", 19965.326), ("2018-05-30", 19956.811), ("2018-06-28", 19960.097)]
)
def test_gdp_of_2018q1_is_known_at_the_session_after_its_vintage_and_is_never_a_later_one(
    tmp_path: Path, day: str, value: float
) -> None:
    vintage = date.fromisoformat(day)
    session = calendar.shifted(vintage, 1)
    with served() as server:
        desk = sources(tmp_path, asked_with(tmp_path, Hands(now=NOW), connector(server), RULES))
        events = normalized(desk, session)
        mine = events.filter(pl.col("title").str.contains("2018-01-01"))
        assert mine.select("series", "value", "known_at").rows() == [("GDP", value, calendar.session(session).open)]
        assert mine["published_at"].to_list() == [None]
        for other in (calendar.shifted(vintage, -1), vintage, calendar.shifted(vintage, 2)):
            assert normalized(desk, other).is_empty()
        asked_once = [parameters for _, parameters in server.received]
        assert normalized(desk, session).equals(events)
        assert [parameters for _, parameters in server.received] == asked_once


def test_a_key_is_in_no_file_no_log_and_no_row_whatever_goes_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    with served() as server:
        hands = Hands(now=NOW)
        server.faults += [Fault(kind=kind) for kind in ("html", "cut", "today", "truncated")]
        server.faults += [said(429, "quoted_429_rate_limit"), Fault(kind="slow", seconds=0.01), Fault(kind="cut")]
        desk = sources(tmp_path, asked_with(tmp_path, hands, connector(server, releases=True), RULES))
        first = desk.deliver([DAY])
        for _ in range(3):
            hands.pass_(3600)
            again = desk.deliver([DAY])
        wrong = sources(tmp_path, asked_with(tmp_path, hands, connector(server, WRONG, ("CPI",)), RULES))
        refused = wrong.deliver([DAY])
    assert first["failed"].null_count() < 3
    assert again["failed"].null_count() == again.height == 3
    assert [row.startswith("refused: Bad Request. The value for variable api_key") for row in refused["failed"]] == [
        True
    ]
    told_of = f"{first.to_dicts()}{again.to_dicts()}{refused.to_dicts()}{desk!r}{wrong!r}"
    assert not is_marked(told_of)
    assert not is_marked(caplog.text)
    assert leaking(tmp_path) == []


def test_windows_leave_no_vintage_out_hold_fewer_than_fred_s_cap_and_wait_for_their_last_day() -> None:
    source = Fred(series=("GDP",), releases=True, key=lambda: None, clock=lambda: NOW)
    days = [session.day for session in calendar.sessions(date(2001, 8, 1), date(2026, 11, 1))]
    covered: set[date] = set()
    for day in days:
        for question in source.questions(window(day), day):
            _, parameters = fred.asked_for(question.asked)
            first, last = (date.fromisoformat(parameters[f"realtime_{end}"]) for end in ("start", "end"))
            assert (last - first).days < 2000
            assert last == day
            assert question.whole_at == calendar.session(day).close
            told_from = 0 if question.paged else 1
            # what was dated the session before and came after its close is told, too
            assert first + timedelta(days=told_from) == window(day)[0].date()
            covered.update(first + timedelta(days=n) for n in range(told_from, (last - first).days + 1))
    assert covered == {days[0] + timedelta(days=n) for n in range(-1, (days[-1] - days[0]).days + 1)} | {
        calendar.shifted(days[0], -1)
    }


def test_release_dates_are_read_page_by_page() -> None:
    with served() as server:
        events = told(connector(server, releases=True, series=()), DAY)
        assert [(event.type, event.title) for event in events] == [
            ("release", "Gross Domestic Product: released on 2018-04-27")
        ]
        pages = [(parameters["offset"], parameters["limit"]) for _, parameters in server.received]
        assert pages == [("0", "1000"), ("1000", "1000")]


def said(status: int, name: str) -> Fault:
    return Fault(kind="status", status=status, body=recorded(name))


def question_of(source: Fred) -> Question:
    return source.questions(window(DAY), DAY)[0]


@pytest.mark.parametrize(
    ("fault", "doubt", "why"),
    [
        (said(429, "quoted_429_rate_limit"), Doubt.THROTTLED, "Exceeded Rate Limit"),
        (Fault(kind="status", status=500), Doubt.BROKEN, "HTTP 500"),
        (Fault(kind="status", status=503, body=b"<html>"), Doubt.BROKEN, "HTTP 503"),
        (Fault(kind="status", status=403), Doubt.BROKEN, "HTTP 403"),
        (Fault(kind="status", status=404), Doubt.REFUSED, "HTTP 404"),
        (said(400, "quoted_400_vintage_cap"), Doubt.REFUSED, "5106 vintage dates"),
        (said(400, "400_bad_series_id"), Doubt.REFUSED, "Mend its name in"),
        (Fault(kind="html"), Doubt.BROKEN, "page of HTML"),
        (Fault(kind="empty"), Doubt.BROKEN, "is empty"),
        (Fault(kind="truncated"), Doubt.BROKEN, "is no JSON"),
        (Fault(kind="today"), Doubt.BROKEN, "asked was 2018-04-26: values as known on other days"),
        (Fault(kind="ahead"), Doubt.BROKEN, "dated 2099-01-01, outside"),
        (Fault(kind="initial"), Doubt.BROKEN, "is of output_type 4"),
    ],
    ids=lambda part: part.kind if isinstance(part, Fault) else None,
)  # fmt: skip
def test_what_is_no_answer_to_the_question_is_told_apart(fault: Fault, doubt: Doubt, why: str) -> None:
    with served() as server:
        source = connector(server)
        server.faults.append(fault)
        verdict = asked(source, question_of(source))[1]
        assert verdict is not None
        assert verdict.doubt == doubt
        assert why in verdict.why
        assert asked(source, question_of(source))[1] is None


def test_an_escape_that_json_does_not_know_is_mended_and_used() -> None:
    with served() as server:
        server.faults.append(Fault(kind="escape"))
        source = connector(server)
        assert asked(source, question_of(source))[1] is None


def test_a_wrong_key_and_an_unknown_series_are_told_apart_though_both_are_400() -> None:
    with served() as server:
        unknown = connector(server, series=("GDPX",))
        verdicts = [asked(source, question_of(source))[1] for source in (connector(server, WRONG), unknown)]
    key, series = (verdict.why for verdict in verdicts if verdict and verdict.doubt == Doubt.REFUSED)
    assert key.endswith("Set FRED_API_KEY to a key of fred.stlouisfed.org/docs/api/api_key.html.")
    assert series == "Bad Request. The series does not exist. Mend its name in news.fred_series, or take it out."


def test_a_series_of_nothing_is_counted_as_empty() -> None:
    with FredServer({"GDP": []}, key=KEY) as server:
        source = connector(server)
        verdict = asked(source, question_of(source))[1]
    assert verdict == Verdict(Doubt.EMPTY, f"nothing of {question_of(source).asked}")


@pytest.mark.parametrize("key", [None, "", "  ", "two words", "k\u00e9y"])
def test_without_a_key_nothing_is_asked(key: str | None) -> None:
    source = Fred(series=("GDP",), releases=True, key=lambda: key, clock=lambda: NOW)
    with pytest.raises(SecretMissing, match=r"nothing was asked\. Put the key .* as FRED_API_KEY\.$"):
        source.secret()


def test_the_key_is_in_no_question_no_repr_and_no_word_of_a_refusal() -> None:
    source = Fred(series=("GDP",), releases=True, key=lambda: KEY, clock=lambda: NOW)
    questions = source.questions(window(DAY), DAY)
    body = f'{{"error_message": "Bad Request.  api_key {KEY} is not registered."}}'.encode()
    verdict = source.judged(questions[0], 400, {}, body)
    assert "api_key [key] is not registered" in str(verdict)
    assert KEY not in f"{source!r} {questions!r} {verdict!r}"


def test_what_the_calendar_says_of_a_session_is_kept_once_and_a_changed_calendar_apart(tmp_path: Path) -> None:
    days = {"event_cpi": (DAY,)}
    times: list[datetime] = []

    def clock() -> datetime:
        times.append(NOW + timedelta(hours=len(times)))
        return times[-1]

    def shelf(events: dict[str, tuple[date, ...]]) -> Callable[[], list]:
        made = Scheduled(events=lambda: EventCalendar(events), store=RawStore(LocalStore(tmp_path)), clock=clock)
        return lambda: list(made.answers(window(DAY), DAY))

    first, changed = shelf(days), shelf(days | {"event_nfp": (DAY,)})
    (kept,) = first()
    assert (kept.source, kept.day, kept.fetched_at, kept.status) == ("calendar", DAY, NOW, 200)
    assert first() == [kept]
    assert len(times) == 1
    assert [event.title for event in told_by_calendar(RawStore(LocalStore(tmp_path)).body(kept.content_hash))] == [
        "cpi: due on 2018-04-30"
    ]
    assert changed()[0].content_hash != kept.content_hash
    assert first() == [kept]
