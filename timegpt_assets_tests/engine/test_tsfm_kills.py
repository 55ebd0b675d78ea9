"""Cycles at the real command line, killed where it hurts: the next one finds all that was kept, and nothing twice.

Each is a process of its own on a home of its own; the venue or the model server holds it where it is to be killed.
"""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets_tests.adapters.crashes import killed
from timegpt_assets_tests.commands import Commands, finished
from timegpt_assets_tests.live_house import SMALL, listed, settings
from timegpt_assets_tests.servers import polymarket, tollama
from timegpt_assets_tests.servers.polymarket import PolymarketServer
from timegpt_assets_tests.servers.tollama import TollamaServer

NOON = datetime(2025, 11, 20, 12, 1, tzinfo=UTC)
MARKETS, STEPS, WAIT_SEC = 3, 3, 120.0
HELD_S = 60.0
"""For how long a server holds a command that is to be killed."""


@dataclass(frozen=True)
class House:
    """A folder, the servers that its commands ask, and who starts them."""

    folder: Path
    venue: PolymarketServer
    model: TollamaServer
    commands: Commands

    def start(self, log: str, now: datetime) -> int:
        """Return the id of a process that runs the cycle of a moment."""
        places = [f"data.{name}={self.folder / name}" for name in ("storage_root", "artifacts_root")]
        told = {
            "TIMEGPT_ASSETS_SET": "\n".join([*SMALL, *settings(self.venue, self.model), *places]),
            "TIMEGPT_ASSETS_PROFILE": "demo",
            "DAGSTER_HOME": str(self.folder / "home"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }
        return self.commands.start(["tsfm", "cycle", "--json"], told, self.folder / log, now=now)

    def cycle(self, now: datetime) -> dict[str, object]:
        """Run the cycle of a moment to its end and return what it says."""
        said = finished(self.start("cycle.log", now), self.folder / "cycle.log", within_sec=WAIT_SEC)
        assert said.endswith("exit 0"), said[-3000:]
        found: dict[str, object] = orjson.loads(next(line for line in said.splitlines() if line.startswith("{")))
        return found

    def held(self, path: str, now: datetime) -> int:
        """Return the id of a process that waits for an answer of this path."""
        server: PolymarketServer | TollamaServer = self.model if "forecast" in path else self.venue
        fault = tollama.Fault if server is self.model else polymarket.Fault
        before = len(server.asked)
        server.rule = lambda asked: fault(kind="slow", seconds=HELD_S) if path in asked else None  # type: ignore[assignment,return-value]
        try:
            pid, deadline = self.start("held.log", now), time.monotonic() + WAIT_SEC
            while not any(path in one for one in server.asked[before:]):
                assert time.monotonic() < deadline, (self.folder / "held.log").read_text()
                time.sleep(0.01)
        finally:
            server.rule = lambda asked: None
        return pid

    def read(self, name: str) -> pl.DataFrame:
        """Return a stored table."""
        store = ParquetStore(LocalStore(self.folder / "storage_root"))
        return store.read(f"tsfm/{name}", store.files(f"tsfm/{name}"))


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PolymarketServer, TollamaServer]]:
    with PolymarketServer() as venue, TollamaServer() as model:
        listed(venue, MARKETS, NOON)
        yield venue, model


@pytest.fixture
def house(tmp_path: Path, servers: tuple[PolymarketServer, TollamaServer], commands: Commands) -> House:
    return House(tmp_path, *servers, commands)


def whole(house: House, moments: int) -> None:
    """Assert that every cycle that looked has each of its rows, once."""
    forecasts, markets = house.read("tsfm_forecasts"), house.read("markets")
    assert markets.height == moments * MARKETS
    assert forecasts.height == moments * MARKETS * STEPS
    assert forecasts.select("market_id", "as_of", "step").is_unique().all()
    assert forecasts["reason"].null_count() == forecasts.height, "the model answered, in the end, of each"
    assert house.read("bands").height == forecasts.height


@pytest.mark.timeout(300)
def test_a_killed_cycle_is_made_up_for_by_the_next_and_while_it_lives_another_is_left_out(house: House) -> None:
    doomed = house.held("/markets", NOON)
    said = finished(house.start("second.log", NOON), house.folder / "second.log", within_sec=WAIT_SEC)
    assert said.endswith("exit 1")
    assert "another cycle works in" in said
    assert killed([doomed])
    for path in ("/batch-prices-history", "/api/forecast"):
        assert killed([house.held(path, NOON)]), path
    was, asked = house.venue.markets[0], len(house.model.questions)
    house.venue.markets[0] = was | {"bestBid": 0.2}
    found = house.cycle(NOON + timedelta(minutes=5))
    house.venue.markets[0] = was
    assert (found["first_look"], found["selected"]) == (True, MARKETS)
    whole(house, 2)
    told = house.read("markets").filter(market_id=was["id"]).sort("as_of")["bid"]
    assert told.to_list() == [was["bestBid"], 0.2], "the snapshot of the killed one stands"
    assert len(house.model.questions) - asked == 2, "a question for each cycle"


@pytest.mark.whole
@pytest.mark.timeout(3600)
def test_killed_at_any_moment_cycles_lose_nothing(house: House, repetitions: Callable[[int], int]) -> None:
    chance = random.Random(20251120)
    for number in range(repetitions(40)):
        now = NOON + timedelta(minutes=5 * number)
        pid = house.start("doomed.log", now)
        time.sleep(chance.uniform(0.1, 4.0))
        killed([pid])
        house.cycle(now)
        whole(house, number + 1)
