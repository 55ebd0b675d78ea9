"""How bands come to hold what they promise: by how far prices of the last days lay outside of them.

Belongs here: scores of outcomes to CONFORMAL_PARAMETERS, and those to adjusted bands, of a day or of one request.
Conformalised quantile regression (Romano, Patterson and Candes 2019): the score of a price is by how much it lies
outside of its band, below zero inside, in widths of the baseline's band; the band is moved by the score of rank
ceil((n + 1) level) on both sides. Nothing on or after a day is in its parameters. Why so: docs/adr/0034.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import polars as pl

from timegpt_assets.core.calibration import methods
from timegpt_assets.core.tables.tsfm import CONFORMAL_PARAMETERS, CUTS, PRICE
from timegpt_assets.core.tsfm.segments import price_bucket

Band = Literal["tsfm", "baseline"]
PREFIXES: Mapping[Band, str] = {"tsfm": "", "baseline": "baseline_"}
"""Whose band -> how its columns begin in TSFM_FORECASTS and TSFM_OUTCOMES."""
ALL = "all"
ANY = "*"
Index = Mapping[tuple[Any, ...], float]
"""(pool, a word for each of CUTS, step) -> adjustment."""
_SLACK = 1e-12
"""An end holds what is within rounding of it: prices that stand still have one score, which is that of the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformalSpec:
    """How many days are learnt from, how much each band must hold, and by which columns segments are cut.

    ``levels``: every share that parameters are made for, ``target`` the one that is served and among them.
    ``price_cuts``: where last prices are cut, before all segments; none: all are one. ``least_scale``: what the
    baseline's width counts as at least when scores are measured by it, a probability; 1: they are not.
    ``embargo_days`` lie between what is learnt from and the day; none where bands are served.
    """

    window_days: int
    target: float
    levels: tuple[float, ...]
    min_samples: int
    segments: tuple[str, ...]
    price_cuts: tuple[float, ...] = ()
    least_scale: float = 1.0
    embargo_days: int = 0

    @property
    def pools(self) -> tuple[tuple[str, ...], ...]:
        """Return the columns of each pool, the finest first: the last is left out first, the price at last."""
        by = (*PRICE, *self.segments) if self.price_cuts else self.segments
        return tuple(by[:kept] for kept in range(len(by), -1, -1))

    @property
    def scale(self) -> pl.Expr:
        """Return what a row's scores are measured by: how wide the baseline's own band is, in probabilities."""
        return pl.max_horizontal(pl.col("baseline_upper") - pl.col("baseline_lower"), self.least_scale)


def score(spec: ConformalSpec, prefix: str = "") -> pl.Expr:
    """Return by how many scales ``y`` lies outside of a band, below zero inside.

    No price passes an end at 0 or 1, which is never moved: the others speak, and a band of both holds whatever comes.
    """
    lower, upper, y = pl.col(f"{prefix}lower"), pl.col(f"{prefix}upper"), pl.col("y")
    outside = pl.max_horizontal(pl.when(lower > 0).then(lower - y), pl.when(upper < 1).then(y - upper))
    return (outside / spec.scale).fill_null(-1.0 / spec.least_scale)


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
    own = _priced(outcomes.filter(pl.col("day").is_between(*learnt_days(day, spec))), spec)
    found = [
        _of_pool(own.select("day", "step", *CUTS, score=score(spec, prefix)), band, pool, spec)
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
    any_of = {name: pl.lit(ANY) for name in CUTS if name not in pool}
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


def _priced(rows: pl.DataFrame, spec: ConformalSpec) -> pl.DataFrame:
    return rows.with_columns(price_bucket=price_bucket(spec.price_cuts))


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

    ``rows``: TSFM_FORECASTS, or others with both bands, the last price and a column ``made``, the day whose parameters
    are meant; ``parameters``: CONFORMAL_PARAMETERS of these days. All five are null where no pool speaks. The median
    stays within and both ends within [0, 1]; an end at 0 or 1 stays there. Widths are not guarded again: a floor would
    break the promise upwards, a ceiling downwards.
    """
    own = parameters.filter(pl.col("level") == level, pl.col("band") == band)
    found = _priced(rows, spec)
    for pool in spec.pools:
        told = own.filter(pl.col("pool") == name_of(pool)).select(
            pl.col("day").alias(made), *pool, "step", pl.col("adjustment").alias(_column(pool))
        )
        found = found.join(told, on=[made, *pool, "step"], how="left", maintain_order="left")
    columns = {_column(pool): name_of(pool) for pool in spec.pools}
    speaks = [pl.when(pl.col(column).is_not_null()).then(pl.lit(name)) for column, name in columns.items()]
    told = found.with_columns(adjustment=pl.coalesce(*columns), pool=pl.coalesce(speaks)).drop(*columns, *PRICE)
    return moved(told, spec, band=band, made=made)


def indexed(parameters: pl.DataFrame, *, level: float, band: Band = "tsfm") -> Index:
    """Return one day's CONFORMAL_PARAMETERS of a level and a band, as ``looked_up`` looks them up."""
    own = parameters.filter(pl.col("level") == level, pl.col("band") == band)
    return dict(zip(own.select("pool", *CUTS, "step").iter_rows(), own["adjustment"].to_list(), strict=True))


def looked_up(index: Index, cuts: Mapping[str, str], steps: int, spec: ConformalSpec) -> dict[str, list[Any]]:
    """Return ``adjustment`` and ``pool`` of each step of a forecast with these words of CUTS, None where none speaks.

    They are those that ``adjusted`` joins to many rows, of one request in no time.
    """
    keys = [(name_of(pool), *(cuts[name] if name in pool else ANY for name in CUTS)) for pool in spec.pools]
    found: dict[str, list[Any]] = {"adjustment": [], "pool": []}
    for step in range(1, steps + 1):
        speaking = next((key for key in keys if (*key, step) in index), None)
        found["adjustment"].append(index[(*speaking, step)] if speaking else None)
        found["pool"].append(speaking[0] if speaking else None)
    return found


def _column(pool: Sequence[str]) -> str:
    return f"_by {name_of(pool)}"


def moved(rows: pl.DataFrame, spec: ConformalSpec, *, band: Band = "tsfm", made: str = "day") -> pl.DataFrame:
    """Return rows that have ``adjustment`` and ``pool`` with the other columns of ``adjusted``, and no adjustment."""
    is_told, by = pl.col("adjustment").is_not_null(), pl.col("adjustment") * spec.scale
    lower, median, upper = (pl.col(f"{PREFIXES[band]}{name}") for name in ("lower", "median", "upper"))
    low = pl.when(lower > 0).then((pl.min_horizontal(lower - by, median) - _SLACK).clip(0.0, 1.0)).otherwise(lower)
    high = pl.when(upper < 1).then((pl.max_horizontal(upper + by, median) + _SLACK).clip(0.0, 1.0)).otherwise(upper)
    return rows.with_columns(
        # the least of a null and a number is the number
        adjusted_lower=pl.when(is_told).then(low),
        adjusted_median=pl.when(is_told).then(median),
        adjusted_upper=pl.when(is_told).then(high),
        parameters_day=pl.when(is_told).then(pl.col(made)),
    ).drop("adjustment")
