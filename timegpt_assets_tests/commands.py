"""Commands that are killed: each a fresh process at the real command line, on a real DAGSTER_HOME.

Belongs here: the parent that forks them (``python -m timegpt_assets_tests.commands``: it has imported everything and
built definitions once, which a cold start spends seconds on, and has run nothing), and the handle a test holds on it.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from timegpt_assets_tests.adapters.crashes import ended


def main() -> None:
    """Fork a command for every line read (environment, words, file for what it prints); print its process id."""
    from timegpt_assets.cli.app import app
    from timegpt_assets.definitions import build_definitions
    from timegpt_assets.runtime import load_runtime

    build_definitions(load_runtime(environ={})).get_repository_def().get_implicit_global_asset_job_def()
    threads = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
    if "polars-0" in threads:  # they are dead in every child, and whatever it reads would hang
        raise RuntimeError("a module reads or selects with Polars as it is imported. Do it where it is called.")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()  # a child that looks through the parent's objects for garbage copies every page of them
    for line in sys.stdin:
        task = json.loads(line)
        if (pid := os.fork()) == 0:
            os.environ.update(task["environment"])
            if task["now"]:
                _set_clock(datetime.fromisoformat(task["now"]))
            _work(app, task["words"], Path(task["log"]))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _set_clock(now: datetime) -> None:
    from timegpt_assets import runtime

    loaded = runtime.load_runtime

    def at_that_time(*told: Any, **options: Any) -> runtime.Runtime:
        return replace(loaded(*told, **options), clock=lambda: now)

    runtime.load_runtime = at_that_time


def _work(app: object, words: Sequence[str], log: Path) -> None:
    """Run the command, its output in the log, and end the process: its exit code is the log's last line."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(handle, stream)
    code: object = 70
    try:
        app(words)  # type: ignore[operator]
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - whatever it is, the test that waits shall read it
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(handle, f"\nexit {code}".encode())
    os._exit(0)


class Commands:
    """Starts such commands and awaits them."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "timegpt_assets_tests.commands"]
        self._parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(
        self, words: Sequence[str], environment: Mapping[str, str], log: Path, *, now: datetime | None = None
    ) -> int:
        """Return the id of a new process at the command; ``now``: what its clock says, and goes on saying."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        task = {"words": list(words), "environment": dict(environment), "log": str(log)} | {
            "now": now and now.isoformat()
        }
        self._parent.stdin.write(json.dumps(task) + "\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())

    def close(self) -> None:
        """End the parent."""
        self._parent.communicate(timeout=30)


def finished(pid: int, log: Path, *, within_sec: float) -> str:
    """Return what the command printed, its exit code last; AssertionError when it hangs."""
    assert ended(pid, within_sec=within_sec), f"hangs: {log.read_text()[-3000:]}"
    return log.read_text()


if __name__ == "__main__":
    main()
