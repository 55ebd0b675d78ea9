"""Which runs a rectangle needs: closures of equal partitions definitions, cut into ranges that Dagster can launch.

Belongs here: pure planning over asset keys, days and symbols. Running the plan is engine.py.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from dagster import AssetKey

from timegpt_assets.core import calendar


@dataclass(frozen=True, order=True)
class PartitionRef:
    """One partition: a day or month (``day`` its first) and, on the grid, a symbol."""

    day: date
    symbol: str = ""

    @property
    def key(self) -> str:
        """Return Dagster's partition key."""
        return f"{self.day}|{self.symbol}" if self.symbol else f"{self.day}"

    @classmethod
    def of(cls, key: str, symbol: str = "") -> "PartitionRef":
        """Return the partition of Dagster's key, or of a day's key and a symbol (``*``: none)."""
        day, _, own = key.partition("|")
        return cls(date.fromisoformat(day), own or symbol.replace("*", ""))


@dataclass(frozen=True)
class AssetNode:
    """What planning knows of an asset: its kind (day_symbol, trading_day, month), what it reads, what shapes it."""

    kind: str
    deps: frozenset[AssetKey]
    settings: tuple[str, ...] = ()

    def partitions(self, days: Sequence[date], symbols: Sequence[str]) -> set[PartitionRef]:
        """Return the partitions of this kind inside days x symbols."""
        if self.kind == "day_symbol":
            return {PartitionRef(day, symbol) for day in days for symbol in symbols}
        return {PartitionRef(day.replace(day=1) if self.kind == "month" else day) for day in days}


@dataclass(frozen=True, kw_only=True)
class RangeRun:
    """One range run: assets of equal partitions definitions, consecutive days, neighbouring symbols."""

    assets: tuple[AssetKey, ...]
    partitions: frozenset[PartitionRef]

    @property
    def first(self) -> str:
        """Return the partition key the range starts with."""
        return min(self.partitions).key

    @property
    def last(self) -> str:
        """Return the partition key the range ends with."""
        return max(self.partitions).key


def closures(
    asset_nodes: Mapping[AssetKey, AssetNode], *, alone: Set[AssetKey] = frozenset()
) -> list[tuple[AssetKey, ...]]:
    """Return the assets in runs of one kind each, every asset after what it reads, the largest possible run first.

    ``alone`` assets get a run of their own. Assets outside ``nodes`` are taken as there.
    """
    left, runs = dict(sorted(asset_nodes.items(), key=lambda item: list(item[0].path))), []
    while left:
        options = [_closed(left, kind, alone) for kind in sorted({s.kind for s in left.values()})]
        options += [(k,) for k in left if k in alone and not left[k].deps & left.keys()]
        # the largest first: a run costs seconds, whatever it holds
        best = max(options, key=len)
        if not best:
            raise ValueError(f"the assets {', '.join(k.path[-1] for k in left)} read each other. Break the cycle.")
        runs.append(best)
        left = {k: s for k, s in left.items() if k not in best}
    return runs


def _closed(left: Mapping[AssetKey, AssetNode], kind: str, alone: Set[AssetKey]) -> tuple[AssetKey, ...]:
    """Return the assets of one kind that need nothing but each other, in order of reading."""
    chosen: list[AssetKey] = []
    grown = True
    while grown:
        grown = False
        for key, node in left.items():
            # what is chosen already runs before it in the same run
            waits = (node.deps & left.keys()) - set(chosen)
            if node.kind == kind and key not in chosen and key not in alone and not waits:
                chosen.append(key)
                grown = True
    return tuple(chosen)


def range_runs(
    assets: Sequence[AssetKey],
    needed: Mapping[AssetKey, Set[PartitionRef]],
    *,
    symbols: Sequence[str],
    max_days: int | None = None,
) -> list[RangeRun]:
    """Return the range runs that cover the needed partitions: one for all assets if they form one range, else by asset.

    By asset, because an asset that reads every symbol's past must not start before the others are done with theirs.
    """
    wanted = [key for key in assets if needed[key]]
    if not wanted:
        return []
    # one run for all only where the need is one rectangle (docs/adr/0009)
    ranges = _ranges(needed[wanted[0]], symbols, max_days)
    if all(needed[key] == needed[wanted[0]] for key in wanted) and (len(ranges) == 1 or len(wanted) == 1):
        return [RangeRun(assets=tuple(wanted), partitions=partitions) for partitions in ranges]
    return [
        RangeRun(assets=(key,), partitions=partitions)
        for key in wanted
        for partitions in _ranges(needed[key], symbols, max_days)
    ]


def _ranges(
    partitions: Set[PartitionRef], symbols: Sequence[str], max_days: int | None
) -> list[frozenset[PartitionRef]]:
    """Return the partitions cut into rectangles of days that follow each other and symbols that are neighbours."""
    by_day: dict[date, tuple[str, ...]] = {
        day: tuple(c.symbol for c in group) for day, group in groupby(sorted(partitions), key=lambda c: c.day)
    }
    ranges = []
    for days in _runs_of_days(by_day):
        size = max_days or len(days)
        for start in range(0, len(days), size):
            for neighbours in _neighbours(by_day[days[0]], symbols):
                ranges.append(frozenset(PartitionRef(d, s) for d in days[start : start + size] for s in neighbours))
    return ranges


def _runs_of_days(by_day: Mapping[date, tuple[str, ...]]) -> list[list[date]]:
    """Return the days cut where a session (or month) is not needed or needs other symbols than the one before."""
    runs: list[list[date]] = []
    for day in sorted(by_day):
        if runs and _follows(runs[-1][-1], day) and by_day[runs[-1][-1]] == by_day[day]:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _follows(before: date, day: date) -> bool:
    months = (day.year - before.year) * 12 + day.month - before.month
    # sessions follow each other across weekends and holidays, as partitions of the grid do
    return (months == 1 and before.day == day.day == 1) or len(calendar.sessions(before, day)) == 2


def _neighbours(chosen: Sequence[str], symbols: Sequence[str]) -> list[list[str]]:
    if chosen == ("",):
        return [[""]]
    positions = {symbol: n for n, symbol in enumerate(symbols)}
    runs = groupby(enumerate(chosen), key=lambda item: positions[item[1]] - item[0])
    return [[symbol for _, symbol in run] for _, run in runs]
