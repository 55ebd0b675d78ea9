"""Bands of prediction markets drawn: the share of prices that they held against the share that they promise."""

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
    titled,
)

ARMS = {"raw": STAGES["raw"], "conformal": BLUE, "baseline": ORANGE, "baseline_conformal": GREEN}
"""Arm -> its colour, in the order in which arms are read."""
_LINE, _WIDE = 11, WIDTH - 120
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
    return _dots(own, told(own), "lines: 95 % intervals by events; dashes: promised; hollow: beyond the tolerance")


def told(rows: pl.DataFrame) -> str:
    """Return what the rows say of everything, in words: what was held and what was promised."""
    whole = {row["arm"]: row for row in rows.filter(segment="all").to_dicts()}
    named = [f"{arm.replace('_', ' + ')} {whole[arm]['coverage']:.1%}" for arm in ARMS if arm in whole]
    level = rows["level"][0]
    return f"Bands that promise {level:.0%} held: {', '.join(named)}"


def _dots(rows: pl.DataFrame, title: str, subtitle: str) -> Picture:
    names = _segments(rows)
    drawn = rows.filter(pl.col("segment").is_in(names)).select(
        "segment", "arm", "coverage", "samples", "events", "within_tolerance",
        low=pl.col("coverage_lo").fill_null(pl.col("coverage")),
        high=pl.col("coverage_hi").fill_null(pl.col("coverage")),
    )  # fmt: skip
    arms = [arm for arm in ARMS if arm in set(drawn["arm"])]
    y = alt.Y("segment:N", title=None, sort=names).axis(labelLimit=220, domain=False, ticks=False, grid=True)
    y = y.scale(paddingInner=0.25)
    offset = alt.YOffset("arm:N", sort=arms).scale(domain=arms)
    colour = alt.Color("arm:N", title=None, sort=arms).scale(domain=arms, range=[ARMS[arm] for arm in arms])
    x = alt.X("coverage:Q", title=_SHARE).scale(domain=[0, 1]).axis(format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    shared = alt.Chart(drawn)
    spans = shared.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", title=_SHARE), x2="high:Q", y=y, yOffset=offset, color=colour
    )
    dots = [
        shared.transform_filter(which)
        .mark_point(size=40, opacity=1, **looks)
        .encode(x=x, y=y, yOffset=offset, color=colour)
        for which, looks in _POINTS.items()
    ]
    level = pl.DataFrame({"level": [rows["level"][0]]})
    promised = alt.Chart(level).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="level:Q")
    size = {"width": _WIDE, "height": max(3, len(names) * len(arms)) * _LINE}
    picture: Picture = alt.layer(promised, spans, *dots).properties(title=titled(title, subtitle), **size)
    return picture


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
