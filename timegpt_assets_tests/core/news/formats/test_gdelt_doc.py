"""What GDELT's search tells: times are its own, never ours, and what is no answer is no empty one."""

from datetime import UTC, datetime

import orjson
import pytest

from timegpt_assets.core.news.formats.gdelt_doc import told
from timegpt_assets.core.news.formats.unreadable import Unreadable

ARTICLE = {
    "url": "https://news.example/a",
    "url_mobile": "",
    "title": "Chip maker rises ; rivals fall",
    "seendate": "20230918T031500Z",
    "domain": "news.example",
    "language": "English",
}


def body(*articles: object) -> bytes:
    return orjson.dumps({"articles": list(articles)})


def test_the_time_is_when_gdelt_saw_it() -> None:
    (one,) = told(body(ARTICLE))
    assert one.seen_at == one.published_at == datetime(2023, 9, 18, 3, 15, tzinfo=UTC)
    assert (one.title, one.url, one.tickers, one.type) == (ARTICLE["title"], ARTICLE["url"], (), "headline")


def test_no_match_is_no_article() -> None:
    assert told(b"{}") == told(body()) == []


def test_an_illegal_escape_and_a_bare_line_feed_are_mended() -> None:
    (one,) = told(
        rb'{"articles": [{"url": "https://e.example/a", "title": "Maker\'s run'
        + b"\n"
        + rb' ends", "seendate": "20261001T200000Z"}]}'
    )
    assert one.title == "Maker's run\n ends"
    assert one.seen_at == datetime(2026, 10, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize("said", ["20230918031500", "2023-09-18T03:15:00Z", "20231318T031500Z", "", None, 20230918])
def test_a_time_in_another_form_is_refused_by_its_article_and_never_now(said: object) -> None:
    with pytest.raises(Unreadable, match=r"seendate of article 2, written as 20230918T031500Z elsewhere\. Ask again"):
        told(body(ARTICLE, {**ARTICLE, "seendate": said}))


@pytest.mark.parametrize("said", [b'{"timeline": []}', b"[]", b'"busy"', b'{"articles": {}}', b'{"articles": null}'])
def test_json_without_articles_is_no_empty_answer(said: bytes) -> None:
    with pytest.raises(Unreadable, match="is no list of articles: it begins"):
        told(said)


def test_an_article_that_is_none_is_refused_by_its_number() -> None:
    with pytest.raises(Unreadable, match="article 1 'gone'"):
        told(body("gone"))
