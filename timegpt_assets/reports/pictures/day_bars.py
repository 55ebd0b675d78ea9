"""One symbol's day, minute by minute: what printed, which minutes are filled, and which rows a quality rule blames."""

import json
from datetime import date

import altair as alt
import polars as pl

from timegpt_assets.reports.pictures.style import (
    BLUE,
    MUTED,
    ORANGE,
    VERMILION,
    WIDTH,
    Picture,
    nothing,
    titled,
    wall_clock,
)

HEIGHT = 200


def day_bars(bars: pl.DataFrame, *, day: date, symbol: str, verdict: str = "", offending: str = "[]") -> Picture:
    """Return the closes of a day over its minutes' ranges, filled minutes shaded, blamed rows as points.

    ``bars`` [day, symbol, ts, close, is_filled], with high and low where there are any, other keys are not looked at;
    ``offending`` as in quality_report; ``verdict`` is printed with the title.
    """
    own = bars.filter(pl.col("day") == day, pl.col("symbol") == symbol).sort("ts")
    title = f"{symbol}, {day}{f': {verdict}' if verdict else ''}"
    if own.is_empty():
        return nothing(title, height=HEIGHT)
    rows = own.with_columns(until=pl.col("ts").dt.offset_by("1m")).with_columns(
        at=wall_clock("ts"), to=wall_clock("until")
    )
    x = alt.X("at:T", title=None).scale(type="utc", nice=False).axis(format="%H:%M")
    y = alt.Y("close:Q", title="USD").scale(zero=False)
    layers = [_filled(rows, x), *_ranges(rows, x), _closes(rows, x, y)]
    flags = blamed(offending, own)
    if flags.height:
        layers.append(_points(flags, x, y))
    return alt.layer(*layers).properties(title=_title(title, own, flags), width=WIDTH, height=HEIGHT)


def blamed(offending: str, bars: pl.DataFrame) -> pl.DataFrame:
    """Return ts, rule and close of each blamed row, at the price of the minute it lies in or follows."""
    listed = [(entry["ts"], entry["rule"]) for entry in json.loads(offending)]
    rows = pl.DataFrame(listed, schema={"ts": pl.String, "rule": pl.String}, orient="row")
    rows = rows.with_columns(pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC", time_unit="us")).sort(
        "ts"
    )
    known = bars.filter(pl.col("close").is_not_null()).select("ts", "close").sort("ts")
    # nearest: a row blamed before the first print, or out of the session, has no price of its own on the grid
    return rows.join_asof(known, on="ts", strategy="nearest")


def _filled(rows: pl.DataFrame, x: alt.X) -> alt.Chart:
    filled = rows.filter("is_filled").select("at", "to")
    chart: alt.Chart = alt.Chart(filled).mark_rect(color=ORANGE, opacity=0.45).encode(x=x, x2="to:T")
    return chart


def _ranges(rows: pl.DataFrame, x: alt.X) -> list[alt.Chart]:
    if not {"high", "low"} <= set(rows.columns):
        return []
    printed = rows.filter(~pl.col("is_filled")).select("at", "low", "high")
    return [alt.Chart(printed).mark_rule(color=MUTED, strokeWidth=1).encode(x=x, y="low:Q", y2="high:Q")]


def _closes(rows: pl.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    chart: alt.Chart = alt.Chart(rows.select("at", "close")).mark_line(color=BLUE, strokeWidth=1).encode(x=x, y=y)
    return chart


def _points(flags: pl.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    points = alt.Chart(flags.with_columns(at=wall_clock("ts")).select("at", "close", "rule"))
    shape = alt.Shape("rule:N", title=None, sort=sorted(flags["rule"].unique()))
    chart: alt.Chart = points.mark_point(color=VERMILION, size=70, filled=False, strokeWidth=2).encode(
        x=x, y=y, shape=shape
    )
    return chart


def _title(text: str, bars: pl.DataFrame, flags: pl.DataFrame) -> alt.Title:
    filled = f"{bars['is_filled'].sum():,} of {bars.height:,} minutes filled (shaded)"
    rules = ", ".join(f"{count} {rule}" for rule, count in flags.group_by("rule").len().sort("rule").iter_rows())
    return titled(text, f"{filled}; rows blamed: {rules or 'none'}; New York time")
