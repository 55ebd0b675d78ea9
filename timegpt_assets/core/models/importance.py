"""What features are worth: how much of all that moved forecasts each of them did.

Belongs here: the sum over explained forecasts. What moved each of them is attribution.py.
"""

import polars as pl

from timegpt_assets.core.tables.columns import WILDCARD

_OF = ["forecaster", "part"]


def moved_most(attribution: pl.DataFrame) -> pl.DataFrame:
    """Return forecaster, part, feature, gain: a feature's share of the summed sizes of all contributions named.

    ``attribution`` ATTRIBUTION; what stands under ``*``, all that is not named together, is no feature.
    """
    named = attribution.filter(pl.col("feature") != WILDCARD).sort(*_OF, "feature", "day", "snapshot_ts", "symbol")
    sizes = pl.col("contribution").abs().cum_sum().last()
    summed = named.group_by(*_OF, "feature", maintain_order=True).agg(gain=sizes)
    total = pl.col("gain").cum_sum().last().over(_OF)
    return summed.filter(total > 0).with_columns(gain=pl.col("gain") / total)
