"""Dagster's daemon in a process of its own, under the moved clock. One in the test's own process is daemon_here.py."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timegpt_assets_tests.automation.moved_clock import MODULE
from timegpt_assets_tests.project import PROJECT


@contextmanager
def daemon(folder: Path) -> Iterator[None]:
    """Run a daemon on the environment's home, its sensor new_session switched on; end it afterwards."""
    dagster = [sys.executable, "-m", "dagster"]
    start = [*dagster, "sensor", "start", "new_session", "-m", MODULE]
    subprocess.run(start, check=True, capture_output=True, cwd=PROJECT)
    with (folder / "daemon.log").open("ab") as log:
        command = [sys.executable, "-m", "dagster._daemon", "run", "-m", MODULE]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=PROJECT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)
