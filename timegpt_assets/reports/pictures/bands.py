"""Bands of prediction markets drawn: the share of prices that they held against the share that they promise."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from timegpt_assets.reports.pictures.style import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    STAGES,
    WIDTH,
    Picture,
    nothing,
    panels,
    titled,
)

ARMS = {"raw": STAGES["raw"], "conformal": BLUE, "baseline": ORANGE, "baseline_conformal": GREEN}
"""Arm -> its colour, in the order in which arms are read."""
SPLITS = {
    "time": "held-out days, learnt once",
    "time_rolling": "held-out days, learnt day by day",
    "event": "held-out events",
}
"""What is held out, as core/tsfm/evaluation.py has it -> in words."""
_LINE, _WIDE, _THIRD = 11, WIDTH - 120, 200
_LINES = "lines: 95 % intervals by events; dashes: promised; hollow: beyond the tolerance"
_FIFTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]
_SHARE = "prices inside the band"
MOST = 28
"""Segments that are drawn, those of the most prices; all of them are stored."""


def coverage(rows: pl.DataFrame) -> Picture:
    """Return the share of prices that each arm held, a segment a line, with its interval and the promise.

    ``rows`` are of tsfm_evaluation: one month, split, level and choice of floor. Steps are left out. Hollow points are
    further from the promise than the tolerance allows.
    """
    own = rows.filter(~pl.col("segment").str.starts_with("step="))
    if own.is_empty():
        return nothing("What bands held")
    return _dots(own, _segments(own), _WIDE).properties(title=titled(told(own), _LINES))


def arms(rows: pl.DataFrame) -> Picture:
    """Return the share of prices that each arm held, a split a line, with the floor of the width and without it.

    ``rows`` are of tsfm_evaluation at one level, splits of what was held out.
    """
    own = rows.filter(segment="all")
    if own.is_empty():
        return nothing("What bands held")
    charts = [
        _dots(part.with_columns(segment=pl.col("split").replace(SPLITS)), list(SPLITS.values()), _WIDE).properties(
            title=alt.Title(f"{'with' if floor else 'without'} the floor of the width", fontSize=11)
        )
        for floor in (True, False)
        if (part := own.filter(floor=floor)).height
    ]
    return panels(charts, titled(_said(own), _LINES), columns=1)


def cost(rows: pl.DataFrame) -> Picture:
    """Return how wide the bands of each arm are for what they hold, a split a panel; ``rows`` as in ``arms``."""
    own = rows.filter(segment="all")
    if own.is_empty():
        return nothing("What bands cost")
    charts = [
        _points(own.filter(split=split)).properties(title=alt.Title(SPLITS[split], fontSize=11))
        for split in SPLITS
        if own.filter(split=split).height
    ]
    best = own.filter("within_tolerance").sort("width", "split").head(1).to_dicts()
    said = (
        f"The narrowest bands that hold: {best[0]['arm'].replace('_', ' + ')}, {best[0]['width']:.3f} wide"
        if best
        else "No band holds what it promises"
    )
    subtitle = "up: holds more; left: narrower; dashes: promised; triangles: without the floor"
    return panels(charts, titled(said, subtitle), columns=3)


def _points(rows: pl.DataFrame) -> Picture:
    floor = pl.when("floor").then(pl.lit("with")).otherwise(pl.lit("without"))
    drawn = rows.select("arm", "coverage", "width", floor=floor)
    x = alt.X("width:Q", title="mean width").scale(zero=True, nice=True)
    y = alt.Y("coverage:Q", title=_SHARE).scale(domain=[0, 1]).axis(format="%", values=_FIFTHS)
    shape = alt.Shape("floor:N", legend=None).scale(domain=["with", "without"], range=["circle", "triangle-up"])
    points = alt.Chart(drawn).mark_point(size=70, filled=True, opacity=0.9)
    level = alt.Chart(rows.select("level").head(1)).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(y="level:Q")
    layers = alt.layer(level, points.encode(x=x, y=y, shape=shape, color=_colour(rows)))
    picture: Picture = layers.properties(width=_THIRD, height=_THIRD)
    return picture


def _said(rows: pl.DataFrame) -> str:
    """Return what the rows of several splits say of the model's bands after conformal, in words."""
    held = rows.filter(arm="conformal")["coverage"].to_list()
    return f"Bands that promise {rows['level'][0]:.0%} held {min(held):.1%} to {max(held):.1%} after conformal"


def told(rows: pl.DataFrame) -> str:
    """Return what the rows say of everything, in words: what was held and what was promised."""
    whole = {row["arm"]: row for row in rows.filter(segment="all").to_dicts()}
    named = [f"{arm.replace('_', ' + ')} {whole[arm]['coverage']:.1%}" for arm in ARMS if arm in whole]
    level = rows["level"][0]
    where = SPLITS.get(rows["split"][0])
    return f"Bands that promise {level:.0%} held{f' on {where}' if where else ''}: {', '.join(named)}"


def _dots(rows: pl.DataFrame, names: Sequence[str], width: int) -> Picture:
    drawn = rows.filter(pl.col("segment").is_in(names)).select(
        "segment", "arm", "coverage", "samples", "events", "within_tolerance",
        low=pl.col("coverage_lo").fill_null(pl.col("coverage")),
        high=pl.col("coverage_hi").fill_null(pl.col("coverage")),
    )  # fmt: skip
    arms, colour = _arms(rows), _colour(rows)
    y = alt.Y("segment:N", title=None, sort=list(names)).axis(labelLimit=220, domain=False, ticks=False, grid=True)
    y = y.scale(paddingInner=0.25)
    offset = alt.YOffset("arm:N", sort=arms).scale(domain=arms)
    x = alt.X("coverage:Q", title=_SHARE).scale(domain=[0, 1]).axis(format="%", values=_FIFTHS)
    shared = alt.Chart(drawn)
    spans = shared.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", title=_SHARE), x2="high:Q", y=y, yOffset=offset, color=colour
    )
    points = {"x": x, "y": y, "yOffset": offset, "color": colour}
    dots = [
        shared.transform_filter(which).mark_point(size=40, opacity=1, **looks).encode(**points)
        for which, looks in _POINTS.items()
    ]
    promised = alt.Chart(rows.select("level").head(1)).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="level:Q")
    size = {"width": width, "height": max(3, len(names) * len(arms)) * _LINE}
    picture: Picture = alt.layer(promised, spans, *dots).properties(**size)
    return picture


def _arms(rows: pl.DataFrame) -> list[str]:
    return [arm for arm in ARMS if arm in set(rows["arm"])]


def _colour(rows: pl.DataFrame) -> alt.Color:
    arms = _arms(rows)
    colour: alt.Color = alt.Color("arm:N", title=None, sort=arms)
    return colour.scale(domain=arms, range=[ARMS[arm] for arm in arms])


_POINTS: dict[str, dict[str, Any]] = {
    "datum.within_tolerance": {"filled": True},
    "!datum.within_tolerance": {"filled": False, "fill": "white"},
}


def _segments(rows: pl.DataFrame) -> list[str]:
    """Return the segments that are drawn: everything first, then by what they are cut by and their own order."""
    most = rows.group_by("segment").agg(pl.col("samples").max()).sort("samples", "segment", descending=[True, False])
    kept = set(most.head(MOST)["segment"]) | {"all"}
    return sorted((name for name in most["segment"] if name in kept), key=_place)


def _place(segment: str) -> tuple[int, str, float, str]:
    """Return where a segment stands: by its cut, and within it by the first number that its value holds."""
    cut, _, value = segment.partition("=")
    order = ("all", "liquidity_bucket", "tte_bucket", "category", "price")
    first = "".join(letter for letter in value.partition("-")[0] if letter.isdigit() or letter == ".")
    at = {"LOW": 0.0, "MID": 1.0, "HIGH": 2.0, "UNKNOWN": float("inf")}.get(value)
    number = float(first) if first.strip(".") and at is None else (at if at is not None else 0.0)
    nudge = -0.5 if value.startswith("<") else 0.5 if value.startswith(">") else 0.0
    return (order.index(cut) if cut in order else len(order), cut, number + nudge * 1e-9, value)
