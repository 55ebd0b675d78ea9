"""The scoreboard of a forecast grid: its best combinations, and all of them by Sharpe ratio and coverage."""

import altair as alt
import polars as pl

from timegpt_assets.core.research.forecast_board import NOT_TRADEABLE, SCORED
from timegpt_assets.core.tables.columns import SOURCE_KEY
from timegpt_assets.reports.pictures.style import BLUE, GREEN, MUTED, ORANGE, Picture, by_source, nothing, panels

SHOWN = 15
TITLE = "Scoreboard of the forecast grid"
PASSED, GAIN, LOSS = "gates passed", "gates not passed", "a loss"
COLOURS = alt.Scale(domain=[PASSED, GAIN, LOSS], range=[GREEN, BLUE, ORANGE])
_ROW, _WIDTH, _SIDE = 26, 300, 260
_LABEL = 420


def scoreboard(board: pl.DataFrame) -> Picture:
    """Return the best combinations by composite, beside every scored one by Sharpe ratio and PIT deviation.

    ``board`` are rows of BOARD; of several sources the one with most combinations is drawn, and named.
    """
    scored = board.filter(status=SCORED)
    if scored.is_empty():
        return nothing(TITLE)
    source, own = max(by_source(scored), key=lambda part: part[1].height)
    drawn = own.with_columns(
        verdict=pl.when("gates_passed").then(pl.lit(PASSED)).when(pl.col("composite") > 0).then(pl.lit(GAIN))
        .otherwise(pl.lit(LOSS))
    )  # fmt: skip
    best = drawn.sort("rank").head(SHOWN).with_columns(label=_labels(drawn.sort("rank").head(SHOWN)))
    return panels([_ranking(best), _cloud(drawn)], _title(board, own, source), columns=2)


def _labels(rows: pl.DataFrame) -> pl.Series:
    """Return the ranks and the values of each combination, without those that all of them have in common."""
    parts = [_values(words) for words in rows["words"]]
    common = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    texts = [", ".join(part for part in own if part not in common) or ", ".join(own) for own in parts]
    return pl.Series([f"{rank}  {text}" for rank, text in zip(rows["rank"], texts, strict=True)])


def _values(words: str) -> list[str]:
    """Return the values of a combination, each without its dimension where the value tells it by itself."""
    found, depth, start = [], 0, 0
    for i, letter in enumerate(f"{words}, "):
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            name, _, value = words[start:i].strip().partition(" ")
            found.append(f"{name.removesuffix('s').replace('_', ' ')} {value}" if value[:1] in "[0123456789" else value)
            start = i + 1
    return found


def _ranking(best: pl.DataFrame) -> Picture:
    y = alt.Y("label:N", title=None, sort=best["label"].to_list())
    y = y.axis(labelLimit=_LABEL, domain=False, ticks=False)
    shared = alt.Chart(best.select("label", "composite", "sharpe_daily", "verdict"))
    colour = alt.Color("verdict:N", title=None, scale=COLOURS)
    x = alt.X("composite:Q", title="Sharpe x (1 - PIT deviation)")
    bars = shared.mark_bar(height=12).encode(x=x, y=y, color=colour)
    ticks = shared.mark_tick(color=MUTED, thickness=2, height=16).encode(x="sharpe_daily:Q", y=y)
    layers: Picture = alt.layer(bars, ticks)
    size = {"width": _WIDTH, "height": max(2, best.height) * _ROW}
    return layers.properties(title=alt.Title("the best (tick: Sharpe ratio alone)", fontSize=11), **size)


def _cloud(drawn: pl.DataFrame) -> Picture:
    rows = drawn.select("pit_deviation", "sharpe_daily", "verdict")
    nought = alt.Chart(pl.DataFrame({"nought": [0.0]})).mark_rule(color=MUTED, strokeDash=[4, 4])
    points = alt.Chart(rows).mark_point(size=60, filled=True, opacity=0.7)
    x = alt.X("pit_deviation:Q", title="|coverage of the 50 % band - 0.5|").scale(zero=True).axis(tickCount=4)
    y = alt.Y("sharpe_daily:Q", title="daily Sharpe ratio")
    layers: Picture = alt.layer(
        nought.encode(y="nought:Q"), points.encode(x=x, y=y, color=alt.Color("verdict:N", title=None, scale=COLOURS))
    )
    return layers.properties(title=alt.Title("all that are scored", fontSize=11), width=_SIDE, height=_SIDE)


def _title(board: pl.DataFrame, own: pl.DataFrame, source: str) -> alt.Title:
    best = own.sort("rank").row(0, named=True)
    passed = int(own["gates_passed"].sum())
    head = f"{own.height} combinations scored: best composite {best['composite']:.2f}, {passed} passed the gates"
    pairs = board.select(*SOURCE_KEY, "status")
    unaligned = pairs.filter(status=NOT_TRADEABLE).height
    unscored = board.height - unaligned - board.filter(status=SCORED).height
    left = [f"{unaligned} not tradeable"] if unaligned else []
    left += [f"{unscored} without a Sharpe ratio"] if unscored else []
    return alt.Title(head, subtitle=[f"{best['forecaster']}, {source}", "; ".join(left)] if left else [source])
