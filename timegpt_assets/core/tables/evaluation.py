"""Tables of the evaluation: scores, diagnostics, coverage, costs."""

import polars as pl

from timegpt_assets.core.schema import Column, Table
from timegpt_assets.core.tables.columns import (
    ADDS_UP,
    BANDS,
    BOOK,
    BOOK_KEY,
    DAY,
    MONTH,
    ORIGIN,
    ORIGIN_KEY,
    QUANTILES,
    SOURCES,
    SYMBOL,
    log_return,
)
from timegpt_assets.core.tables.forecasts import ANSWERS, FORECAST_KEY, OUTCOME, RAW_FORECASTS, SNAPSHOT_TIMES

_SCORES = {
    "abs_error": Column(pl.Float64, "|y - q50|"),
    "sq_error": Column(pl.Float64, "(y - q50)^2"),
    "raw_abs_error": Column(pl.Float64, "|y - q50| before calibration", nullable=True),
    "raw_sq_error": Column(pl.Float64, "(y - q50)^2 before calibration", nullable=True),
    "abs_error_last": Column(pl.Float64, "|y - y_last|, persistence", nullable=True),
    "sq_error_last": Column(pl.Float64, "(y - y_last)^2, persistence", nullable=True),
    "abs_error_zero": Column(pl.Float64, "|y|, the error of a zero return"),
    "pinball": Column(pl.Float64, "mean pinball loss over q10, q25, q50, q75, q90"),
    "raw_pinball": Column(pl.Float64, "the same before calibration"),
} | {
    f"{prefix}covered_{level}": Column(pl.Boolean, f"y inside the {level} % band", nullable=True)
    for prefix in ("", "raw_")
    for level in BANDS
}

FORECAST_SCORES = Table(
    name="forecast_scores",
    columns=DAY
    | SYMBOL
    | SNAPSHOT_TIMES
    | ORIGIN
    | OUTCOME
    | _SCORES
    | {"label_aligned": RAW_FORECASTS.columns["label_aligned"], "calibration": RAW_FORECASTS.columns["calibration"]},
    key=FORECAST_KEY,
    open=True,
)

DAY_SCORES = Table(
    name="day_scores",
    columns={**FORECAST_SCORES.columns}
    | {
        "sigma": ANSWERS.columns["sigma"],
        "request_hash": Column(pl.String, ANSWERS.columns["request_hash"].meaning, nullable=True),
    }
    | {q: log_return(f"{q} quantile") for q in QUANTILES}
    | {f"raw_{q}": log_return(f"{q} before calibration") for q in QUANTILES},
    key=FORECAST_KEY,
    open=True,
)

RELATIVE = {
    "rmae": "mae / mae of persistence",
    "rrmse": "rmse / rmse of persistence",
    "rmae_zero_return": "mae / mean |y|, the mae of a zero return",
    "rpinball_raw": "pinball / pinball before calibration",
}
"""Loss against a reference forecast -> what it is; below 1 is better than the reference."""
_RELATIVE = {
    f"{name}{suffix}": Column(dtype, meaning.format(text), nullable=True)
    for name, text in RELATIVE.items()
    for suffix, dtype, meaning in (
        ("", pl.Float64, "{}"),
        ("_low", pl.Float64, "lower end of the 95 % interval of {}"),
        ("_high", pl.Float64, "upper end of the 95 % interval of {}"),
        ("_n", pl.Int64, "forecasts behind {}"),
        ("_p", pl.Float64, "one-sided Diebold-Mariano p, daily losses, Newey-West variance, of {}"),
    )
}
_BANDS_SCORED = {
    f"{name}_{level}": Column(pl.Float64, meaning.format(level), nullable=True)
    for level in BANDS
    for name, meaning in (
        ("width", "mean width of the {} % band, log return"),
        ("winkler", "mean Winkler score of the {} % band: width + 2 / alpha x what lies outside"),
    )
} | {"wis": Column(pl.Float64, "mean weighted interval score of q50 and the bands", nullable=True)}
_DIFFERENCES = {
    f"{name}_diff{end}": Column(pl.Float64, f"{words} mean loss less the reference's, of {text}", nullable=True)
    for name, text in RELATIVE.items()
    for end, words in (("", ""), ("_low", "2.5 % point over day-cluster samples:"), ("_high", "97.5 % point:"))
}
_DAY_BLOCK_ENDS = {
    f"coverage_{level}_day_{end}": Column(
        pl.Float64, f"{end} end of the 95 % day-cluster interval of coverage_{level}", True
    )
    for level in BANDS
    for end in ("low", "high")
}
_COVERAGE_ENDS = {
    f"coverage_{level}_{end}": Column(pl.Float64, f"{end} end of the 95 % Wilson interval of coverage_{level}", True)
    for level in BANDS
    for end in ("low", "high")
}

FORECAST_DIAGNOSTICS = Table(
    name="forecast_diagnostics",
    columns=MONTH
    | SYMBOL
    | ORIGIN
    | {
        "stage": Column(pl.String, "raw or calibrated"),
        "n": Column(pl.Int64, "forecasts with an outcome"),
        "calibrated_share": Column(pl.Float64, "share of forecasts that were calibrated"),
        "crossed": Column(pl.Int64, "forecasts with a quantile above a higher one", nullable=True),
        "mae": Column(pl.Float64, "mean |y - q50|"),
        "rmse": Column(pl.Float64, "root mean squared error of q50"),
        "pinball": Column(pl.Float64, "mean pinball loss"),
        "coverage_50": Column(pl.Float64, "share of y inside [q25, q75]", nullable=True),
        "coverage_80": Column(pl.Float64, "share of y inside [q10, q90]", nullable=True),
        "coverage_95": Column(pl.Float64, "share of y inside [q025, q975]", nullable=True),
        "pit_deviation": Column(pl.Float64, "|coverage_50 - 0.5|", nullable=True),
    }
    | _RELATIVE
    | _COVERAGE_ENDS
    | _BANDS_SCORED
    | _DIFFERENCES
    | _DAY_BLOCK_ENDS,
    key=("month", "symbol", *ORIGIN_KEY, "stage"),
    open=True,
)
"""``symbol`` is ``*`` for all symbols pooled."""

_COVERAGES = {f"coverage_{level}": FORECAST_DIAGNOSTICS.columns[f"coverage_{level}"] for level in BANDS}
COVERAGE_REPORT = Table(
    name="coverage_report",
    columns=MONTH
    | SYMBOL
    | {"snapshot_time": Column(pl.String, "New York time of the snapshot, HH:MM; * for all")}
    | ORIGIN
    | {
        name: FORECAST_DIAGNOSTICS.columns[name]
        for name in ("stage", "n", "calibrated_share", "mae", "rmse", "pinball")
    }
    | _COVERAGES
    | {"pit_deviation": FORECAST_DIAGNOSTICS.columns["pit_deviation"]}
    | _COVERAGE_ENDS
    | _BANDS_SCORED
    | {name: _RELATIVE[name] for name in RELATIVE},
    key=("month", "symbol", "snapshot_time", *ORIGIN_KEY, "stage"),
)
"""The month's own sessions; ``symbol`` is ``*`` for all symbols pooled."""

INTERVAL_WIDTHS = Table(
    name="interval_widths",
    columns=MONTH
    | SYMBOL
    | ORIGIN
    | {
        "stage": FORECAST_DIAGNOSTICS.columns["stage"],
        "decile": Column(pl.Int64, "tenth of the symbol's own volatilities at the snapshot, 1 the calmest"),
        "n": Column(pl.Int64, "forecasts in it"),
        "sigma": Column(pl.Float64, "their mean volatility, log return over the horizon"),
        "mae_zero": Column(pl.Float64, "their mean |y|"),
        "median_width_50": Column(pl.Float64, "median width of their 50 % bands, log return", nullable=True),
    }
    | _COVERAGES
    | _BANDS_SCORED,
    key=("month", "symbol", *ORIGIN_KEY, "stage", "decile"),
)

COVERAGE_DRIFT = Table(
    name="coverage_drift",
    columns=MONTH
    | DAY
    | SYMBOL
    | ORIGIN
    | {
        "stage": FORECAST_DIAGNOSTICS.columns["stage"],
        "level": Column(pl.Int64, "band, percent"),
        "n": Column(pl.Int64, "forecasts of the sessions up to this one"),
        "coverage": Column(pl.Float64, "share of their y inside the band", nullable=True),
        "low": Column(pl.Float64, "lower end of the day-clustered 95 % interval", nullable=True),
        "high": Column(pl.Float64, "upper end of the day-clustered 95 % interval", nullable=True),
        "alarm": Column(pl.Boolean, "too far from nominal, and told apart from it"),
    },
    key=("day", "symbol", *ORIGIN_KEY, "stage", "level"),
)

PIT_RELIABILITY = Table(
    name="pit_reliability",
    columns=MONTH
    | SYMBOL
    | ORIGIN
    | {
        "stage": Column(pl.String, "raw or calibrated"),
        "quantile": Column(pl.Float64, "nominal probability"),
        "observed": Column(pl.Float64, "share of y at or below the quantile"),
        "n": Column(pl.Int64, "forecasts with an outcome"),
        "bin_share": Column(pl.Float64, "share of y between this quantile and the next lower one", nullable=True),
        "uniform_p": Column(
            pl.Float64, "p of all bin shares being nominal: Pearson's statistic against day-cluster samples", True
        ),
    },
    key=("month", "symbol", *ORIGIN_KEY, "stage", "quantile"),
)

_TRADING = {
    "observation_days": Column(pl.Int64, "sessions counted, those without a trade included"),
    "trades": Column(pl.Int64, "admitted trades"),
    "signals": Column(pl.Int64, "signals that came to the market: admitted, refused by a limit, or halted"),
    "reject_rate": Column(pl.Float64, "signals refused by risk limits / signals", nullable=True),
    "hit_rate": Column(pl.Float64, "share of admitted trades with net_pnl > 0", nullable=True),
    "gross_pnl": Column(pl.Float64, "USD"),
    "cost": Column(pl.Float64, "USD"),
    "net_pnl": Column(pl.Float64, "USD"),
    "month_net_pnl": Column(pl.Float64, "USD, of the sessions that lie in the month itself"),
    "max_drawdown": Column(pl.Float64, "largest fall of cumulative net P&L from its peak / total capital, 0..1"),
    "drawdown_days": Column(pl.Int64, "most sessions in a row below an earlier peak of it, one not yet regained too"),
    "volatility": Column(pl.Float64, "annualised standard deviation of daily net returns", nullable=True),
    "sharpe_daily": Column(pl.Float64, "annualised Sharpe of daily net returns", nullable=True),
    "sharpe_method": Column(pl.String, "daily_agg_v1"),
    "vol_floor_applied": Column(pl.Boolean, "no variance: the Sharpe ratio is null"),
    "sharpe_step_raw": Column(pl.Float64, "mean / deviation of net P&L per trade, not annualised: diagnostic", True),
    "turnover": Column(pl.Float64, "USD entered and left with / capital / sessions", nullable=True),
    "exposure": Column(
        pl.Float64, "USD entered with x minutes held / capital / minutes of the sessions", nullable=True
    ),
    "holding_min": Column(pl.Float64, "mean minutes a trade was held", nullable=True),
    "mae": Column(pl.Float64, "mean of the trades' furthest move against them, log return <= 0", nullable=True),
    "mfe": Column(pl.Float64, "mean of the trades' furthest move their way, log return >= 0", nullable=True),
    "capacity": Column(pl.Float64, "median USD that a trade's minute holds at backtest.participation", nullable=True),
} | {
    f"{name}_{end}": Column(pl.Float64, f"{end} end of {name}'s 95 % interval over day-cluster samples", nullable=True)
    for name in ("hit_rate", "net_pnl", "sharpe_daily")
    for end in ("low", "high")
}

TRADING_SCORES = Table(
    name="trading_scores",
    columns=MONTH | SYMBOL | BOOK | SOURCES | _TRADING,
    key=("month", "symbol", *BOOK_KEY),
    rules=ADDS_UP,
    open=True,
)
COST_SENSITIVITY = Table(
    name="cost_sensitivity",
    columns=MONTH | BOOK | SOURCES | {"cost_multiplier": Column(pl.Float64, "costs times this")} | _TRADING,
    key=("month", *BOOK_KEY, "cost_multiplier"),
    rules=ADDS_UP,
    open=True,
)
STRESS_PHASES = Table(
    name="stress_phases",
    columns=MONTH
    | BOOK
    | SOURCES
    | {
        "phase": Column(pl.String, "when the trades were entered (docs/reference/rules.md); all; calm: in no phase"),
        "trades": _TRADING["trades"],
        "observation_days": Column(pl.Int64, "sessions with such a trade"),
    }
    | {name: _TRADING[name] for name in ("hit_rate", "hit_rate_low", "hit_rate_high", "gross_pnl", "cost", "net_pnl")}
    | {"worst": Column(pl.Float64, "net P&L of the worst trade, USD", nullable=True)},
    key=("month", *BOOK_KEY, "phase"),
    rules=ADDS_UP,
)
BACKTEST_RUNS = Table(
    name="backtest_runs",
    columns=MONTH
    | BOOK
    | SOURCES
    | {
        "runs": Column(pl.Int64, "sessions with a complete portfolio on which the book had rows of these sources"),
        "first": Column(pl.Date, "first of them"),
        "last": Column(pl.Date, "last of them"),
        "regime": Column(
            pl.String, "of all the book's rows of the window: prod_live, maintenance_replay, or mixed where both are"
        ),
        "config": Column(pl.String, "rules, costs, limits and account it was traded with, JSON"),
    },
    key=("month", *BOOK_KEY),
)
OOS_SUMMARY = Table(
    name="oos_summary",
    columns=MONTH
    | BOOK
    | SOURCES
    | {
        "oos_start": Column(pl.Date, "gates.oos_start: sessions after it are out of sample"),
        "cost_multiplier": Column(pl.Float64, "costs times this"),
    }
    | _TRADING,
    key=("month", *BOOK_KEY, "cost_multiplier"),
    rules=ADDS_UP,
    open=True,
)

_COMPARED = {
    f"{name}{end}": Column(pl.Float64, f"{words}{text}", nullable=True)
    for name, text in (
        ("rpinball", "mean pinball loss / the other's"),
        ("rmae", "mean |y - q50| / the other's"),
    )
    for end, words in (
        ("", ""),
        ("_low", "lower end of the day-clustered 95 % interval of "),
        ("_high", "upper end of the day-clustered 95 % interval of "),
        ("_p", "one-sided Diebold-Mariano p of being smaller than the other's, daily losses: "),
        ("_p_holm", "the same, adjusted by Holm over the pairs of the month and symbol: "),
    )
}
COMPARISON = Table(
    name="comparison",
    columns=MONTH
    | SYMBOL
    | ORIGIN
    | {
        "against": Column(pl.String, "the other forecaster"),
        "against_sources": Column(pl.String, "its score_source+run_source+data_regime"),
        "n": Column(pl.Int64, "common forecasts: same symbol, snapshot_ts and target_ts, both calibrated or neither"),
        "not_common": Column(pl.Int64, "own forecasts of the window without such a counterpart, not counted"),
        "sessions": Column(pl.Int64, "sessions of the common forecasts"),
    }
    | _COMPARED
    | {
        f"{prefix}{name}_last": Column(pl.Float64, f"{whose} {text}, on the common forecasts", nullable=True)
        for prefix, whose in (("", "own"), ("against_", "the other's"))
        for name, text in (("rmae", RELATIVE["rmae"]), ("rrmse", RELATIVE["rrmse"]))
    }
    | {"pinball_won": Column(pl.Float64, "the other's mean pinball loss less the own, log return", nullable=True)}
    | {
        f"{prefix}coverage_{level}": Column(pl.Float64, f"share of y inside {whose} {level} % band", nullable=True)
        for level in BANDS
        for prefix, whose in (("", "the own"), ("against_", "the other's"))
    }
    | {
        f"pnl_difference{end}": Column(
            pl.Float64, f"{words}net P&L of the own book less the other's, USD", nullable=True
        )
        for end, words in (
            ("", ""),
            ("_low", "2.5 % point over day-cluster samples: "),
            ("_high", "97.5 % point over day-cluster samples: "),
        )
    }
    | {
        "requests": Column(pl.Int64, "requests behind the common forecasts that were paid for"),
        "spent": Column(
            pl.Float64, "their price, USD; null: forecast.api_budget.price_per_call is not set", nullable=True
        ),
        "spent_per_thousand": Column(pl.Float64, "USD per 1,000 forecasts", nullable=True),
        "spent_per_bp": Column(
            pl.Float64, "USD per 1,000 forecasts and basis point of pinball won; null: none was won", nullable=True
        ),
    },
    key=("month", "symbol", *ORIGIN_KEY, "against", "against_sources"),
)
"""Every forecaster against the champion, the control arm and the references, and the champion against every other."""
