"""Tables of the backtest: trades (a row per signal, entered or not), the book, the portfolio, the funnel."""

import polars as pl

from timegpt_assets.core.schema import TIME, Column, Table
from timegpt_assets.core.tables.columns import ADDS_UP, DAY, ORIGIN, ORIGIN_KEY, SYMBOL
from timegpt_assets.core.tables.columns import BOOK as WHOSE_BOOK
from timegpt_assets.core.tables.forecasts import FORECAST_KEY, SNAPSHOT_TIMES

_TRADE = (
    DAY
    | SYMBOL
    | {
        "snapshot_ts": SNAPSHOT_TIMES["snapshot_ts"],
        "target_ts": SNAPSHOT_TIMES["target_ts"],
        "entry_ts": Column(TIME, "start of the bar entered at its open"),
        "entry_price": Column(pl.Float64, "USD", nullable=True),
        "exit_ts": Column(TIME, "when the exit price is known: the end of the bar it was filled in", nullable=True),
        "exit_price": Column(pl.Float64, "USD", nullable=True),
        "side": Column(pl.Int64, "+1 long, -1 short"),
        "size": Column(pl.Float64, "share of trading.capital, 0..1"),
        "quantity": Column(pl.Float64, "shares, signed by side; 0 when not filled"),
        "gross_pnl": Column(pl.Float64, "USD before costs"),
        "fees": Column(pl.Float64, "USD, both legs"),
        "spread": Column(pl.Float64, "USD, half of it on both legs"),
        "slippage": Column(pl.Float64, "USD, both legs"),
        "impact": Column(pl.Float64, "USD, both legs"),
        "borrow": Column(pl.Float64, "USD, shorts alone"),
        "cost": Column(pl.Float64, "USD, the sum of these"),
        "net_pnl": Column(pl.Float64, "USD after costs"),
        "holding_min": Column(pl.Int64, "minutes from entry_ts to exit_ts", nullable=True),
        "mae": Column(pl.Float64, "furthest a price it met went against it, log return <= 0", nullable=True),
        "mfe": Column(pl.Float64, "furthest a price it met went its way, log return >= 0", nullable=True),
        "capacity": Column(
            pl.Float64, "USD that backtest.participation of a minute's volume holds, by the session until the snapshot"
        ),
        "ev": Column(pl.Float64, "expected value after costs, log return"),
        "sigma": Column(pl.Float64, "the feature sigma_column at the snapshot, scale of y"),
        "sigma_column": Column(pl.String, "volatility that size, stop and take were measured in"),
        "entry_reason": Column(pl.String, "rule set that entered, or why nothing was (docs/reference/rules.md)"),
        "exit_reason": Column(pl.String, "why it was left (docs/reference/rules.md); empty when not filled"),
        "eligibility": Column(pl.String, "verdict of symbol_gates on the symbol"),
        "liquidity": Column(
            pl.String,
            "snapshot beside earlier sessions: normal, thin, wide_range, liquidity_unknown; empty: filters off",
        ),
    }
    | ORIGIN
)

_PAID = pl.sum_horizontal("fees", "spread", "slippage", "impact", "borrow")
_RULES = ADDS_UP | {"cost_is_its_parts": (pl.col("cost") - _PAID).abs() < 0.005}

TRADES = Table(name="trades", columns=_TRADE, key=FORECAST_KEY, rules=_RULES)
BOOK = Table(name="book", columns=_TRADE | WHOSE_BOOK, key=("day", "symbol", "snapshot_ts", "book"), rules=_RULES)

PORTFOLIO = Table(
    name="portfolio",
    columns=_TRADE
    | WHOSE_BOOK
    | {
        "admitted": Column(pl.Boolean, "whether portfolio limits let the trade happen"),
        "refused_by": Column(
            pl.String, "limit that refused it, or entry_reason where nothing was entered; empty: admitted"
        ),
        "whitelisted": Column(
            pl.Boolean, "whether the symbol was live for the forecaster, by promotions recorded before the session"
        ),
    },
    key=BOOK.key,
    rules=_RULES,
)

FUNNEL = Table(
    name="funnel",
    columns=DAY
    | ORIGIN
    | {
        "fate": Column(pl.String, "traded, or the rule it fell at (docs/reference/rules.md)"),
        "n": Column(pl.Int64, "forecasts of the day that met it"),
    },
    key=("day", *ORIGIN_KEY, "fate"),
)
