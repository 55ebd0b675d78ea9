"""Every stored table, declared once; checks, reference docs and the UI's column schema derive from it.

Belongs here: declarations only. ``day`` is the trading session (New York date), ``ts`` a bar's start, ``known_at``
when a row may first be used, ``snapshot_ts`` when a forecast is asked, ``target_ts`` when its truth becomes known.
"""

import polars as pl

from timegpt_assets.core.schema import TIME, Column, Table

DAY = {"day": Column(pl.Date, "trading session, New York date")}
SYMBOL = {"symbol": Column(pl.String, "ticker, as in configs/universe.yaml")}
MONTH = {"month": Column(pl.String, "calendar month, YYYY-MM"), "as_of": Column(pl.Date, "last session counted")}
BAR_TIME = {"ts": Column(TIME, "bar start, UTC")}
KNOWN_AT = {"known_at": Column(TIME, "bar start + 1 minute: when the row may first be used")}
SOURCES = {
    "score_source": Column(pl.String, "who made the numbers: model, simulated, baseline"),
    "run_source": Column(pl.String, "which road: prod, maintenance, smoke, async_test"),
    "data_regime": Column(pl.String, "prod_live, maintenance_replay, mixed (aggregates only)"),
}
MADE_BY = {
    "backend": Column(pl.String, "forecaster that answered: nixtla, baseline"),
    "model": Column(pl.String, "model name as asked for"),
}
QUANTILES = ("q025", "q10", "q25", "q50", "q75", "q90", "q975")
BANDS = {50: ("q25", "q75"), 80: ("q10", "q90"), 95: ("q025", "q975")}
"""Interval level in percent -> the quantile columns that bound it (lo_50 = q25, hi_50 = q75, ...)."""


def _price(name: str) -> Column:
    return Column(pl.Float64, f"{name} price, USD; null before the session's first print", nullable=True)


def _return(meaning: str) -> Column:
    return Column(pl.Float64, f"{meaning}, log return over the horizon", nullable=True)


_OHLC_ORDER = {
    "low_is_lowest": (pl.col("low") <= pl.min_horizontal("open", "close", "high")).fill_null(True),
    "high_is_highest": (pl.col("high") >= pl.max_horizontal("open", "close", "low")).fill_null(True),
}
_OHLC = {name: _price(name) for name in ("open", "high", "low", "close")}

RAW_BARS = Table(
    name="raw_bars",
    columns=DAY
    | SYMBOL
    | BAR_TIME
    | {"row": Column(pl.Int64, "position in the source, 0-based: tells duplicates apart")}
    | _OHLC
    | {"volume": Column(pl.Float64, "shares traded", nullable=True)},
    key=("day", "symbol", "ts", "row"),
    open=True,
)
"""As delivered, in our names and UTC, duplicates and prints outside the session included."""

BARS = Table(
    name="bars",
    columns=DAY
    | SYMBOL
    | BAR_TIME
    | _OHLC
    | {
        "volume": Column(pl.Float64, "shares traded; 0 on filled rows"),
        "is_filled": Column(pl.Boolean, "no print in this minute: the last close stands in"),
    },
    key=("day", "symbol", "ts"),
    rules=_OHLC_ORDER | {"volume_not_negative": pl.col("volume") >= 0},
)

QUALITY = Table(
    name="quality_report",
    columns=DAY
    | SYMBOL
    | {
        "verdict": Column(pl.String, "ok, warned, quarantined, no_data, late"),
        "rules": Column(pl.String, "rules broken that are not ignored, by name, joined by commas"),
        "reason": Column(pl.String, "rules broken, in words; empty when ok"),
        "offending": Column(pl.String, "rows to blame as JSON, the first of each rule: rule, row, ts (UTC)"),
        "detail": Column(pl.String, "what is wrong with the source's file, naming it; empty when nothing is"),
        "rows_raw": Column(pl.Int64, "rows delivered"),
        "rows_session": Column(pl.Int64, "minutes of the session with a usable row"),
        "rows_expected": Column(pl.Int64, "minutes of the session"),
        "completeness": Column(pl.Float64, "rows_session / rows_expected"),
        "filled": Column(pl.Int64, "minutes without a print"),
        "longest_fill": Column(pl.Int64, "longest run of minutes without a print"),
        "crosses": Column(pl.Int64, "prints of the opening or closing cross"),
        "auction": Column(pl.Int64, "prints of a cross beside a row of its minute"),
        "duplicates": Column(pl.Int64, "identical rows dropped"),
        "conflicts": Column(pl.Int64, "rows of one minute that differ"),
        "outside": Column(pl.Int64, "rows outside the session, dropped"),
        "off_minute": Column(pl.Int64, "rows that do not begin on a minute"),
        "unsorted": Column(pl.Int64, "rows that are delivered after a later one"),
        "broken_ohlc": Column(pl.Int64, "rows whose OHLC or volume is impossible"),
        "outliers": Column(pl.Int64, "rows flagged by the robust outlier rule"),
        "jumps": Column(pl.Int64, "one-minute moves that are no price move"),
        "zero_volume": Column(pl.Int64, "printed minutes without volume"),
        "absurd_volume": Column(pl.Int64, "minutes of more shares than can be"),
        "shifted_min": Column(pl.Int64, "minutes by which another session's hours would fit; 0: none does"),
        "previous_close": Column(pl.Float64, "last close of the session before, USD, as delivered", nullable=True),
        "split": Column(pl.Float64, "ratio of the split that events.splits names for the day", nullable=True),
        "gap": Column(pl.Float64, "log of the opening over the previous close divided by split", nullable=True),
        "split_like": Column(pl.Int64, "1: the gap is near the ratio of a split that nobody named"),
        "unreadable": Column(pl.Int64, "1: the file cannot be read"),
        "columns": Column(pl.Int64, "1: the file has other columns than it must"),
        "foreign": Column(pl.Int64, "rows of the day that are of another ticker, left out"),
        "timeless": Column(pl.Int64, "rows of the whole file without a time, left out"),
        "other_month": Column(pl.Int64, "rows of the whole file that are of other months, left out"),
        "holiday": Column(pl.Int64, "rows on days without a session just before this one, left out"),
    },
    key=("day", "symbol"),
)

MARKET_CONTEXT = Table(
    name="market_context",
    columns=DAY | BAR_TIME | KNOWN_AT | {"context_missing": Column(pl.Boolean, "a context symbol had no bars")},
    key=("day", "ts"),
    open=True,
)

FEATURES = Table(name="features", columns=DAY | SYMBOL | BAR_TIME | KNOWN_AT, key=("day", "symbol", "ts"), open=True)

PANEL = Table(
    name="panel",
    columns=DAY
    | SYMBOL
    | BAR_TIME
    | KNOWN_AT
    | {
        "clock_price": Column(pl.Float64, "P(known_at), USD: close of the bar that ends then", nullable=True),
        "clock_open": Column(pl.Float64, "P(open), USD; null when the first minute has no print", nullable=True),
        "is_filled": Column(pl.Boolean, "no print in this minute"),
    },
    key=("day", "symbol", "ts"),
    open=True,
)

LABELS = Table(
    name="labels",
    columns=DAY
    | SYMBOL
    | BAR_TIME
    | {
        "target_ts": Column(TIME, "when y becomes known"),
        "horizon_min": Column(pl.Int64, "minutes from known_at to target_ts"),
        "y": Column(pl.Float64, "ln P(target_ts) - ln P(target_ts - horizon)"),
    },
    key=("day", "symbol", "horizon_min", "target_ts"),
)

SNAPSHOT_TIMES = {
    "snapshot_ts": Column(TIME, "when the forecast is asked"),
    "target_ts": Column(TIME, "when what it is about becomes known"),
    "horizon_min": Column(pl.Int64, "minutes from snapshot_ts to target_ts"),
}

SNAPSHOTS = Table(
    name="snapshots",
    columns=DAY
    | SNAPSHOT_TIMES
    | {
        "preset": Column(pl.String, "snapshot preset"),
        "asked": Column(pl.Boolean, "whether a forecast is asked"),
        "reason": Column(pl.String, "why not; empty when asked"),
    },
    key=("day", "snapshot_ts"),
)

ANSWERS = Table(
    name="answers",
    columns=DAY
    | {"snapshot_ts": SNAPSHOT_TIMES["snapshot_ts"]}
    | {"request_hash": Column(pl.String, "sha256 of the request: finds its bytes in the forecast cache")}
    | SYMBOL
    | {
        "step": Column(pl.Int64, "minutes ahead of the snapshot"),
        "mean": Column(pl.Float64, "as answered, in scaled target units"),
        "asked_at": Column(TIME, "when the answer was asked for"),
        "sigma": Column(pl.Float64, "volatility at the snapshot, scale of y; null when zero", nullable=True),
        "target_scale": Column(pl.Float64, "y = answered value x target_scale"),
    }
    | MADE_BY
    | SOURCES
    | {"stale_input": Column(pl.Boolean, "the inputs have changed since the answer was asked")},
    key=("day", "snapshot_ts", "symbol", "step"),
    open=True,
)
"""Further columns: lo_<level> and hi_<level> for each configured level, as answered, in scaled target units."""

_FORECAST = (
    DAY
    | SYMBOL
    | SNAPSHOT_TIMES
    | {
        "asked_at": ANSWERS.columns["asked_at"],
        "sigma": ANSWERS.columns["sigma"],
    }
    | {q: _return(f"{q} quantile") for q in QUANTILES}
    | {f"{side}_{level}": _return(f"{level} % band, {side}") for level in BANDS for side in ("lo", "hi")}
    | MADE_BY
    | SOURCES
    | {
        "request_hash": ANSWERS.columns["request_hash"],
        "stale_input": ANSWERS.columns["stale_input"],
        "label_aligned": Column(pl.Boolean, "the target's own horizon equals the forecast's; others never trade"),
        "crossings": Column(pl.Int64, "quantile pairs that crossed before the monotone projection"),
        "calibration": Column(pl.String, "method applied, or none"),
    }
)
_ASCENDING = {
    f"{low}_le_{high}": (pl.col(low) <= pl.col(high)).fill_null(True)
    for i, low in enumerate(QUANTILES)
    for high in QUANTILES[i + 1 :]
}

RAW_FORECASTS = Table(
    name="raw_forecasts", columns=_FORECAST, key=("day", "symbol", "snapshot_ts"), rules=_ASCENDING, open=True
)

OUTCOME = {
    "y": Column(pl.Float64, "realised log return over the horizon"),
    "y_last": Column(pl.Float64, "last known y at the snapshot (persistence)", nullable=True),
}

OUTCOMES = Table(
    name="outcomes", columns=_FORECAST | OUTCOME, key=("day", "symbol", "snapshot_ts"), rules=_ASCENDING, open=True
)

_POOL = {
    "calibration_pool": Column(pl.String, "cell, symbol, time, all, or empty"),
    "calibration_n": Column(pl.Int64, "outcomes in that pool"),
    "calibration_reason": Column(pl.String, "why not calibrated; empty when it was"),
}

CALIBRATION_MODELS = Table(
    name="calibration_models",
    columns=DAY
    | SYMBOL
    | {
        "snapshot_time": Column(pl.String, "New York time of the snapshot, HH:MM"),
        "level": Column(pl.Int64, "band, percent"),
        "method": Column(pl.String, "affine, isotonic, conformal, widen, adaptive or none"),
        "half_width": Column(pl.Float64, "a band's reach from the centre, in units of score; null: not promised", True),
        "rank": Column(pl.Int64, "ceil((n+1)p)", nullable=True),
        "rank_n": Column(pl.Int64, "scores the rank was taken among", nullable=True),
        "tracked_level": Column(
            pl.Float64, "percent the rank was taken for: the level, unless adaptive", nullable=True
        ),
        "score": Column(
            pl.String, "unit of errors: sigma, absolute (log return), band_<level> (its width), own (its sides)"
        ),
        "slope": Column(pl.Float64, "centre = slope x q50 + offset x unit"),
        "offset": Column(pl.Float64, "centre = slope x q50 + offset x unit"),
        "fitted_slope": Column(pl.Float64, "least-squares slope before it was shrunk or refused", nullable=True),
        "knots_x": Column(pl.List(pl.Float64), "isotonic curve, places: q50 / unit", nullable=True),
        "knots_y": Column(pl.List(pl.Float64), "isotonic curve, heights: centre / unit", nullable=True),
        "note": Column(pl.String, "what was refused, shrunk or replaced in the fit; empty: nothing"),
        "validation_deviation": Column(
            pl.Float64, "|coverage - nominal| of the narrowest band, fitted before the window's newest sessions", True
        ),
        "validation_n": Column(pl.Int64, "outcomes of those newest sessions"),
        "fitted_on": Column(pl.String, "digest of the pool's outcomes"),
        "last_target_ts": Column(TIME, "when the pool's last outcome became known", nullable=True),
        "max_width_multiple": Column(pl.Float64, "widest calibrated band, in raw band widths"),
        "window_first": Column(pl.Date, "first session of the window"),
        "window_last": Column(pl.Date, "last session of the window"),
        "embargo_days": Column(pl.Int64, "sessions between the window and the day"),
    }
    | _POOL,
    key=("day", "symbol", "snapshot_time", "level"),
    rules={"embargo_kept": pl.col("window_last") < pl.col("day"), "embargo_positive": pl.col("embargo_days") >= 1},
)

FORECASTS = Table(
    name="forecasts",
    columns=_FORECAST
    | _POOL
    | {
        "calibration_crossings": Column(
            pl.Int64, "quantile pairs that crossed before the calibrated ones were sorted", True
        )
    }
    | {f"raw_{q}": _return(f"{q} before calibration") for q in QUANTILES},
    key=("day", "symbol", "snapshot_ts"),
    rules=_ASCENDING,
    open=True,
)

_SCORES = {
    "abs_error": Column(pl.Float64, "|y - q50|"),
    "sq_error": Column(pl.Float64, "(y - q50)^2"),
    "raw_abs_error": Column(pl.Float64, "|y - q50| before calibration", nullable=True),
    "raw_sq_error": Column(pl.Float64, "(y - q50)^2 before calibration", nullable=True),
    "abs_error_last": Column(pl.Float64, "|y - y_last|, persistence", nullable=True),
    "sq_error_last": Column(pl.Float64, "(y - y_last)^2, persistence", nullable=True),
    "abs_error_zero": Column(pl.Float64, "|y|, zero-return forecast"),
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
    | SOURCES
    | OUTCOME
    | _SCORES
    | {"label_aligned": RAW_FORECASTS.columns["label_aligned"], "calibration": RAW_FORECASTS.columns["calibration"]},
    key=("day", "symbol", "snapshot_ts"),
    open=True,
)

DAY_SCORES = Table(
    name="day_scores",
    columns={**FORECAST_SCORES.columns}
    | {"sigma": ANSWERS.columns["sigma"]}
    | {q: _return(f"{q} quantile") for q in QUANTILES}
    | {f"raw_{q}": _return(f"{q} before calibration") for q in QUANTILES},
    key=("day", "symbol", "snapshot_ts"),
    open=True,
)

_CRITERION = {
    "criterion": Column(pl.String, "what is judged"),
    "value": Column(pl.Float64, "what was measured", nullable=True),
    "threshold": Column(pl.Float64, "what is asked", nullable=True),
    "low": Column(pl.Float64, "lower end of the value's 95 % interval", nullable=True),
    "high": Column(pl.Float64, "upper end of the value's 95 % interval", nullable=True),
    "n": Column(pl.Int64, "observations behind the value"),
    "passed": Column(pl.Boolean, "whether the criterion holds"),
    "reason": Column(pl.String, "in words"),
}

SYMBOL_GATES = Table(
    name="symbol_gates",
    columns=DAY
    | SYMBOL
    | SOURCES
    | _CRITERION
    | {
        "verdict": Column(pl.String, "eligible, ineligible, insufficient_observation"),
        "bootstrap": Column(pl.String, "what insufficient_observation means for trading: trade or block"),
    },
    key=("day", "symbol", "score_source", "run_source", "data_regime", "criterion"),
)

_TRADE = (
    DAY
    | SYMBOL
    | {
        "snapshot_ts": SNAPSHOT_TIMES["snapshot_ts"],
        "target_ts": SNAPSHOT_TIMES["target_ts"],
        "entry_ts": Column(TIME, "start of the bar entered at its open"),
        "entry_price": Column(pl.Float64, "USD", nullable=True),
        "exit_ts": Column(TIME, "when the exit price is known", nullable=True),
        "exit_price": Column(pl.Float64, "USD", nullable=True),
        "side": Column(pl.Int64, "+1 long, -1 short"),
        "size": Column(pl.Float64, "share of trading.capital, 0..1"),
        "quantity": Column(pl.Float64, "shares, signed by side; 0 when not filled"),
        "gross_pnl": Column(pl.Float64, "USD before costs"),
        "cost": Column(pl.Float64, "USD, both legs, fees and half-spread"),
        "net_pnl": Column(pl.Float64, "USD after costs"),
        "ev": Column(pl.Float64, "expected value after costs, log return"),
        "sigma": Column(pl.Float64, "volatility at the snapshot, scale of y"),
        "entry_reason": Column(pl.String, "rule that entered, or why there was no fill (halted)"),
        "exit_reason": Column(pl.String, "stop, take, forecast_ts, time_stop; empty when not filled"),
        "eligibility": Column(pl.String, "verdict of symbol_gates that let it trade"),
    }
    | SOURCES
)

TRADES = Table(name="trades", columns=_TRADE, key=("day", "symbol", "snapshot_ts"))
BOOK = Table(name="book", columns=_TRADE, key=("day", "symbol", "snapshot_ts"))

PORTFOLIO = Table(
    name="portfolio",
    columns=_TRADE
    | {
        "admitted": Column(pl.Boolean, "whether portfolio limits let the trade happen"),
        "refused_by": Column(pl.String, "limit that refused it; empty when admitted"),
    },
    key=("day", "symbol", "snapshot_ts"),
)

RELATIVE = {
    "rmae": "mae / mae of persistence",
    "rrmse": "rmse / rmse of persistence",
    "rmae_zero": "mae / mae of the zero-return forecast",
    "rmae_climatology": "mae / mae of climatology (the last y at this snapshot time)",
    "rrmse_zero": "rmse / rmse of the zero-return forecast",
    "rrmse_climatology": "rmse / rmse of climatology",
    "rpinball_zero": "pinball / pinball of the zero-return forecast",
    "rpinball_climatology": "pinball / pinball of climatology",
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
    for end, words in (("", ""), ("_low", "2.5 % point over day-block samples:"), ("_high", "97.5 % point:"))
}
_DAY_BLOCK_ENDS = {
    f"coverage_{level}_day_{end}": Column(
        pl.Float64, f"{end} end of the 95 % day-block interval of coverage_{level}", True
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
    | SOURCES
    | {
        "stage": Column(pl.String, "raw or calibrated"),
        "n": Column(pl.Int64, "forecasts with an outcome"),
        "calibrated_share": Column(pl.Float64, "share of forecasts that were calibrated"),
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
    key=("month", "symbol", "score_source", "run_source", "data_regime", "stage"),
    open=True,
)
"""``symbol`` is ``*`` for all symbols pooled."""

_COVERAGES = {f"coverage_{level}": FORECAST_DIAGNOSTICS.columns[f"coverage_{level}"] for level in BANDS}
COVERAGE_REPORT = Table(
    name="coverage_report",
    columns=MONTH
    | SYMBOL
    | {"snapshot_time": Column(pl.String, "New York time of the snapshot, HH:MM; * for all")}
    | SOURCES
    | {
        name: FORECAST_DIAGNOSTICS.columns[name]
        for name in ("stage", "n", "calibrated_share", "mae", "rmse", "pinball")
    }
    | _COVERAGES
    | {"pit_deviation": FORECAST_DIAGNOSTICS.columns["pit_deviation"]}
    | _COVERAGE_ENDS
    | _BANDS_SCORED
    | {name: _RELATIVE[name] for name in RELATIVE},
    key=("month", "symbol", "snapshot_time", "score_source", "run_source", "data_regime", "stage"),
)
"""The month's own sessions; ``symbol`` is ``*`` for all symbols pooled."""

INTERVAL_WIDTHS = Table(
    name="interval_widths",
    columns=MONTH
    | SYMBOL
    | SOURCES
    | {
        "stage": FORECAST_DIAGNOSTICS.columns["stage"],
        "decile": Column(pl.Int64, "tenth of the symbol's own volatilities at the snapshot, 1 the calmest"),
        "n": Column(pl.Int64, "forecasts in it"),
        "sigma": Column(pl.Float64, "their mean volatility, log return over the horizon"),
        "mae_zero": Column(pl.Float64, "their mean |y|"),
    }
    | _COVERAGES
    | _BANDS_SCORED,
    key=("month", "symbol", "score_source", "run_source", "data_regime", "stage", "decile"),
)

COVERAGE_DRIFT = Table(
    name="coverage_drift",
    columns=MONTH
    | DAY
    | SYMBOL
    | SOURCES
    | {
        "stage": FORECAST_DIAGNOSTICS.columns["stage"],
        "level": Column(pl.Int64, "band, percent"),
        "n": Column(pl.Int64, "forecasts of the sessions up to this one"),
        "coverage": Column(pl.Float64, "share of their y inside the band", nullable=True),
        "low": Column(pl.Float64, "lower end of the day-clustered 95 % interval", nullable=True),
        "high": Column(pl.Float64, "upper end of the day-clustered 95 % interval", nullable=True),
        "alarm": Column(pl.Boolean, "too far from nominal, and told apart from it"),
    },
    key=("day", "symbol", "score_source", "run_source", "data_regime", "stage", "level"),
)

PIT_RELIABILITY = Table(
    name="pit_reliability",
    columns=MONTH
    | SYMBOL
    | SOURCES
    | {
        "stage": Column(pl.String, "raw or calibrated"),
        "quantile": Column(pl.Float64, "nominal probability"),
        "observed": Column(pl.Float64, "share of y at or below the quantile"),
        "n": Column(pl.Int64, "forecasts with an outcome"),
        "bin_share": Column(pl.Float64, "share of y between this quantile and the next lower one", nullable=True),
        "uniform_p": Column(pl.Float64, "chi-square p of all bin shares being nominal, forecasts as independent", True),
    },
    key=("month", "symbol", "score_source", "run_source", "data_regime", "stage", "quantile"),
)

_TRADING = {
    "observation_days": Column(pl.Int64, "sessions counted, those without a trade included"),
    "trades": Column(pl.Int64, "admitted trades"),
    "signals": Column(pl.Int64, "signals, refused ones included"),
    "reject_rate": Column(pl.Float64, "signals refused by risk limits / signals", nullable=True),
    "hit_rate": Column(pl.Float64, "share of admitted trades with net_pnl > 0", nullable=True),
    "gross_pnl": Column(pl.Float64, "USD"),
    "cost": Column(pl.Float64, "USD"),
    "net_pnl": Column(pl.Float64, "USD"),
    "max_drawdown": Column(pl.Float64, "largest fall of cumulative net P&L from its peak / total capital, 0..1"),
    "sharpe_daily": Column(pl.Float64, "annualised Sharpe of daily net returns", nullable=True),
    "sharpe_method": Column(pl.String, "daily_agg_v1"),
    "vol_floor_applied": Column(pl.Boolean, "no variance: the Sharpe ratio is null"),
    "sharpe_step_raw": Column(pl.Float64, "mean / deviation of net P&L per trade, not annualised: diagnostic", True),
} | {
    f"{name}_{end}": Column(pl.Float64, f"{end} end of the 95 % interval of {name}", nullable=True)
    for name in ("hit_rate", "net_pnl", "sharpe_daily")
    for end in ("low", "high")
}

TRADING_SCORES = Table(
    name="trading_scores",
    columns=MONTH | SYMBOL | SOURCES | _TRADING,
    key=("month", "symbol", "score_source", "run_source", "data_regime"),
    open=True,
)
COST_SENSITIVITY = Table(
    name="cost_sensitivity",
    columns=MONTH | SOURCES | {"cost_multiplier": Column(pl.Float64, "costs times this")} | _TRADING,
    key=("month", "score_source", "run_source", "data_regime", "cost_multiplier"),
    open=True,
)
OOS_SUMMARY = Table(
    name="oos_summary",
    columns=MONTH
    | SOURCES
    | {
        "oos_start": Column(pl.Date, "gates.oos_start: sessions after it are out of sample"),
        "cost_multiplier": Column(pl.Float64, "costs times this"),
    }
    | _TRADING,
    key=("month", "score_source", "run_source", "data_regime", "cost_multiplier"),
    open=True,
)

GATES = Table(
    name="gates",
    columns=MONTH | SYMBOL | SOURCES | _CRITERION | {"gate": Column(pl.String, "forecast_gate, trading_gate, ...")},
    key=("month", "gate", "symbol", "score_source", "run_source", "data_regime", "criterion"),
)
"""``symbol`` is ``*`` where a criterion is about all symbols; sources are ``*`` where it is about all rows."""

REPORT = Table(
    name="report",
    columns=MONTH
    | {
        "position": Column(pl.Int64, "place in the report, from 0"),
        "section": Column(pl.String, "part of the report"),
        "name": Column(pl.String, "figure"),
        "value": Column(pl.String, "as printed"),
        "path": Column(pl.String, "file of the report, below data.artifacts_root"),
    },
    key=("month", "position"),
)

ALL = (
    RAW_BARS, BARS, QUALITY, MARKET_CONTEXT, FEATURES, PANEL, LABELS, SNAPSHOTS, ANSWERS, RAW_FORECASTS, OUTCOMES,
    CALIBRATION_MODELS, FORECASTS, FORECAST_SCORES, DAY_SCORES, SYMBOL_GATES, TRADES, BOOK, PORTFOLIO,
    FORECAST_DIAGNOSTICS, PIT_RELIABILITY, COVERAGE_REPORT, INTERVAL_WIDTHS, COVERAGE_DRIFT,
    TRADING_SCORES, COST_SENSITIVITY, OOS_SUMMARY, GATES, REPORT,
)  # fmt: skip
"""Every declaration, in the order of the graph."""
