"""No command waits for the dead: killed at any moment in any stage, alone or with others, the next one does its work.

Guards against whatever a later change lets a run hold beyond its process: a pool's slot, a run that says it is going
on, a queue, a lock, half a file. Every kill is of a fresh process at the real command line, with the ledger, the cache,
Dagster's records and the tables on a disk, and a local server that counts what it is paid for.
"""

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.run_owners import UNFINISHED
from timegpt_assets_tests.adapters.crashes import killed
from timegpt_assets_tests.commands import Commands, finished
from timegpt_assets_tests.engine.test_call_budget import FORECAST, modest
from timegpt_assets_tests.roads import TINY
from timegpt_assets_tests.secret_search import KEY
from timegpt_assets_tests.servers.timegpt import TimeGPTServer

MADE, NEW = "2025-01-30", "2025-01-31"
"""A day that is there to be made again, and one that is still to be paid for."""
STAGES = {
    "bars": "raw_bars,bars,quality_report",
    "features": "features,panel,labels",
    "forecasts": "answers,raw_forecasts,outcomes",
    "calibration": "calibration_models,forecasts",
    "backtest": "symbol_gates,trades,book,portfolio",
    "evaluation": "forecast_scores,day_scores",
}
SNAPSHOTS = 2
WAIT_SEC = 90.0
"""Longer than a command may take on a busy machine, shorter than any wait for the dead would be."""


@dataclass(frozen=True, kw_only=True)
class House:
    """A folder with everything a command needs."""

    folder: Path
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """Return what its commands find in their environment."""
        places = {name: self.folder / name for name in ("storage_root", "artifacts_root")}
        settings = [
            *TINY,
            *modest(self.url),
            *(f"data.{name}={path}" for name, path in places.items()),
            f"forecast.cache_dir={self.folder / 'cache'}",
        ]
        return {
            "TIMEGPT_ASSETS_SET": "\n".join(settings),
            "TIMEGPT_ASSETS_PROFILE": "dev",
            "TIMEGPT_API_KEY": KEY,
            "DAGSTER_HOME": str(self.folder / "home"),
            "DAGSTER_DISABLE_TELEMETRY": "1",
        }

    def words(self, stage: str) -> list[str]:
        """Return the command that makes a stage of a day, again unless it is paid for."""
        day = NEW if stage == "forecasts" else MADE
        forced = [] if stage == "forecasts" else ["--force"]
        return ["backfill", "--start", day, "--end", day, "--assets", STAGES[stage], *forced, "--json"]

    def rows(self) -> int:
        """Return how many forecasts of the new day are stored."""
        store = ParquetStore(LocalStore(self.folder / "storage_root"))
        return store.read("forecasts/raw_forecasts", [NEW]).height


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    made = Commands()
    yield made
    made.close()


@pytest.fixture(scope="module")
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY, delay_sec=0.05) as running:
        yield running


@pytest.fixture(scope="module")
def made(commands: Commands, server: TimeGPTServer, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Return a house in which one day is made and the next has all but its answers."""
    house = House(folder=tmp_path_factory.mktemp("made"), url=server.url)
    assets = ",".join(STAGES[name] for name in ("forecasts", "calibration", "backtest", "evaluation"))
    for first, names in ((MADE, assets), (NEW, "panel,labels,snapshots")):
        words = ["backfill", "--start", first, "--end", first, "--assets", names, "--json"]
        log = house.folder / "made.log"
        pid = commands.start(words, house.environment, log)
        assert finished(pid, log, within_sec=240).endswith("exit 0"), log.read_text()[-3000:]
    return house


@pytest.mark.timeout(7200)
def test_a_command_killed_in_any_stage_never_holds_up_the_next_and_nothing_is_paid_twice(
    commands: Commands,
    server: TimeGPTServer,
    made: House,
    tmp_path: Path,
    repetitions: Callable[[int], int],
) -> None:
    chance, landed = random.Random(20250131), Counter[str]()
    tried, longest = 0, 0.0
    while landed.total() < repetitions(500):
        stage = chance.choice([*STAGES, *["forecasts"] * len(STAGES)])
        house = House(folder=tmp_path / f"{tried}", url=server.url)
        shutil.copytree(made.folder, house.folder)
        took = struck(commands, server, house, stage, chance)
        tried += 1
        if took is not None:
            landed[stage] += 1
            longest = max(longest, took)
        shutil.rmtree(house.folder)
    print(f"{landed.total()} kills in {tried} runs: {dict(landed)}; the next command took {longest:.1f} s at most")  # noqa: T201


def struck(commands: Commands, server: TimeGPTServer, house: House, stage: str, chance: random.Random) -> float | None:
    """Kill one command or several, await the rest and the next, and return how long that took; None for no kill."""
    before = server.counts[FORECAST]
    crowd = chance.choice((1, 1, 2)) if stage == "forecasts" else 1
    logs = [house.folder / f"{i}.log" for i in range(crowd)]
    pids = [commands.start(house.words(stage), house.environment, log) for log in logs]
    moment(house, logs, chance)
    doomed = chance.sample(range(crowd), k=chance.randint(1, crowd))
    fell = killed([pids[i] for i in doomed])
    began = time.monotonic()
    for i in set(range(crowd)) - set(doomed):
        assert finished(pids[i], logs[i], within_sec=WAIT_SEC).endswith("exit 0"), logs[i].read_text()[-3000:]
    log = house.folder / "next.log"
    next_one = commands.start(house.words(stage), house.environment, log)
    assert finished(next_one, log, within_sec=WAIT_SEC).endswith("exit 0"), log.read_text()[-3000:]
    took = time.monotonic() - began
    if stage == "forecasts":
        sent = server.counts[FORECAST] - before
        assert SNAPSHOTS <= sent <= SNAPSHOTS + len(doomed), "a call in flight is lost with its process, no other"
        assert house.rows() == 3 * SNAPSHOTS
    left_behind(house)
    return took if fell else None


def moment(house: House, logs: list[Path], chance: random.Random) -> None:
    """Return at the moment to kill: most often while a run is going on, now and then at any."""
    if chance.random() < 0.15:
        time.sleep(chance.uniform(0.05, 3.0))
        return
    deadline = time.monotonic() + WAIT_SEC
    while not any((house.folder / "home").glob("owners/*")) and time.monotonic() < deadline:
        if all("\nexit" in log.read_text() for log in logs if log.exists()) and logs[0].exists():
            return
        time.sleep(0.005)
    time.sleep(chance.choice((0.02, 0.2, 1.0)) * chance.random())


def left_behind(house: House) -> None:
    """Assert that nothing on the instance is held or said to go on."""
    with dg.DagsterInstance.from_config(house.environment["DAGSTER_HOME"]) as instance:
        going_on = instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED)))
        assert going_on == []
        storage = instance.event_log_storage
        for pool in storage.get_concurrency_keys():
            info = storage.get_concurrency_info(pool)
            assert (info.claimed_slots, info.pending_steps) == ([], [])
    assert not list((house.folder / "home" / "owners").iterdir())
