"""Tables of the model ladder: what is learnt from, what was learnt, how well, and why a model said what it said."""

import polars as pl

from timegpt_assets.core.schema import Column, Table
from timegpt_assets.core.tables.columns import DAY, FORECASTER, MONTH, SOURCE_KEY, SOURCES, SYMBOL, log_return
from timegpt_assets.core.tables.forecasts import SNAPSHOT_TIMES

TRAINING_SET = Table(
    name="training_set",
    columns=DAY
    | SYMBOL
    | SNAPSHOT_TIMES
    | {
        "sigma": Column(pl.Float64, "volatility at the snapshot, scale of y"),
        "y": Column(pl.Float64, "log return from snapshot_ts to target_ts: the label's span"),
        "z": Column(pl.Float64, "y / sigma"),
        "realised": Column(
            pl.Float64, "root of the summed squared minute returns of the label's own minutes: never a feature", True
        ),
        "weight": Column(pl.Float64, "how much the row counts"),
        "tokens": Column(
            pl.List(pl.Float32), "the minutes up to the snapshot, oldest first, each with every channel of the net"
        ),
    },
    key=("day", "symbol", "snapshot_ts"),
    open=True,
)
"""Further columns: every feature as known at the snapshot, float32."""

LOSSES = {
    "forecaster": pl.String(),
    "day": pl.Date(),
    "n": pl.Int64(),
    "pinball": pl.Float64(),
    "abs_error": pl.Float64(),
}
"""What was lost on a session, in volatilities: ``pinball`` and ``abs_error`` are sums over ``n`` rows all answered."""

MODEL = Table(
    name="model",
    columns=MONTH
    | FORECASTER
    | {
        "name": Column(pl.String, "artifact: liquid_<universe>_lgbm_baseline_v2 and the like"),
        "digest": Column(pl.String, "sha256 of its manifest, which pins every byte; null: there is none", True),
        "reason": Column(pl.String, "why there is none; empty when there is one"),
        "policy": Column(pl.String, "tabular_only, nn_only, blend_alpha_<x>; null for the parts of a blend", True),
        "first_day": Column(pl.Date, "first session learnt from", True),
        "last_day": Column(pl.Date, "last session learnt from", True),
        "sessions": Column(pl.Int64, "sessions learnt from"),
        "rows": Column(pl.Int64, "rows learnt from"),
        "validation_sessions": Column(pl.Int64, "the newest of them, which judged what the others taught"),
        "pinball": Column(pl.Float64, "mean pinball loss in validation, in volatilities", True),
        "control_pinball": Column(pl.Float64, "the control arm's, on the same rows", True),
        "control_settings": Column(pl.String, "digest of the control arm's settings"),
        "validation": Column(
            pl.List(pl.Struct(LOSSES)),
            "of each session in validation and each forecaster, zero, the control arm and the unlearnt twin among "
            "them: n, and the summed pinball and abs_error in volatilities of the rows that all answered; "
            "empty: there was none",
        ),
    },
    key=("month", "forecaster"),
)
"""What one month's tree, net or blend is: a row of tabular_model, neural_model, ensemble_policy."""

BASE_SCORES = Table(
    name="base_scores",
    columns=DAY
    | SYMBOL
    | SNAPSHOT_TIMES
    | FORECASTER
    | {
        "sigma": Column(pl.Float64, "volatility at the snapshot, scale of y"),
        "y": Column(pl.Float64, "realised log return over the horizon"),
        "mean": log_return("as answered"),
        "pinball": Column(pl.Float64, "mean pinball loss over the quantiles answered, in volatilities"),
        "score_source": SOURCES["score_source"],
    },
    key=("day", "symbol", "snapshot_ts", "forecaster"),
    open=True,
)
"""Further columns: lo_<level> and hi_<level> as answered, log return. Raw answers: what a blend is chosen on."""

CONTRIBUTION = {
    "rank": Column(pl.Int64, "1: what moved the forecast most"),
    "feature": Column(pl.String, "column of the panel; * in the last rank: all that are not named, together"),
    "value": Column(pl.Float64, "what it was at the snapshot; null when it was not known", True),
    "missing": Column(pl.Boolean, "it was not known at the snapshot"),
    "contribution": Column(pl.Float64, "what it added to the forecast, in volatilities"),
    "base": Column(
        pl.Float64, "the forecast of whoever knew no feature; with every contribution it adds up to forecast"
    ),
    "forecast": Column(pl.Float64, "what was forecast of the part, in volatilities"),
    "method": Column(pl.String, "how that is worked out: contributions (trees), occlusion (nets), blend"),
}
ATTRIBUTION = Table(
    name="attribution",
    columns=DAY
    | SYMBOL
    | {"snapshot_ts": SNAPSHOT_TIMES["snapshot_ts"]}
    | FORECASTER
    | {"part": Column(pl.String, "what it moved: centre or size of the bands")}
    | CONTRIBUTION
    | {
        "policy": Column(pl.String, "of the blend: tabular_only, nn_only, blend_alpha_<x>; null for its parts", True),
        "digest": Column(pl.String, "sha256 of the manifest of the artifact that answered"),
    },
    key=("day", "symbol", "snapshot_ts", "forecaster", "part", "rank"),
)

FEATURE_DRIFT = Table(
    name="feature_drift",
    columns=MONTH
    | FORECASTER
    | {
        "feature": Column(pl.String, "column of the panel"),
        "psi": Column(pl.Float64, "population stability index, the month against what was learnt from", True),
        "threshold": Column(pl.Float64, "models.drift_psi_max"),
        "drifted": Column(pl.Boolean, "psi above the threshold"),
        "n": Column(pl.Int64, "rows of the month"),
    },
    key=("month", "forecaster", "feature"),
)

_RATIO = {
    name: Column(pl.Float64, f"{said} of rung over against, in volatilities", True)
    for name, said in (("pinball_ratio", "mean pinball loss"), ("mae_ratio", "mean absolute error"))
}
STAGES = ("validation", "forward", "forward_raw")
MODEL_REPORT = Table(
    name="model_report",
    columns=MONTH
    | {
        "rung": Column(pl.String, "forecaster judged: ridge, lightgbm, tsmixer, blend"),
        "against": Column(
            pl.String,
            "the one it is judged against: each one below it, zero the lowest, and unlearnt, its own bands with "
            "nothing learnt",
        ),
        "stage": Column(
            pl.String,
            "validation (the window's newest sessions, as answered), forward (sessions that no model was shown, after "
            "calibration: what is traded), forward_raw (the same as answered)",
        ),
    }
    | SOURCES
    | {
        "control_settings": Column(pl.String, "digest of the control arm's settings"),
        "n": Column(pl.Int64, "common rows; those the control arm stood in for are none"),
        "sessions": Column(pl.Int64, "sessions of those rows"),
    }
    | {
        f"{name}{end}": Column(pl.Float64, f"{column.meaning}{said}", True)
        for name, column in _RATIO.items()
        for end, said in (("", ""), ("_low", ", lower end of its 95 %"), ("_high", ", upper end of its 95 %"))
    }
    | {
        "dm_p": Column(pl.Float64, "one-sided Diebold-Mariano p of the rung's pinball loss being lower", True),
        "better": Column(pl.Boolean, "pinball_ratio below 1 and dm_p below gates.ladder.dm_p_lt"),
    }
    | {
        f"{whose}{name}": Column(pl.Float64, f"{said}, {of} own book on those sessions; null in validation", True)
        for whose, of in (("", "of the rung's"), ("against_", "of the other's"))
        for name, said in (
            ("net_pnl", "USD after costs"),
            ("max_drawdown", "deepest fall of the cumulated return, share of total capital"),
        )
    },
    key=("month", "rung", "against", "stage", *SOURCE_KEY),
)
"""The ladder table: each rung against every one below it. Sources are the rung's; ``*`` in validation."""
