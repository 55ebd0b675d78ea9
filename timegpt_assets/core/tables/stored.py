"""Every stored asset: the stage word its files lie under, the table they hold, and what one file is of.

Belongs here: the list, for whoever reads stored tables without a graph. The graph declares its assets itself
(assets/), and a test holds the two together.
"""

from dataclasses import dataclass
from typing import Literal

from timegpt_assets.core.schema import Table
from timegpt_assets.core.tables import (
    backtest,
    bars,
    calibration,
    evaluation,
    features,
    forecasts,
    gates,
    models,
    news,
    research,
    tsfm,
)
from timegpt_assets.core.tables.reports import REPORT, RUN_EXPORT

Span = Literal["day", "month"]
Days = Literal["sessions", "UTC"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One stored asset: a file each trading day, UTC day or month; ``by_symbol`` ones are divided by symbol inside."""

    name: str
    group: str
    table: Table
    span: Span
    by_symbol: bool = False
    days: Days = "sessions"

    @property
    def asset(self) -> str:
        """Return ``group/name``, under which its files lie."""
        return f"{self.group}/{self.name}"


def _days(group: str, *tables: Table, by_symbol: bool = False) -> list[Stored]:
    return [Stored(name=t.name, group=group, table=t, span="day", by_symbol=by_symbol) for t in tables]


def _months(group: str, *tables: Table) -> list[Stored]:
    return [Stored(name=t.name, group=group, table=t, span="month") for t in tables]


def _utc(*tables: Table, span: Span = "day") -> list[Stored]:
    return [Stored(name=t.name, group="tsfm", table=t, span=span, days="UTC") for t in tables]


def _alike(group: str, table: Table, *names: str) -> list[Stored]:
    return [Stored(name=name, group=group, table=table, span="month") for name in names]


STORED = {
    one.name: one
    for one in (
        *_days("bars", bars.RAW_BARS, bars.BARS, by_symbol=True),
        *_days("bars", bars.QUALITY),
        *_days("news", news.RAW_NEWS, news.NORMALIZED_NEWS, news.LINKED_NEWS, news.NEWS_CLUSTERS, news.SCORED_NEWS),
        *_days("news", news.SOURCE_HEALTH),
        *_months("news", news.INFORMATION_VALUE),
        *_days("news", news.NEWS_FEATURES, news.EVENT_ATTRIBUTION, by_symbol=True),
        *_days("features", features.MARKET_CONTEXT, features.PANEL),
        *_days("features", features.FEATURES, features.LABELS, by_symbol=True),
        *_days("forecasts", forecasts.SNAPSHOTS, forecasts.ANSWERS, forecasts.BASE_ANSWERS, forecasts.OUTCOMES),
        *_months("models", models.TRAINING_SET),
        *_alike("models", models.MODEL, "tabular_model", "neural_model", "ensemble_policy"),
        *_days("evaluation", models.BASE_SCORES),
        *_days("forecasts", forecasts.LOCAL_ANSWERS),
        *_days("forecasts", forecasts.RAW_FORECASTS, by_symbol=True),
        *_days("calibration", calibration.CALIBRATION_MODELS),
        *_days("calibration", calibration.FORECASTS, by_symbol=True),
        *_days("evaluation", evaluation.FORECAST_SCORES, by_symbol=True),
        *_days("evaluation", evaluation.DAY_SCORES),
        *_days("gates", gates.SYMBOL_GATES, by_symbol=True),
        *_days("backtest", backtest.TRADES, by_symbol=True),
        *_days("backtest", backtest.BOOK, backtest.PORTFOLIO, backtest.FUNNEL),
        *_months(
            "evaluation",
            evaluation.FORECAST_DIAGNOSTICS,
            evaluation.PIT_RELIABILITY,
            evaluation.COVERAGE_REPORT,
            evaluation.INTERVAL_WIDTHS,
            evaluation.COVERAGE_DRIFT,
            evaluation.TRADING_SCORES,
            evaluation.COST_SENSITIVITY,
            evaluation.STRESS_PHASES,
            evaluation.OOS_SUMMARY,
            evaluation.BACKTEST_RUNS,
            evaluation.COMPARISON,
        ),
        *_months("models", models.MODEL_REPORT, models.FEATURE_DRIFT),
        *_days("models", models.ATTRIBUTION),
        *_alike("gates", gates.GATES, *gates.VERDICTS, "promotion"),
        *_months("reports", REPORT),
        *_days("reports", RUN_EXPORT),
        *_days("research", research.GRID_DAYS),
        *_months("research", research.TRADING_GRID),
        *_alike("research", research.SEARCH_TRIALS, "search_stage_1", "search_stage_2"),
        *_alike("research", research.SEARCH_CANDIDATES, "search_stage_3"),
        *_utc(tsfm.MARKETS, tsfm.MARKET_SERIES, tsfm.SELECTION, tsfm.TSFM_FORECASTS, tsfm.TSFM_OUTCOMES),
        *_utc(tsfm.CONFORMAL_PARAMETERS, tsfm.BANDS, tsfm.ALERTS),
        *_utc(tsfm.TSFM_EVALUATION, span="month"),
    )
}
"""Name -> stored asset, by stage."""
