"""What each forecaster's paper book earned after costs, and how far it lay below its best so far, on one axis."""

from collections.abc import Collection, Sequence
from datetime import date

import altair as alt
import polars as pl

from timegpt_assets.reports.pictures.pnl import cumulative, dollars, from_zero, ticks
from timegpt_assets.reports.pictures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    SKY,
    VERMILION,
    WIDTH,
    Picture,
    midnight,
    nothing,
    titled,
)

_COLOURS = (BLUE, ORANGE, GREEN, VERMILION, SKY, INK, MUTED)
MOST_BOOKS = len(_COLOURS)
"""Books drawn: as many as there are colours that any reader tells apart."""
_EQUITY, _DEPTH = 220, 110


def depths(portfolio: pl.DataFrame, *, days: Collection[date]) -> pl.DataFrame:
    """Return [day, depth, below] for every session: USD after costs below the best so far, and for how many sessions.

    The start counts as a best of 0; depth is 0 or negative.
    """
    equity = cumulative(portfolio, days=days, multipliers=(1.0,)).select("day", "cumulated")
    best = pl.max_horizontal(pl.col("cumulated").cum_max(), pl.lit(0.0))
    rows = equity.select("day", depth=pl.col("cumulated") - best)
    lasting = pl.col("depth") < 0
    return rows.with_columns(below=pl.when(lasting).then(lasting.cum_sum().over(lasting.rle_id())).otherwise(0))


def equity(portfolio: pl.DataFrame, *, days: Collection[date], seats: Sequence[str]) -> Picture:
    """Return each book's cumulated P&L after costs, USD, over its depth below its best so far; one colour per book.

    ``portfolio`` rows of any books, ``seats`` their forecasters, the champion first. Of more than MOST_BOOKS the
    champion's and those with most trades are drawn.
    """
    own = dict(sorted((str(name), part) for (name,), part in portfolio.partition_by("book", as_dict=True).items()))
    # a forecaster that never traded has no rows: a flat line is a result, too
    own |= {name: portfolio.clear() for name in seats if name not in own}
    champion = next(iter(seats), "")
    curves = {name: _curve(part, days) for name, part in own.items()}
    if not any(curve.height for curve in curves.values()):
        return nothing("What each forecaster's book earned after costs")
    trades = {name: int(part["admitted"].sum()) for name, part in own.items()}
    drawn = sorted(curves, key=lambda name: (name != champion, -trades[name], name))[:MOST_BOOKS]
    rows = pl.concat(curves[name].with_columns(book=pl.lit(name)) for name in drawn)
    last = {name: float(curves[name]["cumulated"][-1]) for name in drawn}
    shown = {name: f"{name}: {dollars(last[name])}, {trades[name]:,} trades" for name in drawn}
    named = rows.with_columns(at=midnight("day"), line=pl.col("book").replace_strict(shown)).drop("book", "day")
    colour = alt.Color("line:N", title=None, sort=list(shown.values()))
    colour = colour.scale(domain=list(shown.values()), range=list(_COLOURS[: len(shown)]))
    colour = colour.legend(columns=2, symbolType="stroke", labelLimit=300)
    x = alt.X("at:T", title=None).scale(type="utc", nice=False)
    x = x.axis(format="%d %b %Y", values=ticks(rows), labelFlush=False)
    y = alt.Y("cumulated:Q", title="P&L after costs, USD").axis(format="~s", tickCount=6)
    zero = alt.Chart(pl.DataFrame({"zero": [0.0]})).mark_rule(color=MUTED, strokeWidth=1).encode(y="zero:Q")
    line = alt.Chart(named.drop("depth")).mark_line(interpolate="step-after", strokeWidth=2)
    earned = alt.layer(zero, line.encode(x=x, y=y, color=colour)).properties(width=WIDTH + 120, height=_EQUITY)
    depth = alt.Chart(named.drop("cumulated")).mark_line(interpolate="step-after", strokeWidth=1.5)
    below = alt.Y("depth:Q", title="below its best, USD").axis(format="~s", tickCount=4)
    below = depth.encode(x=x, y=below, color=colour).properties(width=WIDTH + 120, height=_DEPTH)
    both: Picture = alt.vconcat(earned, below, spacing=10).resolve_scale(x="shared", color="shared")
    titled_both: Picture = both.properties(
        title=_title(rows, last, trades, champion, left_out=len(curves) - len(drawn))
    )
    return titled_both


def _curve(own: pl.DataFrame, days: Collection[date]) -> pl.DataFrame:
    """Return [day, cumulated, depth] of one book, from a zero on the day before the first."""
    rows = from_zero(cumulative(own, days=days, multipliers=(1.0,)), ["multiplier"]).drop("multiplier")
    return rows.join(depths(own, days=days).drop("below"), on="day", how="left").with_columns(
        pl.col("depth").fill_null(0.0)
    )


def _title(
    rows: pl.DataFrame, last: dict[str, float], trades: dict[str, int], champion: str, *, left_out: int
) -> alt.Title:
    traded = {name: net for name, net in last.items() if trades[name]}
    days = rows["day"].unique().sort()[1:]
    words = f"No book has a trade on {'1 session' if len(days) == 1 else f'{len(days):,} sessions'}"
    if traded:
        best = max(traded, key=lambda name: (traded[name], name))
        counted = "1 trade" if trades[best] == 1 else f"{trades[best]:,} trades"
        words = f"{best} ended highest: {dollars(traded[best])} after costs on {counted}"
        if traded[best] <= 0:
            words = f"No book earned its costs; {champion} ended at {dollars(last[champion])}"
    cut = f"; {left_out} further books not drawn" if left_out else ""
    about = f"{days[0]} to {days[-1]}" if len(days) > 1 else f"{days[0]} alone"
    return titled(words, f"{about}; paper books, limits on each by itself; below: depth under the best so far{cut}")
