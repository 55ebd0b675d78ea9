"""Research: what other values of the trading rules would have made of the same stored forecasts."""

import time
from collections.abc import Callable, Sequence
from itertools import islice

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.adapters.storage.trial_store import TrialStore
from timegpt_assets.assets import logged
from timegpt_assets.assets.backtest import LIQUIDITY, TRADING
from timegpt_assets.assets.declare import LOOKBACK, Span, declared, note_rows, stored_in, trailing, with_own
from timegpt_assets.assets.evaluation import drawn_months
from timegpt_assets.assets.trading_scores import ACCOUNT
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core.backtest import engines
from timegpt_assets.core.research import trading_grid as grids
from timegpt_assets.core.research.scoreboard import scoreboard
from timegpt_assets.core.research.trading_grid import Combination, Grid, Pace
from timegpt_assets.core.tables.research import GRID_DAYS, TRADING_GRID
from timegpt_assets.partitions import GraphContext, by_day, day_window, days_of

GRID = ("trading_grid.grid", "trading_grid.grids.{grid}", "forecast.history_days", "forecast.horizon_min")
"""Settings that say which combinations there are, and of which forecasts."""
SAMPLE = 16
"""Combinations that a sweep's time is told from."""


def grid_days(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what each combination of the grid earned on the day."""
    grid = strategy_inputs.trading_grid(graph.settings)
    lookback = grid.filters.lookback_sessions if grid.filters else 0
    read = ("day", "symbol", "known_at", *(LIQUIDITY if grid.filters else ()), *grid.columns())

    @declared(
        GRID_DAYS,
        group="research",
        partitions=graph.grid.trading_day,
        settings=(*GRID, *TRADING),
        ins={
            "forecasts": stored_in("calibration", by_day(), name="forecasts"),
            "bars": stored_in("bars", by_day(), name="bars"),
            "symbol_gates": stored_in("gates", by_day(), name="symbol_gates"),
            "panel": stored_in("features", day_window(-lookback), name="panel", missing="ok", columns=read),
        },
    )
    def grid_days(
        context: dg.AssetExecutionContext,
        forecasts: pl.DataFrame,
        bars: pl.DataFrame,
        symbol_gates: pl.DataFrame,
        panel: Partitions,
        daily_files: dg.ResourceParam[DailyFiles],
        trials: dg.ResourceParam[TrialStore],
    ) -> Partitions:
        """What every combination of the grid would have made of the day's stored forecasts; nobody is asked."""
        past, days = with_own(context, panel, "features/panel"), days_of(context.partition_keys)
        asked = under(grid, forecasts)

        def made(some: Sequence[Combination]) -> pl.DataFrame:
            return grids.grid_days(grid, some, asked, bars, symbol_gates, past, events=daily_files.calendar)

        if grid.too_large:
            raise grids.too_large(grid, pace(grid, made))
        combinations = list(grid.combinations())
        names, whose = [one.name for one in combinations], forecasts["forecaster"].unique()
        # before anything is seen: who looks at results that are then lost has tried all the same
        trials.record(days[0], days[-1], dict.fromkeys(whose, names))
        frame, keys = made(combinations), context.partition_keys
        facts = {"combinations": len(names), "engine": str(engines.of_sweep())}
        note_rows(context, frame, {name: dict.fromkeys(keys, fact) for name, fact in facts.items()})
        logged.swept(len(names), days=days, engine=str(engines.of_sweep()), run=context.run.run_id)
        return Partitions(frame, {key: {"complete": True} for key in keys})

    return grid_days


def trading_grid(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the ranking of the grid's combinations; its picture is their plateau."""
    scoring, lookback = strategy_inputs.scoring(graph.settings), graph.settings.gates.lookback_sessions
    grid = strategy_inputs.trading_grid(graph.settings)

    @declared(
        TRADING_GRID,
        group="research",
        partitions=graph.grid.month,
        settings=(*GRID, *TRADING, LOOKBACK, *ACCOUNT, "backtest.cost_multipliers", "trading_grid.plateau_share"),
        ins={"grid_days": trailing(graph, "research", "grid_days")},
    )
    def trading_grid(context: dg.AssetExecutionContext, grid_days: Partitions) -> pl.DataFrame:
        """The grid's combinations, best daily Sharpe ratio first, over the sessions up to the month's end."""
        # earlier sessions may have been swept with another grid
        names = [one.name for one in islice(grid.combinations(), grid.max_combinations)]
        own = grid_days.frame.filter(pl.col("combination").is_in(names))

        def measured(span: Span) -> pl.DataFrame:
            scores = scoreboard(own, sessions=span.sessions[-lookback:], scoring=scoring)
            return TRADING_GRID.conformed(scores.with_columns(month=pl.lit(span.month), as_of=pl.lit(span.as_of)))

        return drawn_months(graph, context, TRADING_GRID, grid_days, measured)

    return trading_grid


def under(grid: Grid, forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return the stored forecasts with the history they were asked with: that of the settings they are stored under."""
    return forecasts.with_columns(history_days=pl.lit(grid.stored["history_days"], pl.Int64))


def pace(grid: Grid, made: Callable[[Sequence[Combination]], object]) -> Pace:
    """Return how long combinations take, measured on a few: on what is stored, by this machine's engine."""
    some = list(islice(grid.combinations(), SAMPLE))
    made(some[:1])  # a compiled engine is compiled first
    one, all_of_them = _took(made, some[:1]), _took(made, some)
    each = max(0.0, all_of_them - one) / (len(some) - 1) if len(some) > 1 else one
    return Pace(shared=max(0.0, one - each), each=each)


def _took(made: Callable[[Sequence[Combination]], object], some: Sequence[Combination]) -> float:
    began = time.perf_counter()
    made(some)
    return time.perf_counter() - began
