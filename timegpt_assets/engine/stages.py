"""Which assets a stage means, and the rectangle that makes them: names a person types turned into what has to run.

Belongs here: stage words, warm-up and what is refused before anything runs. Running is engine.py.
"""

from collections.abc import Sequence
from datetime import date, datetime

from dagster import AssetKey

from timegpt_assets.config import core_inputs
from timegpt_assets.core import calendar
from timegpt_assets.engine.engine import Rectangle
from timegpt_assets.engine.plans import AssetNode
from timegpt_assets.partitions import GraphContext
from timegpt_assets.partitions import symbols as all_symbols

STAGES = {
    "bars": ("raw_bars", "bars", "quality_report"),
    "features": ("market_context", "features", "panel", "labels"),
    "forecasts": ("snapshots", "answers", "base_answers", "raw_forecasts", "outcomes"),
    "calibration": ("calibration_models", "forecasts"),
    "backtest": ("trades", "book", "portfolio"),
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
    "research": ("grid_days", "trading_grid"),
    "search": ("search_stage_1", "search_stage_2", "search_stage_3"),
}
"""Stage word -> asset names; ``promotion`` is apart because only ``evaluate`` and ``promote`` make it."""
ON_DEMAND = ("promotion", "research", "search")
"""Stages that no day makes: ``evaluate`` and ``promote`` make the first, ``sweep`` and ``search`` the others."""
EVERYDAY = tuple(name for stage, names in STAGES.items() if stage not in ON_DEMAND for name in names)


class Refused(ValueError):
    """Raised for days, symbols or assets that cannot be asked for; names them and the remedy."""


def rectangle(
    graph: GraphContext,
    asset_nodes: dict[AssetKey, AssetNode],
    *,
    days: Sequence[date],
    symbols: Sequence[str] = (),
    assets: Sequence[str] = EVERYDAY,
    force: bool = False,
    reask: bool = False,
) -> Rectangle:
    """Return what has to run so that these assets exist for days x symbols (all of the universe when empty).

    Whatever the assets stand on is included and made where it is missing; ``force`` makes the named ones again,
    ``reask`` the answers, paying for them once more.
    """
    settings, everyone = graph.settings, all_symbols(graph.settings)
    by_name = {key.path[-1]: key for key in asset_nodes}
    if unknown := sorted(set(assets) - by_name.keys()):
        raise Refused(f"no asset is called {', '.join(unknown)}. Choose from: {', '.join(sorted(by_name))}.")
    if unknown := sorted(set(symbols) - set(everyone)):
        raise Refused(
            f"{', '.join(unknown)} is not in the universe ({', '.join(everyone)}). "
            "Add it to universe.tickers, or ask for one of these."
        )
    named = [by_name[name] for name in assets]
    wanted = _with_upstream(named, asset_nodes)
    answers, history = by_name["answers"], settings.forecast.history_days
    answering = [key for key in (answers, by_name["base_answers"]) if key in wanted]
    asked = bool(answering)
    # learnt from all symbols: what a choice of them is calibrated with must not hang on which were made before
    learnt = [key for key in (by_name["outcomes"], by_name["calibration_models"]) if key in wanted]
    warmup = settings.features.warmup_sessions if by_name["features"] in wanted else 0
    labelled = core_inputs.volatility_spec(settings).sessions if by_name["labels"] in wanted else 0
    filters = settings.trading.filters
    compared = filters.lookback_sessions if filters.enabled and by_name["trades"] in wanted else 0
    featured = max(history if asked else 0, compared)
    return Rectangle(
        days=tuple(days),
        symbols=tuple(symbols) or everyone,
        all_symbols=everyone,
        assets=tuple(wanted),
        forced=frozenset(named if force else ()) | frozenset({answers} if reask else ()),
        whole=frozenset(_with_upstream([*answering, *learnt], asset_nodes)),
        history=(
            (frozenset({by_name["raw_bars"], by_name["bars"]}), max(warmup + featured, labelled)),
            (frozenset({by_name["market_context"], by_name["features"]}), featured),
            (frozenset({by_name["panel"]}), history if asked else 0),
        ),
        first_day=graph.grid.first_day,
        paid=answers if settings.forecast.backend == "nixtla" else None,
        reask=reask,
    )


def _with_upstream(keys: Sequence[AssetKey], asset_nodes: dict[AssetKey, AssetNode]) -> list[AssetKey]:
    found: set[AssetKey] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting.extend(asset_nodes[key].deps)
    return sorted(found, key=lambda k: list(k.path))


def sessions_asked(graph: GraphContext, start: date, end: date, *, at: datetime) -> list[date]:
    """Return the sessions from ``start`` to ``end``, all of them closed and on the grid.

    Raises Refused for an empty range and a day off the grid, StillOpen for a session that has not closed at ``at``, and
    NotASession, with the nearest ones, for a single day that is none.
    """
    if end < start:
        raise Refused(f"the range {start}..{end} ends before it starts. Swap --start and --end.")
    unknown = [day for day in sorted({start, end}) if not calendar.FIRST_DAY <= day <= calendar.LAST_DAY]
    days = [] if unknown else _sessions(start, end)
    last = graph.settings.data.end_date
    if off := unknown or [d for d in days if d < graph.settings.data.start_date or (last and d > last)]:
        raise Refused(
            f"{off[0]}{' and others' if len(off) > 1 else ''} lies outside the grid, which runs from "
            f"{graph.settings.data.start_date} to {last or 'today'}. Move data.start_date or data.end_date."
        )
    calendar.refuse_open(days, at)
    return days


def _sessions(start: date, end: date) -> list[date]:
    if start == end:
        return [calendar.session(start).day]
    if days := [s.day for s in calendar.sessions(start, end)]:
        return days
    raise Refused(f"{start}..{end} holds no session. Ask for a range with at least one trading day.")


def last_closed_session(at: datetime) -> date:
    """Return the newest session that has closed at ``at``."""
    return calendar.last_closed_session(at)
