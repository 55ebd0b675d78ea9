"""The drill: ledger and cache are backed up while answers are paid for, lost, and restored; nothing is bought twice.

The scripts are those of deploy/; the provider is the local server, which counts what it is paid for.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets.adapters.timegpt import cache_care
from timegpt_assets.adapters.timegpt.forecaster import TimeGPT
from timegpt_assets_tests.adapters import postgres
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt
from timegpt_assets_tests.project import PROJECT
from timegpt_assets_tests.servers.timegpt import TimeGPTServer


@pytest.fixture
def server() -> Iterator[TimeGPTServer]:
    with TimeGPTServer(input_size=60) as running:
        yield running


def ledger(url: str) -> BudgetLedger:
    return BudgetLedger(url, clock=lambda: datetime.now(UTC))


def script(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a script of deploy/ and return how it ended."""
    command = [str(PROJECT / "deploy" / name), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def done(name: str, *words: object) -> None:
    said = script(name, *words)
    assert said.returncode == 0, said.stderr


def well(here: TimeGPT, host: str) -> bool:
    report = cache_care.verified(here.cache, here.ledger, host)
    return not report.missing and not report.damaged


def test_what_was_paid_before_a_backup_is_there_after_the_loss_and_only_the_rest_is_bought(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    old, new, backup = tmp_path / "old", tmp_path / "new", tmp_path / "backup"
    old.mkdir()
    timegpt(server.url, old).answers([frame(14), frame(15)], budget_run_id="a")
    done("back_up.sh", old / "ledger.db", old / "cache", backup)
    timegpt(server.url, old).answers([frame(16)], budget_run_id="b")
    shutil.rmtree(old)
    done("restore.sh", backup, new / "ledger.db", new / "cache")
    here = timegpt(server.url, new)
    assert well(here, server.host)
    again = here.answers([frame(14), frame(15), frame(16)], budget_run_id="c")
    assert (again.cached, again.sent) == (2, 1)


def test_an_answer_that_came_between_ledger_and_cache_is_not_bought_again(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    """Backed up while runs go on: the ledger's copy is the older of the two."""
    old, new, backup = tmp_path / "old", tmp_path / "new", tmp_path / "backup"
    old.mkdir()
    timegpt(server.url, old).answers([frame(14)], budget_run_id="a")
    done("back_up.sh", old / "ledger.db", old / "cache", backup)
    timegpt(server.url, old).answers([frame(15)], budget_run_id="b")
    done("back_up.sh", old / "ledger.db", old / "cache", tmp_path / "later")
    shutil.rmtree(backup / "forecast_cache")
    shutil.copytree(tmp_path / "later" / "forecast_cache", backup / "forecast_cache")
    (backup / "SHA256SUMS").write_text("")
    (backup / "SHA256SUMS").write_text(_sums(backup))
    done("restore.sh", backup, new / "ledger.db", new / "cache")
    again = timegpt(server.url, new).answers([frame(14), frame(15)], budget_run_id="c")
    assert (again.cached, again.sent) == (2, 0)


@pytest.mark.skipif(not postgres.is_there(), reason=f"no PostgreSQL at {postgres.URL}")
def test_a_ledger_in_postgresql_is_backed_up_and_restored_into_an_empty_database(
    server: TimeGPTServer, tmp_path: Path
) -> None:
    with postgres.database() as url, postgres.database() as empty:
        timegpt(server.url, tmp_path, ledger=ledger(url)).answers([frame(14)], budget_run_id="a")
        done("back_up.sh", url, tmp_path / "cache", tmp_path / "backup")
        done("restore.sh", tmp_path / "backup", empty, tmp_path / "new")
        shutil.rmtree(tmp_path / "cache")
        shutil.move(tmp_path / "new", tmp_path / "cache")
        again = timegpt(server.url, tmp_path, ledger=ledger(empty)).answers([frame(14)], budget_run_id="b")
        assert (again.cached, again.sent) == (1, 0)


def test_nothing_is_overwritten_and_a_damaged_backup_is_refused(server: TimeGPTServer, tmp_path: Path) -> None:
    timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    backup = tmp_path / "backup"
    done("back_up.sh", tmp_path / "ledger.db", tmp_path / "cache", backup)
    for said in (
        script("back_up.sh", tmp_path / "ledger.db", tmp_path / "cache", backup),
        script("restore.sh", backup, tmp_path / "ledger.db", tmp_path / "elsewhere"),
        script("restore.sh", backup, tmp_path / "elsewhere.db", tmp_path / "cache"),
    ):
        assert said.returncode == 1
        assert "nothing is overwritten" in said.stderr
    file = next((backup / "forecast_cache").rglob("*.zst"))
    file.write_bytes(file.read_bytes()[:-3])
    damaged = script("restore.sh", backup, tmp_path / "elsewhere.db", tmp_path / "elsewhere")
    assert damaged.returncode == 1
    assert "is damaged. Take an older one" in damaged.stderr
    assert well(timegpt(server.url, tmp_path), server.host)
    assert not (tmp_path / "elsewhere.db").exists()


def test_what_is_backed_up_is_its_owner_s_alone(server: TimeGPTServer, tmp_path: Path) -> None:
    timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    done("back_up.sh", tmp_path / "ledger.db", tmp_path / "cache", tmp_path / "backup")
    done("restore.sh", tmp_path / "backup", tmp_path / "new.db", tmp_path / "new")
    made = [tmp_path / "new.db", *(tmp_path / "backup").rglob("*"), *(tmp_path / "new").rglob("*")]
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_the_nightly_unit_makes_a_backup_of_its_own_each_time(server: TimeGPTServer, tmp_path: Path) -> None:
    timegpt(server.url, tmp_path).answers([frame(14)], budget_run_id="a")
    unit = (PROJECT / "deploy" / "systemd" / "timegpt-assets-back-up.service").read_text(encoding="utf-8")
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart=")).partition("=")[2]
    words = shlex.split(line.replace("/opt/timegpt_assets", str(PROJECT)).replace("%%", "%"))
    places = {"LEDGER": tmp_path / "ledger.db", "CACHE": tmp_path / "cache", "BACKUPS": tmp_path / "backups"}
    subprocess.run(words, env=os.environ | {name: str(place) for name, place in places.items()}, check=True)
    (made,) = (tmp_path / "backups").iterdir()
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{4}", made.name)
    done("restore.sh", made, tmp_path / "new" / "ledger.db", tmp_path / "new" / "cache")
    assert well(timegpt(server.url, tmp_path / "new"), server.host)


def _sums(backup: Path) -> str:
    """Return the sums of a backup's files, as sha256sum writes them."""
    files = [
        str(path.relative_to(backup)) for path in backup.rglob("*") if path.is_file() and path.name != "SHA256SUMS"
    ]
    return subprocess.run(["sha256sum", *files], cwd=backup, capture_output=True, text=True, check=True).stdout
