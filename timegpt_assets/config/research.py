"""Sections about research: which rule values are tried against each other on stored forecasts.

Belongs here: trading_grid, search. What each key means stands in configs/<section>.yaml.
"""

from collections.abc import Mapping
from datetime import date, time
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AliasChoices, Field

from timegpt_assets.config.base import (
    PLACE,
    Count,
    CountOrZero,
    Name,
    NotNegative,
    Positive,
    RuleSet,
    Section,
    Share,
    SigmaColumn,
)


def _values(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values or len(set(values)) != len(values):
        raise ValueError("a list of at least one value, each once")
    return values


Value = TypeVar("Value")
Tried = Annotated[tuple[Value, ...], AfterValidator(_values)]
"""The values that are tried of a rule."""


class Grid(Section):
    """The values tried of each rule; a rule that is not named stays as it is."""

    history_days: Tried[Count] = ()
    horizon_min: Tried[Count] = ()
    rule_set: Tried[RuleSet] = ()
    sigma_column: Tried[SigmaColumn | None] = ()
    k_sigma: Tried[NotNegative] = ()
    s_stop: Tried[Positive] = Field(default=(), validation_alias=AliasChoices("s_stop", "c_stop"))
    s_take: Tried[Positive] = Field(default=(), validation_alias=AliasChoices("s_take", "c_take"))
    s_trail: Tried[Positive | None] = ()
    cap_per_trade: Tried[Annotated[float, Field(gt=0, le=1)]] = ()
    daily_trade_cap: Tried[Count | None] = ()
    max_open_per_symbol: Tried[Count] = ()
    cooldown_bars: Tried[CountOrZero] = ()
    exit_at_forecast_ts: Tried[bool] = ()
    time_stop_et: Tried[time] = Field(default=(), validation_alias=AliasChoices("time_stop_et", "time_stop"))
    early_close_margin_min: Tried[CountOrZero] = ()
    require_positive_ev: Tried[bool] = ()
    ev_lambda: Tried[NotNegative] = ()
    max_width_sigma: Tried[Positive | None] = ()
    entry_lag_bars: Tried[Count] = ()

    @property
    def dimensions(self) -> Mapping[str, tuple[Any, ...]]:
        """Return the rules that are tried with their values, in the order of the fields."""
        return {name: values for name in Grid.model_fields if (values := getattr(self, name))}


class TradingGrid(Section):
    """Named grids, which of them is swept, and how far a sweep goes."""

    grid: Name
    grids: Mapping[str, Grid]
    plateau_share: Annotated[Share, Field(gt=0)]
    max_combinations: Annotated[Count, PLACE]


class Penalties(Section):
    """What the objective takes off."""

    max_drawdown: NotNegative
    reject_rate: NotNegative
    turnover: NotNegative


class Sampler(Section):
    """What Optuna's TPE is told."""

    startup_trials: Count


class Pruner(Section):
    """What Optuna's MedianPruner is told."""

    steps: Count
    startup_trials: CountOrZero
    warmup_steps: CountOrZero


class Coarse(Section):
    """The first stage: few symbols, few sessions."""

    sessions: Count
    until: date | None
    symbols: Count | None
    trials: Count


class Refine(Section):
    """The second stage: every symbol, more sessions, the first one's best before others."""

    sessions: Count
    until: date | None
    trials: Count
    carried: CountOrZero


class Confirm(Section):
    """The third stage: the second one's best on sessions that no search has seen."""

    sessions: Count


class SearchStages(Section):
    """The stages of a search."""

    coarse: Coarse
    refine: Refine
    confirm: Confirm


class Search(Section):
    """What a search moves, sweeps and weighs, on which sessions, and where its studies are kept."""

    study: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
    forecaster: Name | None
    outer: Name
    inner: Name
    value: Literal["best", "plateau"]
    penalties: Penalties
    sampler: Sampler
    pruner: Pruner
    batch: Count
    stages: SearchStages
    finalists: Count
    workers: Annotated[Count | None, PLACE]
    storage: Annotated[Literal["journal", "postgresql"], PLACE]
    folder: Annotated[str, PLACE]
