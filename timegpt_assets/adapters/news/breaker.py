"""Whether a source may be asked now, and by whom: a breaker on record, and one process at a time.

Belongs here: the breaker's states and the turn to ask. A breaker is closed (asked as usual), open (left alone) or
probing (asked once at a time, until it answered often enough); ``news/breakers/<source>.json`` under the storage root
says which, so that a process that begins does not ask whom another was just refused by. Whoever asks a source holds
its turn; the turn of a process that is gone goes to the next.
"""

import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from timegpt_assets.adapters.ledger.process_identity import is_known_dead, is_on_this_machine, owner
from timegpt_assets.adapters.news.connector import Doubt
from timegpt_assets.adapters.storage.object_store import Current, ObjectStore
from timegpt_assets.core.explained import Explained

_LOG = logging.getLogger(__name__)
CLOSED, OPEN, PROBING = "closed", "open", "probing"
LONGEST_SILENCE_S = 86_400.0
"""Most that a source may ask to be left alone for."""
_LOOK_S = 0.5
"""How often one who waits for the turn looks whether it is free."""


class BreakerDamaged(Explained, RuntimeError):
    """Raised when what is on record of a source cannot be read; names the file and the remedy."""


class TurnLost(Explained, RuntimeError):
    """Raised when another process took over the turn of one that was silent for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a source is left alone (failures in a row), for how long, and how many probes must be answered."""

    failures: int
    cooldown_s: float
    successes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where a breaker stands.

    ``failures`` in a row while it is closed, ``successes`` while it is probing. ``since``: when its silence of
    ``silence_s`` began. ``out``: a probe was sent, and nobody has told yet what came of it. ``asked_at``: the last time
    that anything was sent.
    """

    breaker: str = CLOSED
    failures: int = 0
    successes: int = 0
    since: datetime | None = None
    silence_s: float = 0.0
    out: bool = False
    why: str = ""
    asked_at: datetime | None = None

    def held(self, now: datetime) -> str | None:
        """Return why the source must be left alone at the moment, None when it may be asked."""
        # a probe whose asker died before its answer: it may have been refused, so it counts as refused
        if self.since is None or self.breaker == CLOSED or (self.breaker == PROBING and not self.out):
            return None
        until = self.since + timedelta(seconds=self.silence_s)
        return f"left alone until {until:%Y-%m-%d %H:%M:%S}Z, because: {self.why}" if now < until else None

    def since_then(self, now: datetime) -> "State":
        """Return the state by a clock that may have been set back: what lies ahead of it is taken to be now.

        So a silence is never cut short, and never lasts longer than itself from now on.
        """
        since, asked_at = (None if at is None else min(at, now) for at in (self.since, self.asked_at))
        return replace(self, since=since, asked_at=asked_at)

    def sent(self, now: datetime, rules: Rules) -> "State":
        """Return the state with a question on its way: a probe, unless the breaker is closed."""
        if self.breaker == CLOSED:
            return replace(self, asked_at=now)
        successes = self.successes if self.breaker == PROBING and not self.out else 0
        return replace(
            self, breaker=PROBING, successes=successes, out=True, since=now, silence_s=rules.cooldown_s, asked_at=now
        )

    def told(
        self, doubt: Doubt | None, now: datetime, rules: Rules, *, why: str = "", asked_for_s: float = 0.0
    ) -> "State":
        """Return the state after an answer; ``asked_for_s``: how long a wait its source asked for, beyond patience.

        A refused question is a sign of health. An empty answer is no sign at all, but where it is a probe's: a source
        that throttles may answer with nothing, so that is not believed.
        """
        if doubt in (None, Doubt.REFUSED):
            return self._answered(rules)
        if doubt is Doubt.EMPTY and self.breaker == CLOSED:
            return self
        failures = self.failures + 1
        if self.breaker == CLOSED and failures < rules.failures and not asked_for_s:
            return replace(self, failures=failures)
        silence = max(rules.cooldown_s, min(asked_for_s, LONGEST_SILENCE_S))
        return State(breaker=OPEN, since=now, silence_s=silence, why=why, asked_at=self.asked_at)

    def _answered(self, rules: Rules) -> "State":
        if self.breaker == PROBING and self.successes + 1 < rules.successes:
            return replace(self, successes=self.successes + 1, out=False)
        return State(asked_at=self.asked_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holder:
    """Who has the turn: the process, this very turn of its, how often it told of itself, and until when it is good."""

    who: str
    token: str
    beat: int
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """One source's breaker and turn. ``lease_s``: how long a turn lasts that its holder says nothing more of.

    ``spacing_s``: seconds between two questions, whoever asks them. ``clock`` and ``sleep`` are those of the process.
    """

    objects: ObjectStore
    source: str
    rules: Rules
    spacing_s: float
    lease_s: float
    clock: Callable[[], datetime] = field(repr=False)
    sleep: Callable[[float], None] = field(repr=False)

    @contextmanager
    def turn(self) -> Iterator["Turn"]:
        """Yield the turn to ask the source, once nobody else has it. Raises BreakerDamaged and ObjectStoreError."""
        turn = self._awaited()
        try:
            yield turn
        finally:
            turn.give_back()

    def _awaited(self) -> "Turn":
        token, waited_s, seen = secrets.token_hex(8), 0.0, None
        while True:
            _, holder = self.recorded()
            # told apart by what it says of itself and not by its clock: another machine's may be any
            if (mark := holder and (holder.token, holder.beat)) != seen:
                waited_s, seen = 0.0, mark
            turn = Turn(self, token)
            if self._is_free(holder, waited_s) and turn.taken_from(holder):
                return turn
            if holder and not waited_s:
                _LOG.info("%s is being asked by %s: waiting for the turn", self.source, _named(holder.who))
            self.sleep(_LOOK_S)
            waited_s += _LOOK_S

    def _is_free(self, holder: _Holder | None, waited_s: float) -> bool:
        return holder is None or is_known_dead(holder.who) or self.clock() >= holder.until or waited_s >= self.lease_s

    @property
    def name(self) -> str:
        """Return the name of its record."""
        return f"news/breakers/{self.source}.json"

    def recorded(self) -> tuple[State, _Holder | None]:
        """Return where the breaker stands and who has the turn. Raises BreakerDamaged."""
        found = self.objects.read(self.name)
        return self.parsed(found.data if found else b"")

    def parsed(self, data: bytes) -> tuple[State, _Holder | None]:
        """Return what a record says; nothing was asked yet where there is none. Raises BreakerDamaged."""
        if not data:
            return State(), None
        try:
            said = orjson.loads(data)
            holder = said["holder"]
            return State(**_timed(said["state"])), holder and _Holder(**_timed(holder))
        except (ValueError, TypeError, KeyError) as error:
            raise BreakerDamaged(
                f"{self.objects.shown(self.name)} is damaged ({error!r}), so nobody knows whether {self.source} may be "
                "asked. Delete it: the source is then asked as if it had never refused."
            ) from None


class Turn:
    """The right to ask a source: what its breaker says now, and what it is told of each question."""

    def __init__(self, breaker: Breaker, token: str) -> None:
        """Stand for a turn that is not taken yet."""
        self._breaker, self._token, self._beat = breaker, token, 0
        self._until = datetime.min.replace(tzinfo=UTC)
        self.state = State()

    def taken_from(self, holder: _Holder | None) -> bool:
        """Return whether the turn is ours now: that whose it was has not said anything of itself meanwhile."""
        is_ours = False

        def change(current: Current) -> bytes:
            nonlocal is_ours
            data = file.read() if (file := current()) else b""
            state, found = self._breaker.parsed(data)
            is_ours = found == holder
            self.state = state.since_then(self._breaker.clock())
            return self._record() if is_ours else data

        self._breaker.objects.update(self._breaker.name, change)
        return is_ours

    def held(self) -> str | None:
        """Return why the source must be left alone now, None when it may be asked."""
        now = self._breaker.clock()
        self.state = self.state.since_then(now)
        return self.state.held(now)

    @property
    def is_probing(self) -> bool:
        """Return whether the next question is a probe: it is asked once and not again."""
        return self.state.breaker != CLOSED

    def begin(self) -> None:
        """Wait until the source may be sent something again, and put on record what a killed process must have said.

        Raises TurnLost.
        """
        breaker = self._breaker
        if self.state.asked_at is not None and breaker.spacing_s:
            since = (breaker.clock() - self.state.asked_at).total_seconds()
            breaker.sleep(max(0.0, breaker.spacing_s - max(0.0, since)))
        now = breaker.clock()
        self.state = self.state.sent(now, breaker.rules)
        is_short = self._until - now < timedelta(seconds=breaker.lease_s / 2)
        if self.state.out or breaker.spacing_s or is_short:
            self._write()

    def end(self, doubt: Doubt | None, why: str = "", asked_for_s: float = 0.0) -> None:
        """Tell what came of it. Raises TurnLost."""
        before, breaker = self.state, self._breaker
        self.state = before.told(doubt, breaker.clock(), breaker.rules, why=why, asked_for_s=asked_for_s)
        if self.state != before:
            self._write()

    def give_back(self) -> None:
        """Let the next one ask; a turn that was lost is another's already."""
        with suppress(TurnLost):
            self._write(is_over=True)

    def _write(self, *, is_over: bool = False) -> None:
        def change(current: Current) -> bytes:
            _, holder = self._breaker.parsed(file.read() if (file := current()) else b"")
            if holder is None or holder.token != self._token:
                raise TurnLost(
                    f"another process took over asking {self._breaker.source}: this one was silent for longer than "
                    f"{self._breaker.lease_s:g} s. What it was told is kept; materialise raw_news again for the rest."
                )
            return self._record(is_over=is_over)

        self._breaker.objects.update(self._breaker.name, change)

    def _record(self, *, is_over: bool = False) -> bytes:
        self._beat += 1
        self._until = self._breaker.clock() + timedelta(seconds=self._breaker.lease_s)
        holder = _Holder(who=owner(), token=self._token, beat=self._beat, until=self._until)
        return orjson.dumps({"state": self.state, "holder": None if is_over else holder})


def _named(who: str) -> str:
    """Return a process as a person may look for it."""
    return f"process {who.rsplit('/', 2)[1]}{'' if is_on_this_machine(who) else ' of another machine'}"


def _timed(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record, those that are moments as such."""
    moments = {name: datetime.fromisoformat(said[name]) for name in ("since", "asked_at", "until") if said.get(name)}
    return {**said, **moments}
