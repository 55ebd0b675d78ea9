"""The project's definitions under a clock that a test moves, for a daemon in a process of its own.

``python -m dagster._daemon run -m timegpt_assets_tests.automation.moved_clock``: the time stands in the file that
MOVED_CLOCK names.
"""

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import dagster as dg

from timegpt_assets.definitions import build_definitions
from timegpt_assets.runtime import load_runtime


def now() -> datetime:
    """Return the time that the test has set."""
    return datetime.fromisoformat(Path(os.environ["MOVED_CLOCK"]).read_text())


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the environment's settings, under the moved clock."""
    return build_definitions(replace(load_runtime(), clock=now))
