"""How bands behave: where outcomes fell between the quantiles, coverage over the sessions, width against volatility."""

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.reports.pictures.style import (
    HEIGHT,
    INK,
    MUTED,
    ORANGE,
    STAGES,
    VERMILION,
    WIDTH,
    Picture,
    by_source,
    latest,
    midnight,
    nothing,
    panels,
    sources,
    titled,
    until,
)

FEWEST_SESSIONS = 5
"""Sessions below which a picture claims nothing."""
FEWEST_A_TENTH = 10
"""Mean forecasts of a tenth below which its width is not compared with another's."""
_PANEL = 360
_FIFTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]


def histogram(rows: pl.DataFrame, *, symbol: str = WILDCARD) -> Picture:
    """Return the density of outcomes between neighbouring stored quantiles, raw and calibrated; 1 is perfect.

    ``rows`` are of pit_reliability; the last month of ``symbol`` is drawn. Bars are as wide as the quantiles' distance:
    nothing is interpolated.
    """
    own = latest(rows.filter(pl.col("symbol") == symbol)).drop_nulls("bin_share")
    if own.is_empty():
        return nothing("Outcomes between the quantiles")
    charts = [_histogram_panel(part, source) for source, part in by_source(own)]
    n = own.select(pl.col("n").max()).item()
    title = titled(_histogram_title(own), f"{until(own)}; dashes: perfect; n {n:,}; {sources(own)}")
    return panels(charts, title, columns=2)


def drift(rows: pl.DataFrame, *, symbol: str = WILDCARD) -> Picture:
    """Return the rolling coverage of each band with its 95 % interval; alarms are marked.

    ``rows`` are of coverage_drift; the last month of ``symbol`` is drawn, one panel per source.
    """
    own = latest(rows.filter(pl.col("symbol") == symbol)).drop_nulls("coverage")
    if own.is_empty():
        return nothing("Coverage over the sessions")
    charts = [_drift_panel(part, source) for source, part in by_source(own)]
    count = int(own["alarm"].sum())
    alarms = "1 alarm" if count == 1 else f"{count} alarms"
    words = f"{alarms} of coverage that left its promise" if count else _unalarmed(own)
    asked = f"n {own.select(pl.col('n').max()).item():,} at most"
    subtitle = f"{own['month'][0]}; {asked}; shades: 95 % interval; dashes: nominal; dots: alarms; {sources(own)}"
    return panels(charts, titled(words, subtitle), columns=2)


def _unalarmed(own: pl.DataFrame) -> str:
    """Return what no alarm means: with few sessions, nothing."""
    sessions = own["day"].n_unique()
    told = own.drop_nulls("low").height
    if sessions < FEWEST_SESSIONS or not told:
        return (
            f"Coverage on {'1 session' if sessions == 1 else f'{sessions} sessions'}: too little to say anything of it"
        )
    return f"No alarm of coverage on {sessions} sessions"


def widths(rows: pl.DataFrame, *, symbol: str = WILDCARD) -> Picture:
    """Return mean band widths against mean volatility, one point per tenth of the symbol's volatilities, calibrated.

    ``rows`` are of interval_widths; the last month of ``symbol`` is drawn, one panel per source.
    """
    own = latest(rows.filter((pl.col("symbol") == symbol) & (pl.col("stage") == "calibrated")))
    if own.is_empty():
        return nothing("Band width against volatility")
    charts = [_width_panel(part, source) for source, part in by_source(own)]
    return panels(charts, titled(_width_title(own), f"{until(own)}; calibrated; {sources(own)}"), columns=2)


def _histogram_panel(rows: pl.DataFrame, source: str) -> Picture:
    drawn = pl.concat([_bins(rows, stage) for stage in STAGES])
    x = alt.X("start:Q", title="nominal probability").scale(domain=[0, 1]).axis(format="%", values=_FIFTHS)
    y = alt.Y("density:Q", title="outcomes / promised").stack(None)
    stage = alt.Color("stage:N", title=None, sort=list(STAGES)).scale(domain=list(STAGES), range=list(STAGES.values()))
    bars = alt.Chart(drawn).mark_rule(strokeWidth=2.5).encode(x=x, x2="end:Q", y=y, color=stage)
    perfect = alt.Chart(pl.DataFrame({"one": [1.0]})).mark_rule(color=MUTED, strokeDash=[4, 4])
    layers = alt.layer(perfect.encode(y="one:Q"), bars)
    return layers.properties(title=alt.Title(source, fontSize=11), width=_PANEL, height=HEIGHT)


def _bins(rows: pl.DataFrame, stage: str) -> pl.DataFrame:
    """Return start, end and density of each bin of one stage; the top bin is what the others leave."""
    own = rows.filter(pl.col("stage") == stage).sort("quantile")
    if own.is_empty():
        return pl.DataFrame(schema={"stage": pl.String, "start": pl.Float64, "end": pl.Float64, "density": pl.Float64})
    ends = [*own["quantile"].to_list(), 1.0]
    shares = [*own["bin_share"].to_list(), 1.0 - sum(own["bin_share"].to_list())]
    starts = [0.0, *ends[:-1]]
    densities = [share / (end - start) for share, start, end in zip(shares, starts, ends, strict=True)]
    return pl.DataFrame({"stage": [stage] * len(ends), "start": starts, "end": ends, "density": densities})


def _histogram_title(rows: pl.DataFrame) -> str:
    ps = dict(rows.group_by("stage").agg(pl.col("uniform_p").first()).iter_rows())
    p = ps.get("calibrated")
    if p is None:
        return "Outcomes between the quantiles"
    verdict = "No sign that outcomes spread other than" if p >= 0.05 else "Outcomes do not spread as"
    return f"{verdict} promised between the calibrated quantiles (p over day clusters {p:.2g})"


def _drift_panel(rows: pl.DataFrame, source: str) -> Picture:
    drawn = rows.with_columns(at=midnight("day"), band=pl.format("{} %", "level"), nominal=pl.col("level") / 100)
    drawn = drawn.select("at", "band", "coverage", "low", "high", "nominal", "alarm").sort("band", "at")
    x = alt.X("at:T", title=None).scale(type="utc").axis(format="%d %b")
    y = alt.Y("coverage:Q", title="outcomes inside the band").scale(domain=[0, 1]).axis(format="%", values=_FIFTHS)
    colour = alt.Color("band:N", title=None, sort=["50 %", "80 %", "95 %"]).scale(
        domain=["50 %", "80 %", "95 %"], range=[STAGES["calibrated"], ORANGE, INK]
    )
    shared = alt.Chart(drawn)
    low = alt.Y("low:Q", title="outcomes inside the band")
    shade = shared.mark_area(opacity=0.15).encode(x=x, y=low, y2="high:Q", color=colour)
    # with points: a single session has no line
    lines = shared.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=20)).encode(x=x, y=y, color=colour)
    nominal = shared.mark_line(strokeDash=[4, 4], strokeWidth=1, color=MUTED).encode(
        x=x, y="nominal:Q", detail="band:N"
    )
    rung = shared.transform_filter("datum.alarm").mark_point(size=70, filled=True, color=VERMILION, opacity=1)
    layers = alt.layer(shade, nominal, lines, rung.encode(x=x, y=y))
    return layers.properties(title=alt.Title(source, fontSize=11), width=WIDTH, height=HEIGHT)


def _width_panel(rows: pl.DataFrame, source: str) -> Picture:
    long = rows.unpivot(
        ["width_50", "width_80", "width_95"], index=["decile", "sigma"], variable_name="band", value_name="width"
    )
    drawn = long.drop_nulls().with_columns(
        pl.col("band").str.strip_prefix("width_") + " %", pl.col("sigma", "width") * 1e4
    )
    x = alt.X("sigma:Q", title="volatility at the snapshot, basis points over the horizon").scale(zero=False)
    y = alt.Y("width:Q", title="mean width, basis points")
    colour = alt.Color("band:N", title=None).scale(
        domain=["50 %", "80 %", "95 %"], range=[STAGES["calibrated"], ORANGE, INK]
    )
    lines = alt.Chart(drawn.sort("band", "decile")).mark_line(
        strokeWidth=2, point=alt.OverlayMarkDef(size=40, filled=True, opacity=1)
    )
    layers = lines.encode(x=x, y=y, color=colour)
    panel: Picture = layers.properties(title=alt.Title(source, fontSize=11), width=WIDTH, height=HEIGHT)
    return panel


def _width_title(rows: pl.DataFrame) -> str:
    ends = rows.sort("decile")["width_80"].drop_nulls().to_list()
    if len(ends) < 2 or not ends[0] > 0:
        return "Band width against volatility"
    n = rows["n"].sum()
    if n < FEWEST_A_TENTH * len(ends):
        return f"Band width against volatility: n {n:,}, too few for tenths to say anything"
    return f"In the wildest tenth the 80 % band is {ends[-1] / ends[0]:.1f} times as wide as in the calmest, n {n:,}"
