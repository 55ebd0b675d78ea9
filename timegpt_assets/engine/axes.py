"""How partitions lie in time, kind by kind: which one holds a date, what follows what, and what a window holds.

Belongs here: sessions and months as lines of partitions. A date alone does not tell a session on the 1st from its
month: whoever compares partitions asks the axis of their kind.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from timegpt_assets.core import calendar


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One line of partitions, each known by its first date.

    ``of`` gives the partition that holds a date, ``shifted`` the one so many after a partition (negative: before),
    ``end`` the first date that is no longer a partition's. ``rank``: 0 where a partition is a day, 1 where it is a
    month.
    """

    rank: int
    of: Callable[[date], date]
    shifted: Callable[[date, int], date]
    end: Callable[[date], date]

    def follows(self, before: date, after: date) -> bool:
        """Return whether nothing lies between two partitions, as the grid has them."""
        return self.shifted(before, 1) == after

    def window(self, own: date, first: int, last: int) -> tuple[date, date]:
        """Return the first date of the partitions [own+first .. own+last], and the first date after them."""
        return self.shifted(own, first), self.end(self.shifted(own, last))

    def within(self, own: date, first: int, last: int) -> Iterator[date]:
        """Yield the partitions [own+first .. own+last]."""
        return (self.shifted(own, by) for by in range(first, last + 1))


SESSIONS = Axis(rank=0, of=lambda day: day, shifted=calendar.shifted, end=lambda day: day + timedelta(days=1))
MONTHS = Axis(
    rank=1,
    of=lambda day: day.replace(day=1),
    shifted=calendar.months_later,
    end=lambda first: calendar.months_later(first, 1),
)
AXES = {"day_symbol": SESSIONS, "trading_day": SESSIONS, "month": MONTHS}
"""Kind of an asset's partitions -> where they lie."""
