"""From a vendor's table to bars in our names, UTC and USD, with every inference told; or a refusal of the whole file.

Belongs here: the order in which the questions are asked, and the count of the rows that are left out. Each question is
its own file in this room; reading bytes is adapters/market/vendor_tables.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from timegpt_assets.core import calendar
from timegpt_assets.core.bars.vendor_columns import NUMBERS, PRICES
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.vendors import headers, shapes, tickers
from timegpt_assets.core.vendors.findings import Finding, Refused, Said, Table
from timegpt_assets.core.vendors.headers import Fields
from timegpt_assets.core.vendors.interval import interval
from timegpt_assets.core.vendors.numbers import numbers
from timegpt_assets.core.vendors.price_scale import price_scale
from timegpt_assets.core.vendors.shapes import Shape
from timegpt_assets.core.vendors.stamp_side import stamp_side
from timegpt_assets.core.vendors.times import clock
from timegpt_assets.core.vendors.volume_unit import volume_unit
from timegpt_assets.core.vendors.zone import zone

BARS = pl.Schema({"symbol": pl.String(), "ts": TIME} | {name: pl.Float64() for name in NUMBERS})
"""What comes out: one row per bar, stamped at its start in UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """A file's bars, in its order, how each question was answered, and the rows left out by reason.

    ``left_out``: reason -> rows. ``format``: the vendor's shape, "any" where it is none in particular.
    """

    bars: pl.DataFrame
    format: str
    read: int
    findings: tuple[Finding, ...]
    left_out: dict[str, int] = field(default_factory=dict)


def understand(table: Table, said: Said, *, max_unreadable_share: float) -> Understood:
    """Return what the table holds. Raises Refused, naming the option that settles it, for whatever stays open.

    ``max_unreadable_share``: rows that say no time, number or ticker are left out and counted up to this share of the
    file; with more of them the file was not understood.
    """
    width = table.cells.width
    names = None if table.header is None else [headers.spelled(name) for name in table.header]
    first = [str(cell) for cell in table.cells.row(0)] if table.cells.height else [""] * width
    stem = tickers.stem_of(table.name)
    shape, found = shapes.chosen(said.format, names, first, stem) if not said.columns else _own_columns(said)
    fields = headers.fields(table.header, width, shape, said.columns)
    _require_rows(table)
    findings = [found]
    by_name = shapes.named(shape, stem)
    told_clock = clock(table, fields, shape, said, by_name.get("day"))
    findings += told_clock.findings
    values, unreadable, more = numbers(table.cells, fields.numbers, said.decimal)
    findings += more
    symbols, more = _symbols(table, fields, by_name.get("ticker"), said)
    findings += more
    rows = pl.DataFrame({"symbol": symbols, "wall": told_clock.wall}).hstack(values)
    rows, left_out = _sorted_out(rows, unreadable, table, fields, max_unreadable_share)
    bars, more = _placed(rows, shape, said, exact=told_clock.exact)
    bars, outside = _inside(bars, left_out)
    return Understood(
        bars=bars.select(BARS.names()).cast(dict(BARS.items())),
        format=shape.name,
        read=table.cells.height,
        findings=(*findings, *more),
        left_out=left_out | outside,
    )


def _own_columns(said: Said) -> tuple[Shape, Finding]:
    if said.format is not None:
        raise Refused("--format and --columns are both given: a format names its columns. Leave one of them out.")
    return Shape(name="any"), Finding("format", "none in particular", "as --columns says")


def _require_rows(table: Table) -> None:
    if not table.cells.height:
        raise Refused("holds no rows. Fetch or export the file again.")


def _symbols(
    table: Table, fields: Fields, by_shape: str | None, said: Said
) -> tuple[pl.Series, list[Finding]]:  # fmt: skip
    if fields.symbol is not None:
        return tickers.of_column(table.cells[fields.symbol], said)
    name, found = tickers.of_name(table.path, by_shape, said)
    return pl.Series("symbol", [name]).extend_constant(name, table.cells.height - 1), [found]


def _sorted_out(
    rows: pl.DataFrame, unreadable: pl.DataFrame, table: Table, fields: Fields, max_share: float
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the rows that say everything, and the count of the others by reason, each row counted once."""
    numbers_null = pl.any_horizontal(pl.col(name).is_null() for name in NUMBERS)
    silent = pl.all_horizontal(pl.col(name).fill_null(0.0) == 0.0 for name in NUMBERS)
    garbled = unreadable.select(pl.any_horizontal(pl.all()))
    marked = rows.with_columns(garbled.to_series().alias("garbled")).with_columns(
        reason=pl.when(pl.col("wall").is_null()).then(pl.lit("without a time"))
        .when(pl.col("symbol").is_null()).then(pl.lit("without a ticker"))
        .when(pl.col("garbled")).then(pl.lit("with an unreadable number"))
        .when(silent).then(pl.lit("without a trade"))
        .when(numbers_null).then(pl.lit("with a missing number"))
    )  # fmt: skip
    counts = {str(reason): int(count) for reason, count in
              marked.drop_nulls("reason").group_by("reason", maintain_order=True).len().iter_rows()}  # fmt: skip
    bad = sum(count for reason, count in counts.items() if reason != "without a trade")
    if bad > max_share * rows.height:
        raise Refused(_unreadable(marked, counts, table, fields, max_share))
    kept = marked.filter(pl.col("reason").is_null()).drop("reason", "garbled")
    if not kept.height:
        raise Refused("holds rows without a trade only. Fetch or export the file again.")
    return kept, counts


def _unreadable(
    marked: pl.DataFrame, counts: dict[str, int], table: Table, fields: Fields, max_share: float
) -> str:  # fmt: skip
    """Return what is wrong with a file of which too much cannot be read, with the first such row as it stands there."""
    at = (
        marked.with_row_index("n").drop_nulls("reason").filter(pl.col("reason") != "without a trade").row(0, named=True)
    )
    cells = [str(cell)[:40] for cell in table.cells.row(at["n"]) if cell is not None]
    shown = ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if reason != "without a trade")
    used = ", ".join(fields.shown[c] for c in (*fields.times, *(c for cs in fields.numbers.values() for c in cs)))
    return (
        f"of {marked.height:,} rows {shown}, over {max_share:.0%}: the first is row {at['n'] + 1}, "
        f"{table.separator.join(cells)!r}, read by columns {used}. Mend the rows, or say what the columns are with "
        "--columns."
    )


def _placed(
    rows: pl.DataFrame, shape: Shape, said: Said, *, exact: bool
) -> tuple[pl.DataFrame, list[Finding]]:  # fmt: skip
    """Return the rows with ts, the start of the minute in UTC, and what the bars themselves told."""
    told_interval = interval(rows, said=said.one_minute)
    rows, told_scale = price_scale(rows, said=said.price_scale, claimed_digits=shape.price_digits)
    _require_order(rows)
    rows, told_volume = volume_unit(rows, said=said.volume_scale)
    name, told_zone = zone(rows, exact=exact, said=said.timezone, claimed=shape.zone)
    local = pl.col("wall").dt.replace_time_zone(name, ambiguous="earliest", non_existent="null")
    placed = rows.with_columns(ts=local.dt.convert_time_zone("UTC").cast(TIME))
    # After the zone: which end of its minute a stamp names is asked of whole sessions in UTC.
    side, told_side = stamp_side(placed.drop_nulls("ts"), said=said.stamp, claimed=shape.stamp)
    placed = placed.with_columns(pl.col("ts").dt.offset_by("-1m")) if side == "end" else placed
    return placed, [told_interval, told_zone, told_side, told_scale, told_volume]


def _require_order(rows: pl.DataFrame) -> None:
    """Raise Refused where high and low are none in most rows: the columns are other ones."""
    high, low = pl.max_horizontal(*PRICES), pl.min_horizontal(*PRICES)
    wrong = rows.select(((pl.col("high") < high) | (pl.col("low") > low)).mean()).item()
    if wrong > 0.5:
        raise Refused(
            f"in {wrong:.0%} of its rows high or low is not the highest or lowest price: the columns are in another "
            "order. Say which is which with --columns."
        )


def _inside(bars: pl.DataFrame, left_out: dict[str, int]) -> tuple[pl.DataFrame, dict[str, int]]:
    """Return the bars of days that the calendar covers, and the count of the others."""
    placed = bars.drop_nulls("ts")
    day = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date()
    inside = placed.filter(day.is_between(calendar.FIRST_DAY, calendar.LAST_DAY))
    counts = {"in an hour that the zone skips": bars.height - placed.height,
              "outside the calendar": placed.height - inside.height}  # fmt: skip
    if not inside.height:
        raise Refused(
            f"has no row between {calendar.FIRST_DAY} and {calendar.LAST_DAY}: {_span(placed)}. Fetch others."
        )
    return inside, {reason: count for reason, count in counts.items() if count}


def _span(bars: pl.DataFrame) -> str:
    first, last = bars.select(first=pl.col("ts").min(), last=pl.col("ts").max()).row(0)
    return f"they run from {first:%Y-%m-%d} to {last:%Y-%m-%d}" if first else "there are none"


def months(bars: pl.DataFrame) -> Sequence[tuple[str, date, pl.DataFrame]]:
    """Return symbol, first of the New York month, and rows of each month of each symbol, in the file's order."""
    local = pl.col("ts").dt.convert_time_zone(calendar.ZONE).dt.date().dt.month_start()
    groups = bars.group_by("symbol", local.alias("month"), maintain_order=True)
    return [(str(symbol), month, part) for (symbol, month), part in groups if isinstance(month, date)]
