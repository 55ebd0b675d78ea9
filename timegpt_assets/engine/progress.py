"""How far a rectangle is: what has to be made, what is made, and about how long the rest takes.

Belongs here: counting, of what the engine tells a listener. No clock is read and nothing is printed here.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Protocol

from dagster import AssetKey

from timegpt_assets.engine.axes import AXES
from timegpt_assets.engine.plans import PartitionRef, RangeRun


@dataclass(frozen=True, slots=True)
class Amount:
    """So many partitions of an asset, each of them standing for so many symbol days: what its time grows with."""

    partitions: int
    symbol_days: float


class Listener(Protocol):
    """Who is told how far the engine is; every call comes from the thread that runs it."""

    def planned(self, amounts: Callable[[], Mapping[AssetKey, Amount]]) -> None:
        """Hear that a rectangle begins, and what it has to make, if that is asked for."""

    def stepped(self, key: AssetKey) -> None:
        """Hear that the step of an asset begins."""

    def stored(self, key: AssetKey) -> None:
        """Hear that a partition of an asset is made."""

    def close(self) -> None:
        """Hear that nothing runs any more, whatever came of it."""


class Silent:
    """A listener that asks nothing and says nothing."""

    def planned(self, amounts: Callable[[], Mapping[AssetKey, Amount]]) -> None:
        """Ask for no amounts: counting them takes a look at every partition."""

    def stepped(self, key: AssetKey) -> None:
        """Say nothing."""

    def stored(self, key: AssetKey) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


def amounts(needed: Mapping[AssetKey, Set[PartitionRef]], kinds: Mapping[AssetKey, str]) -> dict[AssetKey, Amount]:
    """Return how much these partitions are; months stand for all the symbol days, spread over them."""
    found = {key: partitions for key, partitions in needed.items() if partitions}
    days = {p.day for key, own in found.items() if not AXES[kinds[key]].rank for p in own}
    symbols = {p.symbol for own in found.values() for p in own if p.symbol}
    months = {p.day for key, own in found.items() if AXES[kinds[key]].rank for p in own}
    many = float(max(1, len(symbols)))
    by_rank = many, many * max(1, len(days)) / max(1, len(months))
    each = {kind: by_rank[axis.rank] for kind, axis in AXES.items()} | {"day_symbol": 1.0}
    return {key: Amount(len(own), each[kinds[key]]) for key, own in found.items()}


@dataclass
class Pace:
    """What is done and left of a rectangle, and how long its symbol days took; times are seconds of any clock."""

    amounts: Mapping[AssetKey, Amount]
    done: Counter[AssetKey] = field(default_factory=Counter)
    key: AssetKey | None = None
    """The asset whose step runs."""
    _left: Counter[AssetKey] = field(init=False)
    _in_run: Counter[AssetKey] = field(default_factory=Counter)
    _took: defaultdict[AssetKey, float] = field(default_factory=lambda: defaultdict(float))
    _of: defaultdict[AssetKey, float] = field(default_factory=lambda: defaultdict(float))
    """Symbol days whose seconds are in ``_took``."""
    _since: float = 0.0

    def __post_init__(self) -> None:
        """Begin with everything left."""
        self._left = Counter({key: amount.partitions for key, amount in self.amounts.items()})

    @property
    def made(self) -> int:
        """Return the partitions that are made."""
        return sum(self.done.values())

    @property
    def total(self) -> int:
        """Return the partitions that are made and those that are to be."""
        return self.made + sum(self._left.values())

    def begun(self, run: RangeRun, now: float) -> None:
        """Take note that a range run begins; it may make more than was planned."""
        self._in_run.clear()
        # what a run begins with is time of its first step
        self.key, self._since = run.assets[0], now
        for key in run.assets:
            self._left[key] = max(self._left[key], len(run.partitions))

    def stepped(self, key: AssetKey, now: float) -> None:
        """Take note that the step of an asset begins, and the one before it is over."""
        if key != self.key:
            self._close(now)
            self.key, self._since = key, now

    def stored(self, key: AssetKey) -> None:
        """Take note that a partition is made."""
        self.done[key] += 1
        self._in_run[key] += 1
        self._left[key] = max(0, self._left[key] - 1)

    def ended(self, run: RangeRun, now: float) -> None:
        """Take note that a range run is over: all of its partitions are made."""
        for key in run.assets:
            for _ in range(len(run.partitions) - self._in_run[key]):
                self.stored(key)
        self._close(now)
        self.key = None

    def seconds_left(self, now: float) -> float | None:
        """Return about how many seconds the rest takes; None before anything was measured.

        An asset takes as long for each symbol day as it took so far, one that has not run yet as long as the others.
        """
        if not self._of:
            return None
        spent = now - self._since if self.key else 0.0
        took, of = sum(self._took.values()), sum(self._of.values())
        rest = {key: self._seconds(key, took / of) for key in self._left}
        if self.key and spent > rest.get(self.key, 0.0):
            # it takes longer than it should: so may what has not run yet
            of += self._left[self.key] * self._symbol_days(self.key)
            rest = {key: self._seconds(key, (took + spent) / of) for key in self._left}
        # in the step that runs nothing is stored until its end: what it took already is no longer to come
        own = max(0.0, rest.pop(self.key, 0.0) - spent) if self.key else 0.0
        return own + sum(rest.values())

    def _seconds(self, key: AssetKey, mean: float) -> float:
        each = self._took[key] / self._of[key] if key in self._of else mean
        return self._left[key] * self._symbol_days(key) * each

    def _symbol_days(self, key: AssetKey) -> float:
        return self.amounts[key].symbol_days if key in self.amounts else 1.0

    def _close(self, now: float) -> None:
        if self.key and self._in_run[self.key]:
            self._took[self.key] += now - self._since
            self._of[self.key] += self._in_run[self.key] * self._symbol_days(self.key)
