"""Sections about forecasts: what is asked, when, of whom and at what price, and how answers are calibrated.

Belongs here: forecast, calibration. What each key means stands in configs/<section>.yaml.
"""

from collections.abc import Mapping
from datetime import time
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field

from timegpt_assets.config.addresses import PROVIDER_HOST, host, unfit
from timegpt_assets.config.base import (
    PLACE,
    CalibrationMethod,
    Count,
    CountOrZero,
    EventNames,
    Levels,
    Name,
    NotNegative,
    Positive,
    Quantile,
    Quantiles,
    Section,
    SigmaColumn,
    TargetMode,
    Times,
    _unique,
)
from timegpt_assets.core.tables.columns import CONTROL, HOSTED, LADDER


class Window(Section):
    """A span of New York time, ends included."""

    start: time
    end: time


class SnapshotPreset(Section):
    """Named snapshot times with what they bring along."""

    times: Times
    active_windows: tuple[Window, ...] = ()
    max_snapshots_per_day: Count | None = None
    horizon_min: Count | None = None


class Target(Section):
    """What the forecaster is asked for and how it is scaled."""

    mode: TargetMode
    volatility_column: SigmaColumn
    bp_factor: Positive

    def label_horizon(self, horizon_min: int) -> int:
        """Return the minutes the target's own label spans when the forecast spans ``horizon_min``."""
        if not self.mode.startswith("log_return"):
            return horizon_min
        return int(self.mode.removeprefix("log_return").strip("_m") or 1)


class Framing(Section):
    """How a snapshot's history becomes the series that is sent."""

    min_history_samples: Count
    provider_min_samples: Count | None
    max_stale_min: CountOrZero

    @property
    def least_rows(self) -> int:
        """Return the fewest rows of a symbol that the provider is sent."""
        return max(self.min_history_samples, self.provider_min_samples or 0)


class Exogenous(Section):
    """What is sent beside y: columns known ahead, and columns of the panel whose past alone is known."""

    future: Annotated[tuple[Name, ...], AfterValidator(_unique)]
    historic: Annotated[tuple[Name, ...], AfterValidator(_unique)]


class Baseline(Section):
    """The control arm: ridge mean, rolling quantiles of its residuals."""

    ridge: NotNegative
    residual_window_min: Count
    min_residuals: Count


class AroundTheClock(Section):
    """Bands of what came near the time of day, on earlier days."""

    window_min: Count
    min_residuals: Count


class Climatology(Section):
    """Quantiles of the last returns of the same time of day."""

    sessions: Count
    min_sessions: Count


class Size(Section):
    """Bands as wide as a ridge of |z| says."""

    ridge: NotNegative
    least_scale: Positive
    window_min: Count
    min_residuals: Count


class Statistical(Section):
    """A model of statsforecast, on returns in steps of the horizon."""

    model: Literal["ses", "ets", "theta", "arima"]
    window_min: Count
    min_residuals: Annotated[int, Field(ge=10)]


class ApiBudget(Section):
    """What may be spent on calls, and where it is counted."""

    per_run: Annotated[Count, PLACE]
    per_day: Annotated[Count, PLACE]
    per_month: Annotated[Count | None, PLACE]
    cooldown_sec: Annotated[NotNegative, PLACE]
    account: Annotated[Name, PLACE]
    timezone: Annotated[Name, PLACE]
    price_per_call: NotNegative | None
    single_writer: Annotated[bool, PLACE]
    ledger_url: Annotated[str | None, PLACE]
    ledger_file: Annotated[str, Field(min_length=1), PLACE]


class Forecast(Section):
    """What is asked, when, of whom, and within which budget."""

    backend: Literal["nixtla", "baseline"]
    challengers: Annotated[tuple[Name, ...], AfterValidator(_unique)]
    api_mode: Literal["online", "offline", "simulate"]
    base_url: Annotated[str | None, PLACE]
    model: Name
    trusted_hosts: tuple[Name, ...]
    snapshot_preset: Name
    snapshot_presets: Mapping[str, SnapshotPreset]
    max_snapshots_total: Count | None
    skip_events: EventNames
    horizon_min: Count
    history_days: Count
    quantiles: Quantiles
    levels: Levels
    target: Target
    sigma_column: SigmaColumn
    framing: Framing
    exogenous: Exogenous
    baseline: Baseline
    zero: AroundTheClock
    climatology: Climatology
    persistence: AroundTheClock
    size: Size
    statsforecast: Statistical
    api_budget: ApiBudget
    max_bytes_per_call: Annotated[Count, PLACE]
    history_mode: Literal["single", "cross_validation"]
    cache_dir: Annotated[str, Field(min_length=1), PLACE]
    timeout_s: Annotated[Positive, PLACE]
    max_attempts: Annotated[Count, PLACE]
    max_failed_calls: Annotated[Count, PLACE]
    on_ambiguous: Annotated[Literal["retry", "fail"], PLACE]
    on_doubt: Annotated[Literal["refuse", "keep"], PLACE]

    @property
    def champion(self) -> str:
        """Return whose forecasts are traded."""
        return HOSTED if self.backend == "nixtla" else CONTROL

    @property
    def local_forecasters(self) -> tuple[str, ...]:
        """Return who answers on this machine, each once, the champion first."""
        return tuple(dict.fromkeys(name for name in (self.champion, *self.challengers) if name != HOSTED))

    @property
    def ladder(self) -> tuple[str, ...]:
        """Return who of the ladder is seated, the lowest rung first."""
        return tuple(word for word in LADDER if word in self.challengers)

    @property
    def forecasters(self) -> tuple[str, ...]:
        """Return everyone seated, the champion first."""
        return tuple(dict.fromkeys((self.champion, *self.local_forecasters)))

    @property
    def preset(self) -> SnapshotPreset:
        """Return the preset in use."""
        return self.snapshot_presets[self.snapshot_preset]

    @property
    def host(self) -> str:
        """Return the host that is asked: of base_url, or the provider's own; "" when base_url names none."""
        return PROVIDER_HOST if not self.base_url else "" if unfit(self.base_url) else host(self.base_url)


class Affine(Section):
    """A line through the forecasts, and bands of its residuals in widths of the forecast's own narrowest band."""

    recent_samples: Count
    recent_days: Count
    slope_spread: Positive
    offset_spread: Positive


class Isotonic(Section):
    """A rising curve through the forecasts."""

    fit_share: Annotated[float, Field(gt=0, lt=1)]


class Adaptive(Section):
    """A conformal level that follows its own misses."""

    step: Annotated[float, Field(gt=0, lt=1)]


class Conformal(Section):
    """Split-conformal bands."""

    delta_quantile: Literal["nominal"] | Quantile
    score: Literal["sigma", "absolute"]


class Evaluation(Section):
    """How surely scores are told apart, and when coverage has drifted."""

    bootstrap_draws: Annotated[int, Field(ge=100)]
    block_days: Count
    drift_days: Annotated[int, Field(ge=2)]


class Calibration(Section):
    """How raw quantiles are corrected from earlier outcomes."""

    method: CalibrationMethod
    min_samples: Count
    min_samples_cell: Count
    window_days: Count = Field(validation_alias=AliasChoices("window_days", "calibration_window_days"))
    embargo_days: Count
    pit_deviation_threshold: Annotated[float, Field(ge=0, le=0.5)]
    max_width_multiple: Annotated[float, Field(ge=1)]
    model_path: Annotated[str, Field(min_length=1), PLACE]
    validation_share: Annotated[float, Field(gt=0, lt=1)]
    affine: Affine
    isotonic: Isotonic
    adaptive: Adaptive
    conformal: Conformal
    evaluation: Evaluation
