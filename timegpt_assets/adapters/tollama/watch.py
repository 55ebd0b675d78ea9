"""Whether the model is left alone for a while, by itself: answers and probes brought to the rules, by any thread.

Belongs here: the watcher of a process that stays (a thread of its own probes), and of processes that come and go (what
they saw is folded into ``tsfm/degradation.json`` under the storage root). The rules are core/tsfm/degradation.py.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson

from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.adapters.tollama.probe import Health
from timegpt_assets.adapters.tollama.runner import Runner, Unanswered
from timegpt_assets.core.explained import Explained
from timegpt_assets.core.tsfm.asked import Answered, Asked
from timegpt_assets.core.tsfm.degradation import (
    AnswerGiven,
    Event,
    Probe,
    Rules,
    Slice,
    State,
    after,
    counts,
    probe_due,
)

_LOG = logging.getLogger(__name__)
NAME = "tsfm/degradation.json"
MOST_EVENTS = 100_000
"""Events that a process which comes and goes may see: a cycle sees a few hundred."""


class WatchDamaged(Explained, RuntimeError):
    """Raised when what is on record of the model's health cannot be read; names the file and the remedy."""


class Watch:
    """The model's health in this process: a runner's listener, and its ``degraded``. Any thread may call."""

    def __init__(
        self, *, rules: Rules, probe: Callable[[], Health], clock: Callable[[], datetime], state: State | None = None
    ) -> None:
        """Begin where a state stands, else with a model nothing is known of."""
        self._rules, self._probe, self._clock = rules, probe, clock
        self._state = State() if state is None else state
        self._seen: list[Event] | None = None
        self._lock, self._probing = threading.Lock(), threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """Return where the model's health stands."""
        with self._lock:
            return self._state

    def degraded(self) -> bool:
        """Return whether the model is left alone."""
        return self.state.degraded

    def answered(self, answered: Answered) -> None:
        """Take note of an answer; one that says nothing of the model changes nothing."""
        if counts(answered.reason):
            self.tell(AnswerGiven(at=self._clock(), fallback=answered.fallback_used))

    def probe_if_due(self) -> Health | None:
        """Probe the model where it is left alone and its turn has come; None: it was not probed.

        One thread probes at a time. A probe that fails by itself is an unhealthy one.
        """
        if not self._probing.acquire(blocking=False):
            return None
        try:
            if not probe_due(self.state, self._clock(), self._rules):
                return None
            found = self._probe()
            if not found.healthy:
                _LOG.warning("the model stays alone: its probe failed (%s)", found.why)
            self.tell(Probe(at=self._clock(), healthy=found.healthy))
            return found
        finally:
            self._probing.release()

    def start(self) -> None:
        """Probe on a thread of its own from now on, until ``close``."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._probe_on, name="tsfm-health", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread, once a probe that is under way has its answer."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _probe_on(self) -> None:
        # looked at more often than probes are due: one is due an interval after the last, whenever that was
        while not self._stop.wait(self._rules.probe_interval_s / 10):
            try:
                self.probe_if_due()
            except Exception:  # noqa: BLE001 - the thread outlives whatever a probe raises, and tells of it
                _LOG.exception("probing the model failed; it stays alone, and is probed again")
                self.tell(Probe(at=self._clock(), healthy=False))

    def tell(self, event: Event) -> None:
        """Take note of an event, and say where it changes whether the model is left alone."""
        with self._lock:
            was, self._state = self._state, after(self._state, event, self._rules)
            if self._seen is not None and len(self._seen) < MOST_EVENTS:
                self._seen.append(event)
            now = self._state
        if now.degraded and not was.degraded:
            _LOG.warning(
                "%s: every market gets the baseline until %d probes in a row succeed. Look at the model server.",
                now.why,
                self._rules.healthy_probes,
            )
        elif was.degraded and not now.degraded:
            _LOG.warning("the model forecasts again: it is asked as before")

    def remember(self) -> None:
        """Keep every event from now on, for ``seen``."""
        with self._lock:
            self._seen = []

    def seen(self) -> list[Event]:
        """Return the events since ``remember``."""
        with self._lock:
            return [*(self._seen or ())]


@dataclass(frozen=True, kw_only=True)
class KeptWatch:
    """The model's health between processes that come and go."""

    objects: ObjectStore
    rules: Rules
    probe: Callable[[], Health] = field(repr=False)
    clock: Callable[[], datetime] = field(repr=False)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Yield a watcher that goes on from what is recorded, probed first where that is due; record what it saw.

        Two processes at once both count: each folds its own events into what the other left. Raises WatchDamaged and
        ObjectStoreError.
        """
        watch = Watch(rules=self.rules, probe=self.probe, clock=self.clock, state=self.recorded())
        watch.remember()
        try:
            watch.probe_if_due()
            yield watch
        finally:
            self._fold(watch.seen())

    def recorded(self) -> State:
        """Return where the model's health stood last. Raises WatchDamaged."""
        found = self.objects.read(NAME)
        return self._parsed(found.data if found else b"")

    def _fold(self, events: list[Event]) -> None:
        def change(current: Current) -> bytes:
            state = self._parsed(file.read() if (file := current()) else b"")
            for event in events:
                state = after(state, event, self.rules)
            return orjson.dumps(state)

        if events:
            self.objects.update(NAME, change)

    def _parsed(self, data: bytes) -> State:
        if not data:
            return State()
        try:
            said = orjson.loads(data)
            slices = tuple(Slice(**_timed(one)) for one in said.pop("slices"))
            return State(**_timed(said), slices=slices)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WatchDamaged(
                f"{self.objects.shown(NAME)} is damaged ({error!r}), so nobody knows whether the model is left alone. "
                "Delete it: the model is then asked as if it had never failed."
            ) from None


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A runner of a process that comes and goes, which leaves the model alone where another process saw it fail."""

    runner: Runner
    kept: KeptWatch

    def forecast(self, asked: Sequence[Asked]) -> list[Answered | Unanswered]:
        """Return what the runner answers. Raises WatchDamaged and ObjectStoreError."""
        with self.kept.watching() as watch:
            return replace(self.runner, degraded=watch.degraded, listener=watch).forecast(asked)


def _timed(said: dict[str, Any]) -> dict[str, Any]:
    moments = {name: datetime.fromisoformat(said[name]) for name in ("begins", "probed_at", "since") if said.get(name)}
    return {**said, **moments}
