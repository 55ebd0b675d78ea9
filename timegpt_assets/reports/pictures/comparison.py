"""Forecasters side by side: how much one loses against another."""

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import CONTROL, WILDCARD
from timegpt_assets.reports.pictures.style import (
    BLUE,
    MUTED,
    Picture,
    latest,
    nothing,
    panels,
    titled,
    until,
)

_ROW, _PANEL = 26, 300


def losses(rows: pl.DataFrame, *, champion: str) -> Picture:
    """Return each forecaster's pinball loss relative to the champion's and the control arm's, left of 1 is better.

    ``rows`` are of comparison; the last month, all symbols pooled, is drawn, one panel per opponent.
    """
    own = latest(rows.filter(symbol=WILDCARD)).drop_nulls("rpinball")
    opponents = [name for name in dict.fromkeys((champion, CONTROL)) if name in set(own["against"])]
    if not opponents:
        return nothing("Loss against the others")
    charts = [_against(own.filter(against=name), name) for name in opponents]
    title = titled(
        _told(own.filter(against=opponents[0]), opponents[0]),
        f"{until(own)}; mean pinball loss relative to the opponent's on common forecasts; lines: 95 % intervals",
    )
    return panels(charts, title, columns=2)


def _against(rows: pl.DataFrame, opponent: str) -> Picture:
    drawn = rows.select(
        "rpinball",
        low=pl.col("rpinball_low").fill_null(pl.col("rpinball")),
        high=pl.col("rpinball_high").fill_null(pl.col("rpinball")),
        name=pl.concat_str("forecaster", pl.lit(" ("), "score_source", pl.lit(", "), "data_regime", pl.lit(")")),
    ).sort("rpinball")
    y = alt.Y("name:N", title=None, sort=drawn["name"].to_list()).axis(labelLimit=260, domain=False, ticks=False)
    words = f"pinball loss / {opponent}'s"
    x = alt.X("rpinball:Q", title=words).scale(zero=False, nice=True)
    shared = alt.Chart(drawn)
    spans = shared.mark_rule(strokeWidth=2, color=BLUE).encode(x=alt.X("low:Q", title=words), x2="high:Q", y=y)
    points = shared.mark_point(filled=True, size=70, color=BLUE, opacity=1).encode(x=x, y=y)
    even = alt.Chart(pl.DataFrame({"one": [1.0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="one:Q")
    layers = alt.layer(even, spans, points)
    size = {"width": _PANEL, "height": max(2, drawn.height) * _ROW}
    return layers.properties(title=alt.Title(f"against {opponent}", fontSize=11), **size)


def _told(rows: pl.DataFrame, opponent: str) -> str:
    """Return what the champion's panel says, in words: who is surely better, who is surely worse."""
    if rows.drop_nulls("rpinball_low").is_empty():
        return f"too few sessions to tell who lost less than {opponent}"
    better = rows.filter(pl.col("rpinball_high") < 1)["forecaster"].to_list()
    worse = rows.filter(pl.col("rpinball_low") > 1)["forecaster"].to_list()
    if better:
        return f"{', '.join(dict.fromkeys(better))} lost less than {opponent}"
    if worse and len(worse) == rows.height:
        return f"{opponent} lost less than each of the others"
    return f"nobody surely lost less than {opponent}"
