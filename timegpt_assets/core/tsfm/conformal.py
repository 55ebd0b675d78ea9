"""How bands come to hold what they promise: by how far prices of the last days lay outside of them.

Belongs here: scores of outcomes to CONFORMAL_PARAMETERS, and those to adjusted bands, many at once or one for the
service. Conformalised quantile regression (Romano, Patterson and Candes 2019): the score of a price is by how much it
lies outside of its band, below zero inside; the band is moved by the score of rank ceil((n + 1) level) on both sides.
Nothing on or after a day is in its parameters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import polars as pl

from timegpt_assets.core.calibration import methods
from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS, SEGMENT
from timegpt_assets.core.tsfm.asked import Floats

Band = Literal["tsfm", "baseline"]
PREFIXES: Mapping[Band, str] = {"tsfm": "", "baseline": "baseline_"}
"""Whose band -> how its columns begin in TSFM_FORECASTS and TSFM_OUTCOMES."""
ALL = "all"
ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformalSpec:
    """How many days are learnt from, how much each band must hold, and by which columns segments are cut.

    ``levels``: every share that parameters are made for, ``target`` the one that is served and among them.
    ``embargo_days`` lie between what is learnt from and the day; none where bands are served.
    """

    window_days: int
    target: float
    levels: tuple[float, ...]
    min_samples: int
    segments: tuple[str, ...]
    embargo_days: int = 0

    @property
    def pools(self) -> tuple[tuple[str, ...], ...]:
        """Return the columns of each pool, the finest first: the last of the segments is left out first."""
        return tuple(self.segments[:kept] for kept in range(len(self.segments), -1, -1))


@dataclass(frozen=True, slots=True, eq=False)
class AdjustedOne:
    """One market's adjusted quantiles, a row a step, with the pool that spoke for each; None: not all could be."""

    values: Floats | None
    pools: tuple[str | None, ...]
    parameters_day: date | None


def score(prefix: str = "") -> pl.Expr:
    """Return by how much ``y`` lies outside of a band, a probability; below zero inside."""
    return pl.max_horizontal(pl.col(f"{prefix}lower") - pl.col("y"), pl.col("y") - pl.col(f"{prefix}upper"))


def rank(samples: int, level: float) -> int | None:
    """Return which of so many scores, from 1, holds the level; None: too few for any of them to."""
    wanted = methods.rank(samples, level=100 * level, delta_quantile=level)
    return wanted if wanted <= samples else None


def learnt_days(day: date, spec: ConformalSpec) -> tuple[date, date]:
    """Return the first and the last day that parameters of a day are learnt from."""
    last = day - timedelta(days=1 + spec.embargo_days)
    return last - timedelta(days=spec.window_days - 1), last


def fitted(outcomes: pl.DataFrame, day: date, spec: ConformalSpec) -> pl.DataFrame:
    """Return CONFORMAL_PARAMETERS of a day, from TSFM_OUTCOMES of its ``learnt_days``; others are not looked at.

    A pool with fewer than ``min_samples`` scores at a step, or too few for the level, has no row: a coarser one speaks
    for it, and where all have too few there is no adjustment.
    """
    own = outcomes.filter(pl.col("day").is_between(*learnt_days(day, spec)))
    found = [
        _of_pool(own.select("day", "step", *SEGMENT, score=score(prefix)), band, pool, spec)
        for band, prefix in PREFIXES.items()
        for pool in spec.pools
    ]
    rows = pl.concat(found).with_columns(day=pl.lit(day))
    return CONFORMAL_PARAMETERS.conformed(rows.select(list(CONFORMAL_PARAMETERS.columns)))


def _of_pool(scores: pl.DataFrame, band: Band, pool: tuple[str, ...], spec: ConformalSpec) -> pl.DataFrame:
    kept = scores.filter(pl.col("score").is_finite())
    levels = pl.DataFrame({"level": spec.levels}, schema={"level": pl.Float64})
    groups = (
        kept.group_by(*pool, "step")
        .agg(
            pl.len().cast(pl.Int64).alias("samples"),
            pl.col("day").min().alias("first_day"),
            pl.col("day").max().alias("last_day"),
            pl.col("score").sort(),
        )
        .filter(pl.col("samples") >= spec.min_samples)
        .join(levels, how="cross")
    )
    places = [rank(n, level) for n, level in groups.select("samples", "level").iter_rows()]
    any_of = {name: pl.lit(ANY) for name in SEGMENT if name not in pool}
    told = (
        groups.with_columns(place=pl.Series(places, dtype=pl.Int64))
        .drop_nulls("place")
        .with_columns(
            band=pl.lit(band),
            pool=pl.lit(name_of(pool)),
            adjustment=pl.col("score").list.get(pl.col("place") - 1),
            **any_of,
        )
    )
    return told.select([name for name in CONFORMAL_PARAMETERS.columns if name != "day"])


def name_of(pool: Sequence[str]) -> str:
    """Return the name of a pool, as liquidity_bucket+tte_bucket."""
    return "+".join(pool) or ALL


def adjusted(
    rows: pl.DataFrame,
    parameters: pl.DataFrame,
    spec: ConformalSpec,
    *,
    level: float,
    band: Band = "tsfm",
    made: str = "day",
) -> pl.DataFrame:
    """Return the rows with adjusted_lower, adjusted_median, adjusted_upper, parameters_day and pool.

    ``rows``: TSFM_FORECASTS, or others with a band and a column ``made``, the day of the forecast; ``parameters``:
    CONFORMAL_PARAMETERS of these days. All five are null where no pool speaks. The median stays within and both ends
    within [0, 1]; widths are not guarded again: a floor would break the promise upwards, a ceiling downwards.
    """
    own = parameters.filter(pl.col("level") == level, pl.col("band") == band)
    found = rows
    for pool in spec.pools:
        told = own.filter(pl.col("pool") == name_of(pool)).select(
            pl.col("day").alias(made), *pool, "step", pl.col("adjustment").alias(_column(pool))
        )
        found = found.join(told, on=[made, *pool, "step"], how="left", maintain_order="left")
    columns = [_column(pool) for pool in spec.pools]
    return found.with_columns(**_moves(spec, band, made)).drop(columns)


def _column(pool: Sequence[str]) -> str:
    return f"_by {name_of(pool)}"


def _moves(spec: ConformalSpec, band: Band, made: str) -> dict[str, pl.Expr]:
    """Return the columns of ``adjusted``: the finest pool that has an adjustment speaks."""
    by = pl.coalesce([_column(pool) for pool in spec.pools])
    is_told = by.is_not_null()
    lower, median, upper = (pl.col(f"{PREFIXES[band]}{name}") for name in ("lower", "median", "upper"))
    low = pl.min_horizontal(lower - by, median).clip(0.0, 1.0)
    high = pl.max_horizontal(upper + by, median).clip(0.0, 1.0)
    speaks = [pl.when(pl.col(_column(pool)).is_not_null()).then(pl.lit(name_of(pool))) for pool in spec.pools]
    return {
        # the least of a null and a number is the number
        "adjusted_lower": pl.when(is_told).then(low),
        "adjusted_median": pl.when(is_told).then(median),
        "adjusted_upper": pl.when(is_told).then(high),
        "parameters_day": pl.when(is_told).then(pl.col(made)),
        "pool": pl.coalesce(speaks),
    }


def adjusted_one(
    values: Floats, segment: Mapping[str, str], parameters: pl.DataFrame, spec: ConformalSpec, *, band: Band = "tsfm"
) -> AdjustedOne:
    """Return one market's quantiles adjusted at the target, from the parameters of one day.

    ``values``: a row a step from 1, a column a quantile, rising; ``segment``: column of SEGMENT -> value. Inner
    quantiles stay where they are unless an end passes them; a step without parameters leaves the whole unadjusted.
    """
    own = parameters.filter(pl.col("level") == spec.target, pl.col("band") == band)
    told = [_spoken(own, segment, step, spec) for step in range(1, len(values) + 1)]
    pools = tuple(None if one is None else one[0] for one in told)
    moves = [one[1] for one in told if one is not None]
    days = own["day"].unique().to_list()
    if len(moves) < len(values) or not moves:
        return AdjustedOne(None, pools, None)
    return AdjustedOne(_moved(values, np.array(moves)), pools, days[0])


def _spoken(
    parameters: pl.DataFrame, segment: Mapping[str, str], step: int, spec: ConformalSpec
) -> tuple[str, float] | None:
    for pool in spec.pools:
        wanted = [pl.col(name) == (segment[name] if name in pool else ANY) for name in SEGMENT]
        found = parameters.filter(pl.col("pool") == name_of(pool), pl.col("step") == step, *wanted)
        if found.height:
            return name_of(pool), float(found["adjustment"][0])
    return None


def _moved(values: Floats, by: Floats) -> Floats:
    """Return the quantiles with both ends moved, never past the middle one, and what is beyond an end drawn to it."""
    middle = values[:, values.shape[1] // 2]
    low = np.clip(np.minimum(values[:, 0] - by, middle), 0.0, 1.0)
    high = np.clip(np.maximum(values[:, -1] + by, middle), 0.0, 1.0)
    found = np.clip(values, low[:, None], high[:, None])
    found[:, 0], found[:, -1] = low, high
    return found
