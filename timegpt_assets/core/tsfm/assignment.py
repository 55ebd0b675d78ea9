"""Which markets a share of a rollout is, and which band each market's alerts go by because of it.

Belongs here: the share as a set of markets, and BANDS' choice among its three bands. What the share is in a
cycle stands in core/tsfm/rollout.py.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from timegpt_assets.core.backtest.books import bucket

TSFM = "tsfm"
"""Whose rollout it is: the name its buckets are drawn by, and under which its steps are recorded."""
CONFORMAL, RAW, BASELINE = "tsfm_conformal", "tsfm_raw", "baseline"
_PARTS = ("lower", "median", "upper")
_COLUMNS = {CONFORMAL: "adjusted_", RAW: "raw_", BASELINE: "baseline_"}


def is_assigned(market_id: str, share: int) -> bool:
    """Return whether a share, percent of markets, holds a market: the same on every day and machine.

    A larger share holds every market of a smaller one; 0 holds none, 100 all.
    """
    return bucket(TSFM, market_id) < share


def assigned(market_ids: Iterable[str], share: int) -> list[str]:
    """Return the markets of a share, sorted."""
    return sorted(name for name in set(market_ids) if is_assigned(name, share))


def used(bands: pl.DataFrame, share: int | Mapping[datetime, int], source: str) -> pl.DataFrame:
    """Return rows of BANDS with ``band_source``, ``lower``, ``median``, ``upper``: the band that is used.

    Markets of the share, of all rows or by their ``as_of``, get ``source``, every other one the baseline. tsfm_raw
    stands, and is said, where tsfm_conformal is asked for and no parameters were there to adjust by.
    """
    of_cycle = pl.lit(share) if isinstance(share, int) else _looked_up("as_of", share)
    place = _looked_up("market_id", {name: bucket(TSFM, name) for name in bands["market_id"].unique()})
    asked = pl.when(place < of_cycle).then(pl.lit(source)).otherwise(pl.lit(BASELINE))
    lacks = pl.any_horizontal(pl.col(f"{_COLUMNS[CONFORMAL]}{part}").is_null() for part in _PARTS)
    told = bands.with_columns(
        band_source=pl.when((asked == CONFORMAL) & lacks).then(pl.lit(RAW)).otherwise(asked),
    )
    return told.with_columns(_of_source(part).alias(part) for part in _PARTS)


def _looked_up(column: str, found: Mapping[Any, int]) -> pl.Expr:
    # of no row at all there is nothing to look up
    return pl.col(column).replace_strict(found, return_dtype=pl.Int64) if found else pl.lit(None, pl.Int64)


def _of_source(part: str) -> pl.Expr:
    """Return the part of the band that band_source names."""
    source = pl.col("band_source")
    return (
        pl.when(source == CONFORMAL)
        .then(pl.col(f"{_COLUMNS[CONFORMAL]}{part}"))
        .when(source == RAW)
        .then(pl.col(f"{_COLUMNS[RAW]}{part}"))
        .otherwise(pl.col(f"{_COLUMNS[BASELINE]}{part}"))
    )
