"""Profit and loss of the admitted trades, cumulated over the sessions, at several cost levels."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import altair as alt
import polars as pl

from timegpt_assets.core.backtest.portfolio import LIMITS
from timegpt_assets.reports.pictures.style import (
    BLUE,
    HEIGHT,
    MUTED,
    ORANGE,
    SKY,
    VERMILION,
    WIDTH,
    Picture,
    midnight,
    nothing,
    sources,
    titled,
)

MULTIPLIERS = (1.0, 1.5, 2.0)
_COLOURS = (BLUE, SKY, ORANGE, VERMILION, MUTED)


def cumulative(
    portfolio: pl.DataFrame, *, days: Collection[date], multipliers: Sequence[float] = MULTIPLIERS
) -> pl.DataFrame:
    """Return [day, multiplier, net, cumulated] in USD for every session, those without an admitted trade flat.

    ``portfolio`` are rows of portfolio; net is gross_pnl - multiplier x cost. Days of trades are sessions too.
    """
    admitted = portfolio.filter("admitted").sort("day", "symbol", "snapshot_ts")
    daily = admitted.group_by("day", maintain_order=True).agg(pl.col("gross_pnl", "cost").sum())
    # every session, those without a trade too: flat is a result
    axis = pl.DataFrame({"day": sorted({*days, *daily["day"]})}, schema={"day": pl.Date})
    daily = axis.join(daily, on="day", how="left").with_columns(pl.col("gross_pnl", "cost").fill_null(0.0)).sort("day")
    levels = pl.DataFrame({"multiplier": list(multipliers)}, schema={"multiplier": pl.Float64})
    net = daily.join(levels, how="cross").with_columns(net=pl.col("gross_pnl") - pl.col("multiplier") * pl.col("cost"))
    net = net.sort("multiplier", "day").with_columns(cumulated=pl.col("net").cum_sum().over("multiplier"))
    return net.select("day", "multiplier", "net", "cumulated")


def pnl(portfolio: pl.DataFrame, *, days: Collection[date], multipliers: Sequence[float] = MULTIPLIERS) -> Picture:
    """Return the cumulated P&L after costs, USD, one line per cost multiplier (see cumulative)."""
    rows = cumulative(portfolio, days=days, multipliers=multipliers)
    if rows.is_empty():
        return nothing("Cumulated P&L after costs")
    last = dict(rows.group_by("multiplier", maintain_order=True).agg(pl.col("cumulated").last()).iter_rows())
    names = {m: f"costs {m:g}x: {dollars(total)}" for m, total in last.items()}
    named = from_zero(rows, ["multiplier"]).select(
        "cumulated", at=midnight("day"), costs=pl.col("multiplier").replace_strict(names)
    )
    colour = alt.Color("costs:N", title=None, sort=list(names.values()))
    colour = colour.scale(domain=list(names.values()), range=list(_COLOURS[: len(names)]))
    return equity(named, rows, color=colour).properties(title=_title(portfolio, rows), width=WIDTH, height=HEIGHT)


def from_zero(rows: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Return rows of ``cumulative`` with a zero before the first day of each of ``by``.

    Without it that day's profit would be where the line begins.
    """
    start = rows.group_by(by, maintain_order=True).agg(pl.col("day").first().dt.offset_by("-1d"))
    return pl.concat([start.with_columns(cumulated=0.0), rows.drop("net")], how="diagonal").sort(*by, "day")


def equity(drawn: pl.DataFrame, rows: pl.DataFrame, **channels: Any) -> Picture:
    """Return ``drawn`` [at, cumulated, ...] as stepped lines told apart by the channels, over a line at zero."""
    x = (
        alt.X("at:T", title=None)
        .scale(type="utc", nice=False)
        .axis(format="%d %b %Y", values=ticks(rows), labelFlush=False)
    )
    y = alt.Y("cumulated:Q", title="cumulated P&L after costs, USD").axis(format=",.0f", tickCount=6)
    zero = alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(color=MUTED, strokeWidth=1).encode(y="zero:Q")
    lines = alt.Chart(drawn).mark_line(interpolate="step-after", strokeWidth=2).encode(x=x, y=y, **channels)
    return alt.layer(zero, lines)


def ticks(rows: pl.DataFrame) -> list[int]:
    """Return at most six sessions, evenly spaced, as milliseconds."""
    days = rows.select(at=midnight("day").dt.timestamp("ms"))["at"].unique().sort()
    return days.gather_every(-(-len(days) // 6)).to_list()


def dollars(amount: float) -> str:
    """Return the amount in whole US dollars, its sign in front."""
    return f"{'-' if round(amount) < 0 else '+' if round(amount) > 0 else ''}${abs(round(amount)):,}"


def _title(portfolio: pl.DataFrame, rows: pl.DataFrame) -> alt.Title:
    trades, refused = portfolio["admitted"].sum(), portfolio["refused_by"].is_in(list(LIMITS)).sum()
    days = rows["day"].unique()
    words = f"{trades:,} admitted trades over {len(days):,} sessions, after costs" if trades else "No admitted trade"
    made_by = f"; {sources(portfolio)}" if portfolio.height else ""
    return titled(words, f"{rows['day'][0]} to {rows['day'][-1]}; {refused:,} refused by risk limits{made_by}")
