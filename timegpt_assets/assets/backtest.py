"""Backtest: each symbol's trades on its own, the day's book, what the portfolio's limits admitted, and the funnel."""

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from timegpt_assets.adapters.market.daily_files import DailyFiles
from timegpt_assets.adapters.storage.parquet_files import Facts
from timegpt_assets.adapters.storage.parquet_store import Partitions
from timegpt_assets.adapters.storage.promotion_record import PromotionRecord
from timegpt_assets.adapters.storage.rollout_record import RolloutRecord
from timegpt_assets.assets import logged, previews
from timegpt_assets.assets.declare import SHARES, declared, in_chunks, note_rows, stored_in, with_own
from timegpt_assets.config import strategy_inputs
from timegpt_assets.core import calendar
from timegpt_assets.core.backtest import books, engines, liquidity, signals
from timegpt_assets.core.backtest import portfolio as limits
from timegpt_assets.core.backtest.funnel import funnel as fates
from timegpt_assets.core.backtest.signals import Inputs
from timegpt_assets.core.backtest.whitelist import whitelist
from timegpt_assets.core.rollout import phases
from timegpt_assets.core.tables.backtest import BOOK, FUNNEL, PORTFOLIO, TRADES
from timegpt_assets.partitions import GraphContext, by_day, day_window, days_of, own_symbol_window

LIQUIDITY = ("volume_norm_5m", "range_pct")
"""Features that the percentile filters look at."""
PRINTS = ("day", "symbol", "ts", "close", "volume")
"""Columns of bars that a forecast is judged by before it is a signal."""
TRADING = (
    "trading.rule_set",
    "trading.sigma_column",
    "trading.k_sigma",
    "trading.s_stop",
    "trading.s_take",
    "trading.s_trail",
    "trading.horizons_min",
    "trading.cap_per_trade",
    "trading.daily_trade_cap",
    "trading.max_open_per_symbol",
    "trading.cooldown_bars",
    "trading.exit_at_forecast_ts",
    "trading.time_stop_et",
    "trading.early_close_margin_min",
    "trading.require_positive_ev",
    "trading.ev_lambda",
    "trading.max_width_sigma",
    "trading.fees_bps",
    "trading.half_spread_ticks",
    "trading.tick_size",
    "trading.slippage_ticks",
    "trading.slippage_bps",
    "trading.borrow_bps",
    "trading.impact",
    "trading.capital",
    "trading.skip_events",
    "trading.filters",
    "backtest.entry_lag_bars",
    "backtest.participation",
    "gates.bootstrap",
    "events.no_trade_buffer_min",
    "events.dates",
    "events.times",
    "events.calendar_names",
)
"""Settings that decide trades, here and in a sweep."""


def trades(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of each symbol's trades, limits of the portfolio aside."""
    spec, filters = strategy_inputs.trading_spec(graph.settings), strategy_inputs.filters(graph.settings)
    lookback = filters.lookback_sessions if filters else 0
    read = ("day", "symbol", "known_at", *(LIQUIDITY if filters else ()), spec.sigma_column)

    @declared(
        TRADES,
        group="backtest",
        partitions=graph.grid.day_symbol,
        settings=TRADING,
        ins={
            "forecasts": stored_in("calibration", name="forecasts"),
            "bars": stored_in("bars", name="bars"),
            "symbol_gates": stored_in("gates", name="symbol_gates"),
            "features": stored_in(
                "features",
                own_symbol_window(-lookback, 0),
                name="features",
                missing="ok",
                columns=read,
            ),
        },
    )
    def trades(
        context: dg.AssetExecutionContext,
        forecasts: pl.DataFrame,
        bars: pl.DataFrame,
        symbol_gates: pl.DataFrame,
        features: Partitions,
        daily_files: dg.ResourceParam[DailyFiles],
    ) -> pl.DataFrame:
        """What became of each signal on calibrated forecasts: a trade after costs, or why there was none."""
        past, events = with_own(context, features, "features/features"), daily_files.calendar
        engine = engines.of_trades(forecasts.height)

        def of(days: Sequence[date]) -> pl.DataFrame:
            today = pl.col("day").is_in(days)
            window = past.filter(pl.col("day").is_between(calendar.shifted(days[0], -lookback), days[-1]))
            asked = signals.measured_in(forecasts.filter(today), window, column=spec.sigma_column)
            judged = liquidity.verdicts(asked, window, filters=filters) if filters else None
            gates = symbol_gates.filter(today)
            inputs = Inputs(
                forecasts=asked, bars=bars.filter(today), symbol_gates=gates, events=events, liquidity=judged
            )
            return engines.trades(inputs, spec, engine)

        frame = pl.concat(map(of, in_chunks(days_of(context.partition_keys))))
        champion = graph.settings.forecast.champion
        drawn = previews.trades_of_days(context, frame, bars, rules=spec.rules, champion=champion)
        note_rows(context, frame, {"engine": dict.fromkeys(context.partition_keys, str(engine)), **drawn})
        return frame

    return trades


def book(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of every symbol's trades of the day."""

    @declared(
        BOOK,
        group="backtest",
        partitions=graph.grid.trading_day,
        settings=("forecast.backend",),
        ins={"trades": stored_in("backtest", by_day(), name="trades")},
    )
    def book(
        context: dg.AssetExecutionContext, trades: pl.DataFrame, rollouts: dg.ResourceParam[RolloutRecord]
    ) -> Partitions:
        """Every symbol's trades of the day, each in its forecaster's own book, and in ``live`` who is assigned to it.

        Without a rollout that is the champion. A record of rollouts that is damaged fails the day.
        """
        shares = phases.shares(rollouts.recorded(), days_of(context.partition_keys))
        frame = books.with_books(trades, champion=graph.settings.forecast.champion, shares=shares)
        note_rows(context, frame, {"rolled_out": {f"{day}": dict(of) for day, of in shares.items()}})
        # facts of the days with a rollout alone: months must know whose a day's live was that had no trade
        return Partitions(frame, {f"{day}": {SHARES: of} for day, of in shares.items()})

    return book


def portfolio(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of the day's trades as the portfolio's limits admit them."""
    risk, capital = strategy_inputs.risk(graph.settings), graph.settings.trading.capital
    symbols = graph.settings.universe.tickers

    @declared(
        PORTFOLIO,
        group="backtest",
        partitions=graph.grid.trading_day,
        settings=("trading.risk", "trading.capital", "universe.tickers"),
        ins={"book": stored_in("backtest", day_window(-risk.lookback_sessions), name="book", missing="ok")},
    )
    def portfolio(
        context: dg.AssetExecutionContext, book: Partitions, promotions: dg.ResourceParam[PromotionRecord]
    ) -> Partitions:
        """Which of the day's trades the limits admit, judged on the books of earlier sessions; P&L after costs."""
        days, sessions = days_of(context.partition_keys), days_of(book.facts)
        known, recorded = with_own(context, book, "backtest/book"), promotions.recorded()
        judged = partial(limits.portfolio, known, sessions=sessions, risk=risk, capital=capital, symbols=symbols)
        frame = pl.concat(
            # day by day: a range holds later books, too, and a day's limits look at earlier ones alone
            judged(day=day, live=whitelist(recorded, day=day))
            for day in days
        )
        admitted = frame.filter("admitted", book=books.LIVE).group_by("day").agg(pl.col("net_pnl").sum(), pl.len())
        net = {str(day): pnl for day, pnl, _ in admitted.iter_rows()}
        logged.traded(frame, days=days, run=context.run.run_id)
        note_rows(context, frame, {"net_pnl_usd": net, "admitted": {str(day): n for day, _, n in admitted.iter_rows()}})
        # a fact for each day: without trades there are no rows, and months must still know that it was judged
        return Partitions(frame, {f"{day}": {"complete": True} | _shares(book.facts[f"{day}"]) for day in days})

    return portfolio


def _shares(facts: Facts) -> dict[str, Any]:
    return {SHARES: facts[SHARES]} if SHARES in facts else {}


def funnel(graph: GraphContext) -> dg.AssetsDefinition:
    """Return the asset of what became of the day's forecasts on their way to a trade."""
    spec = strategy_inputs.trading_spec(graph.settings)

    @declared(
        FUNNEL,
        group="backtest",
        partitions=graph.grid.trading_day,
        settings=TRADING,
        ins={
            "forecasts": stored_in("calibration", by_day(), name="forecasts"),
            "bars": stored_in("bars", by_day(), name="bars", columns=PRINTS),
            "features": stored_in(
                "features", by_day(), name="features", columns=("day", "symbol", "known_at", spec.sigma_column)
            ),
            "portfolio": stored_in("backtest", name="portfolio"),
        },
    )
    def funnel(
        context: dg.AssetExecutionContext,
        forecasts: pl.DataFrame,
        bars: pl.DataFrame,
        features: pl.DataFrame,
        portfolio: pl.DataFrame,
    ) -> pl.DataFrame:
        """How many of the day's forecasts fell at which rule, per forecaster, and how many were traded."""
        measured = signals.measured_in(forecasts, features, column=spec.sigma_column)
        frame = fates(measured, bars, portfolio, spec)
        note_rows(context, frame)
        return frame

    return funnel
