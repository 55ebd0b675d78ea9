"""The sensor over the source in a real daemon process: a revised month is noticed, asked for, and made by itself."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.app import app
from timegpt_assets.definitions import PROJECT
from timegpt_assets_tests.engine.test_revisions import DAYS, HOUSE, REVISED, at, deliver
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


def test_a_daemon_makes_the_revised_days_again_and_then_rests(home, daemon, tmp_path):
    store = ParquetStore(LocalStore(tmp_path / "storage_root"))
    before = store.read_facts("bars/raw_bars", DAYS[:3])
    with dg.DagsterInstance.from_config(str(home)) as instance:
        invalidate = time.monotonic() + 240
        asked = dg.RunsFilter(job_name="refresh_bars")
        while not any(run.is_finished for run in instance.get_runs(asked)):
            assert daemon.poll() is None, (tmp_path / "daemon.log").read_text()[-3000:]
            assert time.monotonic() < invalidate, (tmp_path / "daemon.log").read_text()[-3000:]
            time.sleep(1)
        (run,) = instance.get_runs(asked)
        assert run.status == dg.DagsterRunStatus.SUCCESS
        assert run.run_config["ops"]["refresh_revised"]["config"]["partitions"] == [
            f"{REVISED}|AAPL",
            f"{DAYS[2]}|AAPL",
        ]
    after = store.read_facts("bars/raw_bars", DAYS[:3])
    assert {key for key in before if before[key] != after[key]} == {(str(day), "AAPL") for day in DAYS[1:3]}
