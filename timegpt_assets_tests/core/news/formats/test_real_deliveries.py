"""Real deliveries read whole: headlines of three years, events of GDELT, its search's answers and refusals.

They have no licence to be shipped: read where TIMEGPT_ASSETS_REAL_DATA names a folder of them, skipped elsewhere.
"""

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from timegpt_assets.core.news.formats import gdelt_doc, gdelt_export, own
from timegpt_assets.core.news.formats.own_imports import Reading
from timegpt_assets.core.news.formats.unreadable import Unreadable
from timegpt_assets.core.news.title import is_tokenised, mended
from timegpt_assets_tests.core.news.formats.export_files import zipped

FOLDER = Path(os.environ.get("TIMEGPT_ASSETS_REAL_DATA") or "/nowhere") / "extras"
HEADLINES = FOLDER / "headlines_2017_2020" / "reuters_cnbc_guardian_2017_2020.parquet"
EXPORT = FOLDER / "gdelt_events2_sample.csv"
BODIES = FOLDER / "gdelt_daily_and_bodies" / "bodies"
pytestmark = pytest.mark.skipif(
    not HEADLINES.exists(), reason="TIMEGPT_ASSETS_REAL_DATA names no folder of recorded headlines and GDELT bodies"
)


def test_three_years_of_headlines_with_dates_alone_are_known_at_the_next_open_each() -> None:
    found = own.understood(HEADLINES.read_bytes(), Reading())
    assert (found.rows, len(found.events), found.left_out) == (53_330, 53_330, {})
    assert found.columns == {"date": "date", "title": "headline"}
    assert all(event.published_at is None for _, event in found.events)
    assert all(moment.date() > event.published_on for moment, event in found.events if event.published_on)
    inside = [
        event for _, event in found.events if date(2018, 2, 16) <= (event.published_on or date.max) <= date(2018, 4, 20)
    ]
    assert len(inside) == 1_378 + 1_220 + 226, "as many as their provenance counts"


def test_their_titles_are_mended_and_no_letter_is_changed() -> None:
    said = pl.read_parquet(HEADLINES)["headline"].to_list()[::10]
    read = [mended(title) for title in said]
    assert sum(map(is_tokenised, said)) > len(said) // 4
    assert not any(map(is_tokenised, read))
    letters = lambda text: [c for c in text if c.isalnum()]  # noqa: E731
    assert [letters(title) for title in read] == [letters(title) for title in said]


def test_a_sample_of_gdelt_s_events_is_read_whole() -> None:
    rows = pl.read_csv(EXPORT, infer_schema=False).drop("CAMEOCodeDescription")
    text = "\n".join("\t".join(cell or "" for cell in row) for row in rows.iter_rows())
    told = gdelt_export.told(zipped(text))
    assert {one.url for one in told} == set(rows["SOURCEURL"])
    assert len(told) == 1_867
    assert sum(one.title == gdelt_export.slug_words(one.url or "") for one in told) / len(told) > 0.6
    assert {one.seen_at for one in told} == {datetime(2017, month, 1, 23, 45, tzinfo=UTC) for month in (5, 6, 7)}


def test_every_answer_of_gdelt_s_search_is_read_and_every_refusal_refused() -> None:
    found: dict[str, int | None] = {}
    for path in sorted(BODIES.iterdir()):
        try:
            found[path.name] = len(gdelt_doc.told(path.read_bytes()))
        except Unreadable:
            found[path.name] = None
    assert {name: count for name, count in found.items() if count is not None} == {
        "200_illegal_escape.json": 1,
        "200_no_match.json": 0,
        "artlist_nvda_2026-05-15.json": 5,
    }
    assert len(found) == 11
    articles = gdelt_doc.told((BODIES / "artlist_nvda_2026-05-15.json").read_bytes())
    assert {one.seen_at for one in articles} == {datetime(2026, 5, 15, 1, 15, tzinfo=UTC)}
    assert datetime.now(UTC) - max(one.seen_at for one in articles if one.seen_at) > timedelta(days=1)
