"""The model ladder drawn: rungs against the control arm, features that drift, what they are worth, and the rollout."""

from collections.abc import Sequence
from datetime import datetime

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import CONTROL, SOURCE_KEY
from timegpt_assets.core.tables.models import STAGES
from timegpt_assets.reports.pictures.style import (
    BLUE,
    GREEN,
    HEIGHT,
    MUTED,
    ORANGE,
    SKY,
    VERMILION,
    WIDTH,
    Picture,
    latest,
    nothing,
    panels,
    titled,
    until,
)

MOST = 15
"""Features drawn: those with most of what is drawn."""
_ROW, _PANEL = 26, 300
_WORDS = dict(zip(STAGES, ("in validation", "forward", "forward, as answered"), strict=True))
_SERIES = [BLUE, ORANGE, GREEN, SKY, VERMILION]


def rungs(rows: pl.DataFrame, *, against: str = CONTROL) -> Picture:
    """Return each rung's pinball loss over the control arm's with its interval, a panel a stage; left of 1 is better.

    ``rows`` are of model_report; the last month is drawn.
    """
    own = latest(rows.filter(against=against)).drop_nulls("pinball_ratio")
    stages = [stage for stage in STAGES if stage in set(own["stage"])]
    if not stages:
        return nothing("Rungs of the ladder against the control arm")
    charts = [_panel(own.filter(stage=stage), _WORDS[stage], against) for stage in stages]
    last = own.filter(stage=stages[min(1, len(stages) - 1)])
    better = last.filter("better")["rung"].unique().sort().to_list()
    told = f"{', '.join(better) or 'nobody'} surely lost less than {against} {_WORDS[last['stage'][0]]}"
    words = (
        f"{until(own)}; mean pinball loss in volatilities relative to {against}'s on common rows; lines: 95 % intervals"
    )
    return panels(charts, titled(told, words), columns=2)


def _panel(rows: pl.DataFrame, words: str, against: str) -> Picture:
    several = rows["rung"].is_duplicated().any()
    name = pl.concat_str("rung", pl.lit(" ("), *_between(SOURCE_KEY), pl.lit(")")) if several else pl.col("rung")
    drawn = rows.select(
        "pinball_ratio",
        name=name,
        low=pl.col("pinball_ratio_low").fill_null(pl.col("pinball_ratio")),
        high=pl.col("pinball_ratio_high").fill_null(pl.col("pinball_ratio")),
    ).sort("pinball_ratio")
    y = alt.Y("name:N", title=None, sort=drawn["name"].to_list()).axis(labelLimit=260, domain=False, ticks=False)
    title = f"pinball loss / {against}'s"
    x = alt.X("pinball_ratio:Q", title=title).scale(zero=False, nice=True)
    shared = alt.Chart(drawn)
    spans = shared.mark_rule(strokeWidth=2, color=BLUE).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y)
    points = shared.mark_point(filled=True, size=70, color=BLUE, opacity=1).encode(x=x, y=y)
    even = alt.Chart(pl.DataFrame({"one": [1.0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="one:Q")
    size = {"width": _PANEL, "height": max(2, drawn.height) * _ROW}
    return alt.layer(even, spans, points).properties(title=alt.Title(words, fontSize=11), **size)


def _between(names: Sequence[str]) -> list[pl.Expr]:
    parts: list[pl.Expr] = []
    for place, name in enumerate(names):
        parts += [pl.lit(", "), pl.col(name)] if place else [pl.col(name)]
    return parts


def feature_drift(rows: pl.DataFrame) -> Picture:
    """Return the features that lie furthest from what was learnt from, with the threshold; one bar a feature.

    ``rows`` are of feature_drift; of several forecasters the largest value of the last month is drawn.
    """
    own = latest(rows).drop_nulls("psi")
    if own.is_empty():
        return nothing("Drift of the features")
    top = (
        own.group_by("feature")
        .agg(pl.col("psi").max(), pl.col("drifted").any())
        .sort("psi", "feature", descending=[True, False])
    )
    drawn, count, limit = top.head(MOST), top["drifted"].sum(), own["threshold"].to_list()[0]
    y = alt.Y("feature:N", title=None, sort=drawn["feature"].to_list()).axis(labelLimit=200, domain=False, ticks=False)
    bars = (
        alt.Chart(drawn)
        .mark_bar(height=12)
        .encode(
            x=alt.X("psi:Q", title="population stability index").scale(zero=True),
            y=y,
            color=alt.condition("datum.drifted", alt.value(VERMILION), alt.value(SKY)),
        )
    )
    line = alt.Chart(pl.DataFrame({"limit": [limit]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="limit:Q")
    left = f", the {MOST} furthest drawn" if top.height > MOST else ""
    words = f"{until(own)}; the month against what was learnt from; dashes: models.drift_psi_max {limit:g}"
    title = titled(f"{count} of {top.height} features drifted{left}", words)
    return alt.layer(bars, line).properties(title=title, width=WIDTH - 120, height=drawn.height * _ROW)


def importance(rows: pl.DataFrame) -> Picture:
    """Return what share of a model's gain each feature brought, the largest first; a panel a forecaster and part.

    ``rows``: forecaster, part, feature, gain.
    """
    if rows.is_empty():
        return nothing("What the features are worth")
    parts = rows.sort("forecaster", "part").partition_by(["forecaster", "part"], maintain_order=True)
    charts = [_worth(part) for part in parts]
    title = titled("What each feature brought to the trees", f"share of the gain of all splits; the first {MOST}")
    return panels(charts, title, columns=1)


def _worth(rows: pl.DataFrame) -> Picture:
    drawn = rows.sort("gain", "feature", descending=[True, False]).head(MOST)
    y = alt.Y("feature:N", title=None, sort=drawn["feature"].to_list()).axis(labelLimit=200, domain=False, ticks=False)
    x = alt.X("gain:Q", title="share of the gain").axis(format="%")
    bars = alt.Chart(drawn).mark_bar(height=12, color=BLUE).encode(x=x, y=y)
    named = f"{drawn['forecaster'][0]}, {drawn['part'][0]}"
    picture: Picture = bars.properties(
        title=alt.Title(named, fontSize=11), width=_PANEL, height=max(2, drawn.height) * _ROW
    )
    return picture


def rollout(steps: Sequence[tuple[datetime, str, int]], *, until: datetime) -> Picture:
    """Return which share of the symbols traded each challenger over time: (time, forecaster, share in percent)."""
    if not steps:
        return nothing("Rollout")
    drawn = pl.DataFrame(steps, schema=["time", "forecaster", "share"], orient="row").sort("forecaster", "time")
    last = drawn.group_by("forecaster").agg(pl.col("share").last()).with_columns(time=pl.lit(until))
    drawn = pl.concat([drawn, last.select("time", "forecaster", "share").cast(drawn.schema)])
    names = sorted(set(drawn["forecaster"]))
    colour = alt.Color("forecaster:N", title=None).scale(domain=names, range=_SERIES[: len(names)])
    lines = alt.Chart(drawn).mark_line(interpolate="step-after", strokeWidth=2, point=True)
    now = ", ".join(f"{name} {share} %" for name, share in last.sort("forecaster").select("forecaster", "share").rows())
    picture: Picture = lines.encode(
        x=alt.X("time:T", title=None).scale(type="utc"),
        y=alt.Y("share:Q", title="symbols that trade it, %").scale(domain=[0, 100]),
        color=colour,
    ).properties(title=titled(f"Traded now: {now}", "each point a record; UTC"), width=WIDTH, height=HEIGHT)
    return picture
