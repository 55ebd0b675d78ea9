"""Which assets a stage means, and what may be asked for: days, symbols and assets.

Belongs here: stage words, and what is refused before anything is opened; so nothing here imports Dagster. What is made
of them is rectangles.py.
"""

from collections.abc import Sequence
from datetime import date, datetime

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.config.close_names import did_you_mean
from timegpt_assets.config.settings import Settings
from timegpt_assets.core import calendar
from timegpt_assets.core.explained import Explained

STAGES = {
    "bars": ("raw_bars", "bars", "quality_report"),
    "news": (
        "raw_news",
        "normalized_news",
        "linked_news",
        "news_clusters",
        "scored_news",
        "source_health",
        "news_features",
        "event_attribution",
    ),
    "features": ("market_context", "features", "panel", "labels"),
    "forecasts": ("snapshots", "answers", "base_answers", "raw_forecasts", "outcomes"),
    "calibration": ("calibration_models", "forecasts"),
    "backtest": ("trades", "book", "portfolio", "funnel"),
    "evaluation": (
        "forecast_scores",
        "day_scores",
        "forecast_diagnostics",
        "pit_reliability",
        "coverage_report",
        "interval_widths",
        "coverage_drift",
        "trading_scores",
        "cost_sensitivity",
        "stress_phases",
        "oos_summary",
        "backtest_runs",
        "comparison",
    ),
    "gates": ("symbol_gates", "forecast_gate", "trading_gate", "hard_metrics", "contract", "luck_gate"),
    "promotion": ("promotion",),
    "reports": ("report",),
    "exports": ("run_export",),
    "models": (
        "training_set",
        "tabular_model",
        "neural_model",
        "base_scores",
        "ensemble_policy",
        "local_answers",
        "model_report",
        "feature_drift",
        "attribution",
    ),
    "worth": ("information_value",),
    "research": ("grid_days", "trading_grid"),
    "search": ("search_stage_1", "search_stage_2", "search_stage_3"),
    "tsfm": (
        "markets",
        "market_series",
        "selection",
        "tsfm_forecasts",
        "tsfm_outcomes",
        "conformal_parameters",
        "bands",
        "alerts",
        "tsfm_evaluation",
    ),
}
"""Stage word -> asset names; ``promotion`` is apart because only ``evaluate`` and ``promote`` make it."""
ON_DEMAND = ("promotion", "exports", "news", "models", "worth", "research", "search", "tsfm")
"""Stages that no day asks for: ``evaluate`` and ``promote`` make the first, people in the UI the second, ``fetch-news``
the third, ``train`` the fourth, ``news-value`` the fifth, ``sweep`` and ``search`` those after it, ``tsfm`` the last,
on UTC days. Where a rung of the ladder is seated, a day's assets read those of ``models``, and where the feature group
news is on, those of ``news``."""
EVERYDAY = tuple(name for stage, names in STAGES.items() if stage not in ON_DEMAND for name in names)
NEWS = STAGES["news"][:-2]
"""What every day makes besides, where a source of news is listed."""

TSFM = "tsfm"
"""The stage of the second system, whose days are UTC days: no session asks for it."""
FORECAST = "forecasts/raw_forecasts"
"""A session that has a file of it was asked for, and whatever stands on it can be made."""


def everyday(settings: Settings) -> tuple[str, ...]:
    """Return the assets that every session makes under these settings."""
    return EVERYDAY + (NEWS if settings.news.sources else ())


class Refused(Explained, ValueError):
    """Raised for days, symbols or assets that cannot be asked for; names them and the remedy."""


def assets_asked(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of assets. Raises Refused for one that none is called, and for one that has no sessions."""
    known = sorted(name for stage in STAGES.values() for name in stage)
    if unknown := sorted(set(names) - set(known)):
        meant = did_you_mean(unknown[0], known)
        raise Refused(f"no asset is called {', '.join(unknown)}. {meant}Choose from: {', '.join(known)}.")
    if utc := sorted(set(names) & {*STAGES[TSFM]}):
        raise Refused(
            f"{', '.join(utc)} lies on UTC days, of which no session knows. Make it: timegpt-assets tsfm replay."
        )
    return tuple(names)


def symbols_asked(settings: Settings, names: Sequence[str]) -> tuple[str, ...]:
    """Return the symbols. Raises Refused for one that is not in the universe."""
    everyone = settings.universe.everyone
    if unknown := sorted(set(names) - set(everyone)):
        raise Refused(
            f"{', '.join(unknown)} is not in the universe ({', '.join(everyone)}). "
            f"{did_you_mean(unknown[0], everyone)}Add it to universe.tickers, or ask for one of these."
        )
    return tuple(names)


def sessions_asked(settings: Settings, start: date, end: date, *, at: datetime) -> list[date]:
    """Return the sessions from ``start`` to ``end``, all of them closed and on the grid.

    Raises Refused for an empty range and a day off the grid, StillOpen for a session that has not closed at ``at``, and
    NotASession, with the nearest ones, for a single day that is none.
    """
    if end < start:
        raise Refused(f"the range {start}..{end} ends before it starts. Swap --start and --end.")
    unknown = [day for day in sorted({start, end}) if not calendar.FIRST_DAY <= day <= calendar.LAST_DAY]
    days = [] if unknown else _sessions(start, end)
    last = settings.data.end_date
    if off := unknown or [d for d in days if d < settings.data.start_date or (last and d > last)]:
        raise Refused(
            f"{off[0]}{' and others' if len(off) > 1 else ''} lies outside the grid, which runs from "
            f"{settings.data.start_date} to {last or 'today'}. Move data.start_date or data.end_date."
        )
    calendar.refuse_open(days, at)
    return days


def stored_sessions(store: ParquetStore, settings: Settings) -> list[date]:
    """Return the sessions of the grid of which forecasts are stored, by the names of their files alone."""
    days, data = [date.fromisoformat(name) for name in store.files(FORECAST)], settings.data
    return [day for day in days if data.start_date <= day and (data.end_date is None or day <= data.end_date)]


def _sessions(start: date, end: date) -> list[date]:
    if start == end:
        return [calendar.session(start).day]
    if days := [s.day for s in calendar.sessions(start, end)]:
        return days
    raise Refused(f"{start}..{end} holds no session. Ask for a range with at least one trading day.")


def last_closed_session(at: datetime) -> date:
    """Return the newest session that has closed at ``at``."""
    return calendar.last_closed_session(at)
