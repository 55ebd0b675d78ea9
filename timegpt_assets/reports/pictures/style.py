"""What all pictures share: palette, type, times in New York, panels side by side, and the picture of no rows.

Belongs here: taste, decided once. Colours are Okabe and Ito's, told apart by readers with any colour vision.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import SOURCE_KEY

Picture = alt.Chart | alt.LayerChart | alt.ConcatChart | alt.FacetChart
"""What can be rendered. Altair's decorators lose the type of chained calls, so what they give is named with it."""

WIDTH, HEIGHT = 560, 220
"""Plot area of a single picture in pixels; with axes, title and legend about 640 x 320."""

ZONE = "America/New_York"
INK, MUTED, FAINT, PAPER = "#1f2933", "#616e7c", "#e4e7eb", "#ffffff"
BLUE, SKY, GREEN, ORANGE, VERMILION = "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00"
STAGES = {"raw": "#7b8794", "calibrated": BLUE}

CONFIG: dict[str, Any] = {
    "aria": False,
    "background": PAPER,
    "font": "Liberation Sans, Arial, Helvetica, sans-serif",
    "padding": 10,
    "view": {"stroke": None},
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 14,
        "fontWeight": 600,
        "offset": 10,
        "subtitleColor": MUTED,
        "subtitleFontSize": 11,
        "subtitlePadding": 4,
    },
    "axis": {
        "domainColor": "#cbd2d9",
        "gridColor": FAINT,
        "labelColor": MUTED,
        "labelFontSize": 11,
        "tickColor": "#cbd2d9",
        "titleColor": MUTED,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "labelColor": INK,
        "labelFontSize": 11,
        "orient": "top",
        "padding": 0,
        "symbolStrokeWidth": 2,
        "titleColor": MUTED,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
}
"""The Vega-Lite configuration every picture is rendered with. The font is one the renderer carries itself."""


def wall_clock(column: str) -> pl.Expr:
    """Return a UTC time column as New York wall-clock time labelled UTC.

    Drawn on a ``utc`` scale the labels then read New York time whatever the time zone of the rendering machine.
    """
    return pl.col(column).dt.convert_time_zone(ZONE).dt.replace_time_zone(None).dt.replace_time_zone("UTC")


def midnight(column: str) -> pl.Expr:
    """Return a date column as midnight UTC, for a ``utc`` scale (see wall_clock)."""
    return pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def titled(text: str, subtitle: str = "") -> alt.Title:
    """Return a title, with the subtitle below it when there is one."""
    return alt.Title(text, subtitle=subtitle) if subtitle else alt.Title(text)


def nothing(text: str, *, width: int = WIDTH, height: int = HEIGHT) -> alt.Chart:
    """Return the picture of an empty frame: its title and the words ``no rows``."""
    words = alt.Chart(pl.DataFrame({"words": ["no rows"]})).mark_text(color=MUTED, fontSize=13)
    picture: alt.Chart = words.encode(text=alt.Text("words:N")).properties(
        title=titled(text), width=width, height=height
    )
    return picture


def panels(charts: Sequence[Picture], title: alt.Title, *, columns: int) -> Picture:
    """Return the charts side by side under one title, colours and legends shared.

    One chart alone takes the title in place of its own.
    """
    if len(charts) == 1:
        return charts[0].properties(title=title)
    shared = alt.concat(*charts, columns=columns, spacing=18).properties(title=title)
    picture: Picture = shared.resolve_scale(color="shared", fill="shared", shape="shared")
    return picture


def sources(frame: pl.DataFrame) -> str:
    """Return who made the frame's numbers, ``score_source / run_source / data_regime``, each triple once."""
    triples = frame.select(SOURCE_KEY).unique().sort(pl.all()).rows()
    return "; ".join(" / ".join(triple) for triple in triples)


def by_source(frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Return the frame split by source triple, in their order, each with its name (see sources)."""
    parts = frame.sort(SOURCE_KEY, maintain_order=True).partition_by(SOURCE_KEY, maintain_order=True)
    return [(sources(part), part) for part in parts]


def until(frame: pl.DataFrame) -> str:
    """Return which sessions the rows of a month's table look back on, in words."""
    return f"sessions up to {frame['as_of'][0]}"


def latest(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the frame's last month."""
    return frame.filter(pl.col("month") == pl.col("month").max())
