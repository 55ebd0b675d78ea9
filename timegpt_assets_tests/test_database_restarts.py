"""PostgreSQL ends and comes back while a run pays: Dagster's records and the ledger lie in it.

A cluster of the test's own, stopped as by a power cut. The run may end with it or go on; the next command goes on.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from timegpt_assets_tests.commands import Commands, finished
from timegpt_assets_tests.engine.test_call_budget import FORECAST
from timegpt_assets_tests.own_postgres import INITDB, PG_CTL, Cluster, cluster
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer
from timegpt_assets_tests.test_killed_commands import NEW, SNAPSHOTS, WAIT_SEC, House, in_flight, left_behind

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not (INITDB and PG_CTL), reason="no PostgreSQL programs here"),
]


@dataclass(frozen=True, kw_only=True)
class SharedHouse(House):
    """A house whose ledger and records lie in PostgreSQL."""

    ledger: str

    @property
    def environment(self) -> dict[str, str]:
        """Return what its commands find in their environment."""
        found = super().environment
        return found | {
            "TIMEGPT_ASSETS_SET": f"{found['TIMEGPT_ASSETS_SET']}\nforecast.api_budget.ledger_url={self.ledger}"
        }


@pytest.fixture(scope="module")
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY) as running:
        yield running


@pytest.fixture
def database() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture
def house(commands: Commands, server: TimeGPTServer, database: Cluster, tmp_path: Path) -> SharedHouse:
    """Return a house in which a day has all but its answers."""
    made = SharedHouse(folder=tmp_path / "house", url=server.url, ledger=database.database("books"))
    (made.folder / "home").mkdir(parents=True)
    storage = {"storage": {"postgres": {"postgres_url": database.database("records")}}, "telemetry": {"enabled": False}}
    (made.folder / "home" / "dagster.yaml").write_text(yaml.safe_dump(storage))
    words, log = ["backfill", "--start", NEW, "--end", NEW, "--assets", "panel,labels,snapshots"], tmp_path / "made.log"
    told = finished(commands.start([*words, "--json"], made.environment, log), log, within_sec=WAIT_SEC)
    assert told.endswith("exit 0"), told[-3000:]
    return made


@pytest.mark.parametrize("away_sec", [0.0, pytest.param(8.0, marks=pytest.mark.whole)])
def test_postgresql_ends_while_a_call_is_on_its_way_and_the_next_command_does_the_rest(
    commands: Commands, server: TimeGPTServer, house: SharedHouse, database: Cluster, tmp_path: Path, away_sec: float
) -> None:
    sent, server.delay_sec = server.counts[FORECAST], 4.0
    log = tmp_path / "first.log"
    pid = in_flight(commands, server, house, log)
    database.crash()
    time.sleep(away_sec)
    database.start()
    server.delay_sec = 0.05
    told = finished(pid, log, within_sec=WAIT_SEC)
    if not told.endswith("exit 0"):
        assert "Traceback" not in told, told[-3000:]
        assert "The call ledger postgresql" in told or "DAGSTER_HOME" in told, told[-3000:]
    again = finished(commands.start(house.words("forecasts"), house.environment, log), log, within_sec=WAIT_SEC)
    assert again.endswith("exit 0"), again[-3000:]
    assert server.counts[FORECAST] - sent == SNAPSHOTS, "its bytes were stored, whatever the ledger could be told"
    assert house.rows() >= SNAPSHOTS
    left_behind(house)
