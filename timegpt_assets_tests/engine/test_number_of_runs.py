"""How many runs a range takes, stratum by stratum: a run costs seconds whatever it holds, so there are few.

Planned and not run: every range run counts as done where the engine would start it. The table stands in
docs/explanation/scale.md; a test holds it to what is counted here.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine import engine as engines
from timegpt_assets.engine.engine import Engine, Rectangle, asset_nodes
from timegpt_assets.engine.plans import RangeRun, strata
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.tsfm import utc_rectangle
from timegpt_assets.partitions import graph_context
from timegpt_assets.runtime import Runtime
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import load_runtime, sessions

TWELVE = (
    "universe.tickers=[AAPL, AMD, AMZN, GOOGL, INTC, META, MSFT, NFLX, NVDA, ORCL, TSLA]",
    "universe.context=[SPY]",
    "data.start_date=2024-01-02",
    "data.end_date=2025-01-31",
    "tsfm.start_date=2023-12-01",
    "tsfm.end_date=2025-01-31",
)
LADDER = ("forecast.challengers=[ridge, zero, lightgbm, tsmixer, blend]", "news.sources=[calendar]")
YEAR, WINTER = sessions(date(2024, 1, 2), date(2024, 12, 31)), sessions(date(2024, 1, 2), date(2024, 2, 29))
UTC_YEAR = [date.fromordinal(number) for number in range(date(2024, 1, 1).toordinal(), date(2025, 1, 1).toordinal())]
ASKED: Mapping[str, tuple[tuple[str, ...], list[date], int]] = {
    "a session": ((), WINTER[-1:], 40),
    "January and February": ((), WINTER, 40),
    "a year": ((), YEAR, 40),
    "a year, in one block": ((), YEAR, 400),
    "a session, ladder and news": (LADDER, WINTER[-1:], 40),
    "January and February, ladder and news": (LADDER, WINTER, 40),
    "a year, ladder and news": (LADDER, YEAR, 40),
    "a year, ladder and news, in one block": (LADDER, YEAR, 400),
    "a year of UTC days, `tsfm`": ((), UTC_YEAR, 40),
}
"""What is asked for: settings, days, and how many days a block holds."""


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what would be run count as run."""

    def run_range(self: Any, range_run: RangeRun, tags: object = None) -> None:
        for key in range_run.assets:
            self.ran.setdefault(key, set()).update(range_run.partitions)
            self._there(key).update(range_run.partitions)
        self.outcome.range_runs.append(range_run)

    monkeypatch.setattr(engines._Work, "_run_range", run_range)


def asked_for(runtime: Runtime, engine: Engine, days: list[date], block: int) -> Rectangle:
    """Return the rectangle of these days, what they look back on left aside: it is there on all but the first."""
    if days is UTC_YEAR:
        found = utc_rectangle(engine, runtime.settings, days)
    else:
        found = rectangle(graph_context(runtime.settings), asset_nodes(engine.repository), days=days)
    return dataclasses.replace(found, history=(), range_days=block)


def counted(folder: Path, what: str) -> list[int]:
    """Return the runs of each stratum of what is asked for."""
    overrides, days, block = ASKED[what]
    runtime = load_runtime(folder, *overrides, base=TWELVE)
    repository = build_definitions(runtime).get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        engine = Engine(runtime=runtime, repository=repository, instance=instance)
        asked = asked_for(runtime, engine, days, block)
        outcome = engine.run(asked)
    nodes = asset_nodes(repository)
    levels = [set(level) for level in strata({key: nodes[key] for key in asked.assets})]
    runs = Counter(next(n for n, level in enumerate(levels) if {*run.assets} <= level) for run in outcome.range_runs)
    assert not outcome.incomplete
    return [runs[number] for number in range(len(levels))]


@pytest.mark.parametrize("what", ASKED)
def test_a_range_takes_as_few_runs_as_the_page_of_sizes_says(what: str, tmp_path: Path) -> None:
    runs = counted(tmp_path, what)
    row = f"| {what} | {' + '.join(map(str, runs))} | {sum(runs)} |"
    assert row in (PROJECT / "docs" / "explanation" / "scale.md").read_text().splitlines(), row


@pytest.mark.parametrize("sessions_a_run", [None, 5])
def test_a_backfill_of_the_ui_is_cut_into_so_many_sessions_and_months_are_not(
    sessions_a_run: int | None, tmp_path: Path
) -> None:
    """Dagster counts partitions: a session of the grid has one for each symbol, and UTC days are days, too."""
    given = () if sessions_a_run is None else (f"automation.backfill_days={sessions_a_run}",)
    repository = build_definitions(load_runtime(tmp_path, *given, base=TWELVE)).get_repository_def()
    cut = {"trading_day": 5, "utc_day": 5, "day_symbol": 5 * 12, "month": None, "utc_month": None}
    seen = set()
    for key, node in asset_nodes(repository).items():
        policy = repository.asset_graph.get(key).backfill_policy
        assert policy is not None
        assert policy.max_partitions_per_run == (cut[node.kind] if sessions_a_run else None), key
        seen.add(node.kind)
    assert seen == cut.keys(), "each kind has an asset"
