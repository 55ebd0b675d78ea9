"""What a rung lost in validation, day by day, beside everybody it is judged against: on the rows they all answered.

Belongs here: losses of answers in units of sigma. Their ratios, intervals and tests are core/evaluation/ladder.py.
"""

from collections.abc import Mapping
from functools import reduce

import polars as pl

from timegpt_assets.core.models.design import sums
from timegpt_assets.core.pinball import pinball
from timegpt_assets.core.tables.models import LOSSES

_KEY = ["day", "symbol", "snapshot_ts"]


def daily_losses(rows: pl.DataFrame, answers: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return LOSSES: for each session and forecaster the summed losses, in volatilities, of the rows all answered.

    ``rows``: day, symbol, snapshot_ts, z. ``answers``: forecaster -> their mean, lo_<level>, hi_<level> of z; all need
    the same levels. The pinball loss averages the quantiles; the mean counts as the median.
    """
    # the sum of a day's losses adds up in the order of the key, whatever order the rows come in
    known = reduce(
        lambda left, own: left.join(own.select(_KEY), on=_KEY, how="semi"), answers.values(), rows.select(*_KEY, "z")
    ).sort(_KEY)
    parts = [_of_one(known.join(own, on=_KEY, maintain_order="left"), word) for word, own in answers.items()]
    return pl.concat([pl.DataFrame(schema=LOSSES), *parts]).sort("forecaster", "day")


def _of_one(answered: pl.DataFrame, forecaster: str) -> pl.DataFrame:
    lost = answered.select(
        "day", pinball=pl.mean_horizontal(_pinballs(answered.columns)), abs_error=(pl.col("z") - pl.col("mean")).abs()
    )
    days, pinball, n = sums(lost["day"], lost["pinball"].to_numpy())
    error = sums(lost["day"], lost["abs_error"].to_numpy())[1]
    return pl.DataFrame(
        {"day": days, "forecaster": forecaster, "n": n.astype("int64"), "pinball": pinball, "abs_error": error},
        schema_overrides={"day": pl.Date, "forecaster": pl.String},
    ).select(list(LOSSES))


def _pinballs(columns: list[str]) -> list[pl.Expr]:
    """Return the loss of each quantile among the columns."""
    shares = {"mean": 0.5}
    for name in columns:
        side, _, level = name.partition("_")
        if side in ("lo", "hi"):
            shares[name] = 0.5 + (1 if side == "hi" else -1) * int(level) / 200
    return [pinball(pl.col("z"), pl.col(name), share) for name, share in shares.items()]
