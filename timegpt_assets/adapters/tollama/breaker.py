"""Whether a model server may be asked: left alone after failures in a row, then tried, one probe at a time.

Belongs here: the state of one process, which forgets it when it ends. What counts as a failure say those who ask.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Failures in a row that open it, seconds until a probe, and probes answered that close it."""

    failures: int
    cooldown_s: float
    probes: int


@dataclass(kw_only=True)
class ModelBreaker:
    """Counts; any number of threads may ask it. ``ticks``: seconds; a jump of it costs a probe early or late at most.

    Whoever is allowed says ``succeeded`` or ``failed`` afterwards. A probe of which nothing is said is given up after
    the cooldown. What is said late, by those who were allowed before it opened, counts as if it were a probe's.
    """

    rules: Rules
    ticks: Callable[[], float] = field(repr=False)
    _in_a_row: int = 0
    _answered: int = 0
    _since: float | None = None
    _probing_since: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def allow(self) -> bool:
        """Return whether the server may be asked now; a probe is its asker's from then on."""
        with self._lock:
            if self._since is None:
                return True
            if self._state() == "open" or self._is_probing():
                return False
            self._probing_since = self.ticks()
            return True

    def succeeded(self) -> None:
        """Count an answer."""
        with self._lock:
            self._in_a_row = 0
            if self._since is None or self._state() == "open":
                return
            self._probing_since = None
            self._answered += 1
            if self._answered >= self.rules.probes:
                self._since, self._answered = None, 0

    def failed(self) -> None:
        """Count a failure; one of a probe opens it anew."""
        with self._lock:
            state = self._state()
            if state == "open":
                return
            self._in_a_row += 1
            if state == "half_open" or self._in_a_row >= self.rules.failures:
                self._since, self._probing_since, self._answered, self._in_a_row = self.ticks(), None, 0, 0

    @property
    def state(self) -> State:
        """Return closed, open, or half_open where probes may be asked."""
        with self._lock:
            return self._state()

    def _state(self) -> State:
        now = self._now()
        if self._since is None:
            return "closed"
        return "half_open" if now - self._since >= self.rules.cooldown_s else "open"

    def _is_probing(self) -> bool:
        now = self._now()
        return self._probing_since is not None and now - self._probing_since < self.rules.cooldown_s

    def _now(self) -> float:
        """Return the time; where it was set back, what began later than now begins now, or it would never end."""
        now = self.ticks()
        self._since = None if self._since is None else min(self._since, now)
        self._probing_since = None if self._probing_since is None else min(self._probing_since, now)
        return now
