"""Which runs a rectangle needs: strata of days and months, closures of equal partitions definitions, cut into ranges.

Belongs here: pure planning over asset keys, days and symbols. Running the plan is engine.py.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import dagster as dg
from dagster import AssetKey

from timegpt_assets.engine.axes import AXES, UTC, Axis


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
    """What planning knows of an asset: its kind (a key of AXES), what it reads, what shapes it."""

    kind: str
    deps: frozenset[AssetKey]
    settings: tuple[str, ...] = ()

    @property
    def axis(self) -> Axis:
        """Return where its partitions lie in time."""
        return AXES[self.kind]

    @property
    def is_monthly(self) -> bool:
        """Return whether its partitions are months."""
        return self.axis.rank == 1

    @property
    def is_utc(self) -> bool:
        """Return whether its days are UTC days, of which no session knows."""
        return self.axis.zone == UTC

    def partitions(self, days: Iterable[date], symbols: Sequence[str]) -> set[PartitionRef]:
        """Return the partitions of this kind inside days x symbols."""
        if self.kind == "day_symbol":
            return {PartitionRef(day, symbol) for day in days for symbol in symbols}
        return {PartitionRef(self.axis.of(day)) for day in days}


def kind_of(partitions: dg.PartitionsDefinition[str] | None) -> str:
    """Return the kind of an asset with these partitions."""
    if isinstance(partitions, dg.MultiPartitionsDefinition):
        return "day_symbol"
    utc = isinstance(partitions, dg.TimeWindowPartitionsDefinition) and partitions.timezone == UTC
    if isinstance(partitions, dg.MonthlyPartitionsDefinition):
        return "utc_month" if utc else "month"
    return "utc_day" if utc else "trading_day"


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


def in_order(asset_nodes: Mapping[AssetKey, AssetNode]) -> list[AssetKey]:
    """Return the assets, each after those it reads. Raises ValueError for assets that read each other."""
    waiting, order = dict(sorted(asset_nodes.items(), key=lambda item: list(item[0].path))), list[AssetKey]()
    while waiting:
        found = next((key for key, node in waiting.items() if not node.deps & waiting.keys()), None)
        if found is None:
            raise ValueError(f"the assets {', '.join(k.path[-1] for k in waiting)} read each other. Break the cycle.")
        order.append(found)
        del waiting[found]
    return order


def strata(asset_nodes: Mapping[AssetKey, AssetNode]) -> list[dict[AssetKey, AssetNode]]:
    """Return the assets level by level: days on the even ones, months on the odd ones, none reads one above it.

    A month is handed days of several ranges, and a day what was learnt of whole months: a level is made over all days
    before the next one begins (docs/adr/0033). Assets outside ``asset_nodes`` are taken as there; a level may be empty.
    """
    level: dict[AssetKey, int] = {}
    for key in in_order(asset_nodes):
        rank = asset_nodes[key].axis.rank
        below = [level[dep] for dep in asset_nodes[key].deps & level.keys()]
        level[key] = max([rank, *(found + (found % 2 != rank) for found in below)])
    return [
        {key: node for key, node in asset_nodes.items() if level[key] == number}
        for number in range(max(level.values(), default=-1) + 1)
    ]


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
    axis: Axis,
    symbols: Sequence[str],
    max_days: int | None = None,
) -> list[RangeRun]:
    """Return the range runs that cover the needed partitions: one for all assets if they form one range, else by asset.

    ``axis`` is that of all these assets.
    By asset, because an asset that reads every symbol's past must not start before the others are done with theirs.
    """
    wanted = [key for key in assets if needed[key]]
    if not wanted:
        return []
    # one run for all only where the need is one rectangle (docs/adr/0009)
    ranges = _ranges(needed[wanted[0]], axis, symbols, max_days)
    if all(needed[key] == needed[wanted[0]] for key in wanted) and (len(ranges) == 1 or len(wanted) == 1):
        return [RangeRun(assets=tuple(wanted), partitions=partitions) for partitions in ranges]
    return [
        RangeRun(assets=(key,), partitions=partitions)
        for key in wanted
        for partitions in _ranges(needed[key], axis, symbols, max_days)
    ]


def _ranges(
    partitions: Set[PartitionRef], axis: Axis, symbols: Sequence[str], max_days: int | None
) -> list[frozenset[PartitionRef]]:
    """Return the partitions cut into rectangles of days that follow each other and symbols that are neighbours."""
    by_day: dict[date, tuple[str, ...]] = {
        day: tuple(c.symbol for c in group) for day, group in groupby(sorted(partitions), key=lambda c: c.day)
    }
    ranges = []
    for days in _runs_of_days(by_day, axis):
        size = max_days or len(days)
        for start in range(0, len(days), size):
            for neighbours in _neighbours(by_day[days[0]], symbols):
                ranges.append(frozenset(PartitionRef(d, s) for d in days[start : start + size] for s in neighbours))
    return ranges


def _runs_of_days(by_day: Mapping[date, tuple[str, ...]], axis: Axis) -> list[list[date]]:
    """Return the days cut where a session (or month) is not needed or needs other symbols than the one before."""
    runs: list[list[date]] = []
    for day in sorted(by_day):
        if runs and axis.follows(runs[-1][-1], day) and by_day[runs[-1][-1]] == by_day[day]:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _neighbours(chosen: Sequence[str], symbols: Sequence[str]) -> list[list[str]]:
    if chosen == ("",):
        return [[""]]
    positions = {symbol: n for n, symbol in enumerate(symbols)}
    runs = groupby(enumerate(chosen), key=lambda item: positions[item[1]] - item[0])
    return [[symbol for _, symbol in run] for _, run in runs]
