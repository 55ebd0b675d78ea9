"""What a run leaves out: nothing where a machine has everything, and no repetition of a soak."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from timegpt_assets_tests.conftest import SKIPS
from timegpt_assets_tests.project import PROJECT

ONE_SKIPPED = """
import pytest

def test_a_service(): pytest.skip("no such service here")

def test_itself(): assert True
"""


@pytest.mark.parametrize(
    ("setting", "processes", "status"),
    [("fail", "0", pytest.ExitCode.TESTS_FAILED), ("fail", "2", pytest.ExitCode.TESTS_FAILED), ("", "0", 0)],
)
def test_a_skipped_test_fails_the_run_where_that_is_asked_for(tmp_path: Path, setting, processes, status):
    (tmp_path / "test_one.py").write_text(ONE_SKIPPED)
    command = [sys.executable, "-m", "pytest", "-ra", "-n", processes, "-p", "timegpt_assets_tests.conftest", "."]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, SKIPS: setting, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status, run.stdout + run.stderr
    assert "no such service here" in run.stdout
    assert (f"1 skipped, and {SKIPS}=fail" in run.stdout) is bool(setting)


REPEATED = """
import pytest

def test_all(repetitions): assert repetitions(200) == 200

def test_once(): assert False, "this one is no soak"
"""


def test_whatever_asks_for_repetitions_is_a_soak_and_gets_all_of_them(tmp_path: Path):
    (tmp_path / "test_one.py").write_text(REPEATED)
    command = [sys.executable, "-m", "pytest", "-m", "soak", "--soak", "-p", "timegpt_assets_tests.conftest", "."]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "1 passed, 1 deselected" in run.stdout
