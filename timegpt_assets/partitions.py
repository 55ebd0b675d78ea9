"""The partition grid of a profile, the mappings between its dimensions, and what partition keys mean.

Belongs here: partitions definitions and mappings. What happens inside a window is core's business: a range run is
handed the union of all its days' windows, and core computes each day's own (docs/explanation/windows.md).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from timegpt_assets.config.settings import Settings
from timegpt_assets.core import calendar

WEEKEND_MIDNIGHTS = ("0 0 * * 6", "0 0 * * 0")
REASK = "timegpt_assets/reask"
"""The run tag under which the paid asset pays again, for what cannot be used or for everything."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The partitions definitions that the assets of a profile share, and the first session they hold.

    ``utc_day`` and ``utc_month`` are those of the second system, a family of their own: no mapping leads to the others.
    """

    trading_day: dg.DailyPartitionsDefinition
    symbol: dg.StaticPartitionsDefinition
    day_symbol: dg.MultiPartitionsDefinition
    month: dg.MonthlyPartitionsDefinition
    first_day: date
    utc_day: dg.DailyPartitionsDefinition
    utc_month: dg.MonthlyPartitionsDefinition


@dataclass(frozen=True, kw_only=True)
class GraphContext:
    """What the graph is declared from: the resolved settings and the partition grid they imply."""

    settings: Settings
    grid: Grid


def graph_context(settings: Settings) -> GraphContext:
    """Return what every asset of these settings is declared from."""
    return GraphContext(settings=settings, grid=grid(settings))


def grid(settings: Settings) -> Grid:
    """Return the grid from one session before the first month of ``data.start_date`` to ``data.end_date`` or today.

    The early start keeps month assets from being asked for days that do not exist.
    """
    first_of_month, last = settings.data.start_date.replace(day=1), settings.data.end_date
    first_day = calendar.sessions(first_of_month - timedelta(days=14), first_of_month - timedelta(days=1))[-1].day
    trading_day = dg.DailyPartitionsDefinition(
        start_date=first_day.isoformat(),
        end_date=(last + timedelta(days=1)).isoformat() if last else None,
        timezone=calendar.ZONE,
        # excluded and not a cron of 1-5, with which Friday's window would end on Monday
        exclusions=[*WEEKEND_MIDNIGHTS, *_holiday_midnights(first_day, last or calendar.LAST_DAY)],
        end_offset=1,  # today exists, also when the grid ends today or later; no day after the end ever does
    )
    symbol = dg.StaticPartitionsDefinition(list(symbols(settings)))
    return Grid(
        trading_day=trading_day,
        symbol=symbol,
        day_symbol=dg.MultiPartitionsDefinition({"day": trading_day, "symbol": symbol}),
        month=_months(first_of_month, last),
        first_day=first_day,
        **_utc(settings),
    )


def symbols(settings: Settings) -> tuple[str, ...]:
    """Return every symbol partition, sorted: the tickers that are forecast and the context symbols."""
    return settings.universe.everyone


def _holiday_midnights(first: date, last: date) -> list[datetime]:
    zone = ZoneInfo(calendar.ZONE)
    return [datetime(d.year, d.month, d.day, tzinfo=zone) for d in calendar.holidays(first, last)]


def _months(first: date, last: date | None, zone: str = calendar.ZONE) -> dg.MonthlyPartitionsDefinition:
    after_last = (last.replace(day=1) + timedelta(days=32)).replace(day=1).isoformat() if last else None
    return dg.MonthlyPartitionsDefinition(
        start_date=first.isoformat(),
        end_date=after_last,
        timezone=zone,
        end_offset=1,  # the open month exists
    )


def _utc(settings: Settings) -> dict[str, Any]:
    """Return UTC days from tsfm.start_date to tsfm.end_date or today, weekends and holidays too, and their months."""
    first, last = settings.tsfm.start_date, settings.tsfm.end_date
    days = dg.DailyPartitionsDefinition(
        start_date=first.isoformat(),
        end_date=(last + timedelta(days=1)).isoformat() if last else None,
        timezone="UTC",
        end_offset=1,  # today exists: every cycle adds to it
    )
    return {"utc_day": days, "utc_month": _months(first.replace(day=1), last, "UTC")}


def own_symbol_window(first: int, last: int) -> dg.MultiPartitionMapping:
    """Return the window of sessions [day+first .. day+last] of the same symbol."""
    return dg.MultiPartitionMapping(
        {
            "day": dg.DimensionPartitionMapping("day", day_window(first, last)),
            "symbol": dg.DimensionPartitionMapping("symbol", dg.IdentityPartitionMapping()),
        }
    )


def day_window(first: int, last: int = 0) -> dg.TimeWindowPartitionMapping:
    """Return the window of sessions [day+first .. day+last] between two assets of a day.

    The one window of every symbol: on the grid Dagster would pair every symbol with every other (docs/adr/0023).
    """
    # offsets count partitions, which are sessions: a window crosses holidays by itself
    return dg.TimeWindowPartitionMapping(start_offset=first, end_offset=last)


def month_window(months: int) -> dg.TimeWindowPartitionMapping:
    """Return the days of the month and of the ``months`` before it, clipped at the grid's first day.

    When the 1st is no session Dagster also hands over the session before it: month assets filter by their own window.
    """
    # without it an open month, and one that begins before the grid, fail when they are run
    return dg.TimeWindowPartitionMapping(start_offset=-months, allow_nonexistent_upstream_partitions=True)


def months_before(months: int) -> dg.TimeWindowPartitionMapping:
    """Return the ``months`` before a month, or their days: what a month learns from, in which its own has no part."""
    return dg.TimeWindowPartitionMapping(
        start_offset=-months, end_offset=-1, allow_nonexistent_upstream_partitions=True
    )


def of_month() -> dg.TimeWindowPartitionMapping:
    """Return the month that a day lies in; the grid's first day lies before the first and reads none."""
    # no offset: with one a day would be handed its own month as well
    return dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)


def by_day() -> dg.MultiToSingleDimensionPartitionMapping:
    """Return the mapping between a day and every symbol of that day, in either direction."""
    return dg.MultiToSingleDimensionPartitionMapping("day")


def days_of(keys: Iterable[str]) -> list[date]:
    """Return the trading days of ``YYYY-MM-DD`` or ``YYYY-MM-DD|SYMBOL`` keys, sorted, each once."""
    return sorted({date.fromisoformat(key.split("|")[0]) for key in keys})


def symbols_of(keys: Iterable[str]) -> list[str]:
    """Return the symbols of ``YYYY-MM-DD|SYMBOL`` keys, sorted, each once."""
    return sorted({key.split("|")[1] for key in keys})


def months_of(keys: Iterable[str]) -> list[str]:
    """Return the months, ``YYYY-MM``, of Dagster's monthly keys, sorted."""
    return sorted({key[:7] for key in keys})


def is_month(text: str) -> bool:
    """Return whether a text is a month as months_of gives them."""
    return re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text) is not None
