"""Gate verdicts at a glance: a row per criterion, a tile per symbol or a light per month, passed, failed or unknown."""

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.gates import INSUFFICIENT
from timegpt_assets.reports.pictures.style import INK, VERMILION, Picture, nothing, sources, titled

VERDICTS = {"passed": "#7fb8dc", "insufficient": "#d5dae0", "failed": VERMILION}
SIGNS = {"passed": "✓", "insufficient": "?", "failed": "✗"}

MOST_SYMBOLS = 16
"""Symbols drawn side by side: of more, those with the most criteria that are not passed."""
_ROW, _TILE, _LIGHT = 22, 44, 340


def judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of gates or symbol_gates with ``outcome``: passed, failed or insufficient.

    Insufficient is what could not be measured, or whose reason or verdict says insufficient_observation.
    """
    words = pl.concat_str([pl.col(c) for c in ("reason", "verdict") if c in rows.columns], separator=" ")
    unknown = pl.col("value").is_null() | words.str.contains(INSUFFICIENT, literal=True)
    failed = pl.when(unknown).then(pl.lit("insufficient")).otherwise(pl.lit("failed"))
    return rows.with_columns(outcome=pl.when("passed").then(pl.lit("passed")).otherwise(failed))


def strip(rows: pl.DataFrame) -> Picture:
    """Return the strip of verdicts of the last month or day; ``rows`` are of gates or symbol_gates.

    A criterion about all symbols has one tile under ``all``; of several sources the worst verdict is shown.
    """
    if rows.is_empty():
        return nothing("Gate verdicts")
    period = "month" if "month" in rows.columns else "day"
    now = judged(rows.filter(pl.col(period) == pl.col(period).max()))
    every = _tiles(now)
    tiles = every.join(_worst(every), on="symbol", how="semi", maintain_order="left")
    symbols = sorted(tiles["symbol"].unique(), key=lambda symbol: (symbol != "all", symbol))
    order = tiles["criterion"].unique(maintain_order=True).to_list()
    x = alt.X("symbol:N", title=None, sort=symbols).axis(orient="top", labelAngle=0, domain=False, ticks=False)
    y = alt.Y("criterion:N", title=None, sort=order).axis(domain=False, ticks=False, labelLimit=320, labelColor=INK)
    seen = [v for v in VERDICTS if v in set(tiles["outcome"])]
    colour = alt.Color("outcome:N", title=None, sort=seen).legend(symbolType="square")
    colour = colour.scale(domain=seen, range=[VERDICTS[v] for v in seen])
    shared = alt.Chart(tiles)
    squares = shared.mark_rect(stroke="white", strokeWidth=2).encode(x=x, y=y, color=colour)
    signs = shared.mark_text(fontSize=12, color=INK).encode(x=x, y=y, text="sign:N")
    size = {"width": _TILE * tiles["symbol"].n_unique(), "height": _ROW * len(order)}
    about = str(now[period][0])
    if (left_out := every["symbol"].n_unique() - len(symbols)) > 0:
        about += f"; the {len(symbols)} with the most that is not passed, {left_out} further symbols not drawn"
    return alt.layer(squares, signs).properties(title=_title(now, every, about), **size)


def _worst(tiles: pl.DataFrame) -> pl.DataFrame:
    """Return the symbols that are drawn."""
    failed = tiles.group_by("symbol").agg((pl.col("outcome") != "passed").sum().alias("failed"))
    return (
        failed.sort(pl.col("symbol") == "all", "failed", "symbol", descending=[True, True, False])
        .head(MOST_SYMBOLS)
        .select("symbol")
    )


def lights(rows: pl.DataFrame) -> Picture:
    """Return the traffic lights of GATES rows over time: a column per month, a row per criterion.

    A criterion asked of each symbol counts those that passed, and shows the worst of them; so does one of several
    sources.
    """
    if rows.is_empty():
        return nothing("Gates over time")
    seen, months = _lights(judged(rows)), sorted(rows["month"].unique())
    order = seen["criterion"].unique(maintain_order=True).to_list()
    x = alt.X("month:N", title=None, sort=months).axis(orient="top", labelAngle=0, domain=False, ticks=False)
    y = alt.Y("criterion:N", title=None, sort=order).axis(domain=False, ticks=False, labelLimit=320, labelColor=INK)
    shown = [v for v in VERDICTS if v in set(seen["outcome"])]
    colour = alt.Color("outcome:N", title=None, sort=shown).legend(symbolType="circle", symbolSize=120)
    colour = colour.scale(domain=shown, range=[VERDICTS[v] for v in shown])
    shared = alt.Chart(seen)
    circles = shared.mark_circle(size=_LIGHT, opacity=1).encode(x=x, y=y, color=colour)
    signs = shared.mark_text(fontSize=10, color=INK).encode(x=x, y=y, text="sign:N")
    last = seen.filter(month=months[-1])
    words = f"{(last['outcome'] == 'passed').sum()} of {last.height} criteria passed in {months[-1]}"
    about = f"{len(months)} months, each with the sessions before its end; {sources(rows)}"
    size = {"width": max(2 * _TILE, 62 * len(months)), "height": _ROW * len(order)}
    return alt.layer(circles, signs).properties(title=titled(words, about), **size)


def _lights(rows: pl.DataFrame) -> pl.DataFrame:
    """Return [month, criterion, outcome, sign]: the worst outcome, with how many of several symbols passed."""
    rank = pl.col("outcome").replace_strict(list(VERDICTS), [0, 1, 2], return_dtype=pl.Int64)
    of_symbols = pl.col("symbol") != WILDCARD
    found = rows.with_columns(criterion=pl.col("gate") + ": " + pl.col("criterion"), rank=rank).group_by(
        "criterion", of_symbols.alias("each"), "month"
    )
    worst = found.agg(pl.col("outcome").sort_by("rank").last(), n=pl.len(), passed=pl.col("passed").sum())
    sign = pl.when(pl.col("n") > 1).then(pl.format("{}/{}", "passed", "n"))
    signed = worst.with_columns(sign=sign.otherwise(pl.col("outcome").replace_strict(SIGNS)))
    return signed.sort("criterion", "each", "month").select("month", "criterion", "outcome", "sign")


def _tiles(rows: pl.DataFrame) -> pl.DataFrame:
    """Return [criterion, symbol, outcome, sign], the worst outcome per criterion and symbol, ``all`` first."""
    gate = pl.col("gate") + ": " if "gate" in rows.columns else pl.lit("")
    rank = pl.col("outcome").replace_strict(list(VERDICTS), [0, 1, 2], return_dtype=pl.Int64)
    named = rows.with_columns(criterion=gate + pl.col("criterion"), rank=rank)
    worst = named.sort("rank", descending=True, maintain_order=True).unique(["criterion", "symbol"], keep="first")
    shown = worst.sort("criterion", pl.col("symbol") != WILDCARD, "symbol").with_columns(
        symbol=pl.col("symbol").replace(WILDCARD, "all"), sign=pl.col("outcome").replace_strict(SIGNS)
    )
    return shown.select("criterion", "symbol", "outcome", "sign")


def _title(rows: pl.DataFrame, tiles: pl.DataFrame, period: str) -> alt.Title:
    counts = {v: (tiles["outcome"] == v).sum() for v in VERDICTS}
    words = f"{counts['passed']} of {tiles.height} criteria passed, {counts['failed']} failed"
    unknown = f", {counts['insufficient']} with too little to judge" if counts["insufficient"] else ""
    return titled(words + unknown, f"{period}; {sources(rows)}")
