"""What the second system needs of the settings, in the shapes of core/tsfm.

Belongs here: one function per spec of core/tsfm, made of the section tsfm.
"""

from collections.abc import Mapping

from timegpt_assets.config.settings import Settings
from timegpt_assets.core.rollout.phases import shares_of
from timegpt_assets.core.tsfm.alerts import AlertSpec
from timegpt_assets.core.tsfm.baselines import BaselineSpec
from timegpt_assets.core.tsfm.conformal import ConformalSpec
from timegpt_assets.core.tsfm.degradation import Rules
from timegpt_assets.core.tsfm.evaluation import EvaluationSpec, Judging
from timegpt_assets.core.tsfm.guards import Guards
from timegpt_assets.core.tsfm.precision import PrecisionSpec
from timegpt_assets.core.tsfm.reasons import AskingRules
from timegpt_assets.core.tsfm.scoring import ScoringSpec
from timegpt_assets.core.tsfm.segments import SegmentSpec
from timegpt_assets.core.tsfm.selection import SelectionSpec
from timegpt_assets.core.tsfm.series import SeriesSpec
from timegpt_assets.core.tsfm.transform import Transform

ANSWERED = (
    *("tsfm.quantiles", "tsfm.transform", "tsfm.model", "tsfm.series.min_points", "tsfm.fallback", "tsfm.guards"),
    *("tsfm.series.max_gap_minutes", "tsfm.liquidity.baseline_only_below"),
)
"""Settings that shape an answer, whoever makes it, of a series that is laid out."""


def series_spec(settings: Settings) -> SeriesSpec:
    """Return the grid and what may stand on it."""
    asked = settings.tsfm.series
    return SeriesSpec(
        freq_min=asked.freq_min,
        input_len=asked.input_len_steps,
        horizon=asked.horizon_steps,
        last_trade_max_age_min=asked.last_trade_max_age_min,
        max_gap_min=asked.max_gap_minutes,
    )


def segment_spec(settings: Settings) -> SegmentSpec:
    """Return where the buckets of segments are cut."""
    tsfm = settings.tsfm
    return SegmentSpec(
        low_below=tsfm.liquidity.low_below,
        high_from=tsfm.liquidity.high_from,
        tte_bounds_h=tsfm.conformal.tte_bounds_h,
    )


def selection_spec(settings: Settings) -> SelectionSpec:
    """Return how many markets of a cycle are forecast, and what makes them the first."""
    asked = settings.tsfm.selection
    return SelectionSpec(
        top_n=asked.top_n, weight_volume=asked.weight_volume, weight_open_interest=asked.weight_open_interest
    )


def alert_spec(settings: Settings) -> AlertSpec:
    """Return what makes an alert of a price."""
    asked = settings.tsfm.alerts
    return AlertSpec(
        horizon_step=asked.horizon_step,
        open_interest_change_max=asked.open_interest_change_max,
        volume_velocity_min=asked.volume_velocity_min,
        ambiguity_max=asked.ambiguity_max,
        cooldown_s=asked.cooldown_s,
    )


def degradation_rules(settings: Settings) -> Rules:
    """Return when the model is left alone, and when it is asked again."""
    asked = settings.tsfm.degradation
    return Rules(
        probe_interval_s=asked.probe_interval_s,
        fallback_rate_max=asked.fallback_rate_max,
        window_s=asked.window_min * 60,
        min_requests=asked.min_requests,
        healthy_probes=asked.healthy_probes,
    )


def transform(settings: Settings) -> Transform:
    """Return the space in which is forecast."""
    asked = settings.tsfm.transform
    return Transform(space=asked.space, eps=asked.eps)


def guards_spec(settings: Settings) -> Guards:
    """Return what no band may be."""
    asked = settings.tsfm.guards
    return Guards(min_width=asked.min_width, max_width=asked.max_width)


def baseline_spec(settings: Settings) -> BaselineSpec:
    """Return who answers where the model does not, and in which order they are tried."""
    asked = settings.tsfm.fallback
    return BaselineSpec(
        order=asked.order, span=asked.ewma_span_steps, rolling_steps=asked.rolling_steps, min_points=asked.min_points
    )


def asking_rules(settings: Settings) -> AskingRules:
    """Return which markets no model is asked of."""
    tsfm = settings.tsfm
    return AskingRules(
        min_points=tsfm.series.min_points,
        max_gap_min=tsfm.series.max_gap_minutes,
        min_volume_24h=tsfm.liquidity.baseline_only_below,
    )


def precision_spec(settings: Settings) -> PrecisionSpec:
    """Return when breaches of the model's bands mean too little."""
    tsfm = settings.tsfm
    return PrecisionSpec(
        band_source=tsfm.alerts.band_source,
        horizon_step=tsfm.alerts.horizon_step,
        follow_through_move=tsfm.evaluation.follow_through_move,
        drop_max=tsfm.rollout.precision_drop_max,
        window_days=tsfm.rollout.window_days,
        min_breaches=tsfm.rollout.min_breaches,
    )


def rollout_shares(settings: Settings) -> Mapping[str, int]:
    """Return phase -> percentage of markets that gets the model's bands in it."""
    return shares_of(settings.tsfm.rollout.canary, settings.tsfm.rollout.ramp)


def conformal_spec(settings: Settings) -> ConformalSpec:
    """Return what conformal parameters are learnt from, and what they promise."""
    asked = settings.tsfm.conformal
    return ConformalSpec(
        window_days=asked.rolling_window_days,
        target=asked.target_coverage,
        levels=settings.tsfm.evaluation.levels,
        min_samples=asked.min_samples,
        segments=asked.segments,
        price_cuts=asked.price_cuts,
        least_scale=asked.least_scale,
    )


def evaluation_spec(settings: Settings) -> EvaluationSpec:
    """Return what is held out, what is learnt from the rest, and what is reported of it."""
    tsfm = settings.tsfm
    return EvaluationSpec(
        time_share=tsfm.evaluation.time_holdout,
        event_share=tsfm.evaluation.event_holdout,
        embargo_days=tsfm.evaluation.embargo_days,
        min_width=tsfm.guards.min_width,
        conformal=conformal_spec(settings),
        scoring=_scoring_spec(settings),
    )


def judging(settings: Settings) -> Judging:
    """Return how bands are judged as they were served."""
    tsfm = settings.tsfm
    return Judging(
        level=tsfm.conformal.target_coverage, floor=tsfm.guards.min_width > 0, scoring=_scoring_spec(settings)
    )


def _scoring_spec(settings: Settings) -> ScoringSpec:
    return ScoringSpec(
        move=settings.tsfm.evaluation.follow_through_move,
        tolerance=settings.tsfm.conformal.coverage_tolerance,
        draws=settings.calibration.evaluation.bootstrap_draws,
    )
