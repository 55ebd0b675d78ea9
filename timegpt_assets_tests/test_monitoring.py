"""What lies in deploy/monitoring/ reads metrics that exist: every name is asked of the exporters, and each is drawn."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from timegpt_assets.config.settings import load_settings
from timegpt_assets.core.tsfm.figures import FOLLOWED, MEANING
from timegpt_assets.reports.metrics import exposition
from timegpt_assets.serving.tsfm.metrics import IN_VAIN, Metrics
from timegpt_assets.serving.tsfm.windows import Window
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.reports.pictures import newsrooms

FOLDER = PROJECT / "deploy" / "monitoring"
FIGURES = {name if name in ("breach_rate", FOLLOWED) else f"{name}_high": 0.5 for name in MEANING}
NOT_METRICS = {"sum", "by", "rate", "increase", "histogram_quantile", "time", "and", "status", "reason", "le", "served"}
QUIET = re.compile(r'"[^"]*"|\[[^\]]*\]|\{[^}]*\}')
"""What of an expression is no name: texts, spans and matchers of labels."""


@cache
def given() -> frozenset[str]:
    """Return every sample that the command metrics and the service give."""
    slo = load_settings(profile=None, config_dir=None, environment={}).tsfm.slo
    limits = {name: getattr(slo, name) for name in ("request_p95_ms", "fallback_ms", "error_rate_max")}
    service = Metrics(Window(600, lambda: 0.0), limits, lambda: FIGURES)
    service.served(200, 1.0, IN_VAIN)
    service._answers.labels(reason="none").inc()
    texts = exposition(newsrooms.health(), FIGURES), service.exposition().decode()
    samples = (s.name for text in texts for family in text_string_to_metric_families(text) for s in family.samples)
    return frozenset(name for name in samples if not name.endswith("_created"))


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
