"""The calibration methods: what each learns from a pool of outcomes, all as one kind of fit.

Belongs here: none of the windows and pools (samples.py), none of the rows (models.py). A fit says: the centre of a
calibrated row is slope x q50 + offset x unit (or the isotonic curve), and each band reaches half_width units from it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from timegpt_assets.core.calibration import isotonic
from timegpt_assets.core.calibration.samples import CalibrationError, Floats, Samples
from timegpt_assets.core.forecasts.local.answers import BACKEND
from timegpt_assets.core.forecasts.local.ridge import Ridge


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationSpec:
    """How models are fitted; every number is explained in configs/calibration.yaml."""

    method: str
    window_days: int
    embargo_days: int
    min_samples: int
    min_samples_cell: int
    max_width_multiple: float
    score: str = "sigma"
    delta_quantile: float | None = None
    recent_samples: int = 240
    recent_days: int = 10
    slope_spread: float = 0.25
    offset_spread: float = 0.05
    fit_share: float = 0.5
    step: float = 0.05
    validation_share: float = 0.25
    pit_deviation_threshold: float = 0.03
    makers: tuple[tuple[str, str, str, str], ...] = ((Ridge.word, BACKEND, Ridge.word, BACKEND),)
    """Backend, model and score_source asked now: it has rows, with the reason, before its first outcome too."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One level's half-width in units, its rank, and the level it stands for; no half-width: ``reason`` says why."""

    rank: int
    level: float
    half_width: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was learnt from a pool: centre, unit and one promise per level; ``note`` says what was refused."""

    method: str
    score: str
    n: int
    promises: Mapping[int, Promise]
    slope: float = 1.0
    offset: float = 0.0
    fitted_slope: float | None = None
    knots: tuple[Floats, Floats] = field(default=(np.empty(0), np.empty(0)))
    note: str = ""


def rank(n: int, *, level: float, delta_quantile: float | None = None) -> int:
    """Return ceil((n + 1) p), the rank of the score that bounds a band of ``level`` percent.

    ``delta_quantile`` replaces the nominal p. Exact arithmetic: floats put (n + 1) p off by one.
    """
    share = Fraction(str(level)) / 100 if delta_quantile is None else Fraction(str(delta_quantile))
    return math.ceil((n + 1) * share)


def conformal(pool: Samples, calibration_spec: CalibrationSpec) -> Fit:
    """Return bands q50 -/+ half_width x unit: the rank-th smallest |y - q50| / unit (split conformal)."""
    ascending = np.sort(np.abs(pool.y - pool.q50) / pool.unit(calibration_spec.score))
    promises = {level: promise(ascending, level, calibration_spec.delta_quantile) for level in pool.levels}
    return Fit(method="conformal", score=calibration_spec.score, n=len(pool), promises=promises)


def affine(pool: Samples, calibration_spec: CalibrationSpec) -> Fit:
    """Return centre slope x q50 + offset x unit and bands of rank-th leave-one-out residuals; unit: the own 50 % band.

    Both coefficients are shrunk towards 1 and 0 by normal priors of the spec's spreads (a ridge). The residual of an
    outcome is taken from the line fitted without it, so that ranks among them keep the finite-sample promise. A slope
    that is still negative is refused: the line is then q50 itself, and ``note`` says so.
    """
    # The own narrowest band as unit keeps what the forecaster knows about the hour and the volatility.
    score = f"band_{pool.levels[0]}"
    unit = pool.unit(score)
    x, v = pool.q50 / unit, pool.y / unit
    line = _line(x, v, slope_spread=calibration_spec.slope_spread, offset_spread=calibration_spec.offset_spread)
    ascending = np.sort(np.abs(line.residuals))
    promises = {level: promise(ascending, level) for level in pool.levels}
    return Fit(
        method="affine",
        score=score,
        n=len(pool),
        promises=promises,
        slope=line.slope,
        offset=line.offset,
        fitted_slope=line.fitted_slope,
        note=line.note,
    )


def isotonic_fit(pool: Samples, calibration_spec: CalibrationSpec) -> Fit:
    """Return a rising curve of y against q50 learnt from the older sessions, and ranks of what the newer leave over.

    Both in units of the own 50 % band. The split keeps the promise of the ranks: no residual has shaped the curve.
    """
    score = f"band_{pool.levels[0]}"
    unit = pool.unit(score)
    sessions = np.unique(pool.known)
    # A single session has nothing older: all of it is ranked, around no curve.
    older = (
        pool.known < sessions[math.ceil(sessions.size * calibration_spec.fit_share)]
        if sessions.size > 1
        else pool.known < 0
    )
    x, v = pool.q50 / unit, pool.y / unit
    knots = isotonic.curve(x[older], v[older])
    ascending = np.sort(np.abs(v[~older] - isotonic.at(knots, x[~older])))
    promises = {level: promise(ascending, level) for level in pool.levels}
    return Fit(method="isotonic", score=score, n=int(ascending.size), promises=promises, knots=knots)


def widening(pool: Samples, calibration_spec: CalibrationSpec) -> Fit:
    """Return by how much each raw band must be widened, never narrowed: ranks of how far y lay out in its own side."""
    promises = {}
    for at, level in enumerate(pool.levels):
        error = pool.y - pool.q50
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(error < 0, -error / pool.low[:, at], error / pool.high[:, at])
        reach = np.where(error == 0, 0.0, reach)  # 0 / 0 on a side of no width: the median was hit
        found = promise(np.sort(reach[~np.isnan(reach)]), level)
        if found.half_width is not None:
            found = replace(found, half_width=max(found.half_width, 1.0))
        if found.half_width == math.inf:
            found = replace(found, half_width=None, reason=f"{level} %: a raw side has no width to widen")
        promises[level] = found
    return Fit(method="widen", score="own", n=len(pool), promises=promises)


def adaptive(pool: Samples, calibration_spec: CalibrationSpec) -> Fit:
    """Return conformal bands whose level has followed the misses of the window: adaptive conformal inference.

    After Gibbs and Candes (2021), a session at a time: level += step x (nominal - share covered). The window is walked
    anew each day, every session with ranks and levels of what was known by then (embargo kept), so nothing is carried.
    """
    scores = np.abs(pool.y - pool.q50) / pool.unit(calibration_spec.score)
    _, starts = np.unique(pool.known, return_index=True)
    parts = np.split(scores, starts[1:]) if scores.size else []
    wait = calibration_spec.embargo_days + 1
    known = [np.sort(_latest(parts[: max(at + 1 - wait, 0)], calibration_spec)) for at in range(len(parts))]
    known.append(np.sort(_latest(parts, calibration_spec)))
    promises = {level: _tracked(parts, known, level, calibration_spec) for level in pool.levels}
    return Fit(method="adaptive", score=calibration_spec.score, n=int(scores.size), promises=promises)


METHODS: Mapping[str, Callable[[Samples, CalibrationSpec], Fit]] = {
    "affine": affine,
    "isotonic": isotonic_fit,
    "conformal": conformal,
    "widen": widening,
    "adaptive": adaptive,
}
"""Method -> what it learns from a pool."""
SHAPED = ("affine", "isotonic", "adaptive")
"""Methods that estimate more than ranks: they ask ``min_samples`` of a cell, too."""
RECENT = ("affine", "adaptive")
"""Methods that learn from the latest sessions of the window alone."""
SCORES = ("sigma", "absolute")


def unit_name(method: str, calibration_spec: CalibrationSpec, levels: Sequence[int]) -> str:
    """Return what the method measures errors in; an outcome whose unit is null, zero or infinite teaches nothing."""
    if method in ("conformal", "adaptive"):
        return calibration_spec.score
    return f"band_{min(levels)}"


def promise(
    ascending: Floats, level: int, delta_quantile: float | None = None, tracked: float | None = None
) -> Promise:
    """Return the rank-th of the scores as half-width; none, with the reason, when the rank exceeds them."""
    n = ascending.size
    position = rank(n, level=level if tracked is None else tracked, delta_quantile=delta_quantile)
    # What the nominal level needs decides: one tracked below it must not promise on fewer outcomes.
    needed = rank(n, level=level, delta_quantile=delta_quantile)
    at = float(level if tracked is None else tracked)
    if needed > n:
        return Promise(needed, at, reason=f"{level} %: rank {needed} > n {n}")
    position = min(max(position, 1), n)  # a tracked level may ask for more than there is: then the widest seen
    return Promise(position, at, half_width=float(ascending[position - 1]))


@dataclass(frozen=True, slots=True)
class _Line:
    slope: float
    offset: float
    fitted_slope: float | None
    residuals: Floats
    note: str = ""


def _line(x: Floats, v: Floats, *, slope_spread: float, offset_spread: float) -> _Line:
    """Return the shrunk line of v on x with leave-one-out residuals (ridge: e / (1 - leverage)), in units."""
    # The line is fitted to what q50 leaves over: shrinking that to nothing leaves q50 alone.
    rest = v - x
    noise = float(np.mean(rest**2))
    if noise == 0 or float(np.ptp(x)) == 0:
        note = "slope kept at 1: " + ("all forecasts are equal" if noise else "no outcome differs from its forecast")
        return _Line(1.0, 0.0, None, rest, note)
    design = np.stack([x, np.ones_like(x)], axis=1)
    # In units of the noise: the spreads are then standard deviations of the coefficients themselves.
    gram = np.einsum("ni,nj->ij", design, design) + np.diag([noise / slope_spread**2, noise / offset_spread**2])
    inverse = np.linalg.inv(gram)
    change = inverse @ np.einsum("ni,n->i", design, rest)
    centred = x - x.mean()
    plain = 1.0 + float(np.einsum("n,n->", centred, rest) / np.einsum("n,n->", centred, centred))
    slope = 1.0 + float(change[0])
    # Least squares finds such: -1.3 on 240 real outcomes, for the mean of fifteen minutes is nearly noise.
    if slope < 0:
        return _Line(
            1.0, 0.0, plain, rest, f"slope {plain:.2f} on {x.size} outcomes refused: it would turn forecasts over"
        )
    leverage = np.einsum("ni,ij,nj->n", design, inverse, design)
    residuals = (rest - np.einsum("ni,i->n", design, change)) / (1 - leverage)
    note = f"slope {plain:.2f} on {x.size} outcomes shrunk to {slope:.2f}" if plain < 0 else ""
    return _Line(slope, float(change[1]), plain, residuals, note)


def _tracked(
    parts: Sequence[Floats], known: Sequence[Floats], level: int, calibration_spec: CalibrationSpec
) -> Promise:
    """Return the promise of one level after walking the sessions' scores in order.

    ``known``: ascending scores that were known at each session, and last those that are known now.
    """
    wait = calibration_spec.embargo_days + 1
    path = [float(level)] * (len(parts) + wait)  # path[i]: the level in force at session i
    for at, own in enumerate(parts):
        past = known[at]
        moved = path[at + wait - 1]
        if past.size > 0 and rank(past.size, level=level) <= past.size:
            width = promise(past, level, tracked=path[at]).half_width
            share = float(np.mean(own <= width)) * 100
            moved += calibration_spec.step * (level - share)
        # What this session missed is known only after the embargo: the level moves there, not at the next session.
        path[at + wait] = min(max(moved, 1.0), 99.9)
    return promise(known[-1], level, tracked=round(path[-1], 6))


def _latest(parts: Sequence[Floats], calibration_spec: CalibrationSpec) -> Floats:
    """Return the scores of the latest sessions that hold enough outcomes together."""
    samples, first = 0, len(parts)
    while first > 0 and (
        samples < calibration_spec.recent_samples or len(parts) - first < calibration_spec.recent_days
    ):
        first -= 1
        samples += parts[first].size
    return np.concatenate(parts[first:]) if first < len(parts) else np.empty(0)


def refuse_unknown(setting: str, value: str, known: Sequence[str]) -> None:
    """Raise CalibrationError for a value no method knows, with those there are."""
    if value not in known:
        raise CalibrationError(
            f"calibration.{setting} is {value!r}, which calibration does not know. Use one of {', '.join(known)}."
        )
