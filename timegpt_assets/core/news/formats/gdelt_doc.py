"""What GDELT's search tells: the articles of an answer in mode artlist.

Belongs here: the JSON of mode artlist. Refusals in words are judged by whoever asks, adapters/news/gdelt_doc.py.
"""

from datetime import UTC, datetime
from typing import Any

from timegpt_assets.core.news.delivered import Told
from timegpt_assets.core.news.formats.text import AGAIN, json_value
from timegpt_assets.core.news.formats.unreadable import Unreadable

SEEN = "%Y%m%dT%H%M%SZ"
"""A seendate, for example 20230918T031500Z: when GDELT saw the article, in UTC. It names no other time."""


def told(body: bytes) -> list[Told]:
    """Return the articles, none for ``{}``. Raises Unreadable, with the number of the article that is none."""
    answer = json_value(body)
    if answer == {}:
        return []
    articles = answer.get("articles") if isinstance(answer, dict) else None
    if not isinstance(articles, list):
        raise Unreadable(f"is no list of articles: it begins {body[:60].decode('utf-8', 'replace')!r}. {AGAIN}")
    return [_article(article, number) for number, article in enumerate(articles, 1)]


def _article(article: Any, number: int) -> Told:
    if not isinstance(article, dict):
        raise Unreadable(f"has as article {number:,} {str(article)[:40]!r}, which is none. {AGAIN}")
    seen = _seen(article.get("seendate"), number)
    title, url = (str(article.get(name) or "") for name in ("title", "url"))
    return Told(type="headline", title=title, url=url or None, published_at=seen, seen_at=seen)


def _seen(said: Any, number: int) -> datetime:
    try:
        return datetime.strptime(str(said), SEEN).replace(tzinfo=UTC)
    except ValueError:
        raise Unreadable(
            f"has {said!r} as seendate of article {number:,}, written as 20230918T031500Z elsewhere. {AGAIN}"
        ) from None
