"""Drift: how far a month's features lie from what a model learnt from.

Belongs here: the population stability index and FEATURE_DRIFT. Drift of forecasts (coverage) is core/evaluation.
"""

from collections.abc import Collection
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core.tables.models import FEATURE_DRIFT

BINS = 10
FLOOR = 1e-4
"""The least share a bin is taken to hold: an empty one would be infinitely far from one that is not."""


def psi(learnt: pl.Series, seen: pl.Series) -> float | None:
    """Return the population stability index of ``seen`` against ``learnt``; None where either has no rows.

    sum over bins of (seen - learnt) x ln(seen / learnt), shares of rows (Siddiqi, Credit Risk Scorecards, 2006;
    Jeffreys' divergence, 1946). The bins are the tenths of what was learnt from; what is missing (null, NaN) is a bin
    of its own.
    """
    if learnt.is_empty() or seen.is_empty():
        return None
    own, other = (series.cast(pl.Float64).fill_null(float("nan")).to_numpy() for series in (learnt, seen))
    known = own[~np.isnan(own)]
    # a value that holds more than a tenth of the rows is the end of several bins: of one
    ends = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if known.size else np.empty(0)
    shares = [np.maximum(_shares(values, ends), FLOOR) for values in (own, other)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def feature_drift(
    learnt: pl.DataFrame,
    seen: pl.DataFrame,
    *,
    month: str,
    as_of: date,
    forecasters: Collection[str],
    features: Collection[str],
    psi_max: float,
) -> pl.DataFrame:
    """Return FEATURE_DRIFT of each forecaster: the month's ``grid_rows`` seen against those learnt from."""
    found = {name: psi(learnt[name], seen[name]) for name in sorted(features)}
    rows = [
        {"month": month, "as_of": as_of, "forecaster": forecaster, "feature": name, "psi": value}
        | {"threshold": psi_max, "drifted": value is not None and value > psi_max, "n": seen.height}
        for forecaster in sorted(forecasters)
        for name, value in found.items()
    ]
    return FEATURE_DRIFT.conformed(pl.DataFrame(rows, schema=FEATURE_DRIFT.schema))


def _shares(values: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the share of values up to each end, above the last, and missing."""
    missing = np.isnan(values)
    counts = np.bincount(np.searchsorted(ends, values[~missing], side="left"), minlength=ends.size + 1)
    shares: np.ndarray = np.append(counts, missing.sum()) / values.size
    return shares
