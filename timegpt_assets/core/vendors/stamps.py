"""A vendor's columns of times -> one wall clock per row: epochs, whole stamps, dates with times of day, of any form.

Belongs here: what whole columns say. In which zone a naive clock stands is zone.py, which end of the minute it names
is stamp_side.py. A row that says no time is null, and counted by whoever asked.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from timegpt_assets.core.vendors.clock_forms import Form, form_of, zone_of
from timegpt_assets.core.vendors.date_order import date_order
from timegpt_assets.core.vendors.findings import DateOrder, Finding, Refused, share

WALL = pl.Datetime("us")
PLAUSIBLE = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC))
"""Stamps outside are no minute bars of a share: an epoch in another unit, a date in digits, or garbage."""
UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_SAMPLE = 2_000
_FORMS_AT_MOST = 12
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a column of times holds: ``wall`` per row; ``exact`` when it is UTC, else it is a naive clock.

    ``kind``: stamp, date (midnights only) or clock (a duration since midnight, in ``wall`` from 1970-01-01).
    """

    kind: str
    wall: pl.Series
    exact: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What is said and claimed about the order of day and month."""

    said: DateOrder | None = None
    claimed: DateOrder | None = None


def reading(column: pl.Series, orders: Orders) -> Reading | None:
    """Return what a column of times holds; None when most of it is no time. Raises Refused for what stays open."""
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        exact = dtype.time_zone is not None
        wall = (column.dt.convert_time_zone("UTC") if exact else column).dt.replace_time_zone(None).cast(WALL)
        return _settled(wall, exact, Finding("stamps", "times", f"the column is {dtype}"))
    if dtype == pl.Date:
        return Reading(kind="date", wall=column.cast(WALL), exact=False, findings=())
    if dtype == pl.Time:
        return Reading(kind="clock", wall=_since_midnight(column.cast(pl.Int64) // 1_000), exact=False, findings=())
    if dtype.is_numeric():
        return _numeric(column)
    text = column.cast(pl.String).str.strip_chars().replace("", None)
    if not text.drop_nulls().len():
        return None
    digits = text.str.contains(r"^\d+(?:\.\d*)?$")
    if digits.sum() * 2 > text.drop_nulls().len():
        return _numeric(_digits(text))
    if text.str.contains(r"^\d\.\d+[eE]\+?\d+$").sum() * 2 > text.drop_nulls().len():
        raise Refused(
            f"its stamps were rounded by a spreadsheet ({text.drop_nulls()[0]}), many rows to one time. Export the "
            "file again without opening it there."
        )
    return _written(text, orders)


def _digits(text: pl.Series) -> pl.Series:
    # Whole numbers first: a float has no room for the nanoseconds of an epoch.
    whole = text.cast(pl.Int64, strict=False)
    if whole.null_count() * 2 < text.len():
        return whole
    return text.cast(pl.Float64, strict=False)


def _since_midnight(micros: pl.Series) -> pl.Series:
    return micros.cast(pl.Int64).cast(WALL)


def _settled(wall: pl.Series, exact: bool, *findings: Finding) -> Reading:
    """Return the reading of stamps; times outside PLAUSIBLE are none, midnights only are dates."""
    low, high = (pl.lit(bound.replace(tzinfo=None), WALL) for bound in PLAUSIBLE)
    kept = wall.to_frame("w").select(pl.when((pl.col("w") >= low) & (pl.col("w") < high)).then("w"))["w"]
    is_date = bool(not exact and (kept.dt.truncate("1d") == kept).all()) and kept.drop_nulls().len() > 0
    return Reading(kind="date" if is_date else "stamp", wall=kept, exact=exact, findings=tuple(findings))


def _numeric(numbers: pl.Series) -> Reading | None:
    """Return what numbers say: the one of epochs, dates and clocks in digits that is plausible for most of them."""
    known = numbers.drop_nulls()
    if not known.len():
        return None
    lows = {unit: PLAUSIBLE[0].timestamp() * factor for unit, factor in UNITS.items()}
    highs = {unit: PLAUSIBLE[1].timestamp() * factor for unit, factor in UNITS.items()}
    shares = {unit: share(known.is_between(lows[unit], highs[unit], closed="left")) for unit in UNITS}
    unit = max(shares, key=lambda name: shares[name])
    if shares[unit] > 0.5:
        return _epochs(numbers, unit, lows[unit], highs[unit])
    for low, high, digits in ((199001010000, 203601010000, 12), (19900101000000, 20360101000000, 14)):
        if share(known.is_between(low, high, closed="left")) > 0.5:
            kept = numbers.to_frame("n").select(pl.when(pl.col("n").is_between(low, high)).then("n"))["n"]
            text = kept.cast(pl.Int64).cast(pl.String)
            form = "%Y%m%d%H%M%S" if digits == 14 else "%Y%m%d%H%M"
            wall = _read(text, form)
            return _settled(wall, False, Finding("stamps", f"dates and times of {digits} digits", _example(text)))
    return _small(numbers, known)


def _example(column: pl.Series) -> str:
    known = column.drop_nulls()
    return f"for example {known[0]}" if known.len() else "the column is empty"


def _epochs(numbers: pl.Series, unit: str, low: float, high: float) -> Reading:
    kept = numbers.to_frame("n").select(pl.when(pl.col("n").is_between(low, high, closed="left")).then("n"))["n"]
    if kept.dtype.is_float():
        # Rounded: a float that counts seconds since 1970 has no exact microseconds.
        micros = (kept * (1_000_000 / UNITS[unit])).round(0).cast(pl.Int64)
    elif unit == "ns":
        micros = kept.cast(pl.Int64) // 1_000
    else:
        micros = kept.cast(pl.Int64) * (1_000_000 // UNITS[unit])
    why = f"all but {numbers.len() - kept.drop_nulls().len()} of {numbers.len():,} then lie in 1990 to 2035"
    return _settled(micros.cast(WALL), True, Finding("stamps", f"epochs in {unit}", why))


def _small(numbers: pl.Series, known: pl.Series) -> Reading | None:
    """Return dates of eight digits, times of day in digits, milliseconds since midnight, or a spreadsheet's days."""
    # Minute bars repeat their date: eight digits that never do are something else.
    if share(known.is_between(19900101, 20360101, closed="left")) > 0.5 and known.n_unique() < known.len():
        text = numbers.cast(pl.Int64, strict=False).cast(pl.String)
        return Reading(kind="date", wall=_read(text + "0000", "%Y%m%d%H%M"), exact=False, findings=())
    # A spreadsheet counts days from 1899-12-30: these are 1990 to 2035, and 25,569 is 1970-01-01.
    if numbers.dtype.is_float() and share(known.is_between(32_874, 49_674)) > 0.5:
        micros = ((numbers - 25_569) * 86_400).round(0) * 1_000_000
        return _settled(
            micros.cast(pl.Int64).cast(WALL), False, Finding("stamps", "a spreadsheet's days", _example(known))
        )
    whole = numbers.cast(pl.Int64, strict=False)
    top = whole.max()
    if not isinstance(top, int) or top > _DAY_MS or (whole.drop_nulls() < 0).any():
        return None
    # HHMMSS ends below 240000 and HHMM below 2400: more than that counts something else.
    if top > 240_000:
        return Reading(kind="clock", wall=_since_midnight(whole * 1_000), exact=False, findings=(
            Finding("times of day", "milliseconds since midnight", _example(known)),))  # fmt: skip
    factor = 100 if top > 2_400 else 1
    seconds = (whole // factor // 100) * 3_600 + (whole // factor % 100) * 60 + (whole % 100 if factor == 100 else 0)
    words = "HHMMSS" if factor == 100 else "HHMM"
    found = Finding("times of day", f"{words} in digits", _example(known))
    return Reading(kind="clock", wall=_since_midnight(seconds * 1_000_000), exact=False, findings=(found,))


def _read(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, strict=False, time_unit="us", exact=True)


def _written(text: pl.Series, orders: Orders) -> Reading | None:
    """Return what written stamps say. Forms are looked for until every row is read or no further form is known."""
    wall = pl.Series("w", [None] * text.len(), dtype=WALL)
    seen: dict[Form, int] = {}
    findings: list[Finding] = []
    order: DateOrder | None = None
    tried: set[Form] = set()
    while len(tried) < _FORMS_AT_MOST:
        left = text.filter(wall.is_null() & text.is_not_null())
        form = _next_form(left, tried)
        if form is None:
            break
        tried.add(form)
        if form.is_open and order is None:
            order, found = _column_order(text, orders)
            findings.append(found)
        read = _of_form(text, form, order or "mdy")
        seen[form] = int((wall.is_null() & read.is_not_null()).sum())
        wall = wall.to_frame("w").select(pl.coalesce("w", pl.lit(read)))["w"]
    used = {form: count for form, count in seen.items() if count}
    if not used or sum(used.values()) * 2 < text.drop_nulls().len():
        return None
    return _kind(wall, used, findings)


def _next_form(left: pl.Series, tried: set[Form]) -> Form | None:
    """Return the form of the first text whose form has not been tried."""
    step = max(1, left.len() // _SAMPLE)
    for text in left.gather_every(step).to_list():
        form = form_of(text)
        if form is not None and form not in tried:
            return form
    return None


def _of_form(text: pl.Series, form: Form, order: DateOrder) -> pl.Series:
    """Return the times of the texts written so, null elsewhere: UTC where a zone stands behind them, else naive."""
    own = text
    if form.suffix:
        own = text.to_frame("t").select(
            pl.when(pl.col("t").str.ends_with(form.suffix)).then(pl.col("t").str.strip_suffix(form.suffix))
        )["t"]
    if not form.date:
        # By itself polars reads a time of day as of the year 1; a clock stands on 1970-01-01, as Reading says.
        naive = _read("1970-01-01 " + own, f"%Y-%m-%d {form.time}")
    elif not form.time:
        naive = _read(own + " 00:00", form.format(order) + " %H:%M")
    else:
        naive = _read(own, form.format(order))
    zone = zone_of(form.suffix)
    # 0 minutes is UTC; the empty text is no zone.
    if not zone and zone != 0:
        return naive
    if isinstance(zone, int):
        return naive.dt.offset_by(f"{-zone}m")
    placed = naive.dt.replace_time_zone(str(zone), ambiguous="earliest", non_existent="null")
    return placed.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _column_order(text: pl.Series, orders: Orders) -> tuple[DateOrder, Finding]:
    parts = text.str.extract(r"^(?:[A-Za-z]{3},? )?(\d{1,2}[/.\-]\d{1,2}[/.\-]\d{2,4})").unique(maintain_order=True)
    numbers = [tuple(int(n) for n in re.split(r"[/.\-]", part)) for part in parts.drop_nulls()]
    return date_order([(a, b, c) for a, b, c in numbers], said=orders.said, claimed=orders.claimed)


def _kind(wall: pl.Series, used: dict[Form, int], findings: Sequence[Finding]) -> Reading:
    zoned = [form for form in used if zone_of(form.suffix) != ""]
    if zoned and len(zoned) < len(used):
        plain = next(form for form in used if form not in zoned)
        raise Refused(
            f"some stamps carry a zone ({zoned[0].shown}, {used[zoned[0]]:,} rows) and some none ({plain.shown}, "
            f"{used[plain]:,} rows). Export the file again with one of them."
        )
    shown = ", ".join(form.shown for form in used)
    found = Finding("stamps", shown, f"{sum(used.values()):,} of {wall.len():,} rows are written so")
    if not any(form.date for form in used):
        return Reading(kind="clock", wall=wall, exact=False, findings=(*findings, found))
    return _settled(wall, bool(zoned), *findings, found)
