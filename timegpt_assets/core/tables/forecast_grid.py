"""What a forecast grid's csv files hold: its plan, and the scoreboard of the combinations that are made."""

import polars as pl

from timegpt_assets.core.schema import Column
from timegpt_assets.core.tables.columns import ORIGIN

BOARD = (
    {
        "rank": Column(
            pl.Int64, "gate-passing first, then by the composite, losses by sharpe_daily; null: no score", True
        ),
        "combination": Column(pl.String, "digest of every setting that shapes its numbers"),
        "words": Column(pl.String, "the values the grid chose"),
        "status": Column(pl.String, "scored, not_tradeable (label_aligned false), no_sharpe (no trade, no variance)"),
        "composite": Column(pl.Float64, "sharpe_daily x (1 - pit_deviation)", True),
        "gates_passed": Column(pl.Boolean, "every criterion of forecast_gate and trading_gate holds"),
        "gates_failed": Column(pl.String, "those that do not"),
    }
    | ORIGIN
    | {
        "n": Column(pl.Int64, "forecasts with an outcome, all symbols"),
        "rmae": Column(pl.Float64, "mae / mae of persistence", True),
        "pinball": Column(pl.Float64, "mean pinball loss", True),
        "pit_coverage": Column(pl.Float64, "share of y inside [q25, q75]", True),
        "pit_deviation": Column(pl.Float64, "|pit_coverage - 0.5|", True),
        "observation_days": Column(pl.Int64, "sessions counted, those without a trade too", True),
        "trades": Column(pl.Int64, "admitted trades of the forecaster's own book", True),
        "hit_rate": Column(pl.Float64, "share of them above their costs", True),
        "net_pnl": Column(pl.Float64, "USD after costs", True),
        "sharpe_daily": Column(pl.Float64, "daily Sharpe ratio, annualised; null without variance", True),
        "max_drawdown": Column(pl.Float64, "deepest fall of the cumulated return from its peak", True),
        "duplicate_payload": Column(
            pl.String, "first combination of the very same forecasts and trades; null: none", True
        ),
        "seed": Column(pl.Int64, "what anything random about the combination is drawn with: MD5 of its name"),
    }
)
"""The scoreboard of a forecast grid, scoreboard.csv."""

FORECAST_PLAN = {
    "place": Column(pl.Int64, "place in the plan: in this order they are asked for"),
    "combination": BOARD["combination"],
    "seed": BOARD["seed"],
    "words": BOARD["words"],
    "state": Column(pl.String, "planned, made, waiting (for the call budget), missing (from the cache), failed"),
    "why": Column(pl.String, "of what is not made"),
    "duplicate_of": Column(pl.String, "it shapes the same numbers as that one, and is made once; null: none", True),
    "tradeable": Column(pl.Boolean, "the label spans the horizon; else scored and never traded"),
    "snapshots": Column(pl.Int64, "moments at which is asked"),
    "requests": Column(pl.Int64, "requests that answer them"),
    "requests_cached": Column(pl.Int64, "of these paid for already"),
    "requests_shared": Column(pl.Int64, "of these asked by an earlier combination of the plan, and not paid twice"),
    "shares_with": Column(pl.String, "that combination; null: none", True),
    "calls": Column(pl.Int64, "calls still to be paid, one for a model's parameters among them"),
    "money": Column(pl.Float64, "their price; null: forecast.api_budget.price_per_call is not set", True),
}
"""The plan of a forecast grid: plan.csv holds these columns, then the setting of each dimension and BOARD's figures."""
