"""Which months of each month asset a rectangle asks for: those of its days, and those that models learn from.

Belongs here: pure planning. Whether such a month can be made, by what is stored of its days, is engine.py's question.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from dagster import AssetKey

from timegpt_assets.core import calendar
from timegpt_assets.engine.axes import MONTHS
from timegpt_assets.engine.plans import AssetNode, PartitionRef
from timegpt_assets.engine.stale import InputWindow


@dataclass(frozen=True, kw_only=True)
class MonthsAsked:
    """The months of a graph's month assets that a rectangle of ``assets`` asks for.

    Most are asked for with their days. What later months look back on (a training set) is asked for over their windows,
    for complete months on the grid alone, and of its own days' months where it is ``named``. ``months`` stand in place
    of the days' own. ``now``: when it is asked.
    """

    asset_nodes: Mapping[AssetKey, AssetNode]
    input_windows: Mapping[tuple[AssetKey, AssetKey], InputWindow]
    assets: frozenset[AssetKey]
    named: frozenset[AssetKey]
    months: Sequence[date]
    first_day: date
    now: datetime

    @cached_property
    def looked_back_on(self) -> Mapping[AssetKey, Mapping[AssetKey, InputWindow]]:
        """Return by month asset that others learn from the windows in which they read months of it before their own.

        One of them may read its own month beside: it is judged on what it did not learn from.
        """
        monthly = {
            pair: window
            for pair, window in self.input_windows.items()
            if all(self.asset_nodes[key].is_monthly for key in pair)
        }
        found: dict[AssetKey, dict[AssetKey, InputWindow]] = {}
        for parent in {parent for (_, parent), window in monthly.items() if window.last < 0}:
            found[parent] = {key: w for (key, other), w in monthly.items() if other == parent and w.first < 0}
        return found

    def of(self, key: AssetKey, days: Iterable[date]) -> set[PartitionRef]:
        """Return the months of the asset that these days ask for."""
        own = {MONTHS.of(day) for day in self.months or days}
        if key not in self.looked_back_on:
            return {PartitionRef(month) for month in own}
        wanted = own if key in self.named else set[date]()
        for reader, window in self.looked_back_on[key].items():
            if reader in self.assets:
                for partition in self.of(reader, own):
                    wanted |= {*MONTHS.within(partition.day, window.first, window.last)}
        return {PartitionRef(month) for month in wanted if self._is_complete(month)}

    def _is_complete(self, month: date) -> bool:
        """Return whether the month lies on the grid and every session of it has closed."""
        # the grid begins one session before its first month
        return month > self.first_day and calendar.has_closed(sessions_of(month)[-1], self.now)


def sessions_of(month: date) -> tuple[date, ...]:
    """Return the sessions of a month, given by its first date."""
    return calendar.month_sessions(f"{month:%Y-%m}")
