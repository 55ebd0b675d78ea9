"""Stored outcomes with what became of their prices over midnight, as far as prices are stored.

Belongs here: reading both tables. A day's outcomes know nothing of the next day; whoever judges breaches later does.
The arithmetic is core/tsfm/outcomes.py.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.core.tables.tsfm import MARKET_SERIES
from timegpt_assets.core.tsfm.outcomes import followed

OUTCOMES, SERIES = "tsfm/tsfm_outcomes", "tsfm/market_series"
# no select: Polars' threads, once begun, are dead in whatever is forked of this process later
_PRICES = pl.DataFrame(schema={name: MARKET_SERIES.schema[name] for name in ("market_id", "ts", "y", "y_source")})


def outcomes(
    store: ParquetStore, days: Sequence[date], empty: pl.DataFrame, *, follow_through_hours: float
) -> pl.DataFrame:
    """Return the columns of ``empty`` of TSFM_OUTCOMES of UTC days, target_ts, rise and fall among them.

    Raises StoreError and ObjectStoreError.
    """
    parts = [empty]
    for day in days:
        came = store.read(OUTCOMES, [day], missing="ok", columns=empty.columns, empty=empty).select(empty.columns)
        if came["rise"].null_count():
            ahead = [day, *(day + timedelta(days=n + 1) for n in range(-(-int(follow_through_hours * 60) // 1440)))]
            prices = store.read(SERIES, ahead, missing="ok", columns=_PRICES.columns, empty=_PRICES)
            came = followed(came, prices, follow_through_hours=follow_through_hours)
        parts.append(came)
    return pl.concat(parts)
