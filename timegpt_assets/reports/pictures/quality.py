"""Verdicts on the data: days by symbols, coloured by verdict, with completeness."""

import altair as alt
import polars as pl

from timegpt_assets.reports.pictures.style import INK, MUTED, VERMILION, WIDTH, Picture, nothing, titled

VERDICTS = {"ok": "#cfe3f1", "warned": "#f0c95c", "late": "#cc79a7", "quarantined": VERMILION, "no_data": "#52606d"}
"""Verdict -> colour, light to dark as it gets worse, so that lightness alone tells them apart."""

_CELL, _TALLEST = 20, 640
_MOST_NUMBERS = 14
MOST_SYMBOLS = 80
"""Symbols drawn: more make neither a note nor a reader happy."""


def quality(report: pl.DataFrame) -> Picture:
    """Return the heat map of verdicts, a cell per day and symbol; ``report`` are rows of quality_report.

    Up to 14 days each cell prints its completeness in percent; the mean per symbol stands at the right. Of more than
    MOST_SYMBOLS symbols those with the fewest usable days and minutes are drawn, and the title says so.
    """
    if report.is_empty():
        return nothing("Verdicts on the data")
    every = report.select("symbol", "verdict", "completeness", day=pl.col("day").dt.to_string("%Y-%m-%d"))
    rows = every.join(_least_usable(every), on="symbol", how="semi", maintain_order="left")
    days = sorted(rows["day"].unique())
    x = alt.X("day:O", title=None, sort=days)
    y = alt.Y("symbol:N", title=None).axis(domain=False, ticks=False)
    x = x.axis(values=_labelled(days), domain=False, ticks=False, labelAngle=0, labelBound=False, labelOverlap=False)
    layers = [_cells(rows, x, y), _means(rows, y)]
    if len(days) <= _MOST_NUMBERS:
        layers.append(_numbers(rows, x, y))
    symbols = max(3, rows["symbol"].n_unique())
    height = min(symbols * _CELL, max(_TALLEST, symbols * _CELL // 2))
    return alt.layer(*layers).properties(title=_title(every), width=WIDTH - 60, height=height)


def _least_usable(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the symbols that are drawn."""
    usable = pl.col("verdict").is_in(["ok", "warned"]).mean()
    ranked = rows.group_by("symbol").agg(usable=usable, completeness=pl.col("completeness").mean())
    return ranked.sort("usable", "completeness", "symbol").head(MOST_SYMBOLS).select("symbol")


def _labelled(days: list[str]) -> list[str]:
    """Return the days that get a label: at most seven, evenly spaced, so that none overlap."""
    step = -(-len(days) // 7)
    return days[step // 2 :: step]


def _cells(rows: pl.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    seen = [verdict for verdict in VERDICTS if verdict in set(rows["verdict"])]
    colour = alt.Color("verdict:N", title=None, sort=seen).legend(symbolType="square")
    colour = colour.scale(domain=seen, range=[VERDICTS[v] for v in seen])
    cells = alt.Chart(rows.sort("day", "symbol")).mark_rect(stroke="white", strokeWidth=1)
    chart: alt.Chart = cells.encode(x=x, y=y, color=colour)
    return chart


def _numbers(rows: pl.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    dark = ["quarantined", "no_data"]
    words = pl.when(pl.col("verdict").is_in(dark)).then(pl.lit("white")).otherwise(pl.lit(INK))
    numbers = alt.Chart(rows.with_columns(ink=words).sort("day", "symbol")).mark_text(fontSize=10)
    ink = alt.Color("ink:N", scale=None)
    chart: alt.Chart = numbers.encode(x=x, y=y, text=alt.Text("percent:N"), color=ink).transform_calculate(
        percent="format(datum.completeness * 100, '.1f')"
    )
    return chart


def _means(rows: pl.DataFrame, y: alt.Y) -> alt.Chart:
    means = rows.group_by("symbol").agg(pl.col("completeness").mean()).sort("symbol")
    text = alt.Text("completeness:Q", format=".1%")
    column = alt.Chart(means).mark_text(align="left", dx=8, fontSize=11, color=MUTED)
    chart: alt.Chart = column.encode(x=alt.value("width"), y=y, text=text)
    return chart


def _title(rows: pl.DataFrame) -> alt.Title:
    good = rows["verdict"].is_in(["ok", "warned"]).sum()
    printed = rows.select(pl.col("completeness").mean()).item()
    words = f"{good:,} of {rows.height:,} symbol days usable, {printed:.1%} of minutes printed"
    symbols = rows["symbol"].n_unique()
    drawn = f"; the {MOST_SYMBOLS} of {symbols} symbols with the fewest usable days" if symbols > MOST_SYMBOLS else ""
    return titled(words, f"verdict per day and symbol{drawn}; at the right: mean completeness of the session")
