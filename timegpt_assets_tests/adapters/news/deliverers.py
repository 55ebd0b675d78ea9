"""Processes that deliver a session's news and are killed: forked from a parent that has imported everything.

Belongs here: the parent (``python -m timegpt_assets_tests.adapters.news.deliverers``) and how a test starts one.
"""

import contextlib
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from timegpt_assets.adapters.news.asking import Asking
from timegpt_assets.adapters.news.attempts import AttemptLog
from timegpt_assets.adapters.news.breaker import Breaker, Rules
from timegpt_assets.adapters.news.connector import Connector, Question
from timegpt_assets.adapters.news.gdelt_files import GdeltFiles
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.news.round import Asked
from timegpt_assets.adapters.news.sources import NewsSources
from timegpt_assets.adapters.storage.object_store import LocalStore
from timegpt_assets_tests.adapters.crashes import ended
from timegpt_assets_tests.adapters.news.askers import AFTER, DAY, DOC, PATIENCE, doc

FILES = Rules(failures=5, cooldown_s=300.0, successes=2)
HOURS = 1.5


@dataclass(frozen=True, kw_only=True)
class Task:
    """What one process is to do: deliver DAY from a server into a folder, and write what it has to say there."""

    url: str
    folder: str
    run: str
    seconds_later: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LastHours(GdeltFiles):
    """The files of a window's last hour and a half: seven."""

    def questions(self, window: tuple[datetime, datetime], day: date) -> Sequence[Question]:
        return super().questions((window[1] - timedelta(hours=HOURS), window[1]), day)


def delivering(task: Task) -> NewsSources:
    """Return the files and the search of a server, by a clock that stands still."""
    objects = LocalStore(Path(task.folder))
    listed = [_asked(objects, task, doc(task.url), DOC), _asked(objects, task, LastHours(base_url=task.url), FILES)]
    return NewsSources(listed=tuple(listed), raw=RawStore(objects), log=AttemptLog(objects), live=False)


def _asked(objects: LocalStore, task: Task, connector: Connector, rules: Rules) -> Asked:
    now = AFTER + timedelta(seconds=task.seconds_later)
    turning = Breaker(
        objects=objects,
        source=connector.name,
        rules=rules,
        spacing_s=0.0,
        lease_s=1e6,  # the clock stands still: nobody's turn ends but that of who is gone
        clock=lambda: now,
        sleep=_nap,
    )
    asking = Asking(patience=PATIENCE, log=AttemptLog(objects), clock=lambda: now, sleep=_nap)
    return Asked(connector=connector, breaker=turning, asking=asking, raw=RawStore(objects))


def _nap(seconds: float) -> None:
    time.sleep(min(seconds, 0.005))


def main() -> None:
    """Fork a process for every task read from standard input; print its id."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    logging.disable(logging.WARNING)
    gc.freeze()
    for line in sys.stdin:
        task = Task(**json.loads(line))
        if (pid := os.fork()) == 0:
            _work(task)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _work(task: Task) -> None:
    """Do the task and end the process, whatever happens; its rows appear whole or not at all."""
    try:
        said = delivering(task).deliver([DAY]).drop("fetched_at").write_json()
    except Exception:  # noqa: BLE001 - whatever it is, the test that waits shall read it
        said = traceback.format_exc()
    half = Path(task.folder) / f"{task.run}.half"
    half.write_text(said)
    half.replace(half.with_suffix(".out"))
    os._exit(0)


@dataclass
class Nursery:
    """Starts and awaits such processes."""

    parent: "subprocess.Popen[str]"

    def start(self, task: Task) -> int:
        """Return the id of a new process at the task."""
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(json.dumps(asdict(task)) + "\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    def finished(self, task: Task, pid: int) -> list[Mapping[str, object]]:
        """Return the rows that the process delivered; raises AssertionError when it hangs or fails."""
        assert ended(pid, within_sec=60), f"{task.run} hangs"
        said = (Path(task.folder) / f"{task.run}.out").read_text()
        assert said.startswith("["), said
        found: list[Mapping[str, object]] = json.loads(said)
        return found


@contextlib.contextmanager
def nursery() -> Iterator[Nursery]:
    """Yield a nursery and end it."""
    command = [sys.executable, "-m", "timegpt_assets_tests.adapters.news.deliverers"]
    made = Nursery(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    try:
        yield made
    finally:
        made.parent.communicate(timeout=30)


if __name__ == "__main__":
    main()
