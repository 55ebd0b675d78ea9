"""Settings as the small frozen values that core declares and takes to trade, to score an account and to judge.

Belongs here: one function per thing core asks for, as in core_inputs.py. Nothing is decided here.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict

from timegpt_assets.config import core_inputs
from timegpt_assets.config.settings import Settings
from timegpt_assets.core.backtest.costs import Costs
from timegpt_assets.core.backtest.liquidity import Filters
from timegpt_assets.core.backtest.rules import Risk, Rules
from timegpt_assets.core.backtest.signals import TradingSpec
from timegpt_assets.core.evaluation.comparison import Terms
from timegpt_assets.core.evaluation.ladder import Terms as LadderTerms
from timegpt_assets.core.evaluation.trading import Account
from timegpt_assets.core.gates import forecast, trading
from timegpt_assets.core.gates.contract import FIELDS, Contract
from timegpt_assets.core.gates.counted import Counted
from timegpt_assets.core.gates.eligibility import Eligibility
from timegpt_assets.core.gates.forecast import ForecastGate
from timegpt_assets.core.gates.hard_metrics import HardMetrics
from timegpt_assets.core.gates.ladder import Ladder
from timegpt_assets.core.gates.luck import Luck
from timegpt_assets.core.gates.trading import TradingGate
from timegpt_assets.core.lineage import FEATURE_PAYLOAD_SCHEMA_VERSION
from timegpt_assets.core.research.scoreboard import Scoring
from timegpt_assets.core.research.trading_grid import Grid
from timegpt_assets.core.rollout import phases
from timegpt_assets.core.rollout.triggers import Asked
from timegpt_assets.core.significance import Sampling
from timegpt_assets.core.tables.columns import WILDCARD


def trading_spec(settings: Settings) -> TradingSpec:
    """Return everything that decides a symbol's trades."""
    return TradingSpec(
        rules=rules(settings),
        costs=costs(settings),
        capital=settings.trading.capital,
        bootstrap=settings.gates.bootstrap,
        participation=settings.backtest.participation,
        sigma_column=settings.trading.sigma,
        horizons_min={symbol: (least, most) for symbol, (least, most) in settings.trading.horizons_min.items()},
        skip_events=settings.trading.skip_events,
        no_trade_buffer_min=settings.events.no_trade_buffer_min,
        unjudged=settings.trading.filters.unjudged,
    )


def filters(settings: Settings) -> Filters | None:
    """Return what counts as abnormal liquidity; None when the filters are off."""
    asked = settings.trading.filters
    if not asked.enabled:
        return None
    return Filters(
        lookback_sessions=asked.lookback_sessions,
        min_session_share=asked.min_session_share,
        min_volume_percentile=asked.min_volume_percentile,
        max_range_percentile=asked.max_range_percentile,
    )


def rules(settings: Settings) -> Rules:
    """Return when to enter and leave."""
    trading, backtest = settings.trading, settings.backtest
    return Rules(
        rule_set=trading.rule_set,
        k_sigma=trading.k_sigma,
        s_stop=trading.s_stop,
        s_take=trading.s_take,
        s_trail=trading.s_trail,
        ev_lambda=trading.ev_lambda,
        max_width_sigma=trading.max_width_sigma,
        cap_per_trade=trading.cap_per_trade,
        daily_trade_cap=trading.daily_trade_cap,
        max_open_per_symbol=trading.max_open_per_symbol,
        cooldown_bars=trading.cooldown_bars,
        time_stop_et=trading.time_stop_et,
        early_close_margin_min=trading.early_close_margin_min,
        entry_lag_bars=backtest.entry_lag_bars,
        exit_at_forecast_ts=trading.exit_at_forecast_ts,
        require_positive_ev=trading.require_positive_ev,
        suppress_wide=trading.max_width_sigma is not None,
    )


def costs(settings: Settings) -> Costs:
    """Return what trading costs; the default entry of a per-symbol setting stands for the symbols not named."""
    trading = settings.trading
    return Costs(
        fees_bps=_named(trading.fees_bps),
        half_spread_ticks=_named(trading.half_spread_ticks),
        tick_size=trading.tick_size,
        slippage_ticks=_named(trading.slippage_ticks),
        slippage_bps=_named(trading.slippage_bps),
        borrow_bps=_named(trading.borrow_bps),
        impact=trading.impact,
    )


def _named(per_symbol: Mapping[str, float]) -> dict[str, float]:
    """Return the rates under core's names: default is ``*``, default@10 is ``*@10``."""
    rates = {}
    for name, value in per_symbol.items():
        symbol, *hour = name.split("@")
        rates["@".join([WILDCARD if symbol == "default" else symbol, *hour])] = value
    return rates


def risk(settings: Settings) -> Risk:
    """Return the limits of the portfolio."""
    limits = settings.trading.risk
    return Risk(
        lookback_sessions=limits.lookback_sessions,
        max_positions=limits.position_limit,
        max_daily_volatility=limits.volatility_halt,
        max_drawdown=limits.drawdown_stop,
    )


def terms(settings: Settings) -> Terms:
    """Return how forecasters are compared."""
    asked = settings.calibration.evaluation
    return Terms(
        champion=settings.forecast.champion,
        draws=asked.bootstrap_draws,
        cluster_days=asked.block_days,
        price_per_call=settings.forecast.api_budget.price_per_call,
    )


def ladder_terms(settings: Settings) -> LadderTerms:
    """Return how rungs of the model ladder are judged."""
    return LadderTerms(
        control_settings=core_inputs.ladder_control(settings).settings,
        account=account(settings),
        dm_p_lt=settings.gates.ladder.dm_p_lt,
    )


def rollout_triggers(settings: Settings) -> Asked:
    """Return how bad something must be to send a challenger back to shadow."""
    asked = settings.rollout
    return Asked(gate_failures=asked.gate_failures, anomaly_sigma=asked.anomaly_sigma, sessions=asked.min_days)


def rollout_shares(settings: Settings) -> Mapping[str, int]:
    """Return phase -> percentage of the symbols that trade the challenger in it."""
    return phases.shares_of(settings.rollout.shares.canary, settings.rollout.shares.ramp)


def account(settings: Settings) -> Account:
    """Return what returns are measured against."""
    return Account(
        capital=settings.trading.capital,
        symbols=settings.universe.tickers,
        annualization_days=settings.backtest.annualization_days,
    )


def sampling(settings: Settings) -> Sampling:
    """Return how samples of days are drawn."""
    asked = settings.calibration.evaluation
    return Sampling(draws=asked.bootstrap_draws, cluster_days=asked.block_days)


def trading_grid(settings: Settings) -> Grid:
    """Return the chosen grid around the rules as they stand."""
    return named_grid(settings, settings.trading_grid.grid)


def named_grid(settings: Settings, name: str) -> Grid:
    """Return a grid around the rules as they stand."""
    asked = settings.trading_grid
    return Grid(
        name=name,
        dimensions=asked.grids[name].dimensions,
        base=trading_spec(settings),
        stored={"history_days": settings.forecast.history_days, "horizon_min": settings.forecast.horizon_min},
        filters=filters(settings),
        own_sigma=settings.trading.sigma_column is None,
        max_combinations=asked.max_combinations,
    )


def scoring(settings: Settings) -> Scoring:
    """Return what a sweep's figures are measured against."""
    return Scoring(
        account=account(settings),
        multipliers=settings.backtest.cost_multipliers,
        plateau_share=settings.trading_grid.plateau_share,
    )


def oos_multipliers(settings: Settings) -> tuple[float, ...]:
    """Return the cost multipliers at which out-of-sample figures are needed: plain and promotion's."""
    return tuple(sorted({1.0, settings.gates.promotion.sharpe_cost_multiplier}))


def traded_with(settings: Settings) -> str:
    """Return rules, costs, limits and account as JSON: what a backtest's record says it was traded with."""
    chosen = filters(settings)
    parts = {
        "trading": asdict(trading_spec(settings)),
        "filters": asdict(chosen) if chosen else None,
        "risk": asdict(risk(settings)),
        "account": asdict(account(settings)),
    }
    return json.dumps(parts, sort_keys=True, default=str)


def judged(settings: Settings) -> Counted:
    """Return which rows monthly gates judge."""
    return Counted(run_sources=settings.gates.include_sources, data_regimes=settings.gates.include_regimes)


def contract(settings: Settings) -> Contract:
    """Return what must be the same on every live session, as it is now, and how the champion must be asked."""
    spec = core_inputs.feature_spec(settings, core_inputs.event_calendar(settings))
    _, backend, model, _ = next(core_inputs.makers(settings))
    values = (FEATURE_PAYLOAD_SCHEMA_VERSION, spec.feature_version, spec.features_hash, model)
    return Contract(
        backend=backend,
        asked_backend=settings.gates.contract.backend,
        holds=dict(zip(FIELDS, (*values, core_inputs.champion_version(settings)), strict=True)),
    )


def eligibility(settings: Settings) -> Eligibility:
    """Return what a symbol must show before it is traded."""
    gates, asked = settings.gates, settings.gates.trade_eligibility
    return Eligibility(
        lookback_sessions=gates.symbol_lookback_sessions,
        min_forecasts=gates.symbol_min_forecasts,
        rmae_lt=asked.rmae_lt,
        rrmse_lt=asked.rrmse_lt,
        coverage_tol=asked.coverage_tol,
        bootstrap=gates.bootstrap,
        sampling=sampling(settings),
    )


def forecast_gate(settings: Settings) -> ForecastGate:
    """Return what each symbol's forecasts must show in a month."""
    gates, asked = settings.gates, settings.gates.forecast_gates
    return ForecastGate(
        min_forecasts=gates.min_forecasts,
        rmae_lt=asked.rmae_lt,
        rrmse_lt=asked.rrmse_lt,
        coverage_tol=asked.coverage_tol,
        width_spearman_gt=asked.width_spearman_gt,
    )


def trading_gate(settings: Settings) -> TradingGate:
    """Return what the account must show in a month."""
    gates, asked = settings.gates, settings.gates.trading_gates
    return TradingGate(
        min_observation_days=gates.min_observation_days,
        oos_sharpe_gte=asked.oos_sharpe_gte,
        hit_rate_gte=asked.hit_rate_gte,
        stress_multiplier=asked.pnl_cost_multiplier,
        stressed_pnl_gte=asked.pnl_at_1p5x_costs_gte,
    )


def forecast_promotion(settings: Settings) -> forecast.Promotion:
    """Return what a promotion asks of forecasts."""
    asked = settings.gates.promotion
    return forecast.Promotion(pit_dev_max=asked.pit_dev_max, rmae_max=asked.rmae_lte, dm_p_lt=asked.dm_p_lt)


def trading_promotion(settings: Settings) -> trading.Promotion:
    """Return what a promotion asks of the account."""
    asked = settings.gates.promotion
    return trading.Promotion(
        oos_sharpe_gte=asked.sharpe_gte,
        sharpe_cost_multiplier=asked.sharpe_cost_multiplier,
        stressed_pnl_gt=asked.pnl_gt,
        pnl_cost_multiplier=asked.pnl_cost_multiplier,
    )


def hard_metrics(settings: Settings) -> HardMetrics:
    """Return what nothing is promoted without."""
    asked = settings.gates.hard_metrics
    return HardMetrics(
        min_completed_runs=asked.min_completed_runs,
        min_observation_days=asked.min_observation_days,
        sharpe_daily_gte=asked.sharpe_daily_gte,
        max_drawdown_lte=asked.max_drawdown_lte,
        reject_rate_lte=asked.reject_rate_lte,
    )


def luck(settings: Settings) -> Luck:
    """Return what a promotion asks of figures that may be the best of many."""
    gates, asked = settings.gates, settings.gates.luck
    return Luck(
        min_observation_days=gates.min_observation_days,
        oos_start=gates.oos_start,
        dsr_gte=asked.dsr_gte,
        pbo_lte=asked.pbo_lte,
        pbo_blocks=asked.pbo_blocks,
        track_record_confidence=asked.track_record_confidence,
        trials_in_oos_lte=asked.trials_in_oos_lte,
    )


def ladder(settings: Settings) -> Ladder:
    """Return what a promotion asks of a rung of the model ladder."""
    asked = settings.gates.ladder
    return Ladder(
        pinball_ratio_lt=asked.pinball_ratio_lt,
        dm_p_lt=asked.dm_p_lt,
        validation_sessions=settings.models.validation_sessions,
        min_sessions=asked.min_sessions,
    )
