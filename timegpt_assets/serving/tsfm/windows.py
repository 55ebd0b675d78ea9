"""Shares and a percentile over the last minutes of one process, in constant memory.

Belongs here: the arithmetic of a rolling window. What is counted in one is metrics.py.
"""

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

SLOTS = 60
"""Parts of a window: it ends a sixtieth of itself too early at most."""
MOST_LATENCIES = 500
"""Latencies kept of a part; of more, every second, every fourth and so on is."""


@dataclass(slots=True)
class _Latencies:
    kept: list[float] = field(default_factory=list)
    every: int = 1
    seen: int = 0

    def add(self, milliseconds: float) -> None:
        if self.seen % self.every == 0:
            self.kept.append(milliseconds)
        self.seen += 1
        if len(self.kept) > MOST_LATENCIES:
            self.kept, self.every = self.kept[::2], self.every * 2


@dataclass(slots=True)
class _Slot:
    number: int
    counts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    latencies: dict[str, _Latencies] = field(default_factory=lambda: defaultdict(_Latencies))


class Window:
    """What happened in the last ``seconds`` by a clock that only goes on; any thread may tell and ask."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        """Begin with nothing."""
        self._width, self._monotonic = seconds / SLOTS, monotonic
        self._slots: deque[_Slot] = deque()
        self._lock = threading.Lock()

    def add(self, **counts: float) -> None:
        """Count what happened now."""
        with self._lock:
            now = self._now().counts
            for name, count in counts.items():
                now[name] += count

    def took(self, kind: str, milliseconds: float) -> None:
        """Note how long an answer of a kind took."""
        with self._lock:
            self._now().latencies[kind].add(milliseconds)

    def count(self, name: str) -> float:
        """Return how often something was counted, or how many answers of a kind there were."""
        with self._lock:
            self._now()
            counted = sum(slot.counts.get(name, 0.0) for slot in self._slots)
            return counted + sum(slot.latencies[name].seen for slot in self._slots if name in slot.latencies)

    def share(self, part: str, whole: str) -> float:
        """Return how much of ``whole`` was ``part``; nan where there was none of it."""
        with self._lock:
            self._now()
            total = sum((slot.counts.get(whole, 0.0) for slot in self._slots), 0.0)
            return sum((slot.counts.get(part, 0.0) for slot in self._slots), 0.0) / total if total else math.nan

    def p95(self, kind: str) -> float:
        """Return the latency that 95 of 100 answers of a kind stayed within, milliseconds; nan without an answer."""
        with self._lock:
            self._now()
            parts = [slot.latencies[kind] for slot in self._slots if kind in slot.latencies]
            # a latency of a crowded part stands for as many as were left out beside it
            weighed = sorted((one, part.every) for part in parts for one in part.kept)
        total, reached = sum(weight for _, weight in weighed), 0
        for latency, weight in weighed:
            reached += weight
            if reached >= 0.95 * total:
                return latency
        return math.nan

    def _now(self) -> _Slot:
        number = int(self._monotonic() // self._width)
        while self._slots and self._slots[0].number <= number - SLOTS:
            self._slots.popleft()
        if not self._slots or self._slots[-1].number != number:
            self._slots.append(_Slot(number))
        return self._slots[-1]
