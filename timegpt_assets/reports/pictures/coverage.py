"""How often the truth fell where the forecasts said: band coverage and reliability, before and after calibration."""

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import BANDS, WILDCARD
from timegpt_assets.reports.pictures.style import (
    HEIGHT,
    INK,
    MUTED,
    ORANGE,
    STAGES,
    Picture,
    by_source,
    latest,
    nothing,
    panels,
    sources,
    titled,
    until,
)

_PANEL = 360


def coverage(diagnostics: pl.DataFrame, *, symbol: str = WILDCARD) -> Picture:
    """Return bars of the 50, 80 and 95 % bands' coverage with their intervals, raw and calibrated, against nominal.

    ``diagnostics`` are rows of forecast_diagnostics; the last month of ``symbol`` is drawn, one panel per source.
    """
    rows = latest(diagnostics.filter(pl.col("symbol") == symbol))
    if rows.is_empty():
        return nothing("Band coverage before and after calibration")
    charts = [_coverage_panel(part, source) for source, part in by_source(rows)]
    words = "line: nominal; whisker: 95 % interval over whole days"
    title = titled(_coverage_title(rows), f"{_whose(symbol)}, {until(rows)}; {words}; {_counts(rows)}")
    return panels(charts, title, columns=2)


def reliability(rows: pl.DataFrame, *, symbol: str = WILDCARD) -> Picture:
    """Return the share of outcomes at or below each quantile against its nominal probability, raw and calibrated.

    ``rows`` are of pit_reliability; the last month of ``symbol`` is drawn, one panel per source.
    """
    rows = latest(rows.filter(pl.col("symbol") == symbol))
    if rows.is_empty():
        return nothing("Reliability before and after calibration")
    charts = [_reliability_panel(part, source) for source, part in by_source(rows)]
    title = titled(_reliability_title(rows), f"{_whose(symbol)}, {until(rows)}; dashes: perfect; {_counts(rows)}")
    return panels(charts, title, columns=2)


def _coverage_panel(rows: pl.DataFrame, source: str) -> Picture:
    shares = pl.concat(
        rows.select(
            "stage",
            band=pl.lit(f"{n} %"),
            share=f"coverage_{n}",
            low=f"coverage_{n}_day_low",
            high=f"coverage_{n}_day_high",
        )
        for n in BANDS
    ).drop_nulls("share")
    nominal = pl.DataFrame({"band": [f"{n} %" for n in BANDS], "nominal": [n / 100 for n in BANDS]})
    x = alt.X("band:N", title="band", sort=nominal["band"].to_list()).axis(labelAngle=0, ticks=False)
    x = x.scale(paddingInner=0.3, paddingOuter=0.15)
    y = alt.Y("share:Q", title=_SHARE).scale(domain=[0, 1.05]).axis(format="%", values=_FIFTHS)
    offset = alt.XOffset("stage:N", sort=list(STAGES)).scale(domain=list(STAGES), paddingInner=0.08)
    shared = alt.Chart(shares.sort("band", "stage", descending=[False, True]))
    bars = shared.mark_bar().encode(x=x, xOffset=offset, y=y, color=_stage())
    words = shared.mark_text(dy=7, baseline="top", color="white", fontWeight=600, fontSize=11)
    words = words.encode(x=x, xOffset=offset, y=y, text=alt.Text("share:Q", format=".1%"))
    whisker = shared.mark_rule(color=ORANGE, strokeWidth=2).encode(
        x=x, xOffset=offset, y=alt.Y("low:Q", title=_SHARE), y2="high:Q"
    )
    line = (
        alt.Chart(nominal)
        .mark_tick(thickness=2, color=INK, bandSize=0.23 * _PANEL)
        .encode(x=x, y=alt.Y("nominal:Q", title=_SHARE))
    )
    return alt.layer(bars, words, line, whisker).properties(
        title=alt.Title(source, fontSize=11), width=_PANEL, height=HEIGHT
    )


_SHARE = "outcomes inside the band"
_FIFTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]


def _reliability_panel(rows: pl.DataFrame, source: str) -> Picture:
    x = alt.X("quantile:Q", title="nominal probability").scale(domain=[0, 1]).axis(format="%", values=_FIFTHS)
    y = alt.Y("observed:Q", title="outcomes at or below the quantile").scale(domain=[0, 1])
    y = y.axis(format="%", values=_FIFTHS)
    ends = alt.Chart(pl.DataFrame({"quantile": [0.0, 1.0], "observed": [0.0, 1.0]}))
    perfect = ends.mark_line(color=MUTED, strokeDash=[4, 4], strokeWidth=1).encode(x=x, y=y)
    shared = alt.Chart(rows.select("stage", "quantile", "observed").sort("stage", "quantile", descending=[True, False]))
    lines = shared.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=45, filled=True, opacity=1))
    layers = alt.layer(perfect, lines.encode(x=x, y=y, color=_stage()))
    return layers.properties(title=alt.Title(source, fontSize=11), width=_PANEL, height=HEIGHT + 40)


def _stage() -> alt.Color:
    return alt.Color("stage:N", title=None, sort=list(STAGES)).scale(domain=list(STAGES), range=list(STAGES.values()))


def _whose(symbol: str) -> str:
    return "all symbols" if symbol == WILDCARD else symbol


def _counts(rows: pl.DataFrame) -> str:
    counts = rows.group_by("stage").agg(pl.col("n").max()).sort("stage", descending=True)
    return ", ".join(f"n {n:,} {stage}" for stage, n in counts.iter_rows()) + f"; {sources(rows)}"


def _coverage_title(rows: pl.DataFrame) -> str:
    shares = {stage: share for stage, share in rows.select("stage", "coverage_80").iter_rows() if share is not None}
    if rows.height != 2 or set(shares) != set(STAGES):
        return "Band coverage before and after calibration"
    return f"The 80 % band held {shares['calibrated']:.1%} of outcomes; before calibration {shares['raw']:.1%}"


def _reliability_title(rows: pl.DataFrame) -> str:
    off = (
        rows.with_columns(off=(pl.col("observed") - pl.col("quantile")).abs())
        .group_by("stage")
        .agg(pl.col("off").max())
    )
    worst = dict(off.iter_rows())
    words = f"Quantiles off by at most {worst['calibrated']:.1%}" if "calibrated" in worst else "Raw quantiles"
    return f"{words}; before calibration {worst['raw']:.1%}" if "raw" in worst else words
