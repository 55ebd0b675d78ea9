"""How the used bands fared on the latest stored days, as a few figures to watch.

Belongs here: the names and the arithmetic, of BANDS and TSFM_OUTCOMES. The offline evaluation is evaluation.py; who
exports them is reports/tsfm_metrics.py and serving/tsfm/metrics.py.
"""

import polars as pl

from timegpt_assets.core.tsfm.precision import COUNTED, side

BREACH_RATE, FOLLOWED = "breach_rate", "breach_followthrough_rate"


def figures(bands: pl.DataFrame, outcomes: pl.DataFrame, *, follow_through_move: float) -> dict[str, float]:
    """Return coverage_rolling_<bucket> and interval_width_<bucket> by liquidity bucket, and two rates of all rows.

    breach_rate: share of prices outside the used band; breach_followthrough_rate: share of the breaches whose time to
    move on is over that did, in their direction. A figure without rows is left out.
    """
    came = outcomes.select(*COUNTED, "y", "rise", "fall")
    rows = bands.join(came, on=COUNTED).with_columns(inside=pl.col("y").is_between("lower", "upper"))
    found = dict[str, float]()
    by_bucket = rows.group_by(pl.col("liquidity_bucket").str.to_lowercase(), maintain_order=True).agg(
        coverage=pl.col("inside").mean(), width=(pl.col("upper") - pl.col("lower")).mean()
    )
    for bucket, coverage, width in by_bucket.sort("liquidity_bucket").iter_rows():
        found |= {f"coverage_rolling_{bucket}": coverage, f"interval_width_{bucket}": width}
    if rows.height:
        found[BREACH_RATE] = rows.filter(~pl.col("inside")).height / rows.height
    told = side(rows.drop_nulls(["rise", "fall"]), "", follow_through_move)
    return found | ({FOLLOWED: told.precision} if told.precision is not None else {})
