"""No command waits for the dead: killed at any moment in any stage, alone or with others, the next one does its work.

Guards against whatever a later change lets a run hold beyond its process: a pool's slot, a run that says it is going
on, a queue, a lock, half a file. Every kill is of a fresh process at the real command line, with the ledger, the cache,
Dagster's records and the tables on a disk, and a local server that counts what it is paid for.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.engine.home_owner import MARKER
from timegpt_assets.instance.run_owners import UNFINISHED, free_dead
from timegpt_assets_tests.adapters.crashes import killed
from timegpt_assets_tests.commands import Commands, finished
from timegpt_assets_tests.engine.test_call_budget import FORECAST, modest
from timegpt_assets_tests.project import PROJECT
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
WAIT_SEC = 240.0
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
            f"forecast.api_budget.ledger_file={self.folder / 'call_ledger.sqlite'}",
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

    def copied(self, folder: Path) -> "House":
        """Return a copy in another folder, tables and records together."""
        shutil.copytree(self.folder, folder)
        (folder / "home" / MARKER).unlink()
        return replace(self, folder=folder)

    def rows(self) -> int:
        """Return how many paid forecasts of the new day are stored."""
        store = ParquetStore(LocalStore(self.folder / "storage_root"))
        return store.read("forecasts/raw_forecasts", [NEW]).filter(forecaster="timegpt").height


@pytest.fixture(scope="module")
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60, key=KEY, delay_sec=0.05) as running:
        yield running


@pytest.fixture(scope="module")
def made(commands: Commands, server: TimeGPTServer, tmp_path_factory: pytest.TempPathFactory) -> House:
    """Return a house in which one day is made and the next has all but its answers."""
    return half_made(commands, House(folder=tmp_path_factory.mktemp("made"), url=server.url))


def half_made(commands: Commands, house: House) -> House:
    """Make one day of the house, and of the next all but its answers."""
    assets = ",".join(STAGES[name] for name in ("forecasts", "calibration", "backtest", "evaluation"))
    for first, names in ((MADE, assets), (NEW, "panel,labels,snapshots")):
        words = ["backfill", "--start", first, "--end", first, "--assets", names, "--json"]
        log = house.folder / "made.log"
        pid = commands.start(words, house.environment, log)
        assert finished(pid, log, within_sec=240).endswith("exit 0"), log.read_text()[-3000:]
    return house


def in_flight(commands: Commands, server: TimeGPTServer, house: House, log: Path) -> int:
    """Return the id of a command that has a call in flight, and the slot of the pool."""
    while not server.events.empty():
        server.events.get()
    pid = commands.start(house.words("forecasts"), house.environment, log)
    deadline = time.monotonic() + WAIT_SEC
    while server.events.empty() or server.events.get() != "received":
        assert "exit" not in (log.read_text() if log.exists() else ""), log.read_text()
        assert time.monotonic() < deadline, "nothing was asked"
        time.sleep(0.01)
    return pid


@pytest.fixture
def house(made: House, server: TimeGPTServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """Return a copy of the house whose calls take long enough to be met in flight."""
    monkeypatch.setattr(server, "delay_sec", 4.0)
    return made.copied(tmp_path / "house")


@pytest.mark.whole  # waits for locks to be let go: a minute and a half
@pytest.mark.timeout(600)
def test_whoever_waits_for_a_living_command_says_so_and_goes_on_when_it_is_killed(
    commands: Commands, server: TimeGPTServer, house: House, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    doomed = in_flight(commands, server, house, first)
    waiting = commands.start(house.words("forecasts"), house.environment, second)
    deadline = time.monotonic() + WAIT_SEC
    while f"(process {doomed} on " not in (second.read_text() if second.exists() else ""):
        assert time.monotonic() < deadline, second.read_text()
        time.sleep(0.05)
    assert "it holds pool timegpt, and lives." in second.read_text()
    assert killed([doomed]), "it was done before it was waited for"
    server.delay_sec = 0.05
    assert finished(waiting, second, within_sec=WAIT_SEC).endswith("exit 0")
    assert f"(process {doomed} on " in second.read_text().rpartition("was killed: it is marked")[0]
    left_behind(house)


@pytest.mark.timeout(900)  # a daemon, its code server and a run, each a process
def test_a_killed_command_does_not_hold_up_the_queue_of_a_daemon(
    commands: Commands, server: TimeGPTServer, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert killed([in_flight(commands, server, house, tmp_path / "doomed.log")])
    for name, value in house.environment.items():
        monkeypatch.setenv(name, value)
    workspace = str(PROJECT / "workspace.yaml")
    launch = [sys.executable, "-m", "dagster", "job", "launch", "-j", "resume_pending", "-w", workspace]
    subprocess.run(launch, check=True, capture_output=True, cwd=PROJECT)
    with dg.DagsterInstance.from_config(house.environment["DAGSTER_HOME"]) as instance:
        (queued,) = instance.get_runs(dg.RunsFilter(job_name="resume_pending"))
        (doomed,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        assert queued.status == dg.DagsterRunStatus.QUEUED
        daemon = [sys.executable, "-m", "timegpt_assets.cli.ui", "daemon", workspace]
        log = tmp_path / "daemon.log"
        with log.open("wb") as out, subprocess.Popen(daemon, stdout=out, stderr=out, cwd=PROJECT) as process:
            try:
                deadline = time.monotonic() + 240
                while not instance.get_run_by_id(queued.run_id).is_finished:
                    assert process.poll() is None, log.read_text()[-3000:]
                    assert time.monotonic() < deadline, log.read_text()[-3000:]
                    time.sleep(0.5)
            finally:
                process.terminate()
        ended = [instance.get_run_by_id(run.run_id).status.value for run in (queued, doomed)]
        assert ended == ["SUCCESS", "FAILURE"]
    left_behind(house)


@pytest.mark.timeout(7200)
def test_a_command_killed_in_any_stage_never_holds_up_the_next_and_nothing_is_paid_twice(
    commands: Commands,
    server: TimeGPTServer,
    made: House,
    tmp_path: Path,
    repetitions: Callable[[int], int],
) -> None:
    chance, landed = random.Random(20250131), Counter[str]()
    houses, longest = 0, 0.0
    while landed.total() < repetitions(500):
        stage = chance.choice([*STAGES, *["forecasts"] * len(STAGES)])
        house = made.copied(tmp_path / f"{houses}")
        sent, kills = server.counts[FORECAST], 0
        for _ in range(chance.randint(1, 6)):
            kills += struck(commands, house, stage, chance)
        longest = max(longest, awaited(commands, house, stage))
        if stage == "forecasts":
            sent = server.counts[FORECAST] - sent
            assert SNAPSHOTS <= sent <= SNAPSHOTS + kills, "a call in flight is lost with its process, no other"
            assert house.rows() == 3 * SNAPSHOTS
        left_behind(house)
        landed[stage] += kills
        houses += 1
        shutil.rmtree(house.folder)
    print(f"{landed.total()} kills in {houses} houses: {dict(landed)}; the next took {longest:.1f} s at most")  # noqa: T201


@pytest.mark.timeout(3600)
def test_a_command_that_is_asked_to_stop_begins_nothing_more_says_so_and_the_next_goes_on(
    commands: Commands,
    server: TimeGPTServer,
    made: House,
    tmp_path: Path,
    repetitions: Callable[[int], int],
) -> None:
    chance, endings = random.Random(20250201), Counter[str]()
    for i in range(repetitions(60)):
        stage, number = chance.choice([*STAGES]), chance.choice((signal.SIGINT, signal.SIGTERM))
        house, sent = made.copied(tmp_path / f"{i}"), server.counts[FORECAST]
        log = house.folder / "stopped.log"
        pid = commands.start(house.words(stage), house.environment, log)
        moment(house, [log], chance)
        before = log.read_text()
        with suppress(ProcessLookupError):  # it was done
            os.kill(pid, number)
        told = finished(pid, log, within_sec=WAIT_SEC)
        # the range run that was going on may have been at its end
        assert told.removeprefix(before).count("\u2713") <= 1, told
        ending = told.rpartition("\n")[2]
        endings[ending] += 1
        # before its first run SIGTERM ends a process that has begun nothing as it ends any
        assert ending in ("exit 130", "exit 0") or (number == signal.SIGTERM and told == ""), told
        assert (ending == "exit 130") == ("stopped: what was made and paid for is kept" in told), told
        assert "Dagster" not in told
        awaited(commands, house, stage)
        if stage == "forecasts":
            assert SNAPSHOTS <= server.counts[FORECAST] - sent <= SNAPSHOTS + 1, "no more than a call in flight is lost"
        left_behind(house)
        shutil.rmtree(house.folder)
    assert endings["exit 130"] > endings["exit 0"], endings


def struck(commands: Commands, house: House, stage: str, chance: random.Random) -> int:
    """Kill one command, or of two at the same work one or both, await the rest, and return how many were killed."""
    crowd = chance.choice((1, 1, 2)) if stage == "forecasts" else 1
    logs = [house.folder / f"{i}.log" for i in range(crowd)]
    for log in logs:
        log.unlink(missing_ok=True)
    pids = [commands.start(house.words(stage), house.environment, log) for log in logs]
    moment(house, logs, chance)
    doomed = chance.sample(range(crowd), k=chance.randint(1, crowd))
    fell = killed([pids[i] for i in doomed])
    for i in set(range(crowd)) - set(doomed):
        assert finished(pids[i], logs[i], within_sec=WAIT_SEC).endswith("exit 0"), logs[i].read_text()[-3000:]
    return len(doomed) if fell else 0


def awaited(commands: Commands, house: House, stage: str) -> float:
    """Return the seconds that the next command takes; AssertionError when it hangs or fails."""
    log, began = house.folder / "next.log", time.monotonic()
    pid = commands.start(house.words(stage), house.environment, log)
    assert finished(pid, log, within_sec=WAIT_SEC).endswith("exit 0"), log.read_text()[-3000:]
    return time.monotonic() - began


def moment(house: House, logs: list[Path], chance: random.Random) -> None:
    """Return at the moment to kill: most often while a run is going on, now and then at any."""
    if chance.random() < 0.15:
        time.sleep(chance.uniform(0.05, 3.0))
        return
    deadline, owners = time.monotonic() + WAIT_SEC, house.folder / "home" / "owners"
    before = set(owners.iterdir()) if owners.is_dir() else set()  # of those that were killed
    while not (owners.is_dir() and set(owners.iterdir()) - before) and time.monotonic() < deadline:
        if all("\nexit" in log.read_text() for log in logs if log.exists()) and logs[0].exists():
            return
        time.sleep(0.005)
    time.sleep(chance.choice((0.02, 0.2, 1.0)) * chance.random())


def left_behind(house: House) -> None:
    """Assert that nothing on the instance is held or said to go on."""
    with dg.DagsterInstance.from_config(house.environment["DAGSTER_HOME"]) as instance:
        going_on = instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED)))
        assert going_on == []
        assert free_dead(instance) == [], "it was somebody's to free, and was not freed"
        storage = instance.event_log_storage
        for pool in storage.get_concurrency_keys():
            info = storage.get_concurrency_info(pool)
            assert (info.claimed_slots, info.pending_steps) == ([], [])
    assert not list((house.folder / "home" / "owners").iterdir())
