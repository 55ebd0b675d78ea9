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
class _Slot:
    number: int
    counts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    latencies: list[float] = field(default_factory=list)
    every: int = 1
    seen: int = 0


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

    def took(self, milliseconds: float) -> None:
        """Note how long an answer took."""
        with self._lock:
            slot = self._now()
            if slot.seen % slot.every == 0:
                slot.latencies.append(milliseconds)
            slot.seen += 1
            if len(slot.latencies) > MOST_LATENCIES:
                slot.latencies, slot.every = slot.latencies[::2], slot.every * 2

    def share(self, part: str, whole: str) -> float:
        """Return how much of ``whole`` was ``part``; nan where there was none of it."""
        with self._lock:
            self._now()
            total = sum((slot.counts.get(whole, 0.0) for slot in self._slots), 0.0)
            return sum((slot.counts.get(part, 0.0) for slot in self._slots), 0.0) / total if total else math.nan

    def p95(self) -> float:
        """Return the latency that 95 of 100 answers stayed within, milliseconds; nan without an answer."""
        with self._lock:
            self._now()
            # a latency of a crowded part stands for as many as were left out beside it
            weighed = sorted((one, slot.every) for slot in self._slots for one in slot.latencies)
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
