"""Forecasts with what the models promise: after inverse scaling, bounded, monotone, the raw quantiles beside them.

Belongs here: joining models to raw forecasts and saying, in every row, what was applied and why not.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl
import polars.selectors as cs

from timegpt_assets.core.calibration import isotonic
from timegpt_assets.core.calibration.samples import snapshot_time
from timegpt_assets.core.forecasts import quantiles as forecasts
from timegpt_assets.core.tables.calibration import FORECASTS
from timegpt_assets.core.tables.columns import MAKER_KEY, TAUGHT_AS

_OF_LEVEL = ("half_width", "score", "method", "max_width_multiple", "calibration_reason", "calibration_pool",
             "calibration_n", "slope", "offset", "knots_x", "knots_y")  # fmt: skip
_KEY = ("day", "symbol", "snapshot_time", *MAKER_KEY)


def calibrated(raw_forecasts: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """Return FORECASTS: the centre moved and the bands reset as the models say, the raw quantiles beside them.

    A row without model or unit keeps its raw quantiles with calibration ``none`` and the reason. In a calibrated
    row a band that cannot be promised is null. A band is at most max_width_multiple times as wide as the raw one
    (a raw band of no width bounds nothing). All quantiles of a row are sorted afterwards (rearrangement);
    ``calibration_crossings`` counts the pairs that crossed before.
    """
    levels = sorted(int(c.removeprefix("lo_")) for c in raw_forecasts.columns if c.startswith("lo_"))
    bands = forecasts.bands(levels)
    quantiles = [*(low for low, _ in reversed(bands.values())), "q50", *(high for _, high in bands.values())]
    frame = raw_forecasts.drop("lineage_id", strict=False).with_columns(
        *(pl.col(q).alias(f"raw_{q}") for q in quantiles), snapshot_time()
    )
    frame = frame.with_columns(_model=TAUGHT_AS)
    taught = ["_model" if name == "model" else name for name in _KEY]
    for level in levels:
        frame = frame.join(_of_level(models, level), left_on=taught, right_on=_KEY, how="left")
    frame = frame.with_columns(*_pool_columns(levels), *_shared(levels))
    frame = _centred(frame, levels)
    frame = frame.with_columns(_applies(bands))
    frame = frame.with_columns(
        *(expr for level, band in bands.items() for expr in _band(level, *band)),
        pl.when("_applies").then("_centre").otherwise("q50").alias("q50"),
    )
    frame = frame.with_columns(_crossings(quantiles).alias("calibration_crossings"))
    # Rearranged, not projected isotonically: that would average neighbours, this keeps the values.
    frame = forecasts.monotone(frame, quantiles).with_columns(
        *(pl.col(low).alias(f"lo_{level}") for level, (low, _) in bands.items()),
        *(pl.col(high).alias(f"hi_{level}") for level, (_, high) in bands.items()),
        pl.when("_applies").then("_method").otherwise(pl.lit("none")).alias("calibration"),
        _reason(bands).alias("calibration_reason"),
    )
    return FORECASTS.conformed(frame.select(~cs.starts_with("_") - cs.by_name("snapshot_time")))


def _of_level(models: pl.DataFrame, level: int) -> pl.DataFrame:
    """Return the models of one level with their columns marked by it, ready to be joined."""
    own = models.filter(pl.col("level") == level)
    return own.select(*_KEY, *(pl.col(c).alias(f"_{c}_{level}") for c in _OF_LEVEL))


def _pool_columns(levels: Sequence[int]) -> list[pl.Expr]:
    """Return the pool a row was calibrated by: one key has one pool, whatever the level."""
    return [
        _first("calibration_pool", levels).fill_null("").alias("calibration_pool"),
        _first("calibration_n", levels).fill_null(0).alias("calibration_n"),
    ]


def _shared(levels: Sequence[int]) -> list[pl.Expr]:
    """Return the centre's parameters: one key has one centre, told by any level that was promised."""
    promised = [
        pl.when(pl.col(f"_method_{level}") != "none").then(pl.col(f"_method_{level}")).alias(str(level))
        for level in levels
    ]
    columns = [_first(name, levels).alias(f"_{name}") for name in ("slope", "offset", "knots_x", "knots_y", "score")]
    return [*columns, pl.coalesce(promised).alias("_method")]


def _first(name: str, levels: Sequence[int]) -> pl.Expr:
    return pl.coalesce(f"_{name}_{level}" for level in levels)


def _centred(frame: pl.DataFrame, levels: Sequence[int]) -> pl.DataFrame:
    """Return the frame with ``_unit`` (what half-widths are measured in) and ``_centre`` (the calibrated q50)."""
    unit = pl.when(pl.col("_score") == "absolute").then(1.0).when(pl.col("_score") == "sigma").then("sigma")
    for level in levels:
        unit = unit.when(pl.col("_score") == f"band_{level}").then(_width(level))
    own = pl.when((pl.col("_score") == "own") & _width(min(levels)).is_not_null()).then(1.0)
    frame = frame.with_columns(unit.otherwise(own).alias("_unit"))
    moved = (pl.col("_slope") != 1.0) | (pl.col("_offset") != 0.0)
    line = pl.when(moved).then(pl.col("_slope") * pl.col("q50") + pl.col("_offset") * pl.col("_unit")).otherwise("q50")
    if not (frame["_knots_x"].list.len() > 0).any():
        return frame.with_columns(line.alias("_centre"))
    # Row by row: each may have a curve of its own, and np.interp takes one.
    rows = frame.select("_knots_x", "_knots_y", pl.col("q50") / pl.col("_unit")).iter_rows()
    curve = pl.Series("_curve", list(_curve(rows)), dtype=pl.Float64)
    return frame.with_columns(curve).with_columns(
        pl.when(pl.col("_curve").is_not_null())
        .then(pl.col("_curve") * pl.col("_unit"))
        .otherwise(line)
        .alias("_centre")
    )


def _width(level: int) -> pl.Expr:
    """Return the width of a raw band; null where it has none, or no end."""
    width = pl.col(f"hi_{level}") - pl.col(f"lo_{level}")
    return pl.when((width > 0) & width.is_finite()).then(width)


def _curve(rows: Iterable[tuple[list[float] | None, list[float] | None, float | None]]) -> Iterable[float | None]:
    """Yield the isotonic curve's height of each row; null where the row has no curve or no place on it."""
    for places, heights, x in rows:
        if places and x is not None:
            yield float(isotonic.at((np.array(places), np.array(heights)), np.array([x]))[0])
        else:
            yield None


def _half_width(level: int) -> pl.Expr:
    """Return the half-width of a row's band before it is bounded: in log return, or in own sides (score own)."""
    return pl.col(f"_half_width_{level}") * pl.col("_unit")


def _ends(level: int, low: str, high: str) -> tuple[pl.Expr, pl.Expr]:
    """Return how far the model lets the band reach below and above the centre, in log return."""
    own, half = pl.col("_score") == "own", _half_width(level)
    below = pl.when(own).then(half * (pl.col("q50") - pl.col(f"raw_{low}"))).otherwise(half)
    above = pl.when(own).then(half * (pl.col(f"raw_{high}") - pl.col("q50"))).otherwise(half)
    return below, above


def _applies(bands: Mapping[int, tuple[str, str]]) -> pl.Expr:
    """Return whether at least one band of the row can be promised."""
    promised = ((_ends(level, *band)[0] + pl.col("_centre")).is_not_null() for level, band in bands.items())
    return pl.any_horizontal(promised).alias("_applies")


def _shrink(level: int, low: str, high: str) -> pl.Expr:
    """Return the factor that holds a band at max_width_multiple times the raw one; 1 where it is narrower."""
    below, above = _ends(level, low, high)
    allowed = (pl.col(f"raw_{high}") - pl.col(f"raw_{low}")) * pl.col(f"_max_width_multiple_{level}")
    wide = (allowed > 0) & (below + above > allowed)
    return pl.when(wide).then(allowed / (below + above)).otherwise(1.0)


def _band(level: int, low: str, high: str) -> list[pl.Expr]:
    """Return both quantiles of a band: raw where the row is uncalibrated or nobody asked for a model of it."""
    below, above = _ends(level, low, high)
    # One factor for both sides: a lopsided band stays lopsided.
    factor = _shrink(level, low, high)
    modelled = pl.col("_applies") & pl.col(f"_calibration_reason_{level}").is_not_null()
    return [
        pl.when(modelled).then(pl.col("_centre") - below * factor).otherwise(pl.col(low)).alias(low),
        pl.when(modelled).then(pl.col("_centre") + above * factor).otherwise(pl.col(high)).alias(high),
    ]


def _crossings(quantiles: Sequence[str]) -> pl.Expr:
    # Every pair, as in the raw answer's count; a null crosses nothing.
    pairs = [pl.col(a) > pl.col(b) for i, a in enumerate(quantiles) for b in quantiles[i + 1 :]]
    return pl.sum_horizontal(pair.fill_null(False).cast(pl.Int64) for pair in pairs)


def _note(level: int, low: str, high: str) -> pl.Expr:
    """Return what is to be said of one band of a calibrated row; null when it is as promised."""
    reason = pl.col(f"_calibration_reason_{level}")
    bounded = pl.format("{} %: width held at {} x raw", pl.lit(level), f"_max_width_multiple_{level}")
    return pl.when(_shrink(level, low, high) < 1.0).then(bounded).when(reason != "").then(reason)


def _reason(bands: Mapping[int, tuple[str, str]]) -> pl.Expr:
    """Return why a row or one of its bands is not calibrated, or was bounded; empty when all is as promised."""
    reasons = [f"_calibration_reason_{level}" for level in bands]
    promised = pl.any_horizontal(pl.col(f"_half_width_{level}").is_not_null() for level in bands)
    notes = pl.concat_str([_note(level, *band) for level, band in bands.items()], separator="; ", ignore_nulls=True)
    return (
        pl.when(pl.all_horizontal(pl.col(reasons).is_null()))
        .then(pl.lit("no_model: no calibration model for this symbol, snapshot time and maker"))
        .when(pl.col("_applies"))
        .then(notes)
        .when(promised & pl.col("_unit").is_null() & (pl.col("_score") == "sigma"))
        .then(pl.lit("no_variance: sigma is null"))
        .when(promised & pl.col("_unit").is_null())
        .then(pl.lit("no_width: the raw band that errors are measured in has no finite width"))
        .when(promised)
        .then(pl.lit("no_median: q50 is null"))
        .otherwise(pl.coalesce(reasons))
    )
