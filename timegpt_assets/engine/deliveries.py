"""What the source has delivered, compared with what is stored of it, and until when bars are awaited.

Belongs here: the files that changed since they were last found to agree with the stored rows (cheap: by their state),
the partitions in which they differ (by content), and a session's deadline. What follows from it is inventory.py.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Protocol, runtime_checkable

import orjson
from dagster import AssetKey

from timegpt_assets.adapters.market.market_data import MarketDataError
from timegpt_assets.adapters.storage.object_store import Current, ObjectStore, ObjectStoreError
from timegpt_assets.adapters.storage.parquet_files import Facts, row_count
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.assets.bars import arrived
from timegpt_assets.config.errors import ConfigError
from timegpt_assets.core import calendar
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.partitions import symbols as all_symbols
from timegpt_assets.runtime import MarketData, Runtime, market_data

RAW_BARS, BARS = AssetKey(["bars", "raw_bars"]), AssetKey(["bars", "bars"])
DAMAGED = ("unreadable", "columns")
AGREED = "source_agreed.json"
"""Under the storage root: by file of the source, the state in which what is stored of it was found to agree with it."""


@runtime_checkable
class Dated(Protocol):
    """A source whose files can be told apart from what they were before; a made-up market has none."""

    def states(self, symbols: Sequence[str], firsts: Sequence[date]) -> Mapping[tuple[str, date], str]:
        """Return what changes with each file there is of these symbols and months (their first days)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Stored raw_bars partitions of which the source has other content now.

    ``delivered``: it had none, or had not the session before; ``revised``: it had other rows; ``elsewhere``: it is
    another source than the rows came from.
    """

    delivered: frozenset[PartitionRef] = frozenset()
    revised: frozenset[PartitionRef] = frozenset()
    elsewhere: frozenset[PartitionRef] = frozenset()

    def __or__(self, other: "Changed") -> "Changed":
        """Return both together."""
        return Changed(
            delivered=self.delivered | other.delivered,
            revised=self.revised | other.revised,
            elsewhere=self.elsewhere | other.elsewhere,
        )


@dataclass(kw_only=True)
class Deliveries:
    """The source beside what is stored of it under one root."""

    runtime: Runtime
    objects: ObjectStore
    now: datetime
    symbols: tuple[str, ...]
    tickers: tuple[str, ...]
    late_after_min: int
    deadline_sessions: int
    unread: list[str] = field(default_factory=list)

    @cached_property
    def source(self) -> MarketData:
        """Return the source, opened when it is first asked. Raises ConfigError where nobody said where it lies."""
        return market_data(self.runtime)

    @cached_property
    def place(self) -> str:
        """Return where the source lies."""
        return _place(self.runtime)

    @property
    def store(self) -> ParquetStore:
        """Return where the stored rows lie."""
        return ParquetStore(self.objects)

    @classmethod
    def of(cls, runtime: Runtime) -> "Deliveries":
        """Return those of a runtime, as of now."""
        settings = runtime.settings
        return cls(
            runtime=runtime,
            objects=runtime.storage,
            now=runtime.clock(),
            symbols=all_symbols(settings),
            tickers=settings.universe.tickers,
            late_after_min=settings.dq_policy.late_after_min,
            deadline_sessions=settings.dq_policy.deadline_sessions,
        )

    def deadline(self, day: date) -> datetime:
        """Return until when the session's bars are awaited."""
        return calendar.deadline(day, self.deadline_sessions)

    def until(self, day: date) -> str:
        """Return the session's deadline as a person reads it."""
        return _shown(self.deadline(day))

    def is_over(self, day: date) -> bool:
        """Return whether nobody's bars of the session are awaited any more."""
        return self.now >= self.deadline(day)

    def is_due(self, day: date) -> bool:
        """Return whether everybody's bars should be there by now."""
        return self.now >= self._due(day)

    def _due(self, day: date) -> datetime:
        return calendar.session(day).close + timedelta(minutes=self.late_after_min)

    def awaited(self, days: Iterable[date]) -> dict[date, tuple[str, ...]]:
        """Return by session the symbols that have no rows and may still get some, by the verdicts that are stored."""
        # past the deadline nothing is awaited: one dead ticker must not hold all others for good
        open_days = [day for day in days if not self.is_over(day)]
        facts = self.store.read_facts(BARS.to_user_string(), open_days, missing="ok")
        found: dict[date, tuple[str, ...]] = {}
        for (day, symbol), fact in sorted(facts.items()):
            if fact.get("verdict") == "late" and symbol in self.symbols:
                found[date.fromisoformat(day)] = (*found.get(date.fromisoformat(day), ()), symbol)
        return found

    def holds(self, day: date, absent: Collection[str]) -> str:
        """Return why what stands on the session's bars is not made yet while these are absent; "" when it may be.

        Paid answers are about everybody in one request: it waits for all of them for a while, and then for anybody.
        """
        # one request is about everybody, and who is not in it is not asked for later: it pays to wait a while
        if not absent or (self.is_due(day) and set(self.tickers) - set(absent)):
            return ""
        until = self.deadline(day) if self.is_due(day) else self._due(day)
        return f"waits for bars of {named(absent)} until {_shown(until)}"

    def changed(self, stored: Mapping[PartitionRef, Facts]) -> Changed:
        """Return in which of these partitions the source differs. Raises MarketDataError when it cannot be read.

        A damaged file differs from nothing, what was good is not given up for it: it is told in ``unread``.
        """
        if not stored or not isinstance(self.source, Dated):
            return Changed()
        # by file, for a month file of which nothing changed costs one look at its state and no reading
        files = _by_file(stored)
        states, notes = self.states(stored), _read_agreed(self.objects)
        agreed, changed = dict[str, Note](), Changed()
        for name, partitions in sorted(files.items()):
            note, state = notes.get(name, Note()), states.get(name, "")
            moved = bool(note.place) and note.place != self.place
            # no state: the file has gone, and what was good is not given up for it
            if not moved and note.place and state in ("", note.state):
                continue
            if moved and not state:
                self._refuse_absent(name, note.place, [p for p in partitions if row_count(stored[p])])
            if (found := self._differing({p: stored[p] for p in partitions})) is None:
                continue
            changed |= _sorted_out(stored, found, moved=moved)
            # noted as agreed only when nothing differs: until what differs is made again, it is compared again
            if not found or not note.place:
                agreed[name] = Note(self.place, "" if found else state)
        if agreed:
            _write_agreed(self.objects, agreed)
        return changed

    def states(self, partitions: Iterable[PartitionRef]) -> dict[str, str]:
        """Return the state of every file there is that has a say in these raw_bars partitions, by its name here."""
        if not (files := _by_file(partitions)) or not isinstance(self.source, Dated):
            return {}
        symbols = sorted({symbol for symbol, _ in map(_parsed, files)})
        firsts = sorted({first for _, first in map(_parsed, files)})
        return {_file(symbol, first): state for (symbol, first), state in self.source.states(symbols, firsts).items()}

    def states_before(self, partitions: Iterable[PartitionRef]) -> dict[str, str]:
        """Return the states before a run reads the files; none where they cannot be read: the run says so itself."""
        try:
            return self.states(partitions)
        except (ConfigError, MarketDataError, ObjectStoreError):
            return {}

    def note_made(self, before: Mapping[str, str]) -> None:
        """Note that partitions were made from the files, by their states ``before`` that.

        A file of which there is a note already keeps it: other partitions of it were compared with another state.
        """
        notes = _read_agreed(self.objects)
        if new := {name: Note(self.place, state) for name, state in before.items() if name not in notes}:
            _write_agreed(self.objects, new)

    def _refuse_absent(self, name: str, before: str, partitions: Collection[PartitionRef]) -> None:
        if partitions:
            raise MarketDataError(
                f"{self.place} has no file of {name}, of which {len(partitions)} sessions are stored from {before}. "
                "Put it there, point the source back, or choose another data.storage_root and data.dagster_home."
            )

    def _differing(self, stored: Mapping[PartitionRef, Facts]) -> set[PartitionRef] | None:
        """Return the partitions of one file in which it differs; None, told in ``unread``, when it is damaged."""
        try:
            return {PartitionRef.of(key) for key in differing(self.source, {p.key: f for p, f in stored.items()})}
        except MarketDataError as error:
            self.unread.append(str(error))
            return None


def differing(source: MarketData, stored: Mapping[str, Facts]) -> list[str]:
    """Return those of the stored raw_bars partitions, facts by key, that the source has other content for, sorted.

    Only content counts, never a file's date. Raises MarketDataError for a file that cannot be read.
    """
    now = arrived(source, list(stored)).facts if stored else {}
    if damage := [text for fact in now.values() for rule, _, text in fact.get("faults", ()) if rule in DAMAGED]:
        raise MarketDataError(damage[0])
    return sorted(key for key, fact in stored.items() if fact.get("content") != now[key]["content"])


def touched(first: date) -> list[date]:
    """Return the sessions that a month's file has a say in: its own and the next one, which starts from its close."""
    own = calendar.month_sessions(f"{first:%Y-%m}")
    return [*own, calendar.shifted(own[-1], 1)]


def _sorted_out(stored: Mapping[PartitionRef, Facts], differing: Collection[PartitionRef], *, moved: bool) -> Changed:
    if moved:
        return Changed(elsewhere=frozenset(differing))
    came = {partition for partition in differing if not row_count(stored[partition])}
    after = {PartitionRef(calendar.shifted(p.day, 1), p.symbol) for p in came}  # they start from its close
    delivered = came | (after & set(differing))
    return Changed(delivered=frozenset(delivered), revised=frozenset(set(differing) - delivered))


def _shown(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def stored_facts(
    store: ParquetStore, key: AssetKey, partitions: Iterable[PartitionRef], *, monthly: bool = False
) -> dict[PartitionRef, Facts]:
    """Return the facts of those partitions that are stored. Raises StoreError for a file that is torn."""
    wanted = set(partitions)
    files = {f"{p.day:%Y-%m}" if monthly else f"{p.day}" for p in wanted}
    found = store.read_facts(key.to_user_string(), files, missing="ok")
    stored = {
        PartitionRef.of(f"{file}-01" if monthly else file, symbol): fact for (file, symbol), fact in found.items()
    }
    return {partition: fact for partition, fact in stored.items() if partition in wanted}


def _by_file(partitions: Iterable[PartitionRef]) -> dict[str, list[PartitionRef]]:
    """Return the partitions by the files that have a say in them: their month's, and the session before's."""
    found: dict[str, list[PartitionRef]] = {}
    for partition in partitions:
        before = calendar.shifted(partition.day, -1)
        # the first session of a month starts from the last close of the month before: another file
        for first in {partition.day.replace(day=1), before.replace(day=1)}:
            found.setdefault(_file(partition.symbol, first), []).append(partition)
    return found


def _file(symbol: str, first: date) -> str:
    return f"{symbol} {first:%Y-%m}"


def _parsed(name: str) -> tuple[str, date]:
    symbol, _, month = name.partition(" ")
    return symbol, date.fromisoformat(f"{month}-01")


def named(symbols: Collection[str], shown: int = 5) -> str:
    """Return the first few symbols, and how many more there are."""
    more = f" and {len(symbols) - shown} more" if len(symbols) > shown else ""
    return ", ".join(sorted(symbols)[:shown]) + more


@dataclass(frozen=True, slots=True)
class Note:
    """Where a file lay, and its state, when all that is stored of it was found to agree with it ("": it did not)."""

    place: str = ""
    state: str = ""


def _read_agreed(objects: ObjectStore) -> dict[str, Note]:
    """Return the note of every file; none where they are absent or damaged: then content is compared again."""
    found = objects.read(AGREED)
    try:
        said = orjson.loads(found.data) if found else {}
        return {str(name): Note(str(place), str(state)) for name, (place, state) in said.items()}
    except (orjson.JSONDecodeError, TypeError, ValueError, AttributeError):
        return {}


def _write_agreed(objects: ObjectStore, notes: Mapping[str, Note]) -> None:
    def changed(_: Current) -> bytes:
        # read again under the lock: another process may have noted other files meanwhile
        said = {name: [note.place, note.state] for name, note in {**_read_agreed(objects), **notes}.items()}
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)

    objects.update(AGREED, changed)


def _place(runtime: Runtime) -> str:
    """Return where the source lies, as a person would find it."""
    data = runtime.settings.data
    if data.source == "synthetic":
        return "the synthetic market"
    if data.source == "local":
        return f"{runtime.path(data.required_root)}/{data.template}"
    return f"gs://{data.required_bucket.removeprefix('gs://')}/{data.template}"
