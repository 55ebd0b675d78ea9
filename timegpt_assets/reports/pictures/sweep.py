"""A sweep as a heat map: two rules against each other, the best combination, and the plateau around it."""

import json
import math
from collections.abc import Sequence

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import SOURCE_KEY
from timegpt_assets.reports.pictures.style import INK, MUTED, VERMILION, Picture, nothing, sources

FIGURES = {"sharpe_daily": ("daily Sharpe ratio", ".2f"), "net_pnl": ("net P&L, USD", "+,.0f")}
"""What may be drawn -> its name and format."""
NONE = "none"
"""Null on an axis."""
_CELL_WIDTH, _CELL_HEIGHT, _MOST_NUMBERS = 64, 34, 144
_LEAST_WIDTH = 320


def plateau(scores: pl.DataFrame, *, across: Sequence[str] = (), figure: str = "sharpe_daily") -> Picture:
    """Return the heat map of a figure over two rules; ``scores`` are SCORES of one forecaster.

    ``across`` names the two rules, those with most values where fewer are named; every other rule stands as in the best
    combination, so that the map is the slice the best one lies in. What stands on the plateau is framed; costs are as
    they are.
    """
    title = f"{FIGURES[figure][0]} of the sweep"
    plain = scores.filter(cost_multiplier=1.0)
    if plain.is_empty():
        return nothing(title)
    first = plain.filter(rank=1).head(1)
    plain = plain.join(first, on=list(SOURCE_KEY), how="semi", maintain_order="left")
    names = _names(plain)
    decoded = plain.with_columns(pl.col("rules").str.json_decode(pl.Struct(dict.fromkeys(names, pl.String()))))
    chosen = decoded.unnest("rules").with_columns(pl.col(names).fill_null(NONE)).sort("rank")
    x, y = axes(chosen, names, across)
    others = [name for name in names if name not in (x, y)]
    best = chosen.row(0, named=True)
    held = chosen.filter(*(pl.col(name) == best[name] for name in others))
    return _drawn(held, plain, x, y, figure, ", ".join(f"{name} {best[name]}" for name in others))


def axes(chosen: pl.DataFrame, names: Sequence[str], across: Sequence[str]) -> tuple[str, str]:
    """Return the two rules to draw: those named, then those with most values, in the order of the grid."""
    if unknown := [name for name in across if name not in names]:
        raise ValueError(f"{', '.join(unknown)} is no rule of the grid. Choose from: {', '.join(names)}.")
    most = sorted(names, key=lambda name: -chosen[name].n_unique())
    x, *rest = dict.fromkeys([*across, *most])
    return x, rest[0] if rest else x


def _names(scores: pl.DataFrame) -> list[str]:
    first: dict[str, object] = json.loads(scores["rules"][0])
    return list(first)


def _drawn(held: pl.DataFrame, plain: pl.DataFrame, x: str, y: str, figure: str, rest: str) -> Picture:
    words, form = FIGURES[figure]
    cells = held.select("rank", "plateau", figure, x=pl.col(x), y=pl.col(y))
    wide, tall = (_sorted(cells[axis]) for axis in "xy")
    where = {"x": alt.X("x:N", title=x, sort=wide), "y": alt.Y("y:N", title=y, sort=tall[::-1])}
    where["x"] = where["x"].axis(labelAngle=0, domain=False, ticks=False)
    low, high = plain.select(low=pl.col(figure).min().fill_null(0.0), high=pl.col(figure).max().fill_null(0.0)).row(0)
    colour = alt.Color(f"{figure}:Q", title=words).scale(scheme="blues", domain=[low, high if high > low else low + 1])
    base = alt.Chart(cells)
    layers = [
        base.mark_rect(stroke="white", strokeWidth=1).encode(**where, color=colour),
        base.transform_filter("datum.plateau").mark_rect(filled=False, stroke=INK, strokeWidth=2).encode(**where),
        base.transform_filter("datum.rank == 1")
        .mark_rect(filled=False, stroke=VERMILION, strokeWidth=3)
        .encode(**where),
    ]
    if cells.height <= _MOST_NUMBERS:
        light = alt.condition(f"datum.{figure} > {(low + high) / 2}", alt.value("white"), alt.value(INK))
        number = alt.Text(f"{figure}:Q", format=form)
        layers.append(base.mark_text(fontSize=11).encode(**where, text=number, color=light))
    size = {"width": max(_LEAST_WIDTH, len(wide) * _CELL_WIDTH), "height": max(2, len(tall)) * _CELL_HEIGHT}
    picture: Picture = alt.layer(*layers).resolve_scale(color="independent")
    return picture.properties(title=_title(plain, figure, rest), **size)


def _sorted(names: pl.Series) -> list[str]:
    """Return the axis: numbers by size, behind words by name."""
    return sorted(set(names), key=lambda name: (_number(name), name))


def _number(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return -math.inf


def _title(plain: pl.DataFrame, figure: str, rest: str) -> alt.Title:
    best, framed = plain.filter(rank=1).row(0, named=True), int(plain["plateau"].sum())
    same = int(plain["duplicate_payload"].is_not_null().sum())
    words, form = FIGURES[figure]
    value = "none" if best[figure] is None else format(best[figure], form)
    head = f"{words} of {plain.height:,} combinations: best {value} (red), {framed:,} on its plateau (framed)"
    under = [f"{best['forecaster']}, {best['first_day']} to {best['last_day']}, {sources(plain)}"]
    under += [f"{same:,} of them trade like another one"] if same else []
    under += [f"elsewhere as the best: {rest}"] if rest else []
    return alt.Title(head, subtitle=["; ".join(under[:2]), *under[2:]], subtitleColor=MUTED)
