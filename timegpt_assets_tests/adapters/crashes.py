"""Processes that ask for a day and are killed: forked from a parent that has imported everything and run nothing.

Belongs here: the parent (``python -m timegpt_assets_tests.adapters.crashes``) and the handle a test holds on it. A
fork of a warm parent is a real process of its own, at a fiftieth of the price of a cold one.
"""

import contextlib
import gc
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from timegpt_assets.adapters.ledger.ledger import BudgetLedger
from timegpt_assets_tests.adapters.timegpt.paid_calls import frame, timegpt

NOW = datetime(2024, 7, 1, 20, tzinfo=UTC)
COOLDOWN_SEC = 0.03
"""Between two calls: long enough for a kill to find the others reserved and nothing sent."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one process is to do: which hours of which days to ask, of which server, with which ledger and cache."""

    url: str
    folder: str
    ledger: str
    run: str
    days: tuple[str, ...] = ("2024-07-01",)
    hours: tuple[int, ...] = (14, 15, 16, 17, 18)


def answered(task: Task) -> str:
    """Return the digest of the rows that the task's answers make, hash and host aside: they name the port."""
    folder = Path(task.folder)
    ledger = BudgetLedger(task.ledger, clock=lambda: NOW)
    limits = {"cooldown_sec": COOLDOWN_SEC, "per_run": 200, "per_day": 2000}
    forecaster = timegpt(task.url, folder, limits=limits, ledger=ledger, clock=lambda: NOW, sleep=_nap)
    digest = hashlib.sha256()
    for day in task.days:
        frames = [frame(hour, day=date.fromisoformat(day), rows=40) for hour in task.hours]
        rows = forecaster.answers(frames, budget_run_id=task.run).rows
        digest.update(rows.drop("request_hash", "host").write_ndjson().encode())
    return digest.hexdigest()


def _nap(seconds: float) -> None:
    time.sleep(min(seconds, 0.05))


def main() -> None:
    """Fork a process for every task read from standard input; print its id. It writes its digest, or its error."""
    from timegpt_assets.adapters.timegpt.sdk import SdkRequests

    SdkRequests("http://127.0.0.1:9", 1.0).model_params("warmed-up")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.freeze()  # as commands.py
    for line in sys.stdin:
        task = Task(**{k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(line).items()})
        if (pid := os.fork()) == 0:
            _work(task)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _work(task: Task) -> None:
    """Do the task and end the process, whatever happens; the digest appears whole or not at all."""
    out = Path(task.folder) / f"{task.run}.out"
    try:
        said = answered(task)
    except Exception:  # noqa: BLE001 - whatever it is, the test that waits shall read it
        said = traceback.format_exc()
    half = out.with_suffix(".half")
    half.write_text(said)
    half.replace(out)
    os._exit(0)


class Nursery:
    """Starts, kills and awaits such processes."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "timegpt_assets_tests.adapters.crashes"]
        self._parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, task: Task) -> int:
        """Return the id of a new process at the task."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(task.__dict__) + "\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())

    def finished(self, task: Task, pid: int, *, within_sec: float = 60.0) -> str:
        """Return what the process wrote; raises AssertionError when it hangs or fails."""
        assert ended(pid, within_sec=within_sec), f"{task.run} hangs"
        said = (Path(task.folder) / f"{task.run}.out").read_text()
        assert len(said) == 64, said
        return said

    def close(self) -> None:
        """End the parent."""
        self._parent.communicate(timeout=30)


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    """Yield a nursery and end it."""
    made = Nursery()
    try:
        yield made
    finally:
        made.close()


def killed(pids: Sequence[int]) -> bool:
    """Kill the processes with SIGKILL, wait until they are gone, and return whether any was still at work."""
    found = False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            found = True
    for pid in pids:
        assert ended(pid, within_sec=30)
    return found


def ended(pid: int, *, within_sec: float) -> bool:
    """Return whether the process is gone within the time given."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_sec)[0])
    finally:
        os.close(handle)


if __name__ == "__main__":
    main()
