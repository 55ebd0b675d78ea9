"""The alarm's sentences: who missed which goal by what, and what helps."""

import polars as pl
import pytest

from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.news.goals import missed
from timegpt_assets_tests.reports.pictures import newsrooms

GOALS = {"success_min": 0.95, "publish_to_ingest_p95_s": 120.0}


def amiss(**changed: object) -> pl.DataFrame:
    """Return a primary source's bad session."""
    row = newsrooms.health().filter(source="gdelt_files", day=newsrooms.REFUSED_ON)
    return row.with_columns(pl.lit(value).cast(row.schema[name]).alias(name) for name, value in changed.items())


def test_who_was_refused_is_named_with_goal_value_and_remedy() -> None:
    (said,) = missed(newsrooms.health(), **GOALS)
    assert said == (
        f"gdelt_files on {newsrooms.REFUSED_ON}: 52.0% of its questions are answered, news.goals.success_min is 95.0%: "
        "40 of 90 attempts failed (31 refused for being too many, 1 empty); ask it less often: raise "
        f"news.spacing_s.gdelt_files, then timegpt-assets fetch-news --start {newsrooms.REFUSED_ON} --end "
        f"{newsrooms.REFUSED_ON}"
    )


def test_the_setting_that_is_named_may_be_set_by_itself() -> None:
    """A breaker of its own needs three keys: with one alone it was refused."""
    (said,) = missed(newsrooms.health(), **GOALS)
    key = said.partition("raise ")[2].partition(",")[0]
    settings = load_settings(profile="dev", config_dir=None, overrides=[f"{key}=7"], environment={})
    assert settings.news.spacing_s["gdelt_files"] == 7


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rate_limit_count": 0, "breaker": "open"}, "its breaker is open: wait for the probe"),
        ({"rate_limit_count": 0, "breaker": "closed"}, "look at raw_news.failed of the day"),
    ],
)
def test_how_it_failed_decides_what_helps(changed: dict[str, object], words: str) -> None:
    (said,) = missed(amiss(**changed), **GOALS)
    assert words in said


def test_who_is_late_is_named_with_both_figures() -> None:
    (said,) = missed(amiss(answered=1.0, publish_to_ingest_p95_s=1_800.0), **GOALS)
    assert "within 1,800 s of being published, news.goals.publish_to_ingest_p95_s is 120 s" in said
    assert "questions are answered" not in said
    (both,) = missed(amiss(publish_to_ingest_p95_s=1_800.0), **GOALS)
    assert "questions are answered" in both
    assert "1,800 s" in both


def test_nobody_else_rings() -> None:
    assert missed(amiss(primary=False), **GOALS) == []
    assert missed(amiss(good=True), **GOALS) == []
