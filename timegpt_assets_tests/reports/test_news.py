"""The news in a report: the verdict first and true to the rows, how sources answered, silence where there is none."""

from dataclasses import replace

import polars as pl
import pytest

from timegpt_assets.core.tables.news import INFORMATION_VALUE, SOURCE_HEALTH
from timegpt_assets.reports import news
from timegpt_assets.reports.figures import Report, summary_rows
from timegpt_assets.reports.markdown import report_text
from timegpt_assets.reports.news import News
from timegpt_assets.reports.page import page
from timegpt_assets.reports.pictures import render
from timegpt_assets.reports.pictures.news import sources, worth
from timegpt_assets_tests.reports.pictures import newsrooms
from timegpt_assets_tests.reports.test_page import HOSTILE, _Page
from timegpt_assets_tests.reports.test_page import report as report

OWN = newsrooms.news()
GOALS = {"success_min": 0.95, "publish_to_ingest_p95_s": 120.0}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (
            OWN,
            "The news is not worth a seat, it is switched off and stays so: it would have cost +0.40% pinball loss "
            "(p 0.8) and -$120 net P&L in 2024-03.",
        ),
        (
            newsrooms.news(switched_on=True),
            "The news is not worth its seat: it cost +0.40% pinball loss (p 0.8) and -$120 net P&L in 2024-03; take "
            "news out of features.groups.",
        ),
        (
            newsrooms.news(values=newsrooms.value(ratio=0.99, p=0.01, gained=5.0)),
            "The news was worth something on sessions never shown: -1.00% pinball loss (p 0.01) and +$5 net P&L in "
            "2024-03; it is switched off and may be switched on: add news to features.groups.",
        ),
        (
            newsrooms.news(values=newsrooms.unmeasured(), switched_on=True),
            "Nothing is measured of what the news is worth (insufficient_history); it is switched on, without evidence "
            "for it: take news out of features.groups.",
        ),
        (
            newsrooms.news(values=INFORMATION_VALUE.empty()),
            "Nothing is measured of what the news is worth (never asked); it is switched off, and stays so.",
        ),
    ],
    ids=["off, rightly", "on, wrongly", "off, and may be on", "on, unmeasured", "off, never asked"],
)
def test_the_verdict_says_what_it_cost_or_would_have_and_what_to_do(own: News, said: str) -> None:
    assert news.verdict(own) == said


def test_the_newest_month_that_is_measured_speaks_and_the_basis_counts_them_all() -> None:
    months = [newsrooms.value("2024-01", 0.98, 0.01, 9.0), newsrooms.value("2024-02"), newsrooms.unmeasured("2024-03")]
    own = newsrooms.news(values=pl.concat(months))
    assert "in 2024-02" in news.verdict(own)
    assert news.basis(own).startswith("Seated in 1 of 2 months measured")
    lines = news.worth_table(own)
    assert [line[0] for line in lines] == [m for m in ("2024-03", "2024-02", "2024-01") for _ in range(2)]
    assert lines[0][-1] == "insufficient_history"
    assert [line[-1] for line in lines if line[1] == "lightgbm"] == ["insufficient_history", "not worth it", "worth it"]


def test_a_source_is_told_with_what_it_was_asked_and_how_it_failed() -> None:
    lines = {str(line[0]): line[1:] for line in news.source_table(OWN)}
    assert lines["gdelt_files"] == ("yes", 6, 5, "92.0%", 590, 50, 6, 31, "90 s", "closed")
    assert lines["fred"] == ("yes", 6, 6, "100.0%", 600, 12, 6, 0, "90 s", "closed")
    assert lines["own"] == ("no", 6, 6, None, 0, 0, 0, 0, None, "closed")


def test_page_markdown_and_rows_say_the_same_the_verdict_first(report: Report) -> None:
    told = replace(report, news=OWN)
    html = page(told)
    assert not _Page(html).open
    section = html[html.index('<section id="news">') :]
    section = section[: section.index("</section>")]
    assert section.index("would have cost") < section.index("<svg") < section.index("<table")
    assert section.count("<svg role") == 2
    assert section.count("<table") == 2
    text, rows = report_text(told), summary_rows(told)
    assert f"**{news.verdict(OWN).replace('|', '')}**" in text
    assert text.count("| gdelt_files ") == 1
    assert ("news", "verdict", news.verdict(OWN)) in rows
    assert ("news", "gdelt_files, sessions good", "5 of 6") in rows
    assert len({row[:2] for row in rows}) == len(rows)


def test_without_sources_and_without_a_measure_nothing_is_said_of_news(report: Report) -> None:
    assert "<h2>News</h2>" not in page(report)
    assert "## News" not in report_text(report)
    assert not [row for row in summary_rows(report) if row[0] == "news"]
    assert News(switched_on=True), "what is switched on without evidence is told"


def test_words_of_a_table_stay_text(report: Report) -> None:
    hostile = replace(OWN, health=OWN.health.with_columns(source=pl.lit(HOSTILE)).unique(["day", "source"]))
    html = page(replace(report, news=hostile))
    assert not _Page(html).open
    assert HOSTILE not in html


def test_the_picture_marks_who_missed_and_whose_breaker_was_left_open() -> None:
    spec = render.spec(sources(OWN.health, **GOALS))
    assert spec["title"]["text"] == "Primary sources missed their goals on 1 of 12 source days"
    shares, delays, refusals = spec["concat"]
    assert [layer["encoding"]["y"]["field"] for layer in (shares["layer"][1], delays["layer"][1])] == [
        "answered",
        "publish_to_ingest_p95_s",
    ]
    rows = next(rows for rows in spec["datasets"].values() if "answered" in rows[0])
    assert [(row["source"], row["answered"]) for row in rows if not row["good"]] == [("gdelt_files", 0.52)]
    assert [row["source"] for row in rows if row["silent"]] == ["gdelt_files"]
    assert refusals["mark"]["type"] == "bar"


def test_the_picture_of_the_worth_names_each_month_and_how_many_were_worth_it() -> None:
    values = pl.concat([newsrooms.value("2024-02", 0.98, 0.01, 9.0), newsrooms.value("2024-03")])
    spec = render.spec(worth(values))
    assert spec["title"]["text"] == "The news was worth it in 1 of 2 months measured"
    names = {row["name"] for rows in spec["datasets"].values() for row in rows if "name" in row}
    assert names == {"2024-02 lightgbm", "2024-03 lightgbm"}


def test_nothing_to_draw_is_said() -> None:
    assert ">no rows<" in render.svg(sources(SOURCE_HEALTH.empty(), **GOALS))
    assert ">no rows<" in render.svg(worth(newsrooms.unmeasured()))
    silent = newsrooms.health().filter(source="own")
    assert "Nothing was to be asked" in render.svg(sources(silent, **GOALS))
