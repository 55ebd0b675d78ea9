"""Answers of the forecasters on this machine beside their labels, as answered: what a blend is chosen on.

Belongs here: the join and the loss in volatilities. Calibrated forecasts are scored in forecast.py.
"""

from collections.abc import Collection, Iterator

import polars as pl

from timegpt_assets.core.forecasts import quantiles
from timegpt_assets.core.pinball import pinball
from timegpt_assets.core.tables.models import BASE_SCORES
from timegpt_assets.core.targets import Target, scaled, unscaled


def base_scores(
    answers: pl.DataFrame, labels: pl.DataFrame, *, target: Target, levels: Collection[int]
) -> pl.DataFrame:
    """Return BASE_SCORES of BASE_ANSWERS rows whose own label and volatility are known, in log returns.

    ``pinball`` averages the quantiles that the bands of ``levels`` and the mean, taken as the median, stand for, in
    volatilities: losses of a calm and of a wild symbol then weigh alike.
    """
    own = labels.filter(pl.col("horizon_min") == target.label_horizon_min)
    ends = quantiles.nested(levels)
    made = answers.filter(pl.col("sigma") > 0, pl.col("step") == target.horizon_min).with_columns(
        *(unscaled(pl.col(name), pl.col("target_scale")).alias(name) for name in ends),
        target_ts=pl.col("snapshot_ts") + pl.duration(minutes=pl.col("step")),
        horizon_min=pl.col("step"),
    )
    joined = made.join(own.select("day", "symbol", "target_ts", "y"), on=["day", "symbol", "target_ts"])
    scored = joined.with_columns(pinball=scaled(pl.mean_horizontal(*_losses(ends, levels)), pl.col("sigma")))
    return BASE_SCORES.conformed(scored.select(*BASE_SCORES.columns, *(name for name in ends if name != "mean")))


def _losses(ends: Collection[str], levels: Collection[int]) -> Iterator[pl.Expr]:
    for name, probability in zip(ends, quantiles.held_quantiles(levels), strict=True):
        yield pinball(pl.col("y"), pl.col(name), probability)
