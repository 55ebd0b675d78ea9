"""From what a runner answered to what is sent back: every band there is, which of them is to be used, and how it came.

Belongs here: the making of a ForecastResponse. Shapes are contract.py's, numbers the runner's and conformal's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from timegpt_assets.core.tsfm.asked import Answered, Floats
from timegpt_assets.serving.tsfm.contract import Band, Bands, ForecastResponse, Meta
from timegpt_assets.serving.tsfm.terms import Settled

Source = Literal["tsfm_conformal", "tsfm_raw", "baseline"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjusted:
    """A band after conformal: lower end, median, upper end, a row a step; None where no parameters fit."""

    band: Floats | None = None
    day: str | None = None
    pool: str | None = None
    warnings: tuple[str, ...] = field(default=())


Adjust = Callable[[Settled, Answered], Adjusted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The band that a market is to be used by where it is there; ``warnings``: why perhaps another one."""

    source: Source
    warnings: tuple[str, ...] = field(default=())


Wished = Callable[[str, datetime], Wish]
"""Market and moment of its forecast -> the band wished for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What of a reply is not of its numbers."""

    request_id: str
    latency_ms: float
    cached: bool


def reply(settled: Settled, answered: Answered, adjusted: Adjusted, wish: Wish, how: How) -> ForecastResponse:
    """Return the reply."""
    asked = settled.asked
    steps = (asked.as_of + timedelta(minutes=asked.freq_min * step) for step in range(1, asked.horizon + 1))
    return ForecastResponse(
        market_id=asked.market_id,
        as_of_ts=_stamp(asked.as_of),
        freq=f"{asked.freq_min}m",
        horizon_steps=asked.horizon,
        quantiles=answered.quantiles,
        yhat_q=_by_quantile(answered),
        target_ts=tuple(_stamp(step) for step in steps),
        bands=Bands(
            raw=_band(answered.band(answered.values)),
            adjusted=None if adjusted.band is None else _band(adjusted.band),
            baseline=_band(answered.band(answered.baseline_values)),
            band_source=used(wish.source, adjusted),
            parameters_day=adjusted.day,
            pool=adjusted.pool,
        ),
        meta=_meta(settled, answered, (*adjusted.warnings, *wish.warnings), how),
    )


def used(wished: Source, adjusted: Adjusted) -> Source:
    """Return the band to be used: the one wished for; the raw one where there is no adjusted one."""
    return "tsfm_raw" if wished == "tsfm_conformal" and adjusted.band is None else wished


def _meta(settled: Settled, answered: Answered, warnings: tuple[str, ...], how: How) -> Meta:
    return Meta(
        runtime=answered.runtime,
        model_name=answered.model,
        model_version=answered.model_version,
        latency_ms=round(how.latency_ms, 3),
        input_len=answered.input_len,
        missingness=answered.carried_share,
        transform=settled.choice.space,
        fallback_used=answered.fallback_used,
        fallback_reason=answered.reason,
        baseline=answered.baseline,
        crossed=answered.crossed,
        width_flags=answered.width_flags,
        cached=how.cached,
        request_id=how.request_id,
        warnings=(*settled.warnings, *answered.warnings, *warnings),
    )


def _by_quantile(answered: Answered) -> dict[str, tuple[float, ...]]:
    columns = zip(answered.quantiles, answered.values.T.tolist(), strict=True)
    return {
        f"{quantile:g}" if float(f"{quantile:g}") == quantile else repr(quantile): tuple(c) for quantile, c in columns
    }


def _band(values: Floats) -> Band:
    lower, median, upper = (tuple(column) for column in values.T.tolist())
    return Band(lower=lower, median=median, upper=upper)


def _stamp(moment: object) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
