"""Which markets are forecast in a cycle: those of most volume and open interest, as far as anybody tells them.

Belongs here: MARKETS to SELECTION. Who is asked for markets, and how many come into question, is the adapters' affair.
"""

from dataclasses import dataclass

import polars as pl

from timegpt_assets.core.tables.tsfm import SELECTION
from timegpt_assets.core.tsfm.segments import SegmentSpec, segmented


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSpec:
    """How many markets of a cycle are forecast at most, and what volume and open interest weigh."""

    top_n: int
    weight_volume: float
    weight_open_interest: float


def selection(markets: pl.DataFrame, spec: SelectionSpec, segments: SegmentSpec) -> pl.DataFrame:
    """Return SELECTION of the cycles in ``markets``: every market that is traded and not over, ranked.

    The score is the weighted sum of two z among the markets of the cycle (population deviation). What is not told
    scores 0, as an average one does; of equal ones each scores 0. Ties go by market_id.
    """
    open_ones = markets.filter(
        pl.col("active") & pl.col("resolved_yes").is_null() & (pl.col("end_ts") > pl.col("as_of")).fill_null(True)
    )
    score = spec.weight_volume * _z("volume_24h") + spec.weight_open_interest * _z("open_interest")
    ranked = segmented(
        # twelve digits: what differs by the order of a sum alone is a tie
        open_ones.with_columns(score=score.round_sig_figs(12).fill_nan(0.0)), segments
    ).sort("as_of", pl.col("score").neg(), "market_id")  # fmt: skip
    found = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("as_of"))
    return SELECTION.conformed(found.with_columns(selected=pl.col("rank") <= spec.top_n))


def _z(name: str) -> pl.Expr:
    """Return the z of a column among the markets of its cycle; 0 where it is null, and where all are equal."""
    told = pl.col(name)
    # asked of the extremes: the deviation of equal values is not always exactly 0
    differs = (told.max() > told.min()).over("as_of").fill_null(False)
    z = (told - told.mean().over("as_of")) / told.std(ddof=0).over("as_of")
    return pl.when(differs & told.is_not_null()).then(z).otherwise(0.0)
