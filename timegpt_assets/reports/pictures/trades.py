"""One symbol's trades of a day on its price path: entries, exits with their reasons, and the levels in force."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import altair as alt
import polars as pl

from timegpt_assets.core.backtest import rules as trading
from timegpt_assets.core.backtest.rules import Rules
from timegpt_assets.reports.pictures.pnl import dollars
from timegpt_assets.reports.pictures.style import (
    BLUE,
    GREEN,
    HEIGHT,
    INK,
    MUTED,
    PAPER,
    SKY,
    VERMILION,
    WIDTH,
    Picture,
    nothing,
    sources,
    titled,
    wall_clock,
)

LEVELS = {"stop": VERMILION, "take": GREEN, "trail": SKY}
MARKS = {"long entry": "triangle-up", "short entry": "triangle-down", "exit": "cross"}
_MINUTE = timedelta(minutes=1)
_LEVEL = {"trade": pl.Int64(), "level": pl.String(), "ts": pl.Datetime("us", "UTC"), "price": pl.Float64()}


def levels(filled: pl.DataFrame, bars: pl.DataFrame, *, rules: Rules) -> pl.DataFrame:
    """Return [trade, level, ts, price] of each filled trade, minute by minute from entry to exit.

    The trailing stop stands only where it is nearer than the fixed one, as in event_loop. ``bars``: BARS of the day.
    """
    rows = [
        row for number, trade in enumerate(filled.iter_rows(named=True)) for row in _levels(number, trade, bars, rules)
    ]
    return pl.DataFrame(rows, schema=_LEVEL, orient="row")


def _levels(
    number: int, trade: dict[str, Any], bars: pl.DataFrame, rules: Rules
) -> Iterator[tuple[int, str, datetime, float]]:
    side, entry = trade["side"], trade["entry_price"]
    found = trading.exit_prices(rules, side=side, entry_price=entry, sigma=trade["sigma"])
    held = bars.filter(pl.col("ts") >= trade["entry_ts"], pl.col("ts") < trade["exit_ts"]).sort("ts")
    best = entry
    for ts, low, high, is_filled in held.select("ts", "low", "high", "is_filled").iter_rows():
        yield number, "stop", ts, found.stop
        yield number, "take", ts, found.take
        if side * best * found.trail > side * found.stop:
            yield number, "trail", ts, best * found.trail
        if not is_filled:  # copies of an earlier print move no stop
            best = max(best, high) if side > 0 else min(best, low)
    # to the end of the exit bar, where the exit is drawn
    yield number, "stop", trade["exit_ts"], found.stop
    yield number, "take", trade["exit_ts"], found.take


def trades(rows: pl.DataFrame, bars: pl.DataFrame, *, rules: Rules, day: date, symbol: str) -> Picture:
    """Return the day's closes with each trade's entry, exit and reason, and its stop, take and trailing stop.

    ``rows``: TRADES of one forecaster, ``bars``: BARS; other keys are not looked at.
    """
    own = bars.filter(day=day, symbol=symbol).sort("ts")
    said = rows.filter(day=day, symbol=symbol).sort("snapshot_ts")
    if own.is_empty():
        return nothing(f"Trades of {symbol} on {day}")
    filled = said.filter(pl.col("quantity") != 0)
    x = alt.X("at:T", title="New York time").scale(type="utc", nice=False).axis(format="%H:%M")
    y = alt.Y("price:Q", title="USD").scale(zero=False)
    path = own.select(price="close", at=wall_clock("ts") + _MINUTE)
    layers: list[alt.Chart] = [alt.Chart(path).mark_line(color=MUTED, strokeWidth=1, opacity=0.8).encode(x=x, y=y)]
    if filled.height:
        layers += [_level_lines(levels(filled, own, rules=rules), x, y), *_marks(filled, x, y)]
    return alt.layer(*layers).properties(title=_title(said, filled, day, symbol), width=WIDTH, height=HEIGHT)


def _level_lines(rows: pl.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    colour = alt.Color("level:N", title="level").scale(domain=list(LEVELS), range=list(LEVELS.values()))
    drawn = alt.Chart(rows.with_columns(at=wall_clock("ts")).drop("ts"))
    lines = drawn.mark_line(strokeWidth=1.5, interpolate="step-after")
    chart: alt.Chart = lines.encode(x=x, y=y, color=colour, detail="trade:N")
    return chart


def _marks(filled: pl.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Return entries and exits, and beside each exit its reason and what the trade earned after costs."""
    way = pl.when(pl.col("side") > 0).then(pl.lit("long entry")).otherwise(pl.lit("short entry"))
    entries = filled.select(at=wall_clock("entry_ts"), price="entry_price", mark=way)
    earned = pl.col("net_pnl").map_elements(dollars, return_dtype=pl.String)
    exits = filled.select(
        at=wall_clock("exit_ts"),
        price="exit_price",
        mark=pl.lit("exit"),
        words=pl.format("{} {}", "exit_reason", earned),
    )
    shape = alt.Shape("mark:N", title="trade").scale(domain=list(MARKS), range=list(MARKS.values()))
    points = alt.Chart(pl.concat([entries, exits.drop("words")])).mark_point(
        color=BLUE, filled=True, size=70, opacity=1, stroke="white", strokeWidth=0.8
    )
    words = alt.Chart(exits).encode(x=x, y=y, text="words:N")
    # on a rim of paper, for the path runs behind
    rim = words.mark_text(align="left", dx=7, dy=-8, fontSize=10, stroke=PAPER, strokeWidth=3)
    ink = words.mark_text(align="left", dx=7, dy=-8, fontSize=10, color=INK)
    return [points.encode(x=x, y=y, shape=shape), rim, ink]


def _title(said: pl.DataFrame, filled: pl.DataFrame, day: date, symbol: str) -> alt.Title:
    net = dollars(sum(filled["net_pnl"])) if filled.height else ""
    words = f"{symbol} on {day}: {filled.height} of {said.height} signals traded{f', {net} after costs' if net else ''}"
    missed = said.filter(pl.col("quantity") == 0).group_by("entry_reason").len().sort("entry_reason")
    why = ", ".join(f"{count} {reason}" for reason, count in missed.iter_rows())
    parts = [f"not entered: {why}" if why else "", sources(said) if said.height else ""]
    return titled(words, "; ".join(part for part in parts if part))
