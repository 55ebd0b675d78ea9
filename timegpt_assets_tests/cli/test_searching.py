"""The verb that searches: a small house gone through to its candidates, gone on with, and what is refused."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result
from typer.testing import CliRunner

from timegpt_assets.adapters.search import study_store
from timegpt_assets.cli import app as cli

PROFILE = """\
data: {source: synthetic, start_date: 2025-01-02, end_date: 2025-01-31, synthetic: {predictability: 0.6}}
universe: {tickers: [AAPL, NVDA], context: [SPY]}
features: {warmup_sessions: 1}
forecast: {backend: baseline, history_days: 3, challengers: [zero, climatology]}
trading: {skip_events: [], filters: {enabled: false}}
gates: {bootstrap: trade, oos_start: 2025-01-17}
search:
  stages:
    coarse: {sessions: 1, trials: 10}
    refine: {sessions: 1, trials: 6, carried: 2}
  finalists: 2
"""
ENVIRONMENT = ("DAGSTER_HOME", "DAGSTER_EVENT_BATCH_SIZE", "TIMEGPT_ASSETS_SET", "TIMEGPT_ASSETS_REAL_DATA")


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Result]]:
    """Yield the function that runs a command in a house in which nothing is stored yet."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "configs" / "profiles").mkdir(parents=True)
    (folder / "configs" / "profiles" / "demo.yaml").write_text(PROFILE)
    with pytest.MonkeyPatch.context() as patched:
        for name in ENVIRONMENT:
            patched.setenv(name, "")
            patched.delenv(name)
        patched.setenv("TIMEGPT_ASSETS_CONFIG_DIR", str(folder / "configs"))
        patched.setenv("TIMEGPT_ASSETS_PROFILE", "demo")

        def command(*words: str) -> Result:
            return CliRunner().invoke(cli.app, list(words))

        yield command


def figures(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def said(result: Result) -> str:
    assert result.exit_code == 1, result.output
    return " ".join(result.stderr.split())


@pytest.mark.whole
def test_a_search_goes_through_its_stages_and_goes_on_from_what_is_kept(run: Callable[..., Result]) -> None:
    figures(run("backtest", "--start", "2025-01-16", "--end", "2025-01-21", "--json"))
    first = run("search", "--json")
    found = figures(first)
    assert found["stages"] == {
        "coarse": ["2025-01-16", "2025-01-16"],
        "refine": ["2025-01-17", "2025-01-17"],
        "confirm": ["2025-01-18", "2025-01-21"],
    }
    assert found["partitions_made"] == 3
    assert "10 of 10 trials, best" in first.stderr
    assert "coarse: 1 of 1 sessions stored, 2025-01-16 to 2025-01-16, 10 trials" in first.stderr
    assert re.search(r"8 of 10 trials, best [+-]\S+ of capital", first.stderr)
    rows = pl.read_csv(found["trials"]["coarse"])
    assert rows["number"].to_list() == list(range(10))
    assert all(Path(place).read_bytes().startswith(b"\x89PNG") for place in found["pictures"].values())
    assert sorted(found["pictures"]) == [f"{stage} {name}" for stage in ("coarse", "refine")
                                         for name in ("history", "importance")]  # fmt: skip
    # nobody was asked in prod: whatever they earned, there is nothing to judge them by
    assert [one["verdict"] for one in found["candidates"]] == ["insufficient_observation"] * 2
    assert found["candidates"][0]["observation_days"] == 0
    again = figures(run("search", "--json"))
    assert (again["partitions_made"], again["partitions_there"]) == (0, 3)
    study = Path(found["trials"]["coarse"]).parent.name
    lines = [Path(found["trials"]["coarse"]).parents[3] / "hpo" / study / "trials.jsonl"]
    before = lines[0].read_text()
    more = figures(run("search", "--json", "--set", "search.stages.coarse.trials=12"))
    assert lines[0].read_text().startswith(before)
    assert len(lines[0].read_text().splitlines()) == 12
    assert pl.read_csv(more["trials"]["coarse"]).head(10).drop("as_of").equals(rows.drop("as_of"))
    with study_store.opened(lines[0].parents[1], study, owner="process 7 on elsewhere"):
        held = said(run("search", "--set", "search.stages.coarse.trials=14"))
    assert "is being searched by process 7 on elsewhere. Wait for it" in held
    shown = run("search")
    assert "insufficient_observation" in shown.stdout
    nothing = said(run("search", "--set", "search.stages.coarse.until=2025-01-14"))
    assert "no session of 2025-01-14 to 2025-01-14 is stored for coarse. Make some first: timegpt-assets" in nothing
    before = said(run("search", "--set", "search.stages.coarse.until=2024-12-20"))
    assert re.search(
        r"stored for coarse. They lie before data.start_date \(2025-.*: lower search.stages.coarse", before
    )
    assert "The best of many looks better than it is." in shown.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "gates.oos_start=null"], r"gates.oos_start is null: .* Set it before the search"),
        (["--month", "2025-1"], r"--month is 2025-1. Write it like 2025-02"),
        (
            ["--set", "gates.oos_start=2025-01-24"],
            r"2025-01 has no stored session after 2025-01-24, .* Make some first: timegpt-assets backtest --start",
        ),
        (["--forecaster", "nobody"], r"search.forecaster = 'nobody' is refused"),
        (["--set", "search.storage=postgresql"], r"TIMEGPT_ASSETS_SEARCH_URL is not set. Put the address into"),
        (
            ["--set", "search.stages.refine.until=2025-01-21"],
            r"allowed is 2025-01-17 \(gates.oos_start\) or earlier: .* Set it to 2025-01-17 or earlier",
        ),
    ],
)
def test_a_search_that_cannot_be_is_refused_with_the_remedy(
    run: Callable[..., Result], words: list[str], message: str
) -> None:
    assert re.search(message, said(run("search", *words)))
