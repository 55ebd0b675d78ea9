"""A search as pictures: what each trial was worth and the best so far, and how much each outer rule mattered."""

import json
from typing import Any

import altair as alt
import polars as pl

from timegpt_assets.core.research.trials import COMPLETE, PRUNED
from timegpt_assets.reports.pictures.style import (
    BLUE,
    MUTED,
    SKY,
    VERMILION,
    WIDTH,
    Picture,
    nothing,
    sources,
    titled,
)

KINDS = {COMPLETE: BLUE, PRUNED: "#9aa5b1", "chosen before": SKY}
"""What a trial was -> its colour."""
_ROW = 26


def history(trials: pl.DataFrame) -> Picture:
    """Return each trial's value in order of their numbers and the best so far; ``trials``: SEARCH_TRIALS of a study.

    Pruned trials stand where they were given up, on the sessions swept till then, and are never the best.
    """
    if trials.is_empty():
        return nothing("Value of each trial")
    rows = trials.sort("number").with_columns(
        kind=pl.when(pl.col("duplicate_of").is_not_null()).then(pl.lit("chosen before")).otherwise("state"),
        best=pl.when(state=COMPLETE).then("value").otherwise(None).cum_max().forward_fill(),
    )
    x = alt.X("number:Q", title="trial").axis(tickMinStep=1, grid=False)
    x = x.scale(domain=[0, max(1, rows["number"][-1])], nice=False)
    y = alt.Y("value:Q", title="value, share of capital").axis(format=".1%").scale(zero=False)
    base = alt.Chart(rows.select("number", "value", "kind", "best"))
    colour = alt.Color("kind:N", title=None).scale(domain=list(KINDS), range=list(KINDS.values()))
    dots = base.mark_point(filled=True, size=34, opacity=0.85).encode(x=x, y=y, color=colour)
    line = base.transform_filter("datum.best != null").mark_line(
        interpolate="step-after", color=VERMILION, strokeWidth=2
    )
    layers = alt.layer(line.encode(x=x, y=alt.Y("best:Q", title="value, share of capital")), dots)
    return layers.properties(title=_title(rows), width=WIDTH, height=220)


def importance(trials: pl.DataFrame) -> Picture:
    """Return how much each outer rule mattered, a share of all; ``trials``: SEARCH_TRIALS of a study."""
    from timegpt_assets.adapters.search.importance import shares

    title = "What the outer rules mattered"
    complete = trials.filter(pl.col("duplicate_of").is_null(), state=COMPLETE).sort("number")
    chosen: list[dict[str, Any]] = [json.loads(outer) for outer in complete["outer"]]
    names = list(chosen[0]) if chosen else []
    values = {name: _in_order([one[name] for one in chosen]) for name in names}
    found = shares(list(zip(chosen, complete["value"], strict=True)), values)
    if not found:
        return nothing(title)
    rows = pl.DataFrame({"rule": list(found), "share": list(found.values())})
    order = alt.Y("rule:N", title=None, sort=list(found)).axis(domain=False, ticks=False)
    base = alt.Chart(rows).encode(y=order, x=alt.X("share:Q", title="share of all").axis(format=".0%", grid=False))
    bars = base.mark_bar(color=BLUE, height=14)
    numbers = base.mark_text(align="left", dx=4, color=MUTED).encode(text=alt.Text("share:Q", format=".0%"))
    about = f"PED-ANOVA over {complete.height} complete trials: where the best of them lie against where all do"
    picture: Picture = alt.layer(bars, numbers)
    return picture.properties(title=titled(title, about), width=WIDTH, height=_ROW * len(found))


def _in_order(values: list[Any]) -> list[Any]:
    """Return each value once: numbers by size, words by name."""
    return sorted(dict.fromkeys(values), key=lambda value: (isinstance(value, str), value is None, value or 0))


def _title(rows: pl.DataFrame) -> alt.Title:
    first, last = rows.select(pl.col("first_day").min(), pl.col("last_day").max()).row(0)
    counts = [f"{rows.height:,} trials"]
    counts += [f"{n:,} pruned"] if (n := rows.filter(state=PRUNED).height) else []
    counts += [f"{n:,} chosen before"] if (n := rows["duplicate_of"].count()) else []
    tried = rows.filter(pl.col("duplicate_of").is_null())["tried"].sum()
    best = rows["best"][-1]
    head = "No trial is complete" if best is None else f"Best value {best:+.2%} of capital"
    about = [f"{', '.join(counts)}; {tried:,} combinations tried; line: the best so far"]
    about += [f"{rows['stage'][0]}, {rows['forecaster'][0]}, {first} to {last}, {sources(rows)}"]
    return alt.Title(head, subtitle=about, subtitleColor=MUTED)
