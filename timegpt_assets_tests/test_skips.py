"""A machine that has everything a test asks for must not pass by skipping."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from timegpt_assets_tests.conftest import SKIPS

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
        command, cwd=tmp_path, env={**os.environ, SKIPS: setting}, capture_output=True, text=True, check=False
    )
    assert run.returncode == status, run.stdout + run.stderr
    assert "no such service here" in run.stdout
    assert (f"1 skipped, and {SKIPS}=fail" in run.stdout) is bool(setting)
