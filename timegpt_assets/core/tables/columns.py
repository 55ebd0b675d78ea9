"""Columns that tables share: keys, clocks, marks of where a row comes from, quantiles and bands.

Belongs here: declarations only. ``day`` is the trading session (New York date), ``ts`` a bar's start, ``known_at``
when a row may first be used, ``snapshot_ts`` when a forecast is asked, ``target_ts`` when its truth becomes known.
"""

import polars as pl

from timegpt_assets.core.schema import TIME, Column

DAY = {"day": Column(pl.Date, "trading session, New York date")}
SYMBOL = {"symbol": Column(pl.String, "ticker, as in configs/universe.yaml")}
MONTH = {"month": Column(pl.String, "calendar month, YYYY-MM"), "as_of": Column(pl.Date, "last session counted")}
BAR_TIME = {"ts": Column(TIME, "bar start, UTC")}
KNOWN_AT = {"known_at": Column(TIME, "bar start + 1 minute: when the row may first be used")}
SOURCES = {
    "score_source": Column(pl.String, "who made the numbers: model, simulated, baseline, fallback"),
    "run_source": Column(pl.String, "which road: prod, maintenance, smoke, async_test"),
    "data_regime": Column(pl.String, "prod_live, maintenance_replay, mixed (aggregates only)"),
}
SOURCE_KEY = tuple(SOURCES)
"""Names of the three sources, in order: rows of different sources are never pooled nor compared."""
FALLBACK = "fallback"
"""The score_source of rows in which the control arm stood in for a seat that could not answer by itself."""
RUN_SOURCES = {"demo": "smoke", "dev": "maintenance", "offline": "maintenance", "prod": "prod"}
"""Profile -> the run_source of what is asked under it; offline asks nobody, so its rows carry what was stored."""
FORECASTER = {"forecaster": Column(pl.String, "who answered, a word a seat: timegpt, ridge, zero, a plug-in's own")}
HOSTED, CONTROL = "timegpt", "ridge"
"""The forecaster that is paid for, and the control arm: frozen, free, what every other one is compared with."""
TREE, NET, BLEND = LADDER = ("lightgbm", "tsmixer", "blend")
"""The forecasters that learn by month, each rung to be proven better than the one before."""
TWIN = "unlearnt"
"""The judge in validation that has a rung's bands with nothing learnt (core/models/unlearnt.py); it answers nobody."""
REFERENCES = ("zero", "climatology")
"""The forecasters that must be beaten: no return is expected, and what usually comes at that time of day."""
ORIGIN = FORECASTER | SOURCES
"""Who answered, and under what: the forecaster and the three sources."""
ORIGIN_KEY = tuple(ORIGIN)
"""Rows of different origin are never pooled nor compared but where forecasters are (core/evaluation/comparison.py)."""
BOOK = {"book": Column(pl.String, "whose money: a forecaster's paper book, or live (what is assigned to the day)")}
BOOK_KEY = (*BOOK, *SOURCES)
ADDS_UP = {"net_is_gross_less_cost": (pl.col("gross_pnl") - pl.col("cost") - pl.col("net_pnl")).abs() < 0.005}
"""Rule of every table of money, to the cent."""
WILDCARD = "*"
"""Where a symbol, a source or a snapshot time stands otherwise: all of them together, or those that are not named."""
MADE_BY = FORECASTER | {
    "backend": Column(pl.String, "how it was asked: nixtla (hosted), baseline (on this machine)"),
    "model": Column(pl.String, "model name as asked for"),
}
MAKER_KEY = (*MADE_BY, "score_source")
"""Who answered: rows of different makers teach each other nothing, whichever run asked for them."""
TAUGHT_AS = pl.when(pl.col("forecaster") == BLEND).then(pl.col("forecaster")).otherwise(pl.col("model"))
"""The model of MAKER_KEY: a blend's own word, since a share of the net for each month would cut what it learns from."""
QUANTILES = ("q025", "q10", "q25", "q50", "q75", "q90", "q975")
BANDS = {50: ("q25", "q75"), 80: ("q10", "q90"), 95: ("q025", "q975")}
"""Interval level in percent -> the quantile columns that bound it (lo_50 = q25, hi_50 = q75, ...)."""


def price(name: str) -> Column:
    return Column(pl.Float64, f"{name} price, USD; null before the session's first print", nullable=True)


def log_return(meaning: str) -> Column:
    return Column(pl.Float64, f"{meaning}, log return over the horizon", nullable=True)
