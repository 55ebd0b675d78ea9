"""A backfill asked for at Dagster's own door over several strata: canceled, out of budget, and gone on with each time.

The mutations are those of the UI (*Materialize*, *Cancel*, *Re-execute > From failure*), daemon and runs are in this
process (daemon_here.py). How many runs the command line takes is engine/test_number_of_runs.py.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from timegpt_assets import runtime
from timegpt_assets.cli.app import app
from timegpt_assets.cli.context import BATCH_SIZE, EVENT_BATCH
from timegpt_assets.definitions import build_definitions
from timegpt_assets.engine.engine import asset_nodes
from timegpt_assets.engine.plans import AssetNode
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.partitions import graph_context
from timegpt_assets_tests.automation.daemon_here import DaemonHere, daemon_here, run_here
from timegpt_assets_tests.automation.moved_clock import move
from timegpt_assets_tests.engine.test_call_budget import ANSWERS, FORECAST, PARAMS, modest
from timegpt_assets_tests.roads import TINY, undrawn
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
    pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources` is deprecated"),
    pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars` is deprecated"),
]
DAYS = [date(2025, 1, 30), date(2025, 1, 31)]
"""One call and two: before the first one's other snapshot there is too little. A day may hold two, and its first the
model's parameters besides."""
LAUNCH = """mutation Launch($ranges: [PartitionsByAssetSelector!]!) {
  launchPartitionBackfill(backfillParams: {partitionsByAssets: $ranges}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""
CANCEL = "mutation Cancel($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }"
AGAIN = """mutation Again($id: String!) {
  reexecutePartitionBackfill(reexecutionParams: {parentRunId: $id, strategy: FROM_FAILURE}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""


@dataclass(frozen=True, kw_only=True)
class House:
    """A house whose daemon is in this process."""

    daemon: DaemonHere
    server: TimeGPTServer
    clock: Path
    nodes: dict[dg.AssetKey, AssetNode]
    runtime: runtime.Runtime

    def at(self, now: datetime) -> None:
        self.clock.write_text(now.isoformat())

    def wanted(self, assets: Sequence[str]) -> dict[dg.AssetKey, list[str]]:
        """Return the partitions of the days, by asset, of these assets and all that they stand on."""
        settings = self.runtime.settings
        asked = rectangle(graph_context(settings), self.nodes, days=DAYS, assets=assets)
        everyone = settings.universe.everyone
        return {key: sorted(one.key for one in self.nodes[key].partitions(DAYS, everyone)) for key in asked.assets}

    def launched(self, wanted: dict[dg.AssetKey, list[str]]) -> str:
        """Ask for all of them in one backfill and return its id."""
        ranges: list[dict[str, Any]] = [
            {"assetKey": {"path": key.path}, "partitions": {"ranges": [{"start": keys[0], "end": keys[-1]}]}}
            for key, keys in wanted.items()
        ]
        return begun(self.daemon.asked(LAUNCH, ranges=ranges)["launchPartitionBackfill"])

    def again(self, backfill: str) -> str:
        """Ask for what an ended backfill did not make and return the id of the new one."""
        return begun(self.daemon.asked(AGAIN, id=backfill)["reexecutePartitionBackfill"])

    def status(self, backfill: str) -> str:
        found = self.daemon.instance.get_backfill(backfill)
        assert found is not None
        return str(found.status.value)

    def ended(self, backfill: str) -> str:
        """Let it go on to its end and return its status."""
        while self.status(backfill) in ("REQUESTED", "CANCELING"):
            self.daemon.look_at_backfills()
            self.daemon.run_all()
        return self.status(backfill)

    def made(self, key: dg.AssetKey) -> Counter[str | None]:
        """Return how often each partition of an asset was made."""
        records = self.daemon.instance.fetch_materializations(key, limit=1000).records
        return Counter(record.partition_key for record in records)


def begun(said: dict[str, Any]) -> str:
    """Return the id of the backfill that was asked for."""
    assert "backfillId" in said, said
    return str(said["backfillId"])


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Yield a house in which nothing is made, under this setting."""
    home, clock = tmp_path / "home", tmp_path / "clock"
    with TimeGPTServer(input_size=60, key=KEY) as server:
        settings = [
            *TINY,
            *modest(server.url),
            "universe.tickers=[AAPL, META]",
            f"data.start_date={DAYS[0]}",
            request.param,
            "forecast.api_budget.per_day=2",
            f"data.dagster_home={home}",
            *(f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root")),
            f"forecast.cache_dir={tmp_path / 'cache'}",
            f"forecast.api_budget.ledger_file={tmp_path / 'ledger.sqlite'}",
        ]
        for name, value in {
            "TIMEGPT_ASSETS_SET": "\n".join(settings),
            "TIMEGPT_ASSETS_PROFILE": "dev",
            "TIMEGPT_API_KEY": KEY,
            "DAGSTER_HOME": str(home),
            "MOVED_CLOCK": str(clock),
            BATCH_SIZE: EVENT_BATCH,
        }.items():
            monkeypatch.setenv(name, value)
        clock.write_text(datetime(2026, 6, 1, 12, tzinfo=UTC).isoformat())
        move(monkeypatch)
        undrawn(monkeypatch)
        made = CliRunner().invoke(app, ["budget", "--json"])
        assert made.exit_code == 0, made.output
        run_here(home)
        here = runtime.load_runtime()
        nodes = dict(asset_nodes(build_definitions(here).get_repository_def()))
        with daemon_here(home) as daemon:
            yield House(daemon=daemon, server=server, clock=clock, nodes=nodes, runtime=here)


@pytest.mark.parametrize(
    ("house", "assets"),
    [
        pytest.param("automation.backfill_days=null", ["raw_forecasts"], id="to the forecasts"),
        pytest.param("automation.backfill_days=1", [], id="to the gates, a session a run", marks=pytest.mark.whole),
    ],
    indirect=["house"],
)
def test_a_backfill_of_dagsters_goes_on_where_it_ended_and_pays_each_snapshot_once(
    assets: Sequence[str], house: House
) -> None:
    wanted, first, second = house.wanted(assets), str(DAYS[0]), str(DAYS[1])
    backfill = house.launched(wanted)
    assert house.ended(backfill) == "COMPLETED_FAILED", "the second session has to wait for another day"
    assert (house.server.counts, house.made(ANSWERS)) == ({FORECAST: 1, PARAMS: 1}, {first: 1})
    house.at(datetime(2026, 6, 2, 12, tzinfo=UTC))
    backfill = house.again(backfill)
    house.daemon.look_at_backfills()
    house.daemon.asked(CANCEL, id=backfill)
    assert house.ended(backfill) == "CANCELED", "while its runs wait"
    backfill = house.again(backfill)
    assert house.ended(backfill) == "COMPLETED_SUCCESS"
    assert (house.server.counts, house.made(ANSWERS)) == ({FORECAST: 3, PARAMS: 1}, {first: 1, second: 1})
    times = {key: house.made(key) for key in wanted}
    assert {key: {*keys} ^ {*times[key]} for key, keys in wanted.items() if {*keys} != {*times[key]}} == {}
    assert {key: made for key, made in times.items() if max(made.values()) > 1} == {}, "made again"
    runs = Counter(run.status.value for run in house.daemon.instance.get_runs())
    told = f"{len(wanted)} assets: {runs['SUCCESS']} runs succeeded, {runs['FAILURE']} failed"
    print(told, dict(runs))  # noqa: T201 - shown with -s
    assert runs["FAILURE"] == 1, "the one that the budget stopped"
