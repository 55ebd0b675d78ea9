"""Overfitting as a picture: the rank that the best of a half of the sessions takes in the other, for each halving."""

import altair as alt
import numpy as np
import polars as pl

from timegpt_assets.core.gates.luck import Choice
from timegpt_assets.core.overfitting import pbo
from timegpt_assets.reports.pictures.style import BLUE, HEIGHT, INK, VERMILION, WIDTH, Picture, nothing, titled

_BINS = 40


def overfitting(choice: Choice | None) -> Picture:
    """Return the histogram of logits, those not above the median in red; that of nothing where there is no choice."""
    title = "Was the best of one half of the sessions any good in the other?"
    if choice is None:
        return nothing(title)
    edge = max(1.0, float(np.max(np.abs(choice.logits))))
    counts, edges = np.histogram(choice.logits, bins=_BINS, range=(-edge, edge))
    # A bin ends at 0: none of them holds both kinds. A logit of 0, the median itself, is not above it.
    at_median = int(np.sum(choice.logits == 0))
    counts[_BINS // 2] -= at_median
    counts[_BINS // 2 - 1] += at_median
    bins = pl.DataFrame({"low": edges[:-1], "high": edges[1:], "share": counts / choice.logits.size})
    bins = bins.with_columns(where=pl.when(pl.col("high") <= 1e-9).then(pl.lit(WORSE)).otherwise(pl.lit(BETTER)))
    base = alt.Chart(bins)
    bars = base.mark_rect(stroke="white", strokeWidth=0.5).encode(
        x=alt.X("low:Q", title="logit of the rank in the other half; 0 is the median"),
        x2="high:Q",
        y=alt.Y("share:Q", title="share of halvings").axis(format="%"),
        y2=alt.datum(0),
        color=alt.Color("where:N", title=None).scale(domain=[WORSE, BETTER], range=[VERMILION, BLUE]),
    )
    line = alt.Chart(pl.DataFrame({"at": [0.0]})).mark_rule(color=INK, strokeDash=[4, 4]).encode(x="at:Q")
    said = f"probability of backtest overfitting {pbo(choice.logits):.0%}; {choice.combinations:,} that differ"
    halvings = f"{choice.logits.size:,} halvings of {choice.sessions} sessions"
    layers = alt.layer(bars, line)
    return layers.properties(title=titled(title, f"{said}; {halvings}"), width=WIDTH, height=HEIGHT)


WORSE, BETTER = "not above the median", "above it"
