"""Which of a file's columns of times counts: the exact one before a naive one, a date only with its time of day.

Belongs here: the choice between columns. What one column says is stamps.py.
"""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from timegpt_assets.core.vendors.findings import Finding, Refused, Said, Table
from timegpt_assets.core.vendors.headers import Fields
from timegpt_assets.core.vendors.shapes import Shape
from timegpt_assets.core.vendors.stamps import WALL, Orders, Reading, reading

NAME_IT = "Say which counts with --columns, for example --columns {}=NAME."


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """One wall clock per row; ``exact`` when it is UTC by the file's own word."""

    wall: pl.Series
    exact: bool
    findings: tuple[Finding, ...]


def clock(table: Table, fields: Fields, shape: Shape, said: Said, day: str | None) -> Clock:
    """Return the rows' times. ``day``: the date that the file's name gives, YYYYMMDD, for files of times of day.

    Raises Refused for a file without times of day, and for columns that contradict each other.
    """
    orders = Orders(said=said.date_order, claimed=shape.date_order)
    found = {name: reading(table.cells[name], orders) for name in (*fields.times, *fields.clocks)}
    read = {fields.shown[name]: one for name, one in found.items() if one is not None}
    stamps = {name: one for name, one in read.items() if one.kind == "stamp"}
    dates = {name: one for name, one in read.items() if one.kind == "date"}
    clocks = {name: one for name, one in read.items() if one.kind == "clock"}
    if stamps:
        return _of_stamps(stamps, dates, clocks)
    if clocks and (dates or day):
        return _of_parts(dates, clocks, day, table.cells.height)
    if dates:
        raise Refused(
            f"holds no times of day (column {next(iter(dates))!r} is dates): bars of days, not of minutes. Fetch "
            "minute bars, or name the column of times with --columns clock=NAME."
        )
    if clocks:
        raise Refused(f"holds times of day and no dates, in no column and not in its name. {NAME_IT.format('date')}")
    shown = ", ".join(f"{fields.shown[name]!r} ({_first(table.cells[name])})" for name in fields.times)
    raise Refused(f"has no time that can be read in {shown}. Write times as 2025-01-02T14:30:00Z, or as epochs.")


def _first(column: pl.Series) -> str:
    known = column.drop_nulls()
    return f"for example {str(known[0])[:40]!r}" if known.len() else "empty"


def _of_stamps(stamps: dict[str, Reading], dates: dict[str, Reading], clocks: dict[str, Reading]) -> Clock:
    """Return the exact stamps if there are any; stamps of one kind that differ are refused."""
    exact = {name: one for name, one in stamps.items() if one.exact}
    counted = exact or stamps
    (name, first), *others = counted.items()
    for other, one in others:
        if not (first.wall.dt.truncate("1m") == one.wall.dt.truncate("1m")).all():
            raise Refused(f"columns {name!r} and {other!r} name different times. {NAME_IT.format('ts')}")
    beside = [other for other in (*stamps, *dates, *clocks) if other != name]
    naive = [other for other in stamps if other not in exact]
    found = list(first.findings)
    if exact and (naive or (dates and clocks)):
        found.append(Finding("time column", repr(name), f"it says its zone, {', '.join(map(repr, beside))} do not"))
    return Clock(wall=first.wall, exact=bool(exact), findings=tuple(found))


def _of_parts(dates: dict[str, Reading], clocks: dict[str, Reading], day: str | None, height: int) -> Clock:
    """Return dates and times of day put together; more than one of either is refused."""
    for parts in (dates, clocks):
        if len(parts) > 1:
            raise Refused(f"columns {', '.join(map(repr, parts))} could all be it. {NAME_IT.format('date')}")
    ((clock_name, of_day),) = clocks.items()
    findings = list(of_day.findings)
    since = of_day.wall - pl.Series([datetime(1970, 1, 1)], dtype=WALL)  # noqa: DTZ001 - a wall clock has no zone
    if dates:
        ((date_name, dated),) = dates.items()
        base = dated.wall
        findings = [*dated.findings, *findings]
        findings.append(Finding("time column", f"{date_name!r} and {clock_name!r}", "a date and a time of day"))
    else:
        base = pl.Series([f"{day}0000"] * height).str.to_datetime("%Y%m%d%H%M", strict=False, time_unit="us")
        findings.append(Finding("dates", f"{day}", "the file's name gives the day, its rows the time of day"))
    return Clock(wall=(base + since).cast(WALL), exact=False, findings=tuple(findings))
