"""Searches that are killed: forked from a parent that has imported everything and swept nothing.

Belongs here: running one small study, and the parent (``python -m timegpt_assets_tests.adapters.search.searches``). A
fork of a warm parent is a real process of its own, at a fiftieth of the price of a cold one.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timegpt_assets.adapters.search.studies import Heard, Studies, unheard
from timegpt_assets.core.research.search import Space
from timegpt_assets.core.research.trials import Plan, Trial
from timegpt_assets_tests.core.research import search_market as market

NAME = "rules_coarse_0123456789ab"
PLAN = Plan(trials=40, batch=4, startup_trials=8, steps=2, prune_after=8, warmup_steps=0)
INNER: dict[str, tuple[Any, ...]] = {"k_sigma": (0.25, 0.5, 1.0), "s_stop": (0.5, 1.0)}


def searched(
    folder: Path,
    *,
    name: str = NAME,
    processes: int = 1,
    plan: Plan = PLAN,
    url: str | None = None,
    record: Callable[[Collection[str]], None] = lambda names: None,
    heard: Heard = unheard,
    space: Space | None = None,
    days: int = 4,
) -> list[Trial]:
    """Return the trials of a small study."""
    own = space or market.space(inner=INNER)
    studies = Studies(folder=folder, owner=f"process {os.getpid()}", processes=processes, url=url, heard=heard)
    return studies.run(name, own, market.made(own, days=days), plan, capital=200_000.0, record=record)


def lines(folder: Path, name: str = NAME) -> list[dict[str, Any]]:
    """Return what the study's file holds, line by line. Raises JSONDecodeError for one that is none."""
    return [json.loads(line) for line in (folder / name / "trials.jsonl").read_text().splitlines()]


def main() -> None:
    """Fork a process for every search read from standard input, and print its id."""
    import timegpt_assets.adapters.search.importance
    import timegpt_assets.adapters.search.study_store
    import timegpt_assets.adapters.search.workers
    import timegpt_assets.core.backtest.shared  # noqa: F401 - what a search imports, imported once

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            _work(**json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _work(folder: str, name: str, processes: int, out: str) -> None:
    """Search and end the process, whatever happens."""
    said = "over"
    try:
        searched(Path(folder), name=name, processes=processes, record=_recording(Path(folder) / f"{name}.tried"))
    except BaseException:  # noqa: BLE001 - whatever it is, the test that waits shall read it
        said = traceback.format_exc()
    Path(out).write_text(said)
    os._exit(0)


def _recording(file: Path) -> Callable[[Collection[str]], None]:
    def record(names: Collection[str]) -> None:
        with file.open("a") as opened:
            opened.write("".join(f"{name}\n" for name in sorted(names)))

    return record


class Nursery:
    """Starts such processes."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", __name__]
        self._parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, folder: Path, name: str, out: Path, *, processes: int = 1) -> int:
        """Return the id of a new process that searches."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        asked = {"folder": str(folder), "name": name, "processes": processes, "out": str(out)}
        self._parent.stdin.write(json.dumps(asked) + "\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())

    def close(self) -> None:
        """End the parent."""
        self._parent.communicate(timeout=30)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Yield a nursery and end it."""
    made = Nursery()
    try:
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    main()
