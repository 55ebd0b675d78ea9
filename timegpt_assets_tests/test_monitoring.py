"""What lies in deploy/monitoring/ reads metrics that exist: every name is asked of the exporters, and each is drawn."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.tsfm.asked import Answered
from timegpt_assets.core.tsfm.figures import FOLLOWED, MEANING
from timegpt_assets.reports.metrics import exposition
from timegpt_assets.serving.tsfm.metrics import IN_VAIN, Metrics
from timegpt_assets.serving.tsfm.windows import Window
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.reports.pictures import newsrooms
from timegpt_assets_tests.reports.test_metrics_house import whole_house

FOLDER = PROJECT / "deploy" / "monitoring"
FIGURES = {name if name in ("breach_rate", FOLLOWED) else f"{name}_high": 0.5 for name in MEANING}
NOT_METRICS = {"sum", "rate", "increase", "histogram_quantile", "time", "and"}
QUIET = re.compile(r'"[^"]*"|\[[^\]]*\]|\{[^}]*\}|by \([^)]*\)')
"""What of an expression is no metric: texts, spans, matchers of labels, and labels that are added up by."""
MATCHED = re.compile(r"(?P<metric>[a-z_][a-z0-9_]*)\{(?P<matchers>[^}]*)\}")


def answer() -> Answered:
    """Return a model's answer, of which the service then tells."""
    rows = np.array([[0.2, 0.5, 0.8]])
    return Answered(
        market_id="m",
        as_of=datetime(2025, 11, 30, 21, tzinfo=UTC),
        quantiles=(0.1, 0.5, 0.9),
        values=rows,
        baseline_values=rows,
        runtime="tollama",
        model="mock",
        model_version=None,
        fallback_used=False,
        reason=None,
        baseline="EWMA",
        crossed=0,
        width_flags=("",),
        input_len=2,
        carried_share=0.0,
        latency_ms=3.0,
    )


@cache
def samples() -> Mapping[str, frozenset[tuple[str, str]]]:
    """Return every sample that the command metrics and the service give, with its labels and their values."""
    slo = load_settings(profile=None, config_dir=None, environment={}).tsfm.slo
    limits = {name: getattr(slo, name) for name in ("request_p95_ms", "fallback_ms", "error_rate_max")}
    service = Metrics(Window(600, lambda: 0.0), limits, lambda: FIGURES)
    service.served(200, 1.0, IN_VAIN)
    service.answered(answer())
    texts = exposition(newsrooms.health(), FIGURES, whole_house()), service.exposition().decode()
    found = dict[str, set[tuple[str, str]]]()
    for family in (family for text in texts for family in text_string_to_metric_families(text)):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels.items())
    return {name: frozenset(labels) for name, labels in found.items() if not name.endswith("_created")}


def given() -> frozenset[str]:
    """Return the names of the samples."""
    return frozenset(samples())


def rules() -> list[dict[str, Any]]:
    return yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]


def panels() -> list[dict[str, Any]]:
    return json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))["panels"]


def drawn() -> Iterator[str]:
    """Yield the dashboard's expressions."""
    yield from (target["expr"] for panel in panels() for target in panel.get("targets", []))


def names(expression: str) -> set[str]:
    """Return the metrics an expression reads."""
    patterns = re.findall(r'__name__=~"([^"]*)"', expression)
    matched = {name for pattern in patterns for name in given() if re.fullmatch(pattern, name)}
    assert not patterns or matched, f"{expression} matches no metric"
    words = re.findall(r"[a-z_][a-z0-9_]*", QUIET.sub(" ", expression))
    return matched | {word for word in words if word not in NOT_METRICS}


@pytest.mark.parametrize("expression", [*drawn(), *(rule["expr"] for rule in rules())])
def test_every_expression_reads_metrics_that_exist(expression: str) -> None:
    assert names(expression)
    assert names(expression) - given() == set()


@pytest.mark.parametrize("expression", [*drawn(), *(rule["expr"] for rule in rules())])
def test_every_label_that_is_asked_for_is_one_of_its_metric_s(expression: str) -> None:
    for metric, label in labels(expression):
        assert label in {name for name, _ in samples()[metric]}, f"{metric} has no label {label}"


def labels(expression: str) -> Iterator[tuple[str, str]]:
    """Yield (metric, label) of each matcher, and of what is added up by."""
    for found in MATCHED.finditer(expression):
        if found["metric"] in samples():
            yield from ((found["metric"], name) for name in re.findall(r"([a-z_]+)\s*[=!]", found["matchers"]))
    for by in re.findall(r"by \(([^)]*)\)", expression):
        for metric in names(expression):
            yield from ((metric, name.strip()) for name in by.split(","))


def test_a_label_that_does_not_exist_would_be_found() -> None:
    assert [*labels('timegpt_assets_faults{eror!="KeyRefused"} > 0')] == [("timegpt_assets_faults", "eror")]
    assert [*labels("sum by (statis) (rate(tsfm_requests_total[5m]))")] == [("tsfm_requests_total", "statis")]


def test_a_metric_that_does_not_exist_would_be_found() -> None:
    assert names("rate(tsfm_requests_totals[5m])") - given() == {"tsfm_requests_totals"}


def test_every_metric_is_on_the_dashboard() -> None:
    read = {name for expression in drawn() for name in names(expression)}
    histograms = {name for name in given() if name.endswith(("_count", "_sum"))}
    assert given() - histograms - read == set()


def test_panels_lie_beside_each_other_and_have_ids_of_their_own() -> None:
    cells = [
        (x, y)
        for panel in panels()
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels()}) == len(panels())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_names_a_page_that_is_there(rule: dict[str, Any]) -> None:
    (page,) = re.findall(r"docs/\S+\.md", rule["annotations"]["summary"])
    assert (PROJECT / page).is_file()
