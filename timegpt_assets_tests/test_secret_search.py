"""The search for API keys over a whole run finds one wherever it is planted, and nothing where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from timegpt_assets.instance.packed_events import Packed
from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.conftest import SKIPS
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.roads import TINY, road
from timegpt_assets_tests.secret_search import KEY, leaking
from timegpt_assets_tests.servers.timegpt import Received, TimeGPTServer

INNER = """
import sqlite3, sys
import pytest, zstandard
from timegpt_assets.instance.packed_events import packed
from timegpt_assets_tests.secret_search import KEY, SIGNING

def in_text(folder): (folder / "deep").mkdir(); (folder / "deep" / "note.txt").write_text("x" * 5000 + KEY)
def in_zstd(folder): (folder / "answer.zst").write_bytes(zstandard.compress(b"x" * 5000 + KEY.encode()))
def that_signs(folder): (folder / "manifest.sig").write_text("x" * 5000 + SIGNING)
def in_database(folder):
    with sqlite3.connect(folder / "leak.db") as database:
        database.execute("create table calls (note text)")
        database.execute("insert into calls values (?)", (f"Bearer {KEY}",))
def in_event(folder):
    with sqlite3.connect(folder / "event.db") as database:
        database.execute("create table event_logs (event text)")
        database.execute("insert into event_logs values (?)", (packed(f"Bearer {KEY}"),))
def printed(folder): print(f"Authorization: Bearer {KEY}")
def logged(folder): import logging; logging.getLogger("http").warning("sent with %s", KEY)
def raised(folder): raise RuntimeError(f"refused: {KEY}")
def nowhere(folder): (folder / "empty").touch(); (folder / "note.txt").write_text(KEY[:10])

@pytest.mark.parametrize("plant", {plants})
def test_one(tmp_path, plant): globals()[plant](tmp_path)
"""
PLANTED = {
    "in_text": "deep/note.txt",
    "in_zstd": "answer.zst",
    "that_signs": "manifest.sig",
    "in_database": "leak.db",
    "in_event": "event.db",
    "printed": "test_one[printed] (Captured stdout call)",
    "logged": "test_one[logged] (Captured log call)",
    "raised": "test_one[raised] (its failure)",
}


def inner_run(folder: Path, *plants: str, processes: int) -> subprocess.CompletedProcess[str]:
    """Return what a run of its own came to; its files must be gone when the run around it is searched."""
    (folder / "test_inner.py").write_text(INNER.replace("{plants}", repr(plants)))
    plugin = ["-p", "timegpt_assets_tests.conftest", "--basetemp", str(folder / "inner")]
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), *plugin, "."]
    environment = {**os.environ, SKIPS: "", "PYTHONPATH": str(PROJECT)}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    for path in leaking(folder):
        path.unlink()
    return ran


@pytest.mark.parametrize("processes", [0, 2])
def test_a_key_left_anywhere_fails_the_run_and_each_place_is_named(tmp_path: Path, processes: int) -> None:
    calm = [plant for plant in PLANTED if plant != "raised"]
    ran = inner_run(tmp_path, *(calm if processes else PLANTED), processes=processes)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    named = [line for line in ran.stdout.splitlines() if line.startswith("An API key is in ")]
    for plant in calm if processes else PLANTED:
        assert any(PLANTED[plant] in line for line in named), plant
    assert any("inner/popen-gw" in line for line in named) is bool(processes)


def test_a_run_without_a_leak_passes(tmp_path: Path) -> None:
    ran = inner_run(tmp_path, "nowhere", processes=0)
    assert ran.returncode == 0, ran.stdout
    assert "An API key" not in ran.stdout


def test_a_key_in_a_recorded_request_is_found() -> None:
    with TimeGPTServer() as server:
        server.received.append(Received(path="/v2/forecast", body=KEY.encode(), headers={}))
        with pytest.raises(AssertionError, match="recorded an API key"):
            server.__exit__(None, None, None)
        server.received.clear()


def test_a_key_in_an_event_log_in_memory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Packed, "redacted", staticmethod(str))  # once definitions are loaded, this process hides it
    leaking_road = road(tmp_path, base=TINY)
    instance = leaking_road.__enter__().engine.instance
    instance.report_runless_asset_event(dg.AssetMaterialization("leak", metadata={"header": f"Bearer {KEY}"}))
    with pytest.raises(AssertionError, match="event log"):
        leaking_road.__exit__(None, None, None)


@pytest.mark.skipif(not postgres.is_there(), reason=f"no PostgreSQL at {postgres.URL}")
def test_a_key_in_a_row_of_postgresql_is_found() -> None:
    with postgres.schema() as url:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            connection.execute(sa.text("create table calls (id int, note text)"))
            connection.execute(sa.text("insert into calls values (1, :note)"), {"note": f"Bearer {KEY}"})
        assert postgres.leaking(url.rpartition("%3D")[2])[0].endswith(".calls")
        with engine.begin() as connection:
            connection.execute(sa.text("drop table calls"))
