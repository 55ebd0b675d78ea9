"""Whether a model forecasts: asked for a small forecast, for a server says that it is ready while its model hangs.

Belongs here: the question of a probe, and what its answer means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import numpy as np

from timegpt_assets.adapters.tollama.answers import ModelAnswers, ModelFailed
from timegpt_assets.core.tsfm.asked import Asked


class Forecasts(Protocol):
    """How a model is asked, over the network or in process."""

    def __call__(self, asked: Sequence[Asked], *, timeout_s: float, request_id: str) -> ModelAnswers:
        """Return what it says of each series. Raises ModelFailed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a model forecasts, why not (an empty text), and how long it took (nan: no answer)."""

    healthy: bool
    why: str
    latency_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probing:
    """What a probe asks. ``timeout_s``: as long as any other; ``warm_up_s``: the first one loads the model."""

    points: int
    horizon: int
    quantiles: tuple[float, ...]
    freq_min: int
    timeout_s: float
    warm_up_s: float

    def question(self, now: datetime) -> Asked:
        """Return a wave up to now's step of the grid, in the space that models are asked in."""
        step_s = 60 * self.freq_min
        return Asked(
            market_id="probe",
            as_of=datetime.fromtimestamp(now.timestamp() // step_s * step_s, UTC),
            y=np.sin(np.arange(self.points, dtype=np.float64) / 3.0),
            seen=np.ones(self.points, dtype=np.bool_),
            longest_gap_min=0.0,
            freq_min=self.freq_min,
            horizon=self.horizon,
            quantiles=self.quantiles,
        )


def health(forecast: Forecasts, question: Asked, *, timeout_s: float, request_id: str) -> Health:
    """Return whether a small forecast comes, and is one."""
    try:
        told = forecast([question], timeout_s=timeout_s, request_id=request_id)
    except ModelFailed as error:
        return Health(healthy=False, why=f"{error.kind}: {error}", latency_ms=math.nan)
    why = told.faults.get(question.market_id, "")
    return Health(healthy=not why, why=why, latency_ms=told.latency_ms)
