"""The models of a day, from exactly its own window: one row per symbol, snapshot time and level.

Belongs here: which pool a key learns from, whether what it learnt holds on later outcomes, and the rows. Many days at
once take the same road as one: they share nothing but the sorted outcomes.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from timegpt_assets.core import significance
from timegpt_assets.core.calibration import isotonic, methods
from timegpt_assets.core.calibration.methods import METHODS, CalibrationSpec, Fit
from timegpt_assets.core.calibration.samples import POOLS, Samples, pools, samples, window
from timegpt_assets.core.tables.calibration import CALIBRATION_MODELS
from timegpt_assets.core.tables.columns import MAKER_KEY, TAUGHT_AS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def models(
    outcomes: pl.DataFrame,
    *,
    days: Iterable[date],
    keys: pl.DataFrame,
    levels: Collection[int],
    calibration_spec: CalibrationSpec,
) -> pl.DataFrame:
    """Return CALIBRATION_MODELS of ``days``: one row per day, key (symbol, snapshot_time), maker and level.

    ``outcomes`` may hold any days; only those asked and known inside a day's own window are read for it. Each maker
    (forecaster, backend, model, score_source) learns from its own outcomes alone and has rows of its own. The pools
    cell, symbol, time, all are tried in this order; a cell needs ``min_samples_cell`` outcomes (``min_samples`` where
    the method estimates more than ranks), the others ``min_samples``. Raises CalibrationError for a window that comes
    too near its day, and for an unknown method or score.
    """
    methods.refuse_unknown("method", calibration_spec.method, (*METHODS, "none"))
    methods.refuse_unknown("conformal.score", calibration_spec.score, methods.SCORES)
    asked = keys.select("symbol", "snapshot_time").unique().sort("symbol", "snapshot_time").rows()
    # run_source and data_regime divide nothing: a first live day may learn from replays of the same maker.
    own = outcomes.with_columns(model=TAUGHT_AS).partition_by(MAKER_KEY, as_dict=True)
    for maker in calibration_spec.makers:
        own.setdefault(maker, outcomes.clear())
    rows = [
        dict(zip(MAKER_KEY, maker, strict=True)) | row
        for maker, frame in own.items()
        for row in _maker_rows(samples(frame, list(levels)), days, asked, calibration_spec, maker)
    ]
    made = pl.DataFrame(rows, schema=CALIBRATION_MODELS.schema)
    return CALIBRATION_MODELS.conformed(made.sort(CALIBRATION_MODELS.key))


def _maker_rows(
    everything: Samples,
    days: Iterable[date],
    keys: Sequence[tuple[str, str]],
    calibration_spec: CalibrationSpec,
    maker: tuple[object, ...],
) -> Iterator[dict[str, object]]:
    """Yield the rows of one maker; a day in whose window it has no outcome has none, unless it is asked now."""
    for day in sorted(set(days)):
        first, last = window(day, window_days=calibration_spec.window_days, embargo_days=calibration_spec.embargo_days)
        if maker in calibration_spec.makers or len(everything.within(first, last)):
            yield from _day_rows(everything, day, keys, calibration_spec)


def _day_rows(
    everything: Samples, day: date, keys: Sequence[tuple[str, str]], calibration_spec: CalibrationSpec
) -> list[dict[str, object]]:
    first, last = window(day, window_days=calibration_spec.window_days, embargo_days=calibration_spec.embargo_days)
    dated = {"day": day, "window_first": first, "window_last": last, "embargo_days": calibration_spec.embargo_days}
    shared = dated | {"max_width_multiple": calibration_spec.max_width_multiple}
    seen = everything.within(first, last)
    own = _usable(seen, calibration_spec)
    unusable = len(seen) - len(own)
    found, learnt = pools(own), dict[tuple[str, tuple[str, ...]], dict[str, object]]()
    rows = []
    for symbol, time in keys:
        name, key = _pool(found, {"symbol": symbol, "snapshot_time": time}, calibration_spec)
        # Many keys share a pool: it is fitted once for each day.
        if (name, key) not in learnt:
            learnt[name, key] = _learnt(own.of(found[name, key]) if name else own, name, unusable, calibration_spec)
        fit = learnt[name, key]
        named = {"symbol": symbol, "snapshot_time": time}
        rows += [shared | named | {"level": level} | _promised(fit, level) for level in everything.levels]
    return rows


def _usable(own: Samples, calibration_spec: CalibrationSpec) -> Samples:
    """Return the outcomes whose error has a unit: those of no width, no variance or an infinite band teach nothing."""
    if calibration_spec.method == "none" or len(own) == 0:
        return own
    unit = own.unit(methods.unit_name(calibration_spec.method, calibration_spec, own.levels))
    return own.of(np.isfinite(unit) & (unit > 0))


def _pool(
    found: Mapping[tuple[str, tuple[str, ...]], np.ndarray], values: dict[str, str], calibration_spec: CalibrationSpec
) -> tuple[str, tuple[str, ...]]:
    """Return the first pool that is large enough; no name when none is."""
    # Ranks among 25 cover too much (14 of 26 is 54 %, not 50 %): what fits a shape waits for more of a cell.
    of_cell = max(
        calibration_spec.min_samples_cell,
        calibration_spec.min_samples if calibration_spec.method in methods.SHAPED else 0,
    )
    for name, by in POOLS:
        key = tuple(values[column] for column in by)
        if (name, key) in found and found[name, key].size >= (
            of_cell if name == "cell" else calibration_spec.min_samples
        ):
            return name, key
    return "", ()


def _learnt(pool: Samples, name: str, unusable: int, calibration_spec: CalibrationSpec) -> dict[str, object]:
    """Return what the rows of a pool share: the fit, or why there is none, and what it was fitted on."""
    evidence: dict[str, object] = {
        "calibration_pool": name,
        "calibration_n": len(pool),
        "fit": None,
        "reason": "",
        "fitted_on": pool.digest(),
        "last_target_ts": EPOCH + timedelta(microseconds=int(pool.target_ts.max())) if len(pool) else None,
        "validation_deviation": None,
        "validation_n": 0,
    }
    if calibration_spec.method == "none":
        return evidence | {"calibration_pool": "", "reason": "calibration.method is none"}
    if not name:
        without = f" ({unusable} more have a band of no width or no sigma)" if unusable else ""
        words = (
            f"insufficient_history: {len(pool)} outcomes in the window{without}, {calibration_spec.min_samples} needed"
        )
        return evidence | {"reason": words}
    deviation, n, fails = _validation(pool, calibration_spec)
    judged: dict[str, object] = {"validation_deviation": deviation, "validation_n": n}
    if not fails:
        return evidence | judged | {"fit": _fit(pool, calibration_spec)}
    latest = pool.recent(calibration_spec.recent_samples, calibration_spec.recent_days)
    fit = _fit(latest, replace(calibration_spec, method="conformal"))
    words = f"{calibration_spec.method} missed by {deviation:.3f} in validation ({n} outcomes): conformal instead"
    return evidence | judged | {"fit": replace(fit, note=words)}


def _fit(pool: Samples, calibration_spec: CalibrationSpec) -> Fit:
    # Affine learns from the latest sessions alone: coverage then follows a change of volatility within days.
    chosen = (
        pool.recent(calibration_spec.recent_samples, calibration_spec.recent_days)
        if calibration_spec.method == "affine"
        else pool
    )
    if calibration_spec.method == "conformal":
        unit = chosen.unit(calibration_spec.score)
        chosen = chosen.of(np.isfinite(unit) & (unit > 0))
    return METHODS[calibration_spec.method](chosen, calibration_spec)


def _validation(pool: Samples, calibration_spec: CalibrationSpec) -> tuple[float | None, int, bool]:
    """Return how far the narrowest band's coverage of the newest sessions is off, on how many, and whether it fails.

    The method is fitted on the sessions before them, embargo kept. It fails when it is off by more than
    ``pit_deviation_threshold`` and the nominal share lies outside the day-clustered 95 % interval: less is noise.
    """
    if calibration_spec.method not in ("affine", "isotonic"):
        return None, 0, False
    sessions = np.unique(pool.known)
    newest = max(math.ceil(sessions.size * calibration_spec.validation_share), 1)
    # The embargo lies between what is fitted and what judges it, as it does between a window and its day.
    before = sessions.size - newest - calibration_spec.embargo_days
    if before < 1:
        return None, 0, False
    older, newer = pool.of(pool.known <= sessions[before - 1]), pool.of(pool.known >= sessions[sessions.size - newest])
    if len(older) < calibration_spec.min_samples:
        return None, 0, False
    level, inside = pool.levels[0], _inside(_fit(older, calibration_spec), newer)
    if inside is None:
        return None, 0, False
    days = np.unique(newer.known, return_inverse=True)[1]
    found = significance.ratio(np.bincount(days, weights=inside), np.bincount(days).astype(float))
    if found.value is None or found.low is None or found.high is None:
        return None, len(newer), False
    # Both are asked: a quarter of a window is little evidence, and misses by chance too.
    deviation, told = abs(found.value - level / 100), not found.low <= level / 100 <= found.high
    return deviation, len(newer), deviation > calibration_spec.pit_deviation_threshold and told


def _inside(fit: Fit, newer: Samples) -> np.ndarray | None:
    """Return which outcomes the fit's narrowest band holds; None when it promises none."""
    half = fit.promises[newer.levels[0]].half_width
    if half is None:
        return None
    unit = newer.unit(fit.score)
    centre = isotonic.at(fit.knots, newer.q50 / unit) if fit.method == "isotonic" else None
    middle = centre * unit if centre is not None else fit.slope * newer.q50 + fit.offset * unit
    return (np.abs(newer.y - middle) <= half * unit).astype(float)


def _promised(learnt: dict[str, object], level: int) -> dict[str, object]:
    """Return what a model row can say about one level: its half-width, or why there is none."""
    shared = {name: value for name, value in learnt.items() if name not in ("fit", "reason")}
    nothing: dict[str, object] = {"method": "none", "score": "", "slope": 1.0, "offset": 0.0, "note": ""}
    fit = learnt["fit"]
    if not isinstance(fit, Fit):
        return shared | nothing | {"calibration_reason": learnt["reason"]}
    promise = fit.promises[level]
    row: dict[str, object] = {
        "method": "none" if promise.half_width is None else fit.method,
        "score": fit.score,
        "slope": fit.slope,
        "offset": fit.offset,
        "fitted_slope": fit.fitted_slope,
        "knots_x": fit.knots[0].tolist(),
        "knots_y": fit.knots[1].tolist(),
        "rank": promise.rank,
        "rank_n": fit.n,
        "tracked_level": promise.level,
        "half_width": promise.half_width,
        "note": fit.note,
        "calibration_reason": promise.reason,
    }
    return shared | row
