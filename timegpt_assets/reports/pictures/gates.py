"""Gate verdicts at a glance: a row per criterion, a tile per symbol, passed, failed or too little to judge."""

import altair as alt
import polars as pl

from timegpt_assets.core.tables.columns import WILDCARD
from timegpt_assets.core.tables.gates import INSUFFICIENT
from timegpt_assets.reports.pictures.style import INK, VERMILION, Picture, nothing, sources, titled

VERDICTS = {"passed": "#7fb8dc", "insufficient": "#d5dae0", "failed": VERMILION}
SIGNS = {"passed": "✓", "insufficient": "?", "failed": "✗"}

_ROW, _TILE = 22, 44


def judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of gates or symbol_gates with ``outcome``: passed, failed or insufficient.

    Insufficient is what could not be measured, or whose reason or verdict says insufficient_observation.
    """
    words = pl.concat_str([pl.col(c) for c in ("reason", "verdict") if c in rows.columns], separator=" ")
    unknown = pl.col("value").is_null() | words.str.contains(INSUFFICIENT, literal=True)
    failed = pl.when(unknown).then(pl.lit("insufficient")).otherwise(pl.lit("failed"))
    return rows.with_columns(outcome=pl.when("passed").then(pl.lit("passed")).otherwise(failed))


def strip(rows: pl.DataFrame) -> Picture:
    """Return the strip of verdicts of the last month or day; ``rows`` are of gates or symbol_gates.

    A criterion about all symbols has one tile under ``all``; of several sources the worst verdict is shown.
    """
    if rows.is_empty():
        return nothing("Gate verdicts")
    period = "month" if "month" in rows.columns else "day"
    now = judged(rows.filter(pl.col(period) == pl.col(period).max()))
    tiles = _tiles(now)
    symbols = sorted(tiles["symbol"].unique(), key=lambda symbol: (symbol != "all", symbol))
    order = tiles["criterion"].unique(maintain_order=True).to_list()
    x = alt.X("symbol:N", title=None, sort=symbols).axis(orient="top", labelAngle=0, domain=False, ticks=False)
    y = alt.Y("criterion:N", title=None, sort=order).axis(domain=False, ticks=False, labelLimit=320, labelColor=INK)
    seen = [v for v in VERDICTS if v in set(tiles["outcome"])]
    colour = alt.Color("outcome:N", title=None, sort=seen).legend(symbolType="square")
    colour = colour.scale(domain=seen, range=[VERDICTS[v] for v in seen])
    shared = alt.Chart(tiles)
    squares = shared.mark_rect(stroke="white", strokeWidth=2).encode(x=x, y=y, color=colour)
    signs = shared.mark_text(fontSize=12, color=INK).encode(x=x, y=y, text="sign:N")
    size = {"width": _TILE * tiles["symbol"].n_unique(), "height": _ROW * len(order)}
    return alt.layer(squares, signs).properties(title=_title(now, tiles, str(now[period][0])), **size)


def _tiles(rows: pl.DataFrame) -> pl.DataFrame:
    """Return [criterion, symbol, outcome, sign], the worst outcome per criterion and symbol, ``all`` first."""
    gate = pl.col("gate") + ": " if "gate" in rows.columns else pl.lit("")
    rank = pl.col("outcome").replace_strict(list(VERDICTS), [0, 1, 2], return_dtype=pl.Int64)
    named = rows.with_columns(criterion=gate + pl.col("criterion"), rank=rank)
    worst = named.sort("rank", descending=True, maintain_order=True).unique(["criterion", "symbol"], keep="first")
    shown = worst.sort("criterion", pl.col("symbol") != WILDCARD, "symbol").with_columns(
        symbol=pl.col("symbol").replace(WILDCARD, "all"), sign=pl.col("outcome").replace_strict(SIGNS)
    )
    return shown.select("criterion", "symbol", "outcome", "sign")


def _title(rows: pl.DataFrame, tiles: pl.DataFrame, period: str) -> alt.Title:
    counts = {v: (tiles["outcome"] == v).sum() for v in VERDICTS}
    words = f"{counts['passed']} of {tiles.height} criteria passed, {counts['failed']} failed"
    unknown = f", {counts['insufficient']} with too little to judge" if counts["insufficient"] else ""
    return titled(words + unknown, f"{period}; {sources(rows)}")
