"""The news drawn: how its sources answered over the sessions, and what the group was worth month by month."""

import altair as alt
import polars as pl

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
    panels,
    titled,
)

_SERIES = [BLUE, ORANGE, GREEN, SKY, INK]
_LOW, _WIDE = 120, WIDTH - 80
_ROW = 28


def sources(health: pl.DataFrame, *, success_min: float, publish_to_ingest_p95_s: float) -> Picture:
    """Return a source's share of questions answered over the sessions, its delay and its refusals, a panel each.

    ``health`` are rows of source_health. Dashes are the goals; red dots sessions on which a source was not good, hollow
    triangles those that ended with its breaker open or probing. A panel without a value is left out.
    """
    if health.is_empty():
        return nothing("How the sources of news answer")
    drawn = health.with_columns(at=midnight("day"), silent=pl.col("breaker") != "closed").sort("source", "day")
    names = sorted(set(drawn["source"]))
    charts = [_shares(drawn.drop_nulls("answered"), names, success_min)] if drawn["answered"].count() else []
    if drawn["publish_to_ingest_p95_s"].count():
        late = drawn.drop_nulls("publish_to_ingest_p95_s")
        charts.append(_delays(late, names, publish_to_ingest_p95_s))
    if drawn["rate_limit_count"].sum():
        charts.append(_refusals(drawn, names))
    if not charts:
        return nothing("Nothing was to be asked of the sources of news")
    return panels(charts, titled(_said(drawn), "by session; dashes: goals; triangles: breaker not closed"), columns=1)


def worth(values: pl.DataFrame) -> Picture:
    """Return the loss with the group over that without it, a month a row, with its interval; left of 1 is better.

    ``values`` are rows of information_value; months without a measure are left out.
    """
    own = values.drop_nulls("pinball_ratio").sort("month", "forecaster")
    if own.is_empty():
        return nothing("What the news was worth")
    drawn = own.select(
        "pinball_ratio",
        "seated",
        name=pl.format("{} {}", "month", "forecaster"),
        low=pl.col("pinball_ratio_low").fill_null(pl.col("pinball_ratio")),
        high=pl.col("pinball_ratio_high").fill_null(pl.col("pinball_ratio")),
    )
    y = alt.Y("name:N", title=None, sort=drawn["name"].to_list()).axis(
        labelLimit=160, labelPadding=8, domain=False, ticks=False
    )
    title = "pinball loss with the news / without it"
    shared = alt.Chart(drawn)
    spans = shared.mark_rule(strokeWidth=2, color=BLUE).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y)
    colour = alt.condition("datum.seated", alt.value(GREEN), alt.value(BLUE))
    x = alt.X("pinball_ratio:Q", title=title).scale(zero=False, nice=True)
    points = shared.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour)
    even = alt.Chart(pl.DataFrame({"one": [1.0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="one:Q")
    good = drawn["seated"].sum()
    said = titled(f"The news was worth it in {good} of {drawn.height} months measured", "lines: 95 % intervals by days")
    return alt.layer(even, spans, points).properties(title=said, width=_WIDE, height=max(2, drawn.height) * _ROW)


def _said(drawn: pl.DataFrame) -> str:
    watched = drawn.filter("primary")
    if watched.is_empty():
        return f"{drawn['source'].n_unique()} sources on {drawn['day'].n_unique()} sessions; none is marked primary"
    missed = watched.filter(~pl.col("good")).height
    return f"Primary sources missed their goals on {missed} of {watched.height} source days"


def _shares(drawn: pl.DataFrame, names: list[str], least: float) -> Picture:
    y = alt.Y("answered:Q", title="questions answered").scale(domain=[0, 1]).axis(format="%", values=[0, 0.5, 1])
    return _panel(drawn, names, y, least)


def _delays(drawn: pl.DataFrame, names: list[str], most: float) -> Picture:
    y = alt.Y("publish_to_ingest_p95_s:Q", title="seconds to ingest, p95").scale(zero=True)
    return _panel(drawn, names, y, most)


def _panel(drawn: pl.DataFrame, names: list[str], y: alt.Y, goal: float) -> Picture:
    x, colour = _x(), _colour(names)
    shared = alt.Chart(drawn)
    lines = shared.mark_line(strokeWidth=1.5, point=alt.OverlayMarkDef(size=14)).encode(x=x, y=y, color=colour)
    bad = shared.transform_filter("!datum.good").mark_point(size=60, filled=True, color=VERMILION, opacity=1)
    silent = shared.transform_filter("datum.silent").mark_point(size=160, shape="triangle-up", filled=False, color=INK)
    asked = alt.Chart(pl.DataFrame({"goal": [goal]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(y="goal:Q")
    marks = (mark.encode(x=x, y=y) for mark in (bad, silent))
    picture: Picture = alt.layer(asked, lines, *marks).properties(width=_WIDE, height=_LOW)
    return picture


def _refusals(drawn: pl.DataFrame, names: list[str]) -> Picture:
    # those of none, too: the axis is that of the panels above
    bars = alt.Chart(drawn).mark_bar(size=5)
    y = alt.Y("rate_limit_count:Q", title="refusals")
    picture: Picture = bars.encode(x=_x(), y=y, color=_colour(names)).properties(width=_WIDE, height=_LOW // 2)
    return picture


def _x() -> alt.X:
    x: alt.X = alt.X("at:T", title=None).scale(type="utc").axis(format="%d %b")
    return x


def _colour(names: list[str]) -> alt.Color:
    colour: alt.Color = alt.Color("source:N", title=None, sort=names).scale(domain=names, range=_SERIES[: len(names)])
    return colour
