"""Split-conformal bands: how wide a band must have been in the past to hold its promise.

Belongs here: the models of a day, from exactly its own window, and their application to raw forecasts.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from fractions import Fraction

import numpy as np
import polars as pl
import polars.selectors as cs

from timegpt_assets.core import calendar, forecasts, tables
from timegpt_assets.core.schema import TIME

METHODS = ("conformal", "none")
SCORES: Mapping[str, pl.Expr] = {
    "sigma": (pl.col("y") - pl.col("q50")).abs() / pl.col("sigma"),
    "absolute": (pl.col("y") - pl.col("q50")).abs(),
}
"""Kind of conformity score -> the score of one outcome."""

_POOLS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cell", ("symbol", "snapshot_time")),
    ("symbol", ("symbol",)),
    ("time", ("snapshot_time",)),
    ("all", ()),
)
_Scores = Mapping[tuple[str, tuple[str, ...]], np.ndarray]


class CalibrationError(ValueError):
    """Raised for a setting under which no honest model exists; names the days and the remedy."""


def window(day: date, *, window_days: int, embargo_days: int) -> tuple[date, date]:
    """Return the first and last session whose outcomes may calibrate ``day``.

    Raises CalibrationError when the window would end less than one whole session before the day.
    """
    first = calendar.shifted(day, -(window_days + embargo_days))
    last = calendar.shifted(day, -(1 + embargo_days))
    if embargo_days < 1:
        raise CalibrationError(
            f"the calibration window {first}..{last} of {day} leaves {embargo_days} sessions between its end and the "
            "day it calibrates. Set calibration.embargo_days to 1 or more."
        )
    if window_days < 1:
        raise CalibrationError(
            f"the calibration window of {day} holds {window_days} sessions. Set calibration.window_days to 1 or more."
        )
    return first, last


def rank(n: int, *, level: int, delta_quantile: float | None = None) -> int:
    """Return ceil((n + 1) p), the rank of the score that bounds a band of ``level`` percent.

    ``delta_quantile`` replaces the nominal p (decisions C-15). Exact arithmetic: floats put (n + 1) p off by one.
    """
    share = Fraction(level, 100) if delta_quantile is None else Fraction(str(delta_quantile))
    return math.ceil((n + 1) * share)


def models(
    outcomes: pl.DataFrame,
    *,
    day: date,
    keys: pl.DataFrame,
    levels: Collection[int],
    window_days: int,
    embargo_days: int,
    min_samples_cell: int,
    min_samples: int,
    score: str,
    max_width_multiple: float,
    method: str = "conformal",
    delta_quantile: float | None = None,
) -> pl.DataFrame:
    """Return CALIBRATION_MODELS of ``day``: one row per key (symbol, snapshot_time) and level.

    ``outcomes`` may hold any days; only those whose target_ts lies in the day's own window are read. The pools
    cell, symbol, time, all are tried in this order; the cell needs ``min_samples_cell`` outcomes, the others
    ``min_samples``. A level whose rank exceeds the pool has no half-width and a reason.
    """
    _refuse_unknown("method", method, METHODS)
    _refuse_unknown("score", score, SCORES)
    first, last = window(day, window_days=window_days, embargo_days=embargo_days)
    pools = _pools(outcomes, first, last, SCORES[score])
    shared = {
        "day": day,
        "window_first": first,
        "window_last": last,
        "embargo_days": embargo_days,
        "score": score,
        "max_width_multiple": max_width_multiple,
    }
    rows = []
    for symbol, time in keys.select("symbol", "snapshot_time").unique().sort("symbol", "snapshot_time").iter_rows():
        pool, scores = _pool(pools, symbol, time, min_samples_cell=min_samples_cell, min_samples=min_samples)
        for level in sorted(set(levels)):
            promise = _promise(pool, scores, level, min_samples, method, delta_quantile)
            rows.append(shared | {"symbol": symbol, "snapshot_time": time, "level": level} | promise)
    return tables.CALIBRATION_MODELS.conformed(pl.DataFrame(rows, schema=tables.CALIBRATION_MODELS.schema))


def calibrated(raw_forecasts: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """Return FORECASTS: q50 kept, bands q50 -/+ half_width x sigma, the raw quantiles beside them.

    A row without model or sigma keeps its raw quantiles with calibration ``none`` and the reason. In a calibrated
    row a band that cannot be promised is null. A band is at most max_width_multiple times as wide as the raw one
    (a raw band of no width bounds nothing). All quantiles of a row are sorted afterwards.
    """
    levels = sorted(int(c.removeprefix("lo_")) for c in raw_forecasts.columns if c.startswith("lo_"))
    bands = forecasts.bands(levels)
    quantiles = [*(low for low, _ in reversed(bands.values())), "q50", *(high for _, high in bands.values())]
    frame = raw_forecasts.drop("lineage_id", strict=False).with_columns(
        *(pl.col(q).alias(f"raw_{q}") for q in quantiles),
        _new_york("snapshot_ts").dt.strftime("%H:%M").alias("snapshot_time"),
    )
    for level in levels:
        frame = frame.join(_of_level(models, level), on=("day", "symbol", "snapshot_time"), how="left")
    frame = frame.with_columns(*_pool_columns(levels), _applies(levels))
    frame = frame.with_columns(expr for level, band in bands.items() for expr in _band(level, *band))
    frame = forecasts.monotone(frame, quantiles).with_columns(
        *(pl.col(low).alias(f"lo_{level}") for level, (low, _) in bands.items()),
        *(pl.col(high).alias(f"hi_{level}") for level, (_, high) in bands.items()),
        pl.when("_applies").then(pl.lit("conformal")).otherwise(pl.lit("none")).alias("calibration"),
        _reason(bands).alias("calibration_reason"),
    )
    return tables.FORECASTS.conformed(frame.select(~cs.starts_with("_") - cs.by_name("snapshot_time")))


def snapshot_times(asked: pl.DataFrame) -> pl.DataFrame:
    """Return the distinct (symbol, snapshot_time) of forecasts or outcomes: the keys that ``models`` asks for."""
    time = _new_york("snapshot_ts").dt.strftime("%H:%M").alias("snapshot_time")
    return asked.select("symbol", time).unique().sort("symbol", "snapshot_time")


def _new_york(column: str) -> pl.Expr:
    return pl.col(column).cast(TIME).dt.convert_time_zone(calendar.ZONE)


def _refuse_unknown(setting: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise CalibrationError(
            f"calibration.{setting} is {value!r}, which conformal models do not know. Use one of {', '.join(known)}."
        )


def _pools(outcomes: pl.DataFrame, first: date, last: date, score: pl.Expr) -> _Scores:
    """Return every pool's scores, ascending: the rank-th of them is the half-width."""
    own = outcomes.filter(_new_york("target_ts").dt.date().is_between(first, last)).select(
        "symbol", _new_york("snapshot_ts").dt.strftime("%H:%M").alias("snapshot_time"), score.alias("score")
    )
    own = own.filter(pl.col("score").is_finite())
    pools: dict[tuple[str, tuple[str, ...]], np.ndarray] = {("all", ()): own["score"].sort().to_numpy()}
    for name, by in _POOLS:
        if by:
            for key, part in own.group_by(by):
                pools[name, tuple(map(str, key))] = part["score"].sort().to_numpy()
    return pools


def _pool(pools: _Scores, symbol: str, time: str, *, min_samples_cell: int, min_samples: int) -> tuple[str, np.ndarray]:
    """Return the first pool that is large enough and its scores; no name when none is."""
    values = {"symbol": symbol, "snapshot_time": time}
    nothing = np.empty(0)
    for name, by in _POOLS:
        scores = pools.get((name, tuple(values[column] for column in by)), nothing)
        if scores.size >= (min_samples_cell if name == "cell" else min_samples):
            return name, scores
    return "", pools["all", ()]


def _promise(
    pool: str, scores: np.ndarray, level: int, min_samples: int, method: str, delta_quantile: float | None
) -> dict[str, object]:
    """Return what a model row can say about one level: its half-width, or why there is none."""
    n = scores.size
    row: dict[str, object] = {
        "method": "none",
        "half_width": None,
        "rank": None,
        "calibration_pool": pool,
        "calibration_n": n,
        "calibration_reason": "",
    }
    if method == "none":
        return row | {"calibration_pool": "", "calibration_reason": "calibration.method is none"}
    if not pool:
        reason = f"insufficient_history: {n} outcomes in the window, {min_samples} needed"
        return row | {"calibration_reason": reason}
    position = rank(n, level=level, delta_quantile=delta_quantile)
    if position > n:
        return row | {"rank": position, "calibration_reason": f"{level} %: rank {position} > n {n}"}
    return row | {"method": "conformal", "rank": position, "half_width": float(scores[max(position, 1) - 1])}


def _of_level(models: pl.DataFrame, level: int) -> pl.DataFrame:
    """Return the models of one level with their columns marked by it, ready to be joined."""
    columns = ("half_width", "score", "max_width_multiple", "calibration_reason", "calibration_pool", "calibration_n")
    return models.filter(pl.col("level") == level).select(
        "day", "symbol", "snapshot_time", *(pl.col(c).alias(f"_{c}_{level}") for c in columns)
    )


def _pool_columns(levels: Sequence[int]) -> list[pl.Expr]:
    """Return the pool a row was calibrated by: one key has one pool, whatever the level."""
    return [
        pl.coalesce(f"_calibration_pool_{level}" for level in levels).fill_null("").alias("calibration_pool"),
        pl.coalesce(f"_calibration_n_{level}" for level in levels).fill_null(0).alias("calibration_n"),
    ]


def _half_width(level: int) -> pl.Expr:
    """Return the half-width of a row's band in log return, before it is bounded."""
    scale = pl.when(pl.col(f"_score_{level}") == "absolute").then(1.0).otherwise(pl.col("sigma"))
    return pl.col(f"_half_width_{level}") * scale


def _applies(levels: Sequence[int]) -> pl.Expr:
    """Return whether at least one band of the row can be promised."""
    promised = ((_half_width(level) + pl.col("q50")).is_not_null() for level in levels)
    return pl.any_horizontal(promised).alias("_applies")


def _bound(level: int, low: str, high: str) -> pl.Expr:
    """Return the widest half-width allowed beside the raw band; null when the raw band has no width."""
    raw_width = pl.col(f"raw_{high}") - pl.col(f"raw_{low}")
    return pl.when(raw_width > 0).then(raw_width * pl.col(f"_max_width_multiple_{level}") / 2)


def _band(level: int, low: str, high: str) -> list[pl.Expr]:
    """Return both quantiles of a band: raw where the row is uncalibrated or nobody asked for a model of it."""
    half = pl.min_horizontal(_half_width(level), _bound(level, low, high))
    half = pl.when(_half_width(level).is_not_null()).then(half)
    modelled = pl.col("_applies") & pl.col(f"_calibration_reason_{level}").is_not_null()
    return [
        pl.when(modelled).then(pl.col("q50") - half).otherwise(pl.col(low)).alias(low),
        pl.when(modelled).then(pl.col("q50") + half).otherwise(pl.col(high)).alias(high),
    ]


def _note(level: int, low: str, high: str) -> pl.Expr:
    """Return what is to be said of one band of a calibrated row; null when it is as promised."""
    reason = pl.col(f"_calibration_reason_{level}")
    bounded = pl.format("{} %: width held at {} x raw", pl.lit(level), f"_max_width_multiple_{level}")
    return pl.when(_half_width(level) > _bound(level, low, high)).then(bounded).when(reason != "").then(reason)


def _reason(bands: Mapping[int, tuple[str, str]]) -> pl.Expr:
    """Return why a row or one of its bands is not calibrated, or was bounded; empty when all is as promised."""
    reasons = [f"_calibration_reason_{level}" for level in bands]
    promised = pl.any_horizontal(pl.col(f"_half_width_{level}").is_not_null() for level in bands)
    notes = pl.concat_str([_note(level, *band) for level, band in bands.items()], separator="; ", ignore_nulls=True)
    return (
        pl.when(pl.all_horizontal(pl.col(reasons).is_null()))
        .then(pl.lit("no_model: no calibration model for this symbol and snapshot time"))
        .when(pl.col("_applies"))
        .then(notes)
        .when(promised & pl.col("sigma").is_null())
        .then(pl.lit("no_variance: sigma is null"))
        .when(promised)
        .then(pl.lit("no_median: q50 is null"))
        .otherwise(pl.coalesce(reasons))
    )
