"""Who sweeps a search's trials: this process alone, or processes it starts and talks to through pipes.

Belongs here: handing trials out and taking results in. A process that is started reads its pipe until that ends, so
none outlives who started it, however that one ended. ``multiprocessing`` would begin by running the caller's own
program again, which for Dagster's is no harmless thing.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait

from timegpt_assets.adapters.search.study_errors import URL, WorkerLost
from timegpt_assets.core.backtest.rules import TradingError
from timegpt_assets.core.research.objective import Daily
from timegpt_assets.core.research.search import Material, Tried

END_WITHIN_SEC = 10.0


@dataclass(frozen=True, slots=True)
class Alone:
    """This process sweeps, a trial after the other."""

    parts: Sequence[Material]

    def swept(self, tried: Mapping[int, Tried], go_on: Callable[[int, Daily], bool]) -> Iterator[int]:
        """Sweep each trial step by step as long as ``go_on`` says so, and give its number when it is over."""
        for number, own in tried.items():
            for part in self.parts:
                if not go_on(number, part.swept(own.combinations)):
                    break
            yield number


@dataclass(frozen=True, slots=True)
class Started:
    """Processes that were started, each with the pipe it is talked to through."""

    processes: Mapping[Connection, "subprocess.Popen[bytes]"]

    def swept(self, tried: Mapping[int, Tried], go_on: Callable[[int, Daily], bool]) -> Iterator[int]:
        """Sweep the trials side by side, the first ones first, and give each number when it is over."""
        waiting = [(number, 0) for number in reversed(list(tried))]
        idle, busy = list(self.processes), dict[Connection, tuple[int, int]]()
        while waiting or busy:
            while waiting and idle:
                number, step = waiting.pop()
                self.give(idle[-1], (step, tried[number].combinations))
                busy[idle.pop()] = number, step
            for pipe in [pipe for pipe in wait(list(busy)) if isinstance(pipe, Connection)]:
                number, step = busy.pop(pipe)
                idle.append(pipe)
                if go_on(number, self._taken(pipe)):
                    waiting.append((number, step + 1))
                else:
                    yield number

    def give(self, pipe: Connection, what: object) -> None:
        """Send a process what it asks for next. Raises WorkerLost for one that is gone."""
        try:
            pipe.send(what)
        except OSError as error:
            raise self._lost(pipe) from error

    def _taken(self, pipe: Connection) -> Daily:
        try:
            found: Daily | TradingError = pipe.recv()
        except (EOFError, OSError) as error:
            raise self._lost(pipe) from error
        if isinstance(found, TradingError):
            raise found
        return found

    def _lost(self, pipe: Connection) -> WorkerLost:
        code = self.processes[pipe].wait(END_WITHIN_SEC)
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return WorkerLost(
            f"a process of the search was {how}; out of memory, perhaps. The trials that are over are kept: run the "
            "same again, with fewer of them: --set search.workers=1"
        )


@contextlib.contextmanager
def started(count: int, parts: Sequence[Material]) -> Iterator[Alone | Started]:
    """Yield who sweeps: this process where ``count`` is 1, else as many that are ended with the block."""
    if count == 1:
        yield Alone(parts)
        return
    processes: dict[Connection, subprocess.Popen[bytes]] = {}
    try:
        for _ in range(count):
            ours, theirs = Pipe()
            command = [sys.executable, "-m", __name__, str(theirs.fileno())]
            # one thread each: as many processes as cores, each with as many threads, are in each other's way
            environ = {name: own for name, own in os.environ.items() if name != URL} | {"POLARS_MAX_THREADS": "1"}
            processes[ours] = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environ)  # noqa: S603 - our own
            theirs.close()
        sweeping = Started(processes)
        for pipe in processes:
            sweeping.give(pipe, list(parts))
        yield sweeping
    finally:
        for pipe, process in processes.items():
            pipe.close()
            try:
                process.wait(END_WITHIN_SEC)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main(handle: int) -> None:
    """Sweep what the pipe asks for until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it, whose end is seen in the pipe
    with Connection(handle) as pipe, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        parts: list[Material] = pipe.recv()
        while True:
            step, combinations = pipe.recv()
            try:
                pipe.send(parts[step].swept(combinations))
            except TradingError as error:
                pipe.send(error)


if __name__ == "__main__":
    main(int(sys.argv[1]))
