"""Which stored partitions are older than what they were made from: pure planning over the ages of partitions.

Belongs here: windows read off the graph's mappings, and the verdict. Ages come from Dagster's records (jobs.py), what
is made again is the rectangle's business.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import date

import dagster as dg
from dagster import AssetKey

from timegpt_assets.core import calendar
from timegpt_assets.engine.plans import Cell, Shape

STALE = 1 << 62
"""The age of what is to be made again: newer than anything."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a partition reads of an input: sessions (months, for a month) from ``first`` to ``last`` around its own.

    ``own_symbol``: of its own symbol alone.
    """

    first: int = 0
    last: int = 0
    own_symbol: bool = False


def reach(mapping: dg.PartitionMapping) -> Reach:
    """Return the reach of a partition mapping. Raises TypeError for a kind the graph does not use."""
    if isinstance(mapping, dg.MultiPartitionMapping):
        parts = mapping.downstream_mappings_by_upstream_dimension
        days, symbols = (parts[name].partition_mapping for name in ("day", "symbol"))
        found = reach(days)
        return Reach(found.first, found.last, own_symbol=isinstance(symbols, dg.IdentityPartitionMapping))
    if isinstance(mapping, dg.TimeWindowPartitionMapping):
        return Reach(mapping.start_offset, mapping.end_offset)
    if isinstance(mapping, dg.IdentityPartitionMapping):
        return Reach(own_symbol=True)
    if isinstance(mapping, dg.MultiToSingleDimensionPartitionMapping):
        return Reach()
    raise TypeError(f"{type(mapping).__name__} has no reach. Say in stale.py which partitions it reads.")


def stale(
    ages: Mapping[AssetKey, Mapping[Cell, int]],
    shapes: Mapping[AssetKey, Shape],
    reaches: Mapping[tuple[AssetKey, AssetKey], Reach],
    *,
    roots: Mapping[AssetKey, Set[Cell]],
) -> dict[AssetKey, frozenset[Cell]]:
    """Return the existing partitions that are stale: ``roots``, and whatever is older than anything it reads.

    ``ages`` grow with the time of making; ``reaches`` is by (asset, what it reads). What reads a stale partition is
    stale.
    """
    seen: dict[AssetKey, _Ages] = {}
    found: dict[AssetKey, frozenset[Cell]] = {}
    waiting = dict(shapes)
    while waiting:
        key = next(k for k, shape in waiting.items() if not shape.deps & waiting.keys())
        shape = waiting.pop(key)
        own = ages.get(key, {})
        parents = [(seen[dep], reaches[key, dep]) for dep in shape.deps if dep in seen]
        later = {c for c, age in own.items() if any(p.newest(c, r, shape.kind) > age for p, r in parents)}
        found[key] = frozenset(later | (roots.get(key, frozenset()) & own.keys()))
        seen[key] = _Ages({cell: STALE if cell in found[key] else age for cell, age in own.items()}, shape.kind)
    return {key: cells for key, cells in found.items() if cells}


@dataclass
class _Ages:
    """The ages of one asset's partitions, ready to be asked for the newest of a window."""

    ages: Mapping[Cell, int]
    kind: str
    days: list[date] = field(default_factory=list)
    by_day: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Line the ages up by day: those of each symbol, and the newest of all under ""."""
        self.days = sorted({cell.day for cell in self.ages})
        position = {day: n for n, day in enumerate(self.days)}
        for cell, age in self.ages.items():
            for symbol in {cell.symbol, ""}:
                line = self.by_day.setdefault(symbol, [0] * len(self.days))
                line[position[cell.day]] = max(line[position[cell.day]], age)

    def newest(self, child: Cell, reach: Reach, child_kind: str) -> int:
        """Return the age of the newest partition that the child reads, 0 when none of them is there."""
        line = self.by_day.get(child.symbol if reach.own_symbol else "", [])
        start, end = self._window(child.day, reach, monthly=child_kind == "month")
        return max(line[start:end], default=0)

    def _window(self, day: date, reach: Reach, *, monthly: bool) -> tuple[int, int]:
        if monthly:
            first, after = _month(day, reach.first), _month(day, reach.last + 1)
            return bisect_left(self.days, first), bisect_left(self.days, after)
        first, last = calendar.shifted(day, reach.first), calendar.shifted(day, reach.last)
        return bisect_left(self.days, first), bisect_right(self.days, last)


def _month(day: date, offset: int) -> date:
    months = day.year * 12 + day.month - 1 + offset
    return date(months // 12, months % 12 + 1, 1)
