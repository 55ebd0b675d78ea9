"""Features of volatility: realised, rolling and weighted deviations, and what the ranges of the bars say.

Belongs here: formulas on one-minute clock-price log returns and bar ranges, arrays of shape (days, symbols, minutes).
sigma_* and vol_ewm_* are in the scale of y (times sqrt(horizon_min)).
"""

from dataclasses import dataclass
from functools import cache
from math import log, sqrt

import numpy as np
import polars as pl

from timegpt_assets.core.features.feature import Feature
from timegpt_assets.core.features.minutes import MIN_OBSERVATIONS, Minutes
from timegpt_assets.core.features.windows import (
    NO_VARIANCE,
    Floats,
    Ints,
    decayed_sums,
    earlier,
    sums,
    variance,
    where,
)

REALISED_WINDOWS = (5, 15, 30)
SIGMA_WINDOWS = (5, 15, 60)
EWM_SPANS = (15, 60)
ATR_WINDOW, RANGE_WINDOW, MOMENT_WINDOW = 14, 30, 60
VERSION = 1


def _moved(name: str, formula: str, window: str, source: str) -> Feature:
    return Feature(name, formula, window, "log return", source)


def _scaled(name: str, formula: str, window: str, source: str) -> Feature:
    return Feature(name, formula, window, "scale of y", source, pl.Float64)


_SHORTER = "min at most, at least 10"
_ALL = "min, all of them"
_GARMAN_KLASS = "sqrt(mean [ln(high/low)^2 / 2 - (2 ln 2 - 1) ln(close/open)^2])"
_ATR = "mean of max(high - low, |high - P(t-1)|, |low - P(t-1)|), / close"
FEATURES = (
    *(
        _moved(f"rv_{n}m", "sqrt(sum r^2), r one-minute returns", f"{n} {_ALL}", "Andersen 2003")
        for n in REALISED_WINDOWS
    ),
    _scaled("sigma_5m", "std(r, ddof 1) x sqrt(horizon)", f"5 {_ALL}", "semantics of sigma"),
    *(
        _scaled(f"sigma_{n}m", "std(r, ddof 1) x sqrt(horizon)", f"{n} {_SHORTER}", "semantics of sigma")
        for n in SIGMA_WINDOWS[1:]
    ),
    *(
        _scaled(
            f"vol_ewm_{n}m",
            f"weighted std of r, weights (1 - 2/{n + 1})^k, unbiased, x sqrt(horizon)",
            f"span {n} min over this session and the one before",
            "RiskMetrics 1996",
        )
        for n in EWM_SPANS
    ),
    Feature(
        "vol_ewm_warm",
        "the previous session was there to start from",
        "1 session",
        "flag",
        "",
        pl.Boolean,
        counts=False,
    ),
    Feature("atr_14m", _ATR, f"14 {_SHORTER}", "share of the price", "Wilder 1978 (true range), plain mean"),
    _moved("parkinson_30m", "sqrt(mean ln(high/low)^2 / (4 ln 2))", f"30 {_SHORTER}", "Parkinson 1980"),
    _moved("garman_klass_30m", _GARMAN_KLASS, f"30 {_SHORTER}", "Garman and Klass 1980"),
    Feature("skew_60m", "third standardised moment of r, unbiased G1", f"60 {_SHORTER}", "none", "Joanes, Gill 1998"),
    Feature("kurt_60m", "fourth one less 3, unbiased G2", f"60 {_SHORTER}", "none", "Joanes, Gill 1998"),
)


IN_SCALE_OF_Y = tuple(feature.name for feature in FEATURES if feature.unit == "scale of y")
"""The volatilities that forecasts are scaled by and trades are measured in."""


@dataclass(frozen=True, slots=True)
class EwmState:
    """Where the sessions before the first one ended: minutes with a return (symbols,), decayed sums (spans, symbols).

    ``seen`` is 0 where there was no session to start from.
    """

    seen: Floats
    total: Floats
    squares: Floats

    @staticmethod
    def empty(symbols: int) -> "EwmState":
        """Return the state of nothing seen."""
        return EwmState(np.zeros(symbols), np.zeros((len(EWM_SPANS), symbols)), np.zeros((len(EWM_SPANS), symbols)))


def columns(minutes: Minutes, *, horizon_min: int) -> dict[str, Floats]:
    """Return every feature of FEATURES but the exponentially weighted ones, which look at the session before too."""
    r, n = minutes.returns, minutes.returned
    power = r * r
    first = sums(r, *SIGMA_WINDOWS)
    squares = dict(zip((5, 15, 30, 60), sums(power, 5, 15, 30, 60), strict=True))
    power = power * r
    cubes = sums(power, MOMENT_WINDOW)[0]
    power = power * r
    fourth = sums(power, MOMENT_WINDOW)[0]
    found = {f"rv_{w}m": where(n >= w, np.sqrt(squares[w])) for w in REALISED_WINDOWS}
    for window, total in zip(SIGMA_WINDOWS, first, strict=True):
        found[f"sigma_{window}m"] = sigma(n, total, squares[window], window) * sqrt(horizon_min)
    found |= ranges(minutes)
    return found | moments(n, first[-1], squares[60], cubes, fourth)


def sigma(known: Floats, total: Floats, squares: Floats, window: int) -> Floats:
    """Return the std (ddof 1) of the last ``window`` returns from their sums.

    Null with fewer than min(window, 10) returns, or without variance.
    """
    n = np.minimum(known, window)
    return where(n >= min(window, MIN_OBSERVATIONS), np.sqrt(variance(n, total, squares) / (n - 1.0)))


def ranges(minutes: Minutes) -> dict[str, Floats]:
    """Return atr_14m, parkinson_30m and garman_klass_30m; null with fewer than 10 minutes since the first print."""
    enough = minutes.printed >= MIN_OBSERVATIONS
    high, low = minutes.base("high"), minutes.base("low")
    before = earlier(minutes.close, 1)
    # fmax passes over NaN: with no minute before it a bar has its own range.
    true_range = np.fmax(high - low, np.fmax(np.abs(high - before), np.abs(low - before)))
    wide, body = minutes.base("log_range") ** 2, minutes.base("log_body") ** 2
    klass = wide * 0.5 - body * (2.0 * log(2.0) - 1.0)
    n = np.minimum(minutes.printed, RANGE_WINDOW)
    atr = sums(true_range, ATR_WINDOW)[0] / np.minimum(minutes.printed, ATR_WINDOW)
    return {
        "atr_14m": where(enough, atr / minutes.close),
        "parkinson_30m": where(enough, np.sqrt(sums(wide, RANGE_WINDOW)[0] / n * (0.25 / log(2.0)))),
        # Clipped before the root: a sum may go a hair below zero, and its root is NaN.
        "garman_klass_30m": where(enough, np.sqrt(np.maximum(sums(klass, RANGE_WINDOW)[0] / n, 0.0))),
    }


def moments(known: Floats, total: Floats, squares: Floats, cubes: Floats, fourth: Floats) -> dict[str, Floats]:
    """Return skew_60m and kurt_60m from power sums of the last 60 returns; null with fewer than 10, or no variance."""
    n = np.minimum(known, MOMENT_WINDOW)
    mean = total / n
    m2 = where(n >= MIN_OBSERVATIONS, variance(n, total, squares) / n)
    m3 = cubes / n - mean * (3.0 * squares / n - 2.0 * mean * mean)
    m4 = fourth / n - mean * (4.0 * cubes / n - mean * (6.0 * squares / n - 3.0 * mean * mean))
    skew = m3 / (m2 * np.sqrt(m2)) * np.sqrt(n * (n - 1.0)) / (n - 2.0)
    kurt = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * m4 / (m2 * m2) - 3.0 * (n - 1.0))
    return {"skew_60m": skew, "kurt_60m": kurt}


def ewms(minutes: Minutes, before: EwmState, *, horizon_min: int) -> tuple[dict[str, Floats], EwmState]:
    """Return vol_ewm_<span>m and vol_ewm_warm of each session, and the state after the last one.

    The previous session's own end, itself begun empty, is today's starting value: the same as an adjusted, unbiased
    ewm_std over the returns of the two sessions laid end to end. Null with fewer than min(span, 10) returns or no
    variance.
    """
    r, n = minutes.returns, minutes.returned
    days = np.arange(len(r))
    last = minutes.session_minutes - 1
    # A session in which a symbol never printed leaves nothing to start from: vol_ewm_warm says so the day after.
    printed = ~np.isnan(minutes.close[days, :, last])
    ended = where(printed, n[days, :, last])
    seen = np.concatenate([before.seen[None], np.nan_to_num(ended)])
    warm = seen[:-1, :, None] > 0
    counted = (n + seen[:-1, :, None]).astype(np.int64)
    found: dict[str, Floats] = {"vol_ewm_warm": np.broadcast_to(warm, r.shape).astype(np.float64)}
    ends: tuple[list[Floats], list[Floats]] = ([], [])
    for i, span in enumerate(EWM_SPANS):
        decay = 1.0 - 2.0 / (span + 1.0)
        total, squares = decayed_sums(r, decay), decayed_sums(r * r, decay)
        started = []
        for start, own, end in zip((before.total[i], before.squares[i]), (total, squares), ends, strict=True):
            closing = np.concatenate([start[None], np.where(printed, own[days, :, last], 0.0)])
            started.append(closing[:-1, :, None])
            end.append(closing[-1])
        kept = np.take(_powers(decay, r.shape[-1]), n.astype(np.int64))
        spread = _weighted(total + kept * started[0], squares + kept * started[1], counted, decay, span)
        found[f"vol_ewm_{span}m"] = where(n > 0, spread * sqrt(horizon_min))
    return found, EwmState(seen[-1], np.array(ends[0]), np.array(ends[1]))


def _weighted(total: Floats, squares: Floats, n: Ints, decay: float, span: int) -> Floats:
    """Return the unbiased weighted std from decayed sums of n returns; NaN when too few or without variance."""
    # Two sessions: today's and the one it starts from.
    longest = 2 * n.shape[-1]
    weight = np.take((1.0 - _powers(decay, longest)) / (1.0 - decay), n)
    weight_squares = np.take((1.0 - _powers(decay * decay, longest)) / (1.0 - decay * decay), n)
    mean_square = squares / weight
    mean = total / weight
    spread = mean_square - mean * mean
    unbiased = spread * (weight * weight / (weight * weight - weight_squares))
    return where((n >= min(span, MIN_OBSERVATIONS)) & (spread > NO_VARIANCE * mean_square), np.sqrt(unbiased))


@cache
def _powers(base: float, most: int) -> Floats:
    """Return base^0 .. base^most, each from Python's own power: numpy's may differ by where a number stands."""
    return np.array([base**k for k in range(most + 1)])
