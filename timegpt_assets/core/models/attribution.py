"""What moved each forecast: for every prediction the features that added most to its centre and to its width.

Belongs here: the table of it, the few features that are kept, and those of a blend. How a model's shares are worked out
is shares.py. All in units of sigma; width is half the narrowest band.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from timegpt_assets.core.models.design import Floats
from timegpt_assets.core.models.net import Net
from timegpt_assets.core.models.rows import KEY
from timegpt_assets.core.models.shares import CENTRE, SIZE, Shares, shares
from timegpt_assets.core.models.tree import Tree
from timegpt_assets.core.tables.columns import BLEND, WILDCARD
from timegpt_assets.core.tables.models import ATTRIBUTION

_PART = [*KEY, "part"]
_OF_PART = ("base", "forecast", "method")


def moved(model: Tree | Net, rows: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
    """Return KEY, part, feature, value, missing, contribution, base, forecast, method: every feature of every forecast.

    ``rows`` as the model is asked with. Whom it cannot answer is absent.
    """
    said = model.predicted(rows, levels)
    own = rows.join(said.select(KEY), on=list(KEY), how="semi").sort(KEY)
    if own.is_empty():
        return _nothing()
    forecast = {CENTRE: said["mean"].to_numpy(), SIZE: _half_width(said, levels)}
    told = shares(model, own, min(levels))
    return pl.concat([_long(own, one, forecast[one.part]) for one in told]).sort(*_PART, "feature")


def blended(tree: pl.DataFrame, net: pl.DataFrame, alpha: float) -> pl.DataFrame:
    """Return what moved a blend, by what moved its parts: (1 - alpha) x the tree's and alpha x the net's.

    Of the rows that both answered. A feature that both read adds once, and says its value as the tree read it.
    """
    parts = [
        part.with_columns(pl.col("contribution", "base", "forecast") * weight)
        for part, weight in ((tree, 1 - alpha), (net, alpha))
    ]
    first, second = (part.unique(_PART).select(*_PART, "base", "forecast") for part in parts)
    totals = first.join(second, on=_PART, suffix="_net").select(
        *_PART, *(pl.col(name) + pl.col(f"{name}_net") for name in ("base", "forecast"))
    )
    each = [*_PART, "feature"]
    added = (
        pl.concat(part.select(*each, "value", "missing", "contribution") for part in parts)
        .group_by(each, maintain_order=True)
        .agg(pl.col("value", "missing").first(), pl.col("contribution").cum_sum().last())
    )
    told = added.join(totals, on=_PART).with_columns(method=pl.lit(BLEND))
    return told.select(_nothing().columns).sort(each)


def named(moved: pl.DataFrame, *, forecaster: str, top: int, policy: str | None, digest: str) -> pl.DataFrame:
    """Return ATTRIBUTION of a forecaster: the ``top`` features of each part, and all others in one last row.

    Whatever is not a feature's alone (of a net's channels together) stands in that row: with the base all
    contributions add up to the forecast.
    """
    ordered = moved.filter(pl.col("feature") != WILDCARD).sort(*_PART, -pl.col("contribution").abs(), "feature")
    ranked = ordered.with_columns(rank=pl.int_range(1, pl.len() + 1).over(_PART)).filter(pl.col("rank") <= top)
    # cum_sum: a group's sum is added in another order from run to run
    sums = ranked.group_by(_PART).agg(named=pl.col("contribution").cum_sum().last(), rank=pl.len())
    given = moved.unique(_PART).select(*_PART, *_OF_PART).join(sums, on=_PART, how="left")
    given = given.with_columns(pl.col("named", "rank").fill_null(0))
    others = given.with_columns(
        feature=pl.lit(WILDCARD),
        value=pl.lit(None, pl.Float64),
        missing=pl.lit(False),
        contribution=pl.col("forecast") - pl.col("base") - pl.col("named"),
        rank=pl.col("rank").cast(pl.Int64) + 1,
    )
    stamps = {"forecaster": pl.lit(forecaster), "policy": pl.lit(policy, pl.String), "digest": pl.lit(digest)}
    return ATTRIBUTION.conformed(pl.concat([ranked, others.select(ranked.columns)]).with_columns(**stamps))


def _half_width(said: pl.DataFrame, levels: Sequence[int]) -> Floats:
    narrowest = min(levels)
    found: Floats = ((said[f"hi_{narrowest}"] - said[f"lo_{narrowest}"]) / 2).to_numpy()
    return found


def _nothing() -> pl.DataFrame:
    kept = [*_PART, "feature", "value", "missing", "contribution", *_OF_PART]
    return ATTRIBUTION.empty().select(kept)


def _long(rows: pl.DataFrame, told: Shares, forecast: Floats) -> pl.DataFrame:
    """Return a row for each feature of each row; one of WILDCARD where no feature moves the part at all."""
    names = [*told.names] or [WILDCARD]
    n = rows.height
    values, added = (
        (one if told.names else np.full((n, 1), empty)) for one, empty in ((told.values, np.nan), (told.added, 0.0))
    )
    wide = np.repeat(np.arange(n), len(names))
    value = values.ravel()
    return rows[wide].select(
        *KEY,
        part=pl.lit(told.part),
        feature=pl.Series(names * n, dtype=pl.String),
        value=pl.Series(value, dtype=pl.Float64).fill_nan(None),
        missing=pl.Series(np.isnan(value) if told.names else np.zeros(n, bool)),
        contribution=pl.Series(added.ravel(), dtype=pl.Float64),
        base=pl.Series(np.repeat(told.base, len(names)), dtype=pl.Float64),
        forecast=pl.Series(np.repeat(forecast, len(names)), dtype=pl.Float64),
        method=pl.lit(told.method),
    )
