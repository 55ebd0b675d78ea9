"""Tables of the research: what combinations of rule values earned on a day, and what their days come to."""

import polars as pl

from timegpt_assets.core.schema import Column, Table
from timegpt_assets.core.tables.columns import ADDS_UP, DAY, MONTH, ORIGIN, ORIGIN_KEY

_COMBINATION = {
    "combination": Column(pl.String, "digest of all that decides its trades but bars and forecasts"),
    "rules": Column(pl.String, "the values the grid chose, JSON by name of the rule"),
}
_MONEY = {
    "gross_pnl": Column(pl.Float64, "USD before costs"),
    "cost": Column(pl.Float64, "USD"),
    "net_pnl": Column(pl.Float64, "USD after costs"),
}

GRID_DAYS = Table(
    name="grid_days",
    columns=DAY
    | _COMBINATION
    | ORIGIN
    | {
        "trades": Column(pl.Int64, "entries that were filled; limits of the portfolio are not asked"),
        "hits": Column(pl.Int64, "trades that earned more than their costs"),
        "notional": Column(pl.Float64, "USD entered and left with"),
    }
    | _MONEY,
    key=("day", "combination", "forecaster"),
    rules=ADDS_UP,
)
"""A row for each day a forecaster was asked, of zeros where nothing was traded."""

SCORES = (
    _COMBINATION
    | {"seed": Column(pl.Int64, "what anything random about the combination is drawn with: MD5 of its name")}
    | ORIGIN
    | {
        "cost_multiplier": Column(pl.Float64, "what each cost was multiplied with"),
        "rank": Column(pl.Int64, "by sharpe_daily, then name: 1 is best; of its origin and cost_multiplier"),
        "plateau": Column(pl.Boolean, "sharpe_daily at least trading_grid.plateau_share of the best, that above 0"),
        "duplicate_payload": Column(pl.String, "first combination whose every day is the same; null: none", True),
        "first_day": Column(pl.Date, "first session counted"),
        "last_day": Column(pl.Date, "last session counted"),
        "observation_days": Column(pl.Int64, "sessions counted, those without a trade too"),
        "trades": Column(pl.Int64, "entries that were filled"),
        "hit_rate": Column(pl.Float64, "share of trades above their costs; null: none, or other costs", True),
    }
    | _MONEY
    | {
        "turnover": Column(pl.Float64, "USD entered and left with / capital / observation_days"),
        "sharpe_daily": Column(pl.Float64, "daily Sharpe ratio, annualised; null without variance", True),
        "sharpe_daily_low": Column(pl.Float64, "lower end of its 95 % interval, as if nothing else were tried", True),
        "sharpe_daily_high": Column(pl.Float64, "upper end of its 95 % interval, as if nothing else were tried", True),
        "sharpe_method": Column(pl.String, "how the ratio is made"),
        "vol_floor_applied": Column(pl.Boolean, "there was no variance, and the ratio is null"),
        "max_drawdown": Column(pl.Float64, "deepest fall of the cumulated return from its peak"),
        "drawdown_days": Column(pl.Int64, "most sessions in a row below a peak before, one not yet regained too"),
    }
)
"""What the days of a combination come to; a sweep's csv files hold these columns."""

TRADING_GRID = Table(
    name="trading_grid",
    columns=MONTH | SCORES,
    key=("month", "combination", *ORIGIN_KEY, "cost_multiplier"),
    rules=ADDS_UP,
)
"""The best of many looks better than it is: how many were ever tried is kept beside it."""

_WORTH = {
    "value": Column(pl.Float64, "the objective: net_return less the weighted penalties (search.penalties)"),
    "combination": Column(pl.String, "the inner combination that makes it so"),
    "rules": Column(pl.String, "the values that were chosen and swept, JSON by name of the rule"),
}

SEARCH_TRIALS = Table(
    name="search_trials",
    columns=MONTH
    | {
        "study": Column(pl.String, "name of the study; the same name, the same trials"),
        "stage": Column(pl.String, "coarse or refine"),
    }
    | ORIGIN
    | {
        "first_day": Column(pl.Date, "first session swept"),
        "last_day": Column(pl.Date, "last session swept"),
        "observation_days": Column(pl.Int64, "sessions swept, those without a trade too"),
        "number": Column(pl.Int64, "which trial, from 0"),
        "seed": Column(pl.Int64, "what the sampler drew it with: MD5 of study and number"),
        "state": Column(pl.String, "complete, or pruned: given up before its last step"),
        "outer": Column(pl.String, "the values that were chosen, JSON by name of the rule"),
        "steps": Column(pl.List(pl.Float64), "value on the sessions up to the end of each step"),
        "tried": Column(pl.Int64, "inner combinations swept under it"),
        "duplicate_of": Column(pl.Int64, "earlier trial that chose the same; null: none", True),
    }
    | _WORTH
    | {
        "trades": Column(pl.Int64, "entries that were filled; limits of the portfolio are not asked"),
        "net_return": Column(pl.Float64, "P&L after costs / total capital"),
        "max_drawdown": Column(pl.Float64, "deepest fall of the cumulated return from its peak"),
        "turnover": Column(pl.Float64, "USD entered and left with / total capital / observation_days"),
        "finalist": Column(pl.Int64, "place among those that go on to the next stage, from 1; null: not one", True),
        "limited_value": Column(pl.Float64, "a finalist's value within the portfolio's limits; null: not asked", True),
        "reject_rate": Column(pl.Float64, "of it: signals refused by limits / signals; null: none, or not asked", True),
    },
    key=("month", "stage", "number"),
)
"""A trial's value asks no limits, so its reject term is 0; a finalist of refine is asked with them besides."""

SEARCH_CANDIDATES = Table(
    name="search_candidates",
    columns=MONTH
    | ORIGIN
    | {
        "oos_start": Column(pl.Date, "sessions after it are out of sample"),
        "first_day": Column(pl.Date, "first session asked in prod; null: none was", True),
        "last_day": Column(pl.Date, "last session asked in prod; null: none was", True),
        "observation_days": Column(pl.Int64, "sessions on which it was asked in prod"),
    }
    | _WORTH
    | {
        "chosen_value": Column(pl.Float64, "its value within limits on the sessions it was chosen on"),
        "trades": Column(pl.Int64, "admitted entries"),
        "signals": Column(pl.Int64, "signals that came to the market"),
        "reject_rate": Column(pl.Float64, "signals refused by limits / signals; null without a signal", True),
        "net_pnl": Column(pl.Float64, "USD after costs"),
        "max_drawdown": Column(pl.Float64, "deepest fall of the cumulated return from its peak"),
        "turnover": Column(pl.Float64, "USD entered and left with / total capital / observation_days"),
        "sharpe_daily": Column(pl.Float64, "daily Sharpe ratio, annualised; null without variance", True),
        "sharpe_daily_low": Column(pl.Float64, "lower end of its 95 % interval, as if nothing else were tried", True),
        "sharpe_daily_high": Column(pl.Float64, "upper end of its 95 % interval, as if nothing else were tried", True),
        "verdict": Column(pl.String, "candidate, refused or insufficient_observation"),
        "rank": Column(pl.Int64, "by value among the candidates, 1 is best; null: not one", True),
    },
    key=("month", "combination"),
)
"""What a search found, judged on sessions it has not seen, rows asked in prod alone: candidates may be promoted."""
