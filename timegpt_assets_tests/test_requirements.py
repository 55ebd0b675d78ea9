"""Every requirement of the plans has a test that shows it, or says what is missing; what they name is there."""

import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from timegpt_assets.adapters import call_errors as errors
from timegpt_assets.reports.run_files import STEPS
from timegpt_assets_tests import requirements
from timegpt_assets_tests.project import PROJECT

HERE = Path(__file__).parent
NAMES = "FORECASTING SYSTEM_TECH_DOC ARCHITECTURE EVALUATION DATA_QUALITY TRADING_RULES"
OF_TSFM = "prd2-defaults tsfm-eval tsfm-ops-runbook tsfm-rollout-plan"
PAGES = ("README.md", *(f"docs/{name}.md" for name in f"{NAMES} {OF_TSFM}".split()))
"""The pages that the plans name."""


@cache
def written_in(file: str) -> frozenset[str]:
    path = HERE / file
    return (
        frozenset(re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.M))
        if path.is_file()
        else frozenset()
    )


def absent(tests: tuple[str, ...]) -> list[str]:
    """Return the tests that are not there."""
    return [test for test in tests if test.partition("::")[2] not in written_in(test.partition("::")[0])]


def test_every_test_that_shows_a_requirement_is_there() -> None:
    rows = requirements.rows()
    assert {row.id: gone for row in rows if (gone := absent(row.tests))} == {}
    assert absent(("test_requirements.py::test_nothing", "no/file.py::test_x")) != []


def test_every_requirement_is_listed_once_and_shown_or_said_to_be_missing() -> None:
    rows = requirements.rows()
    assert [name for name, count in Counter(row.id for row in rows).items() if count > 1] == []
    assert len(rows) == 424
    assert [row.id for row in rows if not (row.tests or row.note or row.missing)] == []


def test_the_pages_that_the_plans_name_are_there() -> None:
    assert [page for page in PAGES if not (PROJECT / page).is_file()] == []


ASKED = {
    "FORECASTING": (
        "semantics.md#quantiles",
        "calibration.md#one-fit-one-application",
        "compare-forecast-configurations.md",
        "rules.md#criteria-of-the-gates",
        "run-a-day-and-backfill.md#on-a-schedule",
    ),
    "SYSTEM_TECH_DOC": (
        "semantics.md#modes",
        "calibration.md#window-embargo-purge",
        "config.md#forecast",
        "clocks-and-leakage.md#the-clock-price",
        "watch-in-grafana.md",
    ),
    "DATA_QUALITY": ("quality-rules.md", "config.md#dq_policy", "read-a-verdict.md#is-the-data-usable"),
    "TRADING_RULES": ("rules.md#rule-sets", "execution-and-costs.md#leaving", "execution-and-costs.md#what-it-costs"),
    "EVALUATION": ("tables.md#forecast_diagnostics", "tables.md#coverage_drift", "explanation/gates.md"),
}
"""Page -> where each topic that the plans want on it is told: a page leads there, or holds nothing of it."""


@pytest.mark.parametrize("name", ASKED)
def test_a_page_of_the_plans_leads_to_every_topic_that_they_want_on_it(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (PROJECT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
    assert [topic for topic in ASKED[name] if not any(link.endswith(topic) for link in links)] == []


@pytest.mark.parametrize("target", [*STEPS, "report"])
def test_every_verb_of_the_plans_is_a_target_of_make(target: str) -> None:
    command = ["make", "-n", target, "RUN_ID=first", "START=2025-03-03", "PYTHON=python3"]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    asked = "--profile demo --start 2025-03-03 --run-id first"
    assert f"timegpt-assets {target} {asked}" in told


@pytest.mark.parametrize("target", ["fmt", "lint", "test-cov", "sweep", "forecast-grid", "forecast-grid-plan"])
def test_make_has_the_targets_that_the_plans_name(target: str) -> None:
    told = subprocess.run(["make", "-n", target], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    own = {"fmt": "ruff format .", "lint": "ruff check .", "test-cov": "--cov timegpt_assets "}
    wanted = own.get(target, "timegpt-assets sweep --profile demo")
    assert wanted in told
    assert ("--plan-only" in told, "--execute" in told) == (target == "forecast-grid-plan", target == "forecast-grid")


def test_every_way_in_which_a_call_fails_stands_on_the_page_of_incidents() -> None:
    page = (PROJECT / "docs/how-to/answer-an-incident.md").read_text(encoding="utf-8")
    failing = (errors.TooManyRequests, errors.AnswerLost, errors.ServiceUnavailable, errors.CircuitOpen)
    stopped = (errors.QuotaExhausted, errors.BudgetExceeded, errors.MissingKey)
    assert [one.__name__ for one in (*failing, *stopped) if f"`{one.__name__}`" not in page] == []
    assert all(said in page for said in ("Invalid API key", "freeze", "status page", "on call", ".env"))
