"""Sections about trading and its verdicts: rules, costs, risk, the backtest and the gates.

Belongs here: trading, backtest, gates. What each key means stands in configs/<section>.yaml.
"""

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field

from timegpt_assets.config.base import (
    Count,
    CountOrZero,
    EventNames,
    NotNegative,
    PerSymbol,
    Positive,
    RuleSet,
    Section,
    Share,
    SigmaColumn,
)
from timegpt_assets.core.backtest.rules import OWN_SIGMA

RunSource = Literal["prod", "maintenance", "smoke", "async_test"]
Regime = Literal["prod_live", "maintenance_replay"]
Multiples = Annotated[tuple[Positive, ...], Field(min_length=1)]
Horizons = Annotated[tuple[Count, ...], Field(min_length=2, max_length=2)]
"""Shortest and longest, in minutes."""
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]


class Filters(Section):
    """Abnormal liquidity: minutes in which nothing is entered."""

    enabled: bool
    min_volume_percentile: Share
    max_range_percentile: Share
    lookback_sessions: Count
    min_session_share: Share
    unjudged: Literal["trade", "block"]


class Risk(Section):
    """Limits of the portfolio, walk-forward."""

    lookback_sessions: Count
    position_limit: Count | None
    volatility_halt: Positive | None
    drawdown_stop: Positive | None


class Trading(Section):
    """When to enter, how much, when to leave, what it costs."""

    capital: Positive
    rule_set: RuleSet
    sigma_column: SigmaColumn | None
    k_sigma: NotNegative
    s_stop: Positive = Field(validation_alias=AliasChoices("s_stop", "c_stop"))
    s_take: Positive = Field(validation_alias=AliasChoices("s_take", "c_take"))
    s_trail: Positive | None
    horizons_min: Mapping[str, Horizons]
    cap_per_trade: Annotated[float, Field(gt=0, le=1)]
    daily_trade_cap: Count | None
    max_open_per_symbol: Count
    cooldown_bars: CountOrZero
    exit_at_forecast_ts: bool
    time_stop_et: time = Field(validation_alias=AliasChoices("time_stop_et", "time_stop"))
    early_close_margin_min: CountOrZero
    require_positive_ev: bool
    ev_lambda: NotNegative
    max_width_sigma: Positive | None
    fees_bps: PerSymbol = Field(validation_alias=AliasChoices("fees_bps", "fee_bps"))
    half_spread_ticks: PerSymbol
    tick_size: Positive
    slippage_ticks: PerSymbol
    slippage_bps: PerSymbol
    borrow_bps: PerSymbol
    impact: NotNegative
    skip_events: EventNames
    filters: Filters
    risk: Risk

    @property
    def sigma(self) -> str:
        """Return the volatility that is traded in: the one named, or the rule set's own."""
        return self.sigma_column or OWN_SIGMA[self.rule_set]


class Backtest(Section):
    """How trades are simulated and annualised."""

    entry_lag_bars: Count
    cost_multipliers: Multiples
    participation: Annotated[float, Field(gt=0, le=1)]
    annualization_days: Count


class TradeEligibility(Section):
    """What a symbol must have shown before it may trade."""

    rmae_lt: Positive
    rrmse_lt: Positive
    coverage_tol: Share


class ForecastGates(Section):
    """What the month's forecasts must show."""

    rmae_lt: Positive
    rrmse_lt: Positive
    coverage_tol: Share
    width_spearman_gt: Annotated[float, Field(ge=-1, lt=1)]


class TradingGates(Section):
    """What the month's portfolio must show."""

    oos_sharpe_gte: float
    hit_rate_gte: Share
    pnl_at_1p5x_costs_gte: float
    pnl_cost_multiplier: Positive


class Promotion(Section):
    """What a promotion asks beyond the gates."""

    rmae_lte: Positive
    pit_dev_max: Annotated[float, Field(ge=0, le=0.5)]
    sharpe_gte: float
    sharpe_cost_multiplier: Positive
    pnl_gt: float
    pnl_cost_multiplier: Positive
    dm_p_lt: Annotated[float, Field(gt=0, lt=1)]


class ContractAsked(Section):
    """Under what live forecasts must have been asked."""

    backend: Literal["nixtla", "baseline"] | None


class HardMetrics(Section):
    """Least observation and worst risk of anything promoted."""

    min_completed_runs: Count
    min_observation_days: Count
    sharpe_daily_gte: float
    max_drawdown_lte: NotNegative
    reject_rate_lte: Share


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("an even number")
    return value


class Luck(Section):
    """What a promotion asks of figures that may be the best of many."""

    dsr_gte: Share
    pbo_lte: Share
    pbo_blocks: Annotated[int, Field(ge=2, le=20), AfterValidator(_even)]
    track_record_confidence: Annotated[float, Field(gt=0.5, lt=1)]
    trials_in_oos_lte: CountOrZero


class Ladder(Section):
    """What a promotion asks of a rung of the model ladder."""

    pinball_ratio_lt: Positive
    dm_p_lt: Annotated[float, Field(gt=0, lt=1)]
    min_sessions: Count


class Gates(Section):
    """Windows, samples and thresholds of every verdict."""

    symbol_lookback_sessions: Count
    symbol_min_forecasts: Count
    bootstrap: Literal["trade", "block"]
    lookback_sessions: Count
    min_forecasts: Count
    min_observation_days: Count
    oos_start: date | None
    include_sources: Annotated[tuple[RunSource, ...], Field(min_length=1)]
    include_regimes: Annotated[tuple[Regime, ...], Field(min_length=1)]
    trade_eligibility: TradeEligibility
    forecast_gates: ForecastGates
    trading_gates: TradingGates
    promotion: Promotion
    hard_metrics: HardMetrics
    luck: Luck
    ladder: Ladder
    contract: ContractAsked
