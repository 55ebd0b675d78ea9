"""What GDELT is asked for a session, and which of its answers are believed."""

import re
import zipfile
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import pairwise

import pytest

from timegpt_assets.adapters.news.connector import Question
from timegpt_assets.adapters.news.gdelt_doc import MOST, GdeltDoc
from timegpt_assets.adapters.news.gdelt_files import GdeltFiles
from timegpt_assets.core import calendar
from timegpt_assets.core.news.formats import gdelt_doc, gdelt_export
from timegpt_assets.core.news.windows import window
from timegpt_assets_tests.adapters.news.askers import doc
from timegpt_assets_tests.servers import gdelt
from timegpt_assets_tests.servers.gdelt import artlist, export, numbered

TUESDAY = date(2024, 7, 2)


def verdict(connector: GdeltDoc | GdeltFiles, body: bytes, status: int = 200) -> str | None:
    question = Question(source=connector.name, asked="x", url="http://localhost/")
    found = connector.judged(question, status, {}, body)
    return found and str(found.doubt)


@pytest.mark.parametrize(("day", "count"), [(TUESDAY, 96), (date(2024, 7, 1), 288), (date(2024, 7, 3), 84)])
def test_a_session_needs_each_file_of_its_window_once(day: date, count: int) -> None:
    """The third closes at one o'clock: its window is three hours shorter."""
    after, by = window(day)
    names = [question.asked[:14] for question in GdeltFiles().questions(window(day), day)]
    stamps = [datetime.strptime(name, "%Y%m%d%H%M%S").replace(tzinfo=UTC) for name in names]
    assert len(stamps) == count
    assert stamps[0] == after + timedelta(minutes=15)
    assert stamps[-1] == by
    assert {later - earlier for earlier, later in pairwise(stamps)} == {timedelta(minutes=15)}


def test_sessions_one_after_another_need_all_files_and_none_twice() -> None:
    days = [session.day for session in calendar.sessions(date(2024, 11, 25), date(2025, 1, 10))]
    names = [q.asked for day in days for q in GdeltFiles().questions(window(day), day)]
    assert len(names) == len(set(names))
    assert len(names) * timedelta(minutes=15) == window(days[-1])[1] - window(days[0])[0]


def test_a_file_is_named_and_waited_for_by_its_moment() -> None:
    first = GdeltFiles().questions(window(TUESDAY), TUESDAY)[0]
    assert first.url == "http://data.gdeltproject.org/gdeltv2/20240701201500.export.CSV.zip"
    assert first.whole_at == datetime(2024, 7, 1, 20, 30, tzinfo=UTC)


def test_a_whole_file_is_believed_and_can_be_read() -> None:
    body = export("20240701201500", numbered("20240701201500"))
    assert verdict(GdeltFiles(), body) is None
    assert len(gdelt_export.told(body)) == 3


@pytest.mark.parametrize("keep", range(0, 600, 37))
def test_a_file_cut_anywhere_is_not(keep: int) -> None:
    assert verdict(GdeltFiles(), export("20240701201500", numbered("20240701201500"))[:keep]) == "broken"


@pytest.mark.parametrize("byte", range(40, 300, 23))
def test_nor_one_with_a_flipped_bit_among_its_data(byte: int) -> None:
    body = bytearray(export("20240701201500", numbered("20240701201500", 40)))
    body[byte + 30] ^= 0x04
    assert verdict(GdeltFiles(), bytes(body)) == "broken"


def test_a_file_that_is_not_there_or_holds_nothing_is_counted_and_not_believed() -> None:
    nothing = BytesIO()
    with zipfile.ZipFile(nothing, "w") as file:
        file.writestr("20240701201500.export.CSV", "")
    assert verdict(GdeltFiles(), nothing.getvalue()) == "empty"
    assert verdict(GdeltFiles(), b"<html>404</html>", 404) == "empty"
    assert verdict(GdeltFiles(), b"<html>It works!</html>") == "broken"


def test_a_file_that_says_it_unpacks_to_more_than_any_is_not_unpacked() -> None:
    packed = bytearray(export("20240701201500", numbered("20240701201500")))
    entry = packed.index(b"PK\x01\x02")
    packed[entry + 24 : entry + 28] = (300 << 20).to_bytes(4, "little")
    assert verdict(GdeltFiles(), bytes(packed)) == "broken"


def test_a_company_is_asked_for_once_in_words_it_is_called_by_that_day() -> None:
    names = {"GOOGL": "Alphabet", "GOOG": "Alphabet", "NVDA": 'NVIDIA "Corp"', "X": "Visa"}
    first, second, third = doc("http://x", names).questions(window(TUESDAY), TUESDAY)
    assert first.params["query"] == '"Alphabet" sourcelang:english'
    assert second.params["query"] == '"NVIDIA  Corp" sourcelang:english'
    assert (first.params["startdatetime"], first.params["enddatetime"]) == ("20240701200001", "20240702200000")
    assert first.refused is None
    assert third.refused == "'Visa' has fewer than 5 letters, which GDELT refuses to search"
    assert first.gone_at == datetime(2024, 9, 29, 20, 0, 1, tzinfo=UTC)
    assert first.whole_at == datetime(2024, 7, 2, 20, 15, tzinfo=UTC)


def test_an_answer_that_was_cut_short_is_asked_again_in_halves_until_nothing_is_missing() -> None:
    """300 articles an hour: a day's 7,200 are found in halves of halves, each once."""
    connector, per_hour = doc("http://x", {"NVDA": "NVIDIA"}), 300.0
    left, seen, asked = list(connector.questions(window(TUESDAY), TUESDAY)), set(), set()
    while left:
        question = left.pop()
        assert question.asked not in asked
        asked.add(question.asked)
        body = artlist(question.params, per_hour=per_hour).encode()
        further = connector.further(question, body)
        left += further
        if not further:
            found = {one.url for one in gdelt_doc.told(body)}
            assert not found & seen
            seen |= found
    assert len(seen) == 24 * per_hour
    assert len(asked) < 130


def test_what_cannot_be_halved_is_left_as_it_is() -> None:
    connector = doc("http://x", {"NVDA": "NVIDIA"})
    after = datetime(2024, 7, 2, tzinfo=UTC)
    (question,) = connector.questions((after, after + timedelta(seconds=1)), TUESDAY)
    assert not connector.further(question, b'"seendate"' * MOST)


RECORDED = {
    "429_throttle_a.txt": (429, "throttled"),
    "429_throttle_b.txt": (200, "throttled"),
    "200_no_match.json": (200, "empty"),
    "200_empty.txt": (200, "empty"),
    "200_over_limit.txt": (200, "refused"),
    "200_phrase_short.txt": (200, "refused"),
    "200_query_length.txt": (200, "refused"),
    "200_or_needs_parens.txt": (200, "refused"),
    "200_bad_language.txt": (200, "refused"),
    "200_illegal_escape.json": (200, None),
    "artlist_nvda_2026-05-15.json": (200, None),
}


@pytest.mark.parametrize(("name", "status", "doubt"), [(n, s, d) for n, (s, d) in RECORDED.items()], ids=RECORDED)
def test_what_others_saw_it_answer_is_judged_as_they_did(real_data, name: str, status: int, doubt: str | None) -> None:
    body = (real_data / "extras" / "gdelt_daily_and_bodies" / "bodies" / name).read_bytes()
    assert verdict(doc("http://x"), body, status) == doubt


@pytest.mark.parametrize(
    ("body", "status", "doubt"),
    [
        (b"Please limit requests to one every 5 seconds or contact somebody.", 200, "throttled"),
        (b'{"articles": [{"title": "Please limit requests to one"}]}', 200, None),
        (b"<html><body>429 Too Many Requests</body></html>", 200, "throttled"),
        (b"<html>", 200, "broken"),
        (b'{"articles": [{"title": "cut', 200, "broken"),
        (b' {"articles" : [ ] }\n', 200, "empty"),
        (b"", 500, "broken"),
        (b"", 404, "refused"),
    ],
)
def test_the_words_of_a_title_are_no_refusal_and_half_an_answer_is_none(
    body: bytes, status: int, doubt: str | None
) -> None:
    assert verdict(doc("http://x"), body, status) == doubt


def test_the_recorded_words_are_those_of_the_local_server(real_data) -> None:
    folder = real_data / "extras" / "gdelt_daily_and_bodies" / "bodies"
    words = {"429_throttle_a": gdelt.THROTTLED, "200_phrase_short": gdelt.SHORT_PHRASE}
    for name, said in (words | {"200_over_limit": gdelt.OVER_LIMIT}).items():
        assert re.sub(r"\s+", " ", (folder / f"{name}.txt").read_text()).strip() == said
