"""Metrics of the news' sources, read back by the library's own parser: names, labels, values, and what is absent."""

import math
import subprocess
import sys

import polars as pl
from prometheus_client.parser import text_string_to_metric_families

from timegpt_assets.core import calendar
from timegpt_assets.core.tables.news import SOURCE_HEALTH
from timegpt_assets.reports.metrics import exposition
from timegpt_assets_tests.reports.pictures import newsrooms

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> tuple[Samples, dict[str, str]]:
    """Return the samples of an exposition by name and labels, and the type of each family."""
    families = [*text_string_to_metric_families(text)]
    samples = {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}
    return samples, {family.name: family.type for family in families}


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"timegpt_assets_news_{name}", frozenset(labels.items())]


def test_counters_add_up_every_session_and_gauges_are_of_the_newest() -> None:
    health = newsrooms.health()
    until = pl.col("day") <= newsrooms.REFUSED_ON
    samples, types = read(exposition(health.filter(until).sample(fraction=1.0, shuffle=True, seed=3), {}))
    assert of(samples, "attempts_total", source="gdelt_files") == 3 * 100 + 90
    assert of(samples, "success_total", source="gdelt_files") == 3 * 98 + 50
    assert of(samples, "failure_total", source="gdelt_files") == 3 * 2 + 40
    assert of(samples, "empty_results_total", source="gdelt_files") == 4
    assert of(samples, "rate_limits_total", source="gdelt_files") == 31
    assert of(samples, "answered_ratio", source="gdelt_files") == 0.52
    assert of(samples, "source_good", source="gdelt_files") == 0
    assert of(samples, "source_good", source="fred") == 1
    assert of(samples, "source_primary", source="own") == 0
    assert of(samples, "fetch_latency_seconds", source="fred", quantile="0.95") == 1.5
    assert of(samples, "publish_to_ingest_p95_seconds", source="fred") == 90.0
    states = {
        state: of(samples, "breaker_state", source="gdelt_files", state=state)
        for state in ("closed", "open", "probing")
    }
    assert states == {"closed": 0, "open": 1, "probing": 0}
    closed = calendar.session(newsrooms.REFUSED_ON).close.timestamp()
    assert of(samples, "session_timestamp_seconds", source="own") == closed
    assert {name for name, kind in types.items() if kind == "counter"} == {
        f"timegpt_assets_news_{name}" for name in ("attempts", "success", "failure", "empty_results", "rate_limits")
    }
    assert {*types.values()} == {"counter", "gauge"}


def test_counters_never_fall_while_sessions_are_added() -> None:
    health, before = newsrooms.health(), Samples()
    for day in newsrooms.DAYS:
        samples, _ = read(exposition(health.filter(pl.col("day") <= day), {}))
        assert all(samples[key] >= value for key, value in before.items() if key[0].endswith("_total"))
        before = samples
    assert of(before, "breaker_state", source="gdelt_files", state="open") == 0


def test_what_was_not_measured_has_no_sample_and_none_is_nan() -> None:
    samples, _ = read(exposition(newsrooms.health(), {}))
    unmeasured = {name for name, labels in samples if ("source", "own") in labels}
    assert not {"timegpt_assets_news_answered_ratio", "timegpt_assets_news_fetch_latency_seconds"} & unmeasured
    assert "timegpt_assets_news_attempts_total" in unmeasured
    assert not [key for key, value in samples.items() if math.isnan(value)]
    assert read(exposition(SOURCE_HEALTH.empty(), {}))[0] == {}


def test_a_name_that_would_end_a_line_or_a_label_stays_one_label() -> None:
    hostile = 'a"b\n\\c{} 1'
    samples, _ = read(exposition(newsrooms.health().filter(source="fred").with_columns(source=pl.lit(hostile)), {}))
    assert of(samples, "attempts_total", source=hostile) == 600


def test_figures_of_bands_stand_beside_them_under_the_names_of_the_service() -> None:
    samples, types = read(exposition(SOURCE_HEALTH.empty(), {"coverage_rolling_low": 0.9, "breach_rate": 0.1}))
    assert samples == {("coverage_rolling_low", frozenset()): 0.9, ("breach_rate", frozenset()): 0.1}
    assert types["coverage_rolling_low"] == "gauge"


def test_without_the_library_the_remedy_is_named_and_it_is_loaded_by_nobody_else() -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "import timegpt_assets.cli.metrics\n"
        "from timegpt_assets.reports import metrics\n"
        "from timegpt_assets.core.tables.news import SOURCE_HEALTH\n"
        "try: metrics.exposition(SOURCE_HEALTH.empty(), {})\n"
        "except metrics.LibraryAbsent as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Install the extra timegpt-assets[news]" in said
