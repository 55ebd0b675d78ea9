"""The section about the second system: which prediction markets are watched, who forecasts them, and what is believed.

Belongs here: tsfm. What each key means stands in configs/tsfm.yaml; what models may be asked for, with their licences,
in configs/models.yaml.
"""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from timegpt_assets.config.base import PLACE, Count, CountOrZero, Name, NotNegative, Positive, Section, Share, _unique
from timegpt_assets.config.rollout import Percent

Fallback = Literal["EWMA", "KALMAN", "ROLLING_QUANTILE"]
SegmentKey = Literal["liquidity_bucket", "tte_bucket", "category"]
BandSource = Literal["tsfm_conformal", "tsfm_raw", "baseline"]
InnerShare = Annotated[float, Field(gt=0, lt=1)]
Rising = Annotated[tuple[InnerShare, ...], Field(min_length=1), AfterValidator(_unique)]


class Markets(Section):
    """Who is asked for markets and their prices."""

    source: Literal["polymarket", "files"]
    path: Annotated[str | None, PLACE]
    known_after_s: NotNegative
    gamma_url: Annotated[str | None, PLACE]
    clob_url: Annotated[str | None, PLACE]
    data_url: Annotated[str | None, PLACE]
    timeout_s: Annotated[Positive, PLACE]
    max_attempts: Annotated[Count, PLACE]
    budget_s: Annotated[Positive, PLACE]
    spacing_s: Annotated[NotNegative, PLACE]
    max_candidates: Count


class Series(Section):
    """What a market's past is, on the grid."""

    freq: Annotated[str, Field(pattern=r"^[1-9]\d{0,3}m$")]
    input_len_steps: Count
    min_points: Count
    horizon_steps: Count
    max_input_len: Annotated[Count, PLACE]
    max_horizon_steps: Annotated[Count, PLACE]
    last_trade_max_age_min: Positive
    max_gap_minutes: Positive

    @property
    def freq_min(self) -> int:
        """Return the minutes of a step."""
        return int(self.freq.removesuffix("m"))


class Transform(Section):
    """The space in which is forecast."""

    space: Literal["logit", "identity"]
    eps: Annotated[float, Field(gt=0, lt=0.5)]


class Model(Section):
    """Who forecasts."""

    provider: Literal["tollama", "in_process"]
    model_name: Name
    model_version: Name
    params: Mapping[str, Any]


class Tollama(Section):
    """How the model server is asked."""

    base_url: Annotated[str, PLACE]
    auth_mode: Annotated[Literal["none", "bearer_optional", "bearer_required"], PLACE]
    timeout_s: Annotated[Positive, PLACE]
    retry_count: Annotated[CountOrZero, PLACE]
    retry_backoff_ms: Annotated[NotNegative, PLACE]
    retry_jitter_ms: Annotated[NotNegative, PLACE]
    batch_timeout_s: Annotated[Positive, PLACE]
    batch_series: Annotated[Count, PLACE]


class TsfmBreaker(Section):
    """When the model server is left alone, and how it is tried again."""

    failures: Annotated[Count, PLACE]
    cooldown_s: Annotated[Positive, PLACE]
    probes: Annotated[Count, PLACE]


class Liquidity(Section):
    """How liquid a market is, by its volume of 24 hours, USD."""

    low_below: NotNegative
    high_from: NotNegative
    baseline_only_below: NotNegative


class Fallbacks(Section):
    """What answers where the model does not."""

    order: Annotated[tuple[Fallback, ...], Field(min_length=1), AfterValidator(_unique)]
    ewma_span_steps: Count
    rolling_steps: Count
    min_points: Count


class Guards(Section):
    """What no band may be."""

    min_width: Share
    max_width: Share


class Conformal(Section):
    """How bands are widened or narrowed to hold what they promise."""

    enabled: bool
    rolling_window_days: Count
    target_coverage: InnerShare
    coverage_tolerance: InnerShare
    min_samples: Count
    segments: Annotated[tuple[SegmentKey, ...], AfterValidator(_unique)]
    tte_bounds_h: Annotated[tuple[Positive, ...], AfterValidator(_unique)]
    price_cuts: Annotated[tuple[InnerShare, ...], AfterValidator(_unique)]
    least_scale: Annotated[float, Field(gt=0, le=1)]


class Selection(Section):
    """Which markets are forecast in a cycle."""

    top_n: Count
    weight_volume: NotNegative
    weight_open_interest: NotNegative


class Cache(Section):
    """How long an answer serves the same request."""

    ttl_s: Annotated[NotNegative, PLACE]
    entries: Annotated[Count, PLACE]


class Slo(Section):
    """What the service promises, measured and told."""

    request_p95_ms: Annotated[Positive, PLACE]
    cycle_s: Annotated[Positive, PLACE]
    fallback_ms: Annotated[Positive, PLACE]
    error_rate_max: Annotated[Share, PLACE]
    window_min: Annotated[Positive, PLACE]


class Degradation(Section):
    """When the model is not asked for a while, by itself."""

    probe_interval_s: Annotated[Positive, PLACE]
    fallback_rate_max: Annotated[Share, PLACE]
    window_min: Annotated[Positive, PLACE]
    min_requests: Annotated[Count, PLACE]
    healthy_probes: Annotated[Count, PLACE]


class Alerts(Section):
    """What makes an alert of a price."""

    band_source: BandSource
    horizon_step: Count
    open_interest_change_max: Annotated[float, Field(ge=-1, le=0)]
    volume_velocity_min: Positive
    ambiguity_max: Share
    cooldown_s: Annotated[float, Field(ge=0, le=7 * 86_400)]


class TsfmRollout(Section):
    """How bands of the model come to be used, and what sends them back."""

    canary: Percent
    ramp: Percent
    precision_drop_max: InnerShare
    window_days: Count
    min_days: Count
    min_breaches: Count


class TsfmEvaluation(Section):
    """What is held out, and what counts as a move."""

    time_holdout: InnerShare
    event_holdout: InnerShare
    embargo_days: CountOrZero
    levels: Rising
    follow_through_move: InnerShare
    follow_through_hours: Positive


class Serve(Section):
    """Where the service listens."""

    host: Annotated[Name, PLACE]
    port: Annotated[int, Field(ge=0, le=65535), PLACE]
    threads: Annotated[Count, PLACE]
    max_body_bytes: Annotated[Count, PLACE]
    shutdown_s: Annotated[Count, PLACE]


class Tsfm(Section):
    """Bands for prediction markets: every default of the runner."""

    start_date: date
    end_date: date | None
    cycle_min: Count
    markets: Markets
    series: Series
    quantiles: Rising
    transform: Transform
    model: Model
    tollama: Tollama
    breaker: TsfmBreaker
    liquidity: Liquidity
    fallback: Fallbacks
    guards: Guards
    conformal: Conformal
    selection: Selection
    cache: Cache
    slo: Slo
    degradation: Degradation
    alerts: Alerts
    rollout: TsfmRollout
    evaluation: TsfmEvaluation
    serve: Serve
