"""How partitions lie in time, kind by kind: which one holds a date, what follows what, and what a window holds.

Belongs here: sessions, UTC days and months as lines of partitions. A date alone does not tell a session on the 1st
from its month: whoever compares partitions asks the axis of their kind.
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
    month. ``zone``: whose days they are; nothing leads from one zone's partitions to another's.
    """

    rank: int
    zone: str
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

    def before(self, own: date, count: int, first: date) -> list[date]:
        """Return the ``count`` partitions before one, as far as they do not lie before ``first``."""
        found = [own]
        while len(found) <= count and found[-1] > first:
            found.append(self.shifted(found[-1], -1))
        return found[:0:-1]


UTC = "UTC"
SESSIONS = Axis(
    rank=0,
    zone=calendar.ZONE,
    of=lambda day: day,
    shifted=calendar.shifted,
    end=lambda day: day + timedelta(days=1),
)
MONTHS = Axis(
    rank=1,
    zone=calendar.ZONE,
    of=lambda day: day.replace(day=1),
    shifted=calendar.months_later,
    end=lambda first: calendar.months_later(first, 1),
)
UTC_DAYS = Axis(
    rank=0,
    zone=UTC,
    of=lambda day: day,
    shifted=lambda day, days: day + timedelta(days=days),
    end=lambda day: day + timedelta(days=1),
)
UTC_MONTHS = Axis(rank=1, zone=UTC, of=MONTHS.of, shifted=MONTHS.shifted, end=MONTHS.end)
AXES = {
    "day_symbol": SESSIONS,
    "trading_day": SESSIONS,
    "month": MONTHS,
    "utc_day": UTC_DAYS,
    "utc_month": UTC_MONTHS,
}
"""Kind of an asset's partitions -> where they lie."""
