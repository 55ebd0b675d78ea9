"""The verb that asks for news: whom it asks, what it prints by source, and what doctor and status say of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.cli.app import app
from timegpt_assets_tests.news_house import SETTINGS, Newsroom, newsroom
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.servers.gdelt import Fault

DAY = "2025-01-29"


@pytest.fixture(scope="module")
def sources() -> Iterator[Newsroom]:
    with newsroom() as running:
        running.gdelt.rule = lambda asked: Fault(kind="status", status=503, body="down")
        yield running


@pytest.fixture(autouse=True)
def house(sources: Newsroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    listed = "news.sources=[fred, calendar, gdelt_files]"
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *SETTINGS, *sources.settings, listed, *places]))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("DAGSTER_HOME", "FRED_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--profile", "demo"])


@pytest.mark.whole
def test_what_came_is_told_by_source_and_what_failed_with_why_and_until_when_it_is_left_alone() -> None:
    result = run("fetch-news", "--start", DAY, "--end", DAY, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    by_source = {one["source"]: one for one in found["sources"]}
    assert by_source["calendar"]["failed"] == 0 < by_source["calendar"]["answered"]
    files = by_source["gdelt_files"]
    assert (files["asked"], files["answered"], files["failed"]) == (96, 0, 96)
    assert files["held"].startswith("left alone until ")
    assert "FRED_API_KEY" in by_source["fred"]["first_failure"]
    table = run("fetch-news", "--start", DAY, "--end", DAY).stdout
    assert "left alone until" in table
    assert "Run the same again for what failed" in table
    status = json.loads(run("status", "--json", "--sessions", "5").stdout)
    assert {one["source"] for one in status["news"]} == {"fred", "calendar", "gdelt_files"}
    doctor = json.loads(run("doctor", "--json").stdout)
    said = {one["seen"].split()[0]: one for one in doctor["findings"] if one["check"] == "news"}
    assert {name: one["state"] for name, one in said.items()} == {
        "fred": "fail", "calendar": "ok", "gdelt_files": "warn",
    }  # fmt: skip
    assert said["fred"]["remedy"] == "Set FRED_API_KEY."


def test_where_nobody_is_listed_nobody_is_asked_and_the_remedy_works() -> None:
    nobody = run("fetch-news", "--start", DAY, "--end", DAY, "--set", "news.sources=[]")
    assert nobody.exit_code == 1
    assert "--set news.sources=[calendar]" in nobody.stderr
    somebody = run("fetch-news", "--start", DAY, "--end", DAY, "--set", "news.sources=[calendar]", "--json")
    assert [one["source"] for one in json.loads(somebody.stdout)["sources"]] == ["calendar"]
