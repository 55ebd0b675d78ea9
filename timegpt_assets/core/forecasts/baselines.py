"""The local forecaster: a ridge on past returns with bands from the residuals of the same time of day.

Belongs here: forecasters that need nothing but the frame. They learn from the days before the frame's day alone.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from timegpt_assets.core.forecasts.framing import PAST_MINUTES, Frame
from timegpt_assets.core.schema import TIME

BACKEND, MODEL = "baseline", "ridge"
"""Under which names its rows stand."""
Floats = npt.NDArray[np.float64]
PREDICTORS = ["ret", *(f"past_{k}m" for k in PAST_MINUTES)]
"""``ret`` is the unscaled y known at that moment; all are divided by the volatility of the moment."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """What the earlier days of one symbol teach: coefficients, and residuals in sigma with their minute."""

    coefficients: Floats
    minutes: npt.NDArray[np.int64]
    residuals: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeSpec:
    """How the local forecaster is fitted; part of what it answers by, so its fields are in the request hash."""

    ridge: float
    """The penalty as a share of each predictor's own variance."""
    residual_window_min: int
    """Minutes around the snapshot's time of day within which residuals make its bands."""
    min_residuals: int


def answers(frames: Iterable[Frame], spec: RidgeSpec, *, levels: Sequence[int]) -> pl.DataFrame:
    """Return snapshot_ts, symbol, step (the horizon), mean, lo_<level>, hi_<level> in scaled target units, by key.

    mean = sigma x (ridge of the past returns); a band adds sigma x the quantiles of the earlier days' residuals near
    the snapshot's time of day, centred on their median, so that bands nest around the mean. Symbols with fewer than
    ``min_residuals`` such residuals are not answered: refusals names them.
    """
    outward = sorted(levels)
    tails = np.array([(100 - level) / 200 for level in outward] + [(100 + level) / 200 for level in outward])
    rows = [
        (frame.snapshot_ts, symbol, frame.horizon_min, *_answer(fit, near, now, tails))
        for frame, symbol, fit, near, now in _evidence(frames, spec)
        if near.size >= spec.min_residuals
    ]
    names = ["mean", *(f"lo_{level}" for level in outward), *(f"hi_{level}" for level in outward)]
    schema = pl.Schema(
        {"snapshot_ts": TIME, "symbol": pl.String(), "step": pl.Int64(), **dict.fromkeys(names, pl.Float64())}
    )
    return pl.DataFrame(rows, schema=schema, orient="row").sort("snapshot_ts", "symbol")


def refusals(frames: Iterable[Frame], spec: RidgeSpec) -> pl.DataFrame:
    """Return snapshot_ts, symbol, reason, by key: the frames' symbols that answers leaves out for want of residuals."""
    least = spec.min_residuals
    rows = [
        (frame.snapshot_ts, symbol, f"short history: {near.size} residuals near this time, at least {least}")
        for frame, symbol, _, near, _ in _evidence(frames, spec)
        if near.size < least
    ]
    schema = pl.Schema({"snapshot_ts": TIME, "symbol": pl.String(), "reason": pl.String()})
    return pl.DataFrame(rows, schema=schema, orient="row").sort("snapshot_ts", "symbol")


def _evidence(frames: Iterable[Frame], spec: RidgeSpec) -> Iterator[tuple[Frame, str, _Fit, Floats, dict[str, Any]]]:
    """Yield per frame and symbol: the fit, the residuals near the snapshot's time of day, and what is known now.

    The days before the frame's are the same in every frame of the day whose history begins with the same session, so
    each symbol is fitted once for all of them.
    """
    fits: dict[tuple[date, Any, int], dict[str, _Fit]] = {}
    for frame in frames:
        fitted = fits.setdefault((frame.day, frame.history["day"].min(), frame.horizon_min), {})
        if new := set(frame.sigma["symbol"]) - fitted.keys():
            fitted |= _fits(frame, new, spec.ridge)
        for now in _in_sigma(frame.history.filter(pl.col("known_at") == frame.snapshot_ts)).iter_rows(named=True):
            fit = fitted[now["symbol"]]
            near = fit.residuals[np.abs(fit.minutes - now["minute"]) <= spec.residual_window_min]
            yield frame, now["symbol"], fit, near, now


def _in_sigma(history: pl.DataFrame) -> pl.DataFrame:
    """Return the history with ``ret`` and the past returns divided by the volatility of their moment."""
    moments = history.with_columns(ret=pl.col("y") * pl.col("target_scale"))
    return moments.with_columns(pl.col(PREDICTORS) / pl.col("sigma"))


def _fits(frame: Frame, symbols: Collection[str], ridge: float) -> dict[str, _Fit]:
    past = _in_sigma(frame.history.filter((pl.col("day") < frame.day) & pl.col("symbol").is_in(sorted(symbols))))
    key = ["symbol", "day", "known_at"]
    came = past.select(
        "symbol",
        "day",
        # y is stamped when it became known: a horizon earlier it was what that moment would have been asked.
        pl.col("known_at").dt.offset_by(f"-{frame.horizon_min}m"),
        came=pl.col("y") * pl.col("target_scale"),
    )
    lessons = past.join(came, on=key).with_columns(z=pl.col("came") / pl.col("sigma")).sort(key)
    usable = lessons.filter(pl.all_horizontal(pl.col(*PREDICTORS, "z").is_finite().fill_null(False)))
    parts = {symbol: usable.filter(pl.col("symbol") == symbol) for symbol in sorted(symbols)}
    return {symbol: _fit(part, ridge) for symbol, part in parts.items()}


def _fit(lessons: pl.DataFrame, ridge: float) -> _Fit:
    if lessons.is_empty():  # polars hands out no memory for no rows, on which einsum crashes the process
        return _Fit(np.zeros(len(PREDICTORS)), np.empty(0, np.int64), np.empty(0))
    # einsum, not BLAS: the same bits whatever the processor's kernels and the number of threads
    x, z = lessons.select(PREDICTORS).to_numpy(order="c"), lessons["z"].to_numpy()
    gram = np.einsum("ni,nj->ij", x, x)
    penalised = gram + ridge * np.diag(np.diag(gram))
    # lstsq, not solve: a predictor that is zero throughout leaves a singular matrix.
    coefficients = np.linalg.lstsq(penalised, np.einsum("ni,n->i", x, z), rcond=None)[0]
    return _Fit(coefficients, lessons["minute"].to_numpy(), z - np.einsum("ni,i->n", x, coefficients))


def _answer(fit: _Fit, near: Floats, now: Mapping[str, Any], tails: Floats) -> list[float]:
    mean = float(np.einsum("i,i->", np.array([now[name] for name in PREDICTORS]), fit.coefficients))
    spread = np.quantile(near, tails) - np.quantile(near, 0.5)
    scaled: list[float] = (np.concatenate([[mean], mean + spread]) * now["sigma"] / now["target_scale"]).tolist()
    return scaled
