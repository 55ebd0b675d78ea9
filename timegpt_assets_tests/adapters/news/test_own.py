"""Imported files as a source: each session is told its own news, whatever else the files hold.

Guards against a headline that reaches a session before it could be known, and one that reaches none.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.adapters.market.vendor_files import Limits
from timegpt_assets.adapters.news.attempts import AttemptLog
from timegpt_assets.adapters.news.imports import Importer
from timegpt_assets.adapters.news.own import Own
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.news.sources import NewsSources
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.core import calendar
from timegpt_assets.core.news.formats.own import told
from timegpt_assets.core.news.formats.own_imports import Reading
from timegpt_assets.core.news.normalise import ClockSpec, normalised
from timegpt_assets.core.news.windows import window
from timegpt_assets_tests.core.news.told import LIVE, REPLAY

THURSDAY, MONDAY, TUESDAY = date(2018, 3, 29), date(2018, 4, 2), date(2018, 4, 3)
CLOSE = calendar.session(THURSDAY).close
LATE = datetime(2026, 11, 27, tzinfo=UTC)
FIRST = {"A": CLOSE - timedelta(hours=1), "B": CLOSE, "C": CLOSE + timedelta(hours=1)}
"""B is of Thursday by its time, and of Monday by its source's latency."""


@pytest.fixture
def raw(tmp_path: Path) -> RawStore:
    return RawStore(LocalStore(tmp_path / "store"))


def take(raw: RawStore, name: str, titles: dict[str, datetime], at: datetime = LATE, *, replace: bool = False) -> None:
    path = Path(raw.objects.shown("")).parent / name  # type: ignore[attr-defined]  # a folder
    path.write_text("time,title\n" + "".join(f"{when:%Y-%m-%dT%H:%M}Z,{title}\n" for title, when in titles.items()))
    importer = Importer(raw=raw, limits=Limits(), reading=Reading(), now=at, replace=replace)
    assert importer.imported(path, name).became != "refused"


def of(raw: RawStore, day: date, clock: ClockSpec = REPLAY, *, asked: Collection[date] = ()) -> list[str]:
    """Return the titles of a session, as a run makes it of what was delivered for it and for the session before."""
    is_live = clock is LIVE
    sources = NewsSources(
        listed=(Own(raw=raw, live=is_live),), raw=raw, log=AttemptLog(raw.objects), live=is_live
    )  # fmt: skip
    rows = sources.deliver(asked or [calendar.shifted(day, -1), day])
    readers = {"own": lambda one: told(one.body, asked=one.asked)}
    made = normalised(sources.delivered(rows), readers=readers, clock=clock, days=[day])
    assert (made.refused, made.unreadable) == ({}, ())
    return made.frame["title"].sort().to_list()


def test_a_session_is_told_what_could_be_known_by_its_close(raw: RawStore) -> None:
    take(raw, "news.csv", FIRST)
    assert [of(raw, day) for day in (THURSDAY, MONDAY, TUESDAY)] == [["A"], ["B", "C"], []]


def test_days_asked_together_are_the_days_asked_alone(raw: RawStore) -> None:
    take(raw, "news.csv", FIRST | {"D": CLOSE + timedelta(days=5)})
    every = [s.day for s in calendar.sessions(date(2018, 3, 26), date(2018, 4, 6))]
    assert [of(raw, day, asked=every) for day in every[1:]] == [of(raw, day) for day in every[1:]]


def test_a_session_inside_a_file_s_span_has_an_answer_and_one_outside_has_none(raw: RawStore) -> None:
    take(raw, "news.csv", {"A": FIRST["A"], "D": CLOSE + timedelta(days=5)})
    answered = {day: len(Own(raw=raw, live=False).answers(window(day), day)) for day in (THURSDAY, MONDAY, TUESDAY)}
    assert answered == {THURSDAY: 1, MONDAY: 1, TUESDAY: 1}
    for outside in (date(2018, 3, 28), date(2018, 4, 4)):
        assert Own(raw=raw, live=False).answers(window(outside), outside) == []


def test_what_a_longer_file_tells_again_is_told_once_and_a_correction_takes_it_back(raw: RawStore) -> None:
    take(raw, "news.csv", FIRST)
    take(raw, "news.csv", FIRST | {"E": FIRST["A"]}, LATE + timedelta(days=1))
    assert of(raw, THURSDAY) == ["A", "E"]
    take(raw, "news.csv", {"F": FIRST["A"]}, LATE + timedelta(days=2), replace=True)
    assert of(raw, THURSDAY) == ["F"]
    assert of(raw, MONDAY) == []


def test_live_a_file_is_of_the_session_in_whose_window_it_came_and_what_came_later_does_not_change_it(
    raw: RawStore,
) -> None:
    take(raw, "news.csv", FIRST, CLOSE + timedelta(hours=2))
    before = of(raw, MONDAY, LIVE)
    assert (of(raw, THURSDAY, LIVE), before) == ([], ["A", "B", "C"])
    assert Own(raw=raw, live=True).answers(window(TUESDAY), TUESDAY) == []
    take(raw, "news.csv", {"F": FIRST["A"]}, calendar.session(TUESDAY).open, replace=True)
    assert of(raw, MONDAY, LIVE) == before
    assert of(raw, TUESDAY, LIVE) == ["F"]


def test_every_row_of_a_session_leads_to_the_bytes_as_the_user_has_them(raw: RawStore, tmp_path: Path) -> None:
    take(raw, "news.csv", FIRST)
    (answer,) = Own(raw=raw, live=False).answers(window(MONDAY), MONDAY)
    assert raw.body(answer.content_hash) == (tmp_path / "news.csv").read_bytes()
    assert pl.Series([answer.asked]).str.starts_with(f"{MONDAY} {THURSDAY}..{MONDAY} news.csv?").all()
