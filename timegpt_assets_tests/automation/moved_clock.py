"""The project's definitions under a clock that a test moves, for a daemon in a process of its own.

``python -m dagster._daemon run -m timegpt_assets_tests.automation.moved_clock``: the time stands in the file that
MOVED_CLOCK names.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster import _time
from typer.testing import CliRunner

from timegpt_assets import runtime
from timegpt_assets.automation import day, tsfm
from timegpt_assets.definitions import build_definitions
from timegpt_assets.instance import run_owners

MODULE = "timegpt_assets_tests.automation.moved_clock"


def now() -> datetime:
    """Return the time that the test has set."""
    return datetime.fromisoformat(Path(os.environ["MOVED_CLOCK"]).read_text())


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the environment's settings, under the moved clock."""
    return build_definitions(replace(runtime.load_runtime(), clock=now))


def move(patched: pytest.MonkeyPatch) -> None:
    """Have everything in this process live by the moved clock: Dagster, its records, commands.

    Dagster's own clock is moved at the seam that its freeze_time uses.
    """
    seconds = SimpleNamespace(time=lambda: now().timestamp())
    patched.setattr(_time, "_mockable_get_current_datetime", now)
    patched.setattr(_time, "_mockable_get_current_timestamp", seconds.time)
    # both are compared with times of Dagster's records
    patched.setattr(run_owners, "time", seconds)
    patched.setattr(day, "now", now)
    # its command would be a process of its own, under a clock of its own
    patched.setattr(tsfm, "subprocess", SimpleNamespace(run=_here))
    loaded = runtime.load_runtime

    def moved(*told: Any, **options: Any) -> runtime.Runtime:
        return replace(loaded(*told, **options), clock=now)

    patched.setattr(runtime, "load_runtime", moved)


def _here(words: Sequence[str], **_: Any) -> "subprocess.CompletedProcess[bytes]":
    """Return what a command of ours comes to, run in this process."""
    from timegpt_assets.cli.app import app

    made = CliRunner().invoke(app, [*words[words.index("timegpt_assets.cli.app") + 1 :]])
    return subprocess.CompletedProcess(words, made.exit_code, made.stdout.encode(), made.stderr.encode())
