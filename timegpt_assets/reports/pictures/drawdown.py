"""How far the book lay below its best so far, session by session, and where it lay deepest."""

from collections.abc import Collection
from datetime import date

import altair as alt
import polars as pl

from timegpt_assets.reports.pictures.pnl import cumulative, dollars, ticks
from timegpt_assets.reports.pictures.style import (
    MUTED,
    VERMILION,
    WIDTH,
    Picture,
    midnight,
    nothing,
    sources,
    titled,
)

HEIGHT = 140


def depths(portfolio: pl.DataFrame, *, days: Collection[date]) -> pl.DataFrame:
    """Return [day, depth, below] for every session: USD after costs below the best so far, and for how many sessions.

    The start counts as a best of 0; depth is 0 or negative.
    """
    equity = cumulative(portfolio, days=days, multipliers=(1.0,)).select("day", "cumulated")
    best = pl.max_horizontal(pl.col("cumulated").cum_max(), pl.lit(0.0))
    rows = equity.select("day", depth=pl.col("cumulated") - best)
    lasting = pl.col("depth") < 0
    return rows.with_columns(below=pl.when(lasting).then(lasting.cum_sum().over(lasting.rle_id())).otherwise(0))


def drawdown(portfolio: pl.DataFrame, *, days: Collection[date]) -> Picture:
    """Return the depth below the best so far over the sessions, USD after costs, the deepest one marked."""
    rows = depths(portfolio, days=days)
    if rows.is_empty():
        return nothing("Drawdown after costs", height=HEIGHT)
    # the account before the first day, or that day's loss would have no width
    start = rows.head(1).select(pl.col("day").dt.offset_by("-1d"), depth=pl.lit(0.0))
    words = pl.col("depth").map_elements(dollars, return_dtype=pl.String)
    drawn = pl.concat([start, rows.drop("below")]).with_columns(at=midnight("day"), words=words)
    x = alt.X("at:T", title=None).scale(type="utc", nice=False)
    x = x.axis(format="%d %b %Y", values=ticks(rows), labelFlush=False)
    y = alt.Y("depth:Q", title="below the best so far, USD").axis(format="~s", tickCount=4)
    area = alt.Chart(drawn).mark_area(
        color=VERMILION, opacity=0.25, interpolate="step-before", line={"color": VERMILION}
    )
    deepest = alt.Chart(drawn.sort("depth", "day").head(1).filter(pl.col("depth") < 0)).encode(x=x, y=y)
    marks = deepest.mark_point(color=VERMILION, filled=True, size=60, opacity=1)
    words = deepest.mark_text(color=MUTED, align="left", dx=8, dy=-8).encode(text="words:N")
    layers = alt.layer(area.encode(x=x, y=y), marks, words)
    return layers.properties(title=_title(portfolio, rows), width=WIDTH, height=HEIGHT)


def _title(portfolio: pl.DataFrame, rows: pl.DataFrame) -> alt.Title:
    deepest = rows.sort("depth", "day").row(0, named=True)
    words = "Never below its start or its best"
    if deepest["depth"] < 0:
        words = f"{dollars(-deepest['depth']).lstrip('+')} below the best at worst, on {deepest['day']}"
    lasted, last = max(rows["below"]), rows["below"][-1]
    still = f"; {last:,} at the end" if last else ""
    made_by = f"; {sources(portfolio)}" if portfolio.height else ""
    return titled(words, f"longest: {lasted:,} of {rows.height:,} sessions{still}; after costs{made_by}")
