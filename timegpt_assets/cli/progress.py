"""How far a command is: a line that moves on a terminal, a line now and then in a pipe, and one for each run that ends.

Belongs here: when something is said, and how. What is counted is engine/progress.py.
"""

import threading
import time
from collections.abc import Callable, Mapping

from dagster import AssetKey
from rich.cells import cell_len
from rich.text import Text

from timegpt_assets.cli.terminal import Line, Terminal
from timegpt_assets.core.research.trading_grid import duration
from timegpt_assets.engine.plans import RangeRun
from timegpt_assets.engine.progress import Amount, Pace

DRAWN_EVERY_SEC, LEAST_SEC = 1.0, 10.0
SAID_EVERY_SEC, SAID_AT = 10.0, 10
"""In a pipe: no more often than this, and at every tenth of the partitions."""


class Progress:
    """Prints a line per range run as it ends and, while one goes on, how far it is; keeps how long all of it took."""

    def __init__(self, messages: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        self._messages, self._clock = messages, clock
        self._began = self._started = self._said = clock()
        self._pace, self._tenth = Pace({}), 0
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._drawer: threading.Thread | None = None
        self._line: Line | None = None

    @property
    def seconds(self) -> float:
        """Return the seconds since the command began its work."""
        return self._clock() - self._began

    def heard(self, range_run: RangeRun, done: bool) -> None:
        """Take note of a range run; print it when it is done."""
        with self._lock:
            now = self._clock()
            if not done:
                self._started = now
                self._pace.begun(range_run, now)
                return
            self._pace.ended(range_run, now)
        names = ", ".join(key.path[-1] for key in range_run.assets)
        span = range_run.first if range_run.first == range_run.last else f"{range_run.first} .. {range_run.last}"
        count = len(range_run.partitions) * len(range_run.assets)
        took = f"  {count} partitions  {now - self._started:.1f} s"
        self._messages.print(Text.assemble(("✓", "green"), f" {names}  ", (span, "dim"), took), soft_wrap=True)

    def planned(self, amounts: Callable[[], Mapping[AssetKey, Amount]]) -> None:
        """Take note of what has to be made and, on a terminal, begin to draw."""
        self._pace, self._tenth, self._line = Pace(amounts()), 0, Line(self._messages)
        self._stopped.clear()
        if self._line.moves and self._pace.total:
            self._drawer = threading.Thread(target=self._draw, daemon=True)
            self._drawer.start()

    def stepped(self, key: AssetKey) -> None:
        """Take note of the step that begins."""
        with self._lock:
            self._pace.stepped(key, self._clock())

    def stored(self, key: AssetKey) -> None:
        """Take note of a partition; in a pipe, say how far it is at every tenth."""
        with self._lock:
            self._pace.stored(key)
            tenth, now = SAID_AT * self._pace.made // max(1, self._pace.total), self._clock()
        if self._line and not self._line.moves and tenth > self._tenth and now - self._said >= SAID_EVERY_SEC:
            self._tenth, self._said = tenth, now
            self._line.draw(f"so far: {self.told()}")

    def close(self) -> None:
        """Take the line away: nothing runs any more."""
        self._stopped.set()
        if self._drawer:
            self._drawer.join()
        if self._line:
            self._line.close()
        self._drawer = self._line = None

    def told(self, room: int = 1_000) -> str:
        """Return asset, partitions made of how many, time so far and about what is left, as far as there is room."""
        with self._lock:
            pace, left = self._pace, self._pace.seconds_left(self._clock())
            path = pace.key.path if pace.key else ["what is there"]
            counted = f"{pace.made:,} of {pace.total:,} partitions"
        # the least that is told is the grain of the estimate
        rest = "" if left is None else f", about {duration(left)} left" if left >= LEAST_SEC else ", a few seconds left"
        took = f"{duration(round(self.seconds))} so far"
        said = [f"{'/'.join(path)}: {counted}, {took}{rest}", f"{path[-1]}: {counted}, {took}{rest}"]
        said += [f"{path[-1]}: {counted}{rest}", f"{counted}{rest}", counted]
        return next((words for words in said if cell_len(words) <= room), "")

    def _draw(self) -> None:
        while self._line and not self._stopped.wait(DRAWN_EVERY_SEC):
            self._line.draw(self.told(self._messages.width - 1))
