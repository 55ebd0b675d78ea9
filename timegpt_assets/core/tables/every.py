"""Every declared table; checks, reference docs and the UI's column schema derive from it."""

from timegpt_assets.core.tables.backtest import BOOK, FUNNEL, PORTFOLIO, TRADES
from timegpt_assets.core.tables.bars import BARS, QUALITY, RAW_BARS
from timegpt_assets.core.tables.calibration import CALIBRATION_MODELS, FORECASTS
from timegpt_assets.core.tables.evaluation import (
    BACKTEST_RUNS,
    COMPARISON,
    COST_SENSITIVITY,
    COVERAGE_DRIFT,
    COVERAGE_REPORT,
    DAY_SCORES,
    FORECAST_DIAGNOSTICS,
    FORECAST_SCORES,
    INTERVAL_WIDTHS,
    OOS_SUMMARY,
    PIT_RELIABILITY,
    STRESS_PHASES,
    TRADING_SCORES,
)
from timegpt_assets.core.tables.features import FEATURES, LABELS, MARKET_CONTEXT, PANEL
from timegpt_assets.core.tables.forecasts import (
    ANSWERS,
    BASE_ANSWERS,
    LOCAL_ANSWERS,
    OUTCOMES,
    RAW_FORECASTS,
    SNAPSHOTS,
)
from timegpt_assets.core.tables.gates import GATES, SYMBOL_GATES
from timegpt_assets.core.tables.models import ATTRIBUTION, BASE_SCORES, FEATURE_DRIFT, MODEL, MODEL_REPORT, TRAINING_SET
from timegpt_assets.core.tables.reports import REPORT
from timegpt_assets.core.tables.research import GRID_DAYS, SEARCH_CANDIDATES, SEARCH_TRIALS, TRADING_GRID

ALL = (
    RAW_BARS, BARS, QUALITY, MARKET_CONTEXT, FEATURES, PANEL, LABELS, TRAINING_SET, MODEL, SNAPSHOTS, ANSWERS,
    BASE_ANSWERS, BASE_SCORES, LOCAL_ANSWERS, RAW_FORECASTS, OUTCOMES, CALIBRATION_MODELS, FORECASTS, FORECAST_SCORES,
    DAY_SCORES, SYMBOL_GATES, TRADES, BOOK, PORTFOLIO, FUNNEL, FORECAST_DIAGNOSTICS, PIT_RELIABILITY, COVERAGE_REPORT,
    INTERVAL_WIDTHS, COVERAGE_DRIFT, TRADING_SCORES, COST_SENSITIVITY, STRESS_PHASES, OOS_SUMMARY, BACKTEST_RUNS,
    COMPARISON, MODEL_REPORT, FEATURE_DRIFT, ATTRIBUTION, GATES, REPORT, GRID_DAYS, TRADING_GRID, SEARCH_TRIALS,
    SEARCH_CANDIDATES,
)  # fmt: skip
"""Every declaration, in the order of the graph."""
