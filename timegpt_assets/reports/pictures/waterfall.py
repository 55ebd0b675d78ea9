"""From gross to net: what each part of the costs took from the admitted trades."""

import altair as alt
import polars as pl

from timegpt_assets.core.backtest.costs import PARTS
from timegpt_assets.reports.pictures.pnl import dollars
from timegpt_assets.reports.pictures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    VERMILION,
    WIDTH,
    Picture,
    nothing,
    sources,
    titled,
)

HEIGHT = 180
COLOURS = {"before costs": BLUE, "cost": ORANGE, "net gain": GREEN, "net loss": VERMILION}


def steps(portfolio: pl.DataFrame) -> pl.DataFrame:
    """Return [step, start, end, kind] in USD: gross, each part of the cost, and net, of the admitted trades."""
    # in one order: a sum of fractions in another differs in its last digits
    admitted = portfolio.filter("admitted").sort("day", "symbol", "snapshot_ts", "book")
    sums = admitted.select("gross_pnl", *PARTS, "net_pnl").sum().row(0, named=True)
    rows, reached = [("gross", 0.0, sums["gross_pnl"], "before costs")], sums["gross_pnl"]
    for part in PARTS:
        rows.append((part, reached, reached - sums[part], "cost"))
        reached -= sums[part]
    rows.append(("net", 0.0, sums["net_pnl"], "net gain" if sums["net_pnl"] > 0 else "net loss"))
    return pl.DataFrame(rows, schema=["step", "start", "end", "kind"], orient="row")


def waterfall(portfolio: pl.DataFrame) -> Picture:
    """Return bars from gross P&L through each part of the cost down to net, USD, of the admitted trades."""
    trades = portfolio.filter("admitted").height
    if not trades:
        return nothing("From gross to net", height=HEIGHT)
    rows = steps(portfolio).with_columns(
        top=pl.max_horizontal("start", "end"),
        words=(pl.col("end") - pl.col("start")).map_elements(dollars, return_dtype=pl.String),
    )
    x = alt.X("step:N", title=None, sort=rows["step"].to_list()).axis(labelAngle=0, domain=False, ticks=False)
    y = alt.Y("start:Q", title="USD").axis(format="~s", tickCount=5)
    colour = alt.Color("kind:N", legend=None).scale(domain=list(COLOURS), range=list(COLOURS.values()))
    shared = alt.Chart(rows)
    bars = shared.mark_bar(size=44).encode(x=x, y=y, y2="end:Q", color=colour)
    words = shared.mark_text(color=INK, dy=-8, fontSize=11).encode(x=x, y="top:Q", text="words:N")
    zero = alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(color=MUTED, strokeWidth=1).encode(y="zero:Q")
    return alt.layer(bars, zero, words).properties(title=_title(portfolio, rows, trades), width=WIDTH, height=HEIGHT)


def _title(portfolio: pl.DataFrame, rows: pl.DataFrame, trades: int) -> alt.Title:
    gross, net = rows["end"][0], rows["end"][-1]
    words = f"Costs of {dollars(gross - net).lstrip('+')} on a gross of {dollars(gross)}"
    return titled(words, f"{trades:,} admitted trades; net {dollars(net)}; {sources(portfolio)}")
