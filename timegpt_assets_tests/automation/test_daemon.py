"""Sensors in a real daemon process: revised months, late days and missed ones are made, and alarms go out, by
themselves.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime
from datetime import time as time_of_day
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from typer.testing import CliRunner

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.app import app
from timegpt_assets.core import calendar
from timegpt_assets.engine.daily import COMPLETE, PORTFOLIO
from timegpt_assets_tests.automation import daemon_process
from timegpt_assets_tests.automation.test_week import FRI, MON, SYMBOLS, THU, TUE, WED
from timegpt_assets_tests.automation.test_week import deliver as deliver_until
from timegpt_assets_tests.engine.test_revisions import DAYS, HOUSE, REVISED, at, deliver
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY

pytestmark = [
    pytest.mark.filterwarnings("ignore:AssetExecutionContext.run_id is deprecated"),
    pytest.mark.soak,  # a daemon, its code server and a run: a minute
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the DAGSTER_HOME of a house over delivered files, whose environment every process inherits."""
    deliver(tmp_path / "source")
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    settings = [*TINY, *HOUSE, f"data.root={tmp_path / 'source'}", *places]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join(settings))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "dev")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_home"))
    return tmp_path / "dagster_home"


@pytest.fixture
def daemon(home: Path, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a daemon on that home, with the sensor turned on; end it afterwards."""
    deliver_and_make = ["backfill", "--start", f"{DAYS[0]}", "--end", f"{DAYS[2]}", "--assets", "bars", "--json"]
    made = CliRunner().invoke(app, deliver_and_make)
    assert made.exit_code == 0, made.output
    deliver(tmp_path / "source", revise=at(REVISED, 389, 0.5))
    workspace = ["-w", str(PROJECT / "workspace.yaml")]
    dagster = [sys.executable, "-m", "dagster"]
    subprocess.run([*dagster, "sensor", "start", "revised_source", *workspace], check=True, capture_output=True)
    with (tmp_path / "daemon.log").open("wb") as log:
        command = [sys.executable, "-m", "dagster._daemon", "run", *workspace]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=PROJECT)
        yield process
        process.terminate()
        process.wait(60)


def told_of_alarms(file: Path) -> list[tuple[str, str]]:
    """Return change and subject of every alarm in the file of a channel."""
    lines = file.read_text().splitlines() if file.exists() else ()
    return [(line["change"], line["subject"]) for line in map(json.loads, lines)]


@pytest.mark.timeout(600)  # a daemon and its code server, which run nothing
def test_a_daemon_tells_of_a_run_that_failed_and_that_it_is_over_without_being_told_to(home, tmp_path, monkeypatch):
    file = tmp_path / "alarms.jsonl"
    settings = ["automation.look_every_sec=1", "alarms.channels=[file]", f"alarms.file={file}", "data.source=synthetic"]
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*TINY, *places, *settings]))
    made = CliRunner().invoke(app, ["budget", "--json"])
    assert made.exit_code == 0, made.output
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(PROJECT / "workspace.yaml")]
    began = ("new", "run refresh_bars")
    with dg.DagsterInstance.from_config(str(home)) as instance, (tmp_path / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=PROJECT)
        try:
            for status, told in (("FAILURE", [began]), ("SUCCESS", [began, ("over", began[1])])):
                instance.add_run(dg.DagsterRun("refresh_bars", status=dg.DagsterRunStatus(status)))
                last = time.monotonic() + 250
                while told_of_alarms(file) != told:
                    assert process.poll() is None, (tmp_path / "daemon.log").read_text()[-3000:]
                    assert time.monotonic() < last, (
                        told_of_alarms(file),
                        (tmp_path / "daemon.log").read_text()[-3000:],
                    )
                    time.sleep(0.5)
        finally:
            process.terminate()
            process.wait(60)
    assert "[new] run refresh_bars: it failed without a word." in (tmp_path / "daemon.log").read_text()


@pytest.mark.whole  # engine/test_revisions.py asks the same without a daemon
def test_a_daemon_makes_the_revised_days_again_and_then_rests(home, daemon, tmp_path):
    store = ParquetStore(LocalStore(tmp_path / "storage_root"))
    before = store.read_facts("bars/raw_bars", DAYS[:3])
    with dg.DagsterInstance.from_config(str(home)) as instance:
        deadline = time.monotonic() + 240
        asked = dg.RunsFilter(job_name="refresh_bars")
        while not any(run.is_finished for run in instance.get_runs(asked)):
            assert daemon.poll() is None, (tmp_path / "daemon.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (tmp_path / "daemon.log").read_text()[-3000:]
            time.sleep(1)
        (run,) = instance.get_runs(asked)
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert run.run_config["ops"]["refresh_revised"]["config"]["partitions"] == [
            f"{REVISED}|AAPL",
            f"{DAYS[2]}|AAPL",
        ]
    after = store.read_facts("bars/raw_bars", DAYS[:3])
    assert {key for key in before if before[key] != after[key]} == {(str(day), "AAPL") for day in DAYS[1:3]}


def sessions_told(instance: dg.DagsterInstance) -> dict[str, str]:
    """Return what the daily runs told of each session, the last word of each."""
    told: dict[str, str] = {}
    for run in reversed(instance.get_runs(dg.RunsFilter(job_name="daily_refresh"))):
        for record in instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_OUTPUT).records:
            said = record.event_log_entry.get_dagster_event().step_output_data.metadata["sessions"].value
            told |= {str(day): str(what) for day, what in said.items()}
    return told


@pytest.mark.timeout(900)  # two daemons, their code servers and some runs, each a process
def test_a_daemon_makes_a_late_day_when_its_bars_come_and_after_three_days_without_one_all_of_them(
    tmp_path, monkeypatch
):
    clock, source = tmp_path / "clock", tmp_path / "source"
    source.mkdir()
    places = [f"data.{name}={tmp_path / name}" for name in ("storage_root", "artifacts_root", "dagster_home")]
    settings = [*TINY, "universe.tickers=[AAPL, META]", "universe.context=[SPY]", "data.start_date=2025-01-27"]
    settings += ["automation.look_every_sec=1"]
    monkeypatch.setenv("TIMEGPT_ASSETS_SET", "\n".join([*settings, f"data.root={source}", *places]))
    monkeypatch.setenv("TIMEGPT_ASSETS_PROFILE", "dev")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_home"))
    monkeypatch.setenv("MOVED_CLOCK", str(clock))

    def at(day: date, hour: int) -> None:
        (tmp_path / "half").write_text(datetime.combine(day, time_of_day(hour), ZoneInfo(calendar.ZONE)).isoformat())
        (tmp_path / "half").replace(clock)

    def until(instance: dg.DagsterInstance, wanted: dict[str, str]) -> None:
        last = time.monotonic() + 400
        while not wanted.items() <= sessions_told(instance).items():
            assert time.monotonic() < last, (sessions_told(instance), (tmp_path / "daemon.log").read_text()[-3000:])
            time.sleep(1)

    at(MON, 17)
    made = CliRunner().invoke(app, ["budget", "--json"])
    assert made.exit_code == 0, made.output
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster_home")) as instance:
        with daemon_process.daemon(tmp_path):
            until(instance, {f"{MON}": f"waits for bars of AAPL, META, SPY until {MON} 23:00 UTC"})
            deliver_until(source, dict.fromkeys(SYMBOLS, MON))
            until(instance, {f"{MON}": COMPLETE})
        at(FRI, 17)
        deliver_until(source, dict.fromkeys(SYMBOLS, FRI))
        with daemon_process.daemon(tmp_path):
            until(instance, {f"{day}": COMPLETE for day in (TUE, WED, THU, FRI)})
        records = instance.fetch_materializations(PORTFOLIO, limit=1000, ascending=True).records
    assert list(dict.fromkeys(r.partition_key for r in records)) == [f"{d}" for d in (MON, TUE, WED, THU, FRI)]
