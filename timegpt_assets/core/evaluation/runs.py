"""Backtest runs: which sessions each book was traded on, under which sources and with what configuration.

Belongs here: counting sessions. A session that was traded again counts once.
"""

import json
from collections.abc import Collection
from datetime import date

import polars as pl

from timegpt_assets.core.evaluation import trading
from timegpt_assets.core.tables.columns import BLEND, BOOK_KEY
from timegpt_assets.core.tables.evaluation import BACKTEST_RUNS

NOTHING_BLENDED = pl.DataFrame(schema={"day": pl.Date(), "policy": pl.String()})
MIXED = "mixed"
"""The regime of a window that holds rows of more than one."""


def backtest_runs(
    portfolio: pl.DataFrame,
    day_scores: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    sessions: Collection[date],
    lookback_sessions: int,
    config: str,
    blended: pl.DataFrame = NOTHING_BLENDED,
) -> pl.DataFrame:
    """Return BACKTEST_RUNS of the ``lookback_sessions`` up to ``as_of``: a row per book and source triple.

    ``blended``: day, policy of the blend's answers; what it was on the window's sessions stands in its book's config.
    ``sessions`` are those with a complete portfolio; one counts where the book had forecasts (``day_scores``, with
    their books) or trades of the triple.
    """
    window = trading.counted_sessions(sessions, as_of, lookback_sessions)
    seen = pl.concat(frame.select("day", *BOOK_KEY) for frame in (portfolio, day_scores)).unique()
    regimes, regime = pl.col("data_regime").n_unique().over("book"), pl.col("data_regime")
    counted = (
        seen.filter(pl.col("day").is_in(window))
        .with_columns(regime=pl.when(regimes > 1).then(pl.lit(MIXED)).otherwise(regime))
        .group_by(*BOOK_KEY, "regime")
        .agg(runs=pl.len().cast(pl.Int64), first=pl.col("day").min(), last=pl.col("day").max())
    )
    stamps = {"month": pl.lit(month), "as_of": pl.lit(as_of), "config": pl.lit(config)}
    policies = blended.filter(pl.col("day").is_in(window)).unique().sort("day", "policy")
    if policies.height:
        own = json.dumps(json.loads(config) | {BLEND: policies["policy"].unique(maintain_order=True).to_list()})
        stamps["config"] = pl.when(pl.col("book") == BLEND).then(pl.lit(own)).otherwise(pl.lit(config))
    return BACKTEST_RUNS.conformed(counted.with_columns(**stamps))
