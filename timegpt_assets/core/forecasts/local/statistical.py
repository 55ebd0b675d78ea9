"""A model of Nixtla's statsforecast: the return comes in steps of the horizon, and the model says what the next one is.

Belongs here: the series that a model is given, and its own earlier errors. statsforecast, an extra, is imported when a
seat learns: it takes seconds, and few processes need it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from timegpt_assets.core.forecasts.local.answers import Learnt, Outlook
from timegpt_assets.core.forecasts.local.evidence import PAST, Floats, Known, Lessons

_LAST = PAST.index("ret")
_MODELS: dict[str, Callable[[Any], Any]] = {
    "ses": lambda models: models.AutoETS(season_length=1, model="ANN"),
    "ets": lambda models: models.AutoETS(season_length=1, model="ZZN"),
    "theta": lambda models: models.AutoTheta(season_length=1),
    "arima": lambda models: models.AutoARIMA(season_length=1, seasonal=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistical:
    """Median = volatility x the model's next value, bands = volatility x the quantiles of its earlier errors.

    Its series, each symbol's by itself: the returns known at the snapshot's minute and every horizon before it, in
    volatilities, day after day without the nights; it ends at the snapshot. Coefficients and errors, one step ahead
    each, are of the earlier days alone. The model's own intervals would be one normal width for the whole day, and
    returns are neither: its errors near the time of day are what every other seat here is judged by.

    ``model``: ses, ets, theta, arima. ``window_min``: minutes around the snapshot's time of day; ``min_residuals``: the
    fewest errors within them, one a horizon.
    """

    word: ClassVar[str] = "statsforecast"
    model: str
    window_min: int
    min_residuals: int

    def learnt(self, lessons: Lessons) -> Learnt:
        """Return the outlook by the models that the lessons give. Raises ModuleNotFoundError without statsforecast."""
        models = _statsforecast()
        fitted = cache(lambda phase: self._fitted(models, lessons, phase))

        def outlook(known: Known) -> Outlook:
            phase = known.minute % known.horizon_min
            fits, errors = fitted(phase)
            today = known.today[:, phase :: known.horizon_min]
            nexts = [_next(fits[row], own) for row, own in zip(known.rows, today, strict=True)]
            return Outlook(
                centre=np.array(nexts),
                errors=known.near(errors, self.window_min),
                unit=known.sigma,
                least=self.min_residuals,
            )

        return outlook

    def _fitted(self, models: Any, lessons: Lessons, phase: int) -> tuple[list["_Fit | None"], Floats]:
        """Return each symbol's model of the minutes that a snapshot may be a horizon or more after, and its errors."""
        step = lessons.horizon_min
        y, errors = lessons.past[:, :, phase::step, _LAST], np.full_like(lessons.sigma, np.nan)
        expected, fits = np.full_like(y, np.nan), list[_Fit | None]()
        for own, place in zip(y, expected, strict=True):
            series = own[~np.isnan(own)]
            if series.size < self.min_residuals:  # too few errors, wherever they are
                fits.append(None)
                continue
            fit = _MODELS[self.model](models).fit(series)
            place[~np.isnan(own)] = fit.predict_in_sample()["fitted"]
            fits.append(_Fit(fit, series))
        # what was expected of a value was said a step before it
        errors[:, :, phase::step][..., :-1] = lessons.z[:, :, phase::step][..., :-1] - expected[..., 1:]
        return fits, errors


@dataclass(frozen=True, slots=True)
class _Fit:
    model: Any
    series: Floats


def _next(fit: _Fit | None, today: Floats) -> float:
    """Return what a fitted model expects after today's values, its coefficients as they are; NaN without a model."""
    if fit is None:
        return np.nan
    series = np.concatenate([fit.series, today[~np.isnan(today)]])
    return float(fit.model.forward(series, h=1)["mean"][0])


def _statsforecast() -> Any:
    try:
        from statsforecast import models
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            "statsforecast is not installed. pip install timegpt-assets[statistical], or take statsforecast out of "
            "forecast.challengers."
        ) from missing
    return models
