"""The health of a source is counted from every attempt, and judged by the questions that stay without an answer."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core.news.health import ATTEMPTS, Goals, health
from timegpt_assets.core.tables.news import NORMALIZED_NEWS, RAW_NEWS

DAY, NEXT = date(2024, 7, 1), date(2024, 7, 2)
AT = datetime(2024, 7, 1, 20, 5, tzinfo=UTC)
GOALS = Goals(
    sources=("gdelt_doc", "fred"),
    primaries=frozenset({"fred"}),
    success_min=0.75,
    publish_to_ingest_p95_s=120.0,
    live=False,
)
LIVE = Goals(
    sources=("fred",), primaries=frozenset({"fred"}), success_min=0.75, publish_to_ingest_p95_s=120.0, live=True
)


def attempts(*said: tuple[str, float | None, str], source: str = "fred", day: date = DAY) -> pl.DataFrame:
    """Return attempts, a second apart: (outcome, latency, breaker after it)."""
    rows = [
        {"day": day, "source": source, "asked": "x", "at": AT + timedelta(seconds=i), "attempt": 1}
        | {"outcome": outcome, "why": None, "status": None, "latency_s": latency, "size": None, "breaker": breaker}
        for i, (outcome, latency, breaker) in enumerate(said)
    ]
    return pl.DataFrame(rows, schema=ATTEMPTS)


def raw(*failed: str | None, source: str = "fred", day: date = DAY) -> pl.DataFrame:
    rows = [{"day": day, "source": source, "asked": f"{i}", "failed": why} for i, why in enumerate(failed)]
    return pl.DataFrame(rows, schema={name: RAW_NEWS.schema[name] for name in ("day", "source", "asked", "failed")})


def told(*delays_s: float | None) -> pl.DataFrame:
    rows = [
        {"day": DAY, "source": "fred", "fetched_at": AT}
        | {"published_at": None if delay is None else AT - timedelta(seconds=delay)}
        for delay in delays_s
    ]
    return pl.DataFrame(rows, schema=NORMALIZED_NEWS.schema)


def row(frame: pl.DataFrame, source: str = "fred") -> dict[str, Any]:
    return frame.row(by_predicate=pl.col("source") == source, named=True)


def test_every_attempt_is_counted_once_and_what_was_held_back_is_none() -> None:
    said = [("throttled", 2.0, "open"), ("held", None, "open"), ("empty", 1.0, "probing"), ("unreached", 10.0, "open")]
    found = row(
        health(attempts(*said, ("answered", 3.0, "closed")), raw(None), told(), days=[DAY], goals=GOALS), "fred"
    )
    assert [found[name] for name in ("attempts", "success", "failure", "empty_result_count", "rate_limit_count")] == [
        4,
        1,
        3,
        1,
        1,
    ]
    assert found["fetch_latency_p50_s"] == pytest.approx(2.5)
    assert found["fetch_latency_p95_s"] == pytest.approx(3 + 0.85 * 7)
    assert found["breaker"] == "closed"


def test_the_last_that_happened_says_where_the_breaker_stands_in_whatever_order_it_is_read() -> None:
    said = attempts(("answered", 1.0, "closed"), ("throttled", 1.0, "open"), ("held", None, "open"))
    frame = health(said.reverse(), raw(), told(), days=[DAY], goals=GOALS)
    assert row(frame)["breaker"] == "open"


def test_who_was_silent_has_a_row_and_missed_nothing() -> None:
    frame = health(attempts(), raw(), told(), days=[DAY, NEXT], goals=GOALS)
    assert frame.select("day", "source").rows() == [
        (day, source) for day in (DAY, NEXT) for source in ("fred", "gdelt_doc")
    ]
    assert frame["attempts"].to_list() == [0] * 4
    assert frame["fetch_latency_p50_s"].null_count() == 4
    assert frame["good"].all()
    assert frame["primary"].to_list() == [True, False] * 2


def test_a_source_is_good_as_long_as_enough_of_its_questions_have_an_answer_whenever_it_came() -> None:
    # two failed and were answered later: attempts tell of both, the day has its answers
    sent = attempts(("broken", 1.0, "closed"), ("broken", 1.0, "closed"), ("answered", 1.0, "closed"))
    assert row(health(sent, raw(None, None, None, "down"), told(), days=[DAY], goals=GOALS))["good"]
    assert not row(health(sent, raw(None, None, "down", "down"), told(), days=[DAY], goals=GOALS))["good"]


@pytest.mark.parametrize(
    ("delays", "p95", "good"),
    [((100.0, None), 100.0, True), ((10.0, 130.0), 124.0, False), ((-50.0,), 0.0, True), ((), None, True)],
)
def test_how_late_news_is_counts_where_it_is_asked_live(
    delays: tuple[float | None, ...], p95: float | None, good: bool
) -> None:
    live = row(health(attempts(), raw(None), told(*delays), days=[DAY], goals=LIVE))
    assert live["publish_to_ingest_p95_s"] == (p95 if p95 is None else pytest.approx(p95))
    assert live["good"] is good
    replayed = row(health(attempts(), raw(None), told(*delays), days=[DAY], goals=GOALS))
    assert replayed["publish_to_ingest_p95_s"] is None
    assert replayed["good"]


def test_what_belongs_to_another_day_or_source_is_not_counted() -> None:
    others = pl.concat([attempts(("answered", 1.0, "open"), day=NEXT), attempts(("empty", 1.0, "open"), source="own")])
    found = row(health(others, pl.concat([raw("down", day=NEXT), raw(None)]), told(), days=[DAY], goals=GOALS))
    assert (found["attempts"], found["breaker"], found["good"]) == (0, "closed", True)
