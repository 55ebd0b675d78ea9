"""Settings as the small frozen values that core declares and its functions take, from bars to calibration.

Belongs here: one function per thing core asks for; what trading and gates ask for is in strategy_inputs.py. Nothing
is decided here; a number that is not in configs/ is a bug.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.config.settings import Settings
from timegpt_assets.core import calendar
from timegpt_assets.core.bars.quality_rules import QualityPolicy
from timegpt_assets.core.bars.vendor_columns import Reading
from timegpt_assets.core.calibration.methods import CalibrationSpec
from timegpt_assets.core.events import EARNINGS, EventCalendar
from timegpt_assets.core.features import news
from timegpt_assets.core.features.feature_spec import FeatureSpec
from timegpt_assets.core.forecasts.exogenous import Exogenous
from timegpt_assets.core.forecasts.framing import FrameSpec
from timegpt_assets.core.forecasts.local.answers import BACKEND, Local
from timegpt_assets.core.forecasts.local.climatology import Climatology
from timegpt_assets.core.forecasts.local.persistence import Persistence
from timegpt_assets.core.forecasts.local.ridge import Ridge
from timegpt_assets.core.forecasts.local.seats import SHIPPED
from timegpt_assets.core.forecasts.local.size import Size
from timegpt_assets.core.forecasts.local.statistical import Statistical
from timegpt_assets.core.forecasts.local.zero import Zero
from timegpt_assets.core.forecasts.quantiles import levels_of
from timegpt_assets.core.forecasts.snapshots import Preset, SnapshotSpec
from timegpt_assets.core.lineage import FEATURE_PAYLOAD_SCHEMA_VERSION
from timegpt_assets.core.models.boosting import Boosting
from timegpt_assets.core.models.control import Control
from timegpt_assets.core.models.manifests import Expected, artifact_name, label_definition
from timegpt_assets.core.models.net_spec import NetSpec
from timegpt_assets.core.models.rows import RowSpec
from timegpt_assets.core.models.tree_spec import TreeSpec
from timegpt_assets.core.tables.columns import HOSTED, LADDER, RUN_SOURCES
from timegpt_assets.core.targets import Target


def quality_policy(settings: Settings) -> QualityPolicy:
    """Return the limits and severities of the quality rules."""
    policy = settings.dq_policy
    return QualityPolicy(
        min_completeness=policy.min_completeness,
        sustained_fill_run=policy.sustained_ffill_run,
        max_fill_share=policy.max_fill_share,
        outlier_z=policy.outlier_z,
        max_minute_move=policy.max_minute_move,
        max_wick=policy.max_wick,
        wick_moves=policy.wick_moves,
        wicks=policy.wicks,
        tick_size=settings.trading.tick_size,
        max_zero_volume_share=policy.max_zero_volume_share,
        max_minute_volume=policy.max_minute_volume,
        max_price=policy.max_price,
        max_overnight_move=policy.max_overnight_move,
        split_ratios=policy.split_ratios,
        split_tolerance=policy.split_tolerance,
        splits={(split.symbol, split.day): split.ratio for split in settings.events.splits},
        halts=frozenset((halt.symbol, halt.day) for halt in settings.events.halts),
        auction_open=policy.auction_open,
        auction_close=policy.auction_close,
        max_offenders=policy.max_offenders,
        severity=policy.severity.model_dump(),
    )


def reading(settings: Settings) -> Reading:
    """Return how the source's stamps are read."""
    return Reading(stamp=settings.data.stamp, zone=settings.data.timezone)


def target(settings: Settings) -> Target:
    """Return what is forecast and how it is scaled."""
    asked = settings.forecast.target
    return Target(
        mode=asked.mode,
        horizon_min=settings.forecast.horizon_min,
        volatility_column=asked.volatility_column,
        bp_factor=asked.bp_factor,
    )


def preset(settings: Settings) -> Preset:
    """Return the chosen snapshot preset."""
    name = settings.forecast.snapshot_preset
    chosen = settings.forecast.snapshot_presets[name]
    return Preset(
        name=name,
        times=chosen.times,
        windows=tuple((window.start, window.end) for window in chosen.active_windows),
        max_per_day=chosen.max_snapshots_per_day,
        horizon_min=chosen.horizon_min,
    )


def snapshot_spec(settings: Settings, events: EventCalendar) -> SnapshotSpec:
    """Return when forecasts are asked."""
    forecast = settings.forecast
    return SnapshotSpec(
        preset=preset(settings),
        horizon_min=forecast.horizon_min,
        calendar=events,
        skip_events=forecast.skip_events,
        max_total=forecast.max_snapshots_total,
        since=settings.data.start_date,
    )


def snapshots_per_day(settings: Settings) -> int:
    """Return how many snapshots a full session can ask for."""
    chosen = preset(settings)
    return min(len(chosen.times), chosen.max_per_day or len(chosen.times))


def snapshot_times(settings: Settings) -> pl.DataFrame:
    """Return the preset's New York times as calibration knows them: snapshot_time, HH:MM."""
    return pl.DataFrame({"snapshot_time": [f"{at:%H:%M}" for at in sorted(set(preset(settings).times))]})


def event_calendar(settings: Settings) -> EventCalendar:
    """Return the dated events, and the moment of those whose time of day is configured.

    Events of the files are there by name; their days are added when the files are read (runtime.py).
    """
    events, zone = settings.events, ZoneInfo(calendar.ZONE)
    times = {
        name: tuple(datetime.combine(day, at, tzinfo=zone).astimezone(UTC) for day in events.dates.get(name, ()))
        for name, at in events.times.items()
    }
    named = dict.fromkeys(events.calendar_names if events.calendar_path else (), ())
    return EventCalendar(named | dict(events.dates), times, {EARNINGS: {}} if events.earnings_path else {})


def feature_spec(settings: Settings, events: EventCalendar) -> FeatureSpec:
    """Return what features are made of; columns that scaling and filters stand on are made whichever groups are off."""
    features, filters = settings.features, settings.trading.filters
    needed = {settings.forecast.sigma_column, settings.forecast.target.volatility_column}
    return FeatureSpec(
        groups=features.groups,
        horizon_min=settings.forecast.horizon_min,
        sessions=features.warmup_sessions,
        max_missing=features.max_nan_row_frac,
        context=settings.universe.context,
        sectors=settings.universe.sectors,
        vix=settings.data.vix_path is not None,
        calendar=events,
        low=features.liquidity.low,
        high=features.liquidity.high,
        needed=frozenset(needed | ({"volume_norm_5m", "range_pct"} if filters.enabled else set())),
    )


def volatility_spec(settings: Settings) -> FeatureSpec:
    """Return what the volatility that scales targets is made of: a symbol's own bars, and those of the day before."""
    column = settings.forecast.target.volatility_column
    return FeatureSpec(
        groups=(),
        horizon_min=settings.forecast.horizon_min,
        sessions=1,
        max_missing=1.0,
        needed=frozenset({column}),
    )


def hosted_frame_spec(settings: Settings, events: EventCalendar) -> FrameSpec:
    """Return what the hosted forecaster is shown: as the local ones, with what the provider asks for beside it."""
    least = settings.forecast.framing.provider_min_samples
    return replace(frame_spec(settings), provider_min_samples=least, exogenous=exogenous(settings, events))


def frame_spec(settings: Settings) -> FrameSpec:
    """Return what a forecaster on this machine is shown of a snapshot."""
    forecast = settings.forecast
    return FrameSpec(
        symbols=settings.universe.tickers,
        target=target(settings),
        history_days=forecast.history_days,
        sigma_column=forecast.sigma_column,
        min_history_samples=forecast.framing.min_history_samples,
        max_stale_min=forecast.framing.max_stale_min,
    )


def exogenous(settings: Settings, events: EventCalendar) -> Exogenous:
    """Return what is sent beside y."""
    asked = settings.forecast.exogenous
    flagged = {name: days for name, days in events.days.items() if name in asked.future}
    return Exogenous(future=asked.future, historic=asked.historic, events=flagged)


def levels(settings: Settings) -> tuple[int, ...]:
    """Return the interval levels to ask for: those configured and those the quantiles imply."""
    return levels_of(settings.forecast.quantiles, settings.forecast.levels)


def calibration_spec(settings: Settings) -> CalibrationSpec:
    """Return how calibration models are fitted."""
    asked = settings.calibration
    delta = asked.conformal.delta_quantile
    return CalibrationSpec(
        method=asked.method,
        window_days=asked.window_days,
        embargo_days=asked.embargo_days,
        min_samples=asked.min_samples,
        min_samples_cell=asked.min_samples_cell,
        max_width_multiple=asked.max_width_multiple,
        score=asked.conformal.score,
        delta_quantile=None if delta == "nominal" else delta,
        recent_samples=asked.affine.recent_samples,
        recent_days=asked.affine.recent_days,
        slope_spread=asked.affine.slope_spread,
        offset_spread=asked.affine.offset_spread,
        fit_share=asked.isotonic.fit_share,
        step=asked.adaptive.step,
        validation_share=asked.validation_share,
        pit_deviation_threshold=asked.pit_deviation_threshold,
        makers=tuple(makers(settings)),
    )


def row_spec(settings: Settings, events: EventCalendar) -> RowSpec:
    """Return what a row of the model ladder holds."""
    models = settings.models
    return RowSpec(
        horizon_min=settings.forecast.horizon_min,
        sigma_column=settings.forecast.sigma_column,
        snapshot_every_min=models.snapshot_every_min,
        n_tokens=models.net.n_tokens,
        channels=models.net.channels,
        features=tuple(feature.name for feature in feature_spec(settings, events).features),
    )


_IN_SIGMA = ("log return", "scale of y", "share of the price")
_NOT_ALIKE = ("USD", "shares")
_OF_A_SYMBOL = ("price", "volatility", "volume", "news")
"""Units of features that move with volatility, of those that mean nothing of another symbol's, and groups of a symbol's
own features, but for those that news.OF_THE_MARKET names."""


def tree_spec(settings: Settings, events: EventCalendar, *, with_news: bool = False) -> TreeSpec:
    """Return how the ladder's tree learns, and against whom it is judged.

    ``with_news``: as if the feature group news were switched on, whether it is or not.
    """
    models, tree, made = settings.models, settings.models.tree, feature_spec(settings, events)
    made = replace(made, groups=(*made.groups, "news")) if with_news else made
    made_names = {feature.name for feature in made.features}
    own = [f for group in _OF_A_SYMBOL for f in made.by_group[group] if f.name in made_names - news.OF_THE_MARKET]
    moment = ("minute_index", "minutes_to_close", *sorted(news.OF_THE_MARKET))
    return TreeSpec(
        road=models.road,
        features=tuple(feature.name for feature in made.features),
        own=tuple(feature.name for feature in own if feature.unit not in _NOT_ALIKE),
        clock=tuple(name for name in moment if name in made_names),
        scaled=frozenset(feature.name for feature in made.features if feature.unit in _IN_SIGMA),
        embargo_days=models.embargo_days,
        min_sessions=models.min_sessions,
        validation_sessions=models.validation_sessions,
        folds=models.folds,
        levels=levels(settings),
        window_min=tree.window_min,
        symbol_rows=tree.symbol_rows,
        boosting=Boosting(
            rounds=tree.rounds,
            leaves=tree.leaves,
            learning_rate=tree.learning_rate,
            min_rows=tree.min_rows,
            l2=tree.l2,
            seed=models.seed,
            threads=tree.threads,
        ),
        control=ladder_control(settings),
    )


def net_spec(settings: Settings, events: EventCalendar) -> NetSpec:
    """Return how the ladder's net learns: on the tree's windows and folds, taught by it."""
    net = settings.models.net
    units = {feature.name: feature.unit for feature in feature_spec(settings, events).features}
    return NetSpec(
        tree=tree_spec(settings, events),
        n_tokens=net.n_tokens,
        channels=net.channels,
        scaled=frozenset(name for name in net.channels if units.get(name) in _IN_SIGMA),
        hidden=net.hidden,
        blocks=net.blocks,
        epochs=net.epochs,
        batch_rows=net.batch_rows,
        learning_rate=net.learning_rate,
        weight_decay=net.weight_decay,
        dropout=net.dropout,
        distill_lambda=net.distill_lambda,
        seed=settings.models.seed,
    )


def ladder_control(settings: Settings) -> Control:
    """Return whom every rung of the ladder is judged against: the control arm and zero, by their settings."""
    forecast = settings.forecast
    return Control(
        ridge=Ridge(**forecast.baseline.model_dump()),
        zero=Zero(**forecast.zero.model_dump()),
        settings=settings.digest(["forecast.baseline"]),
        snapshot_every_min=settings.models.snapshot_every_min,
    )


def makers(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    """Yield forecaster, backend, model and score_source of everyone who is asked now, the champion first."""
    forecast = settings.forecast
    if forecast.backend == "nixtla":
        yield HOSTED, "nixtla", forecast.model, "model" if forecast.host in forecast.trusted_hosts else "simulated"
    for name in forecast.local_forecasters:
        # a local forecaster's model is its own word: nothing else is known of it before it answers
        is_signed = name in LADDER and settings.run_source == RUN_SOURCES["prod"]  # else it does not answer there
        yield name, BACKEND, name, "model" if is_signed else BACKEND


def champion_version(settings: Settings) -> str:
    """Return the version of the model that the champion answers with."""
    return settings.forecast.model if settings.forecast.backend == "nixtla" else "1"


def expected(settings: Settings, events: EventCalendar) -> Expected:
    """Return what a model must have been made under to answer under these settings."""
    spec = feature_spec(settings, events)
    return Expected(
        feature_version=spec.feature_version,
        features_hash=spec.features_hash,
        feature_payload_schema_version=FEATURE_PAYLOAD_SCHEMA_VERSION,
        label_definition=label_definition(settings.forecast.horizon_min, settings.forecast.sigma_column),
    )


def model_name(settings: Settings, forecaster: str) -> str:
    """Return what the artifacts of a forecaster of LADDER are called under these settings."""
    return artifact_name(forecaster, settings.profile)


def shipped_forecasters(settings: Settings) -> dict[str, Local]:
    """Return every local forecaster that comes with the package, seated or not, by its word."""
    forecast = settings.forecast
    asked = {Ridge: forecast.baseline, Zero: forecast.zero, Climatology: forecast.climatology}
    asked |= {Persistence: forecast.persistence, Size: forecast.size, Statistical: forecast.statsforecast}
    return {seat.word: seat(**asked[seat].model_dump()) for seat in SHIPPED.values()}
