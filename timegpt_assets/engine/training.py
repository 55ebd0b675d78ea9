"""A month's models on request: which month may be asked for, and the rectangle that learns them.

Belongs here: what a training runs. Unlike a day's run it demands the sessions that are learnt from. What is printed is
cli/training.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from dagster import AssetKey

from timegpt_assets.config.settings import Settings
from timegpt_assets.core import calendar
from timegpt_assets.engine.axes import MONTHS
from timegpt_assets.engine.engine import Engine, Rectangle, asset_nodes
from timegpt_assets.engine.months import sessions_of
from timegpt_assets.engine.rectangles import rectangle
from timegpt_assets.engine.stages import STAGES, Refused
from timegpt_assets.partitions import GraphContext, is_month

RUNGS = ("tabular_model", "neural_model", "ensemble_policy")
"""What a month's models stand in, rung by rung."""
SETS, VALUE = "training_set", "information_value"
TAUGHT = (SETS, *RUNGS)


def month_asked(settings: Settings, month: str | None, *, at: datetime) -> date:
    """Return the first date of the month; of none, that of the month it is at ``at``, or of the grid's last.

    Raises Refused for what is no month, for one off the grid, and for one that has not begun.
    """
    if month and not is_month(month):
        raise Refused(f"--month is {month}. Write it like 2025-02.")
    data, now = settings.data, MONTHS.of(at.astimezone(ZoneInfo(calendar.ZONE)).date())
    last = min(now, MONTHS.of(data.end_date)) if data.end_date else now
    wanted = date.fromisoformat(f"{month}-01") if month else last
    if wanted > now:
        raise Refused(
            f"{wanted:%Y-%m} has not begun: its models learn from whole months before it. Ask for {last:%Y-%m} or "
            f"earlier, or for it from {wanted} on."
        )
    if not MONTHS.of(data.start_date) <= wanted <= last:
        raise Refused(
            f"{wanted:%Y-%m} lies outside the grid, which runs from {data.start_date} to {data.end_date or 'today'}. "
            "Move data.start_date or data.end_date, or ask for a month between them."
        )
    return wanted


def month_judged(settings: Settings, month: str | None, *, at: datetime) -> date:
    """Return the first date of a month of which every session has closed and is on the grid; of none, of the last such.

    Raises Refused as month_asked, and for a month that is not whole: what is judged needs all its labels.
    """
    wanted = month_asked(settings, month, at=at)
    before = calendar.months_later(wanted, -1)
    if _is_whole(settings, wanted, at=at):
        return wanted
    if month or before < MONTHS.of(settings.data.start_date):
        last = sessions_of(wanted)[-1]
        raise Refused(
            f"{wanted:%Y-%m} is not whole: its last session, {last}, has not closed or lies beyond the grid's end. Ask "
            f"for an earlier month, wait for its end, or move data.end_date to {last}."
        )
    return before


def _is_whole(settings: Settings, month: date, *, at: datetime) -> bool:
    last, end = sessions_of(month)[-1], settings.data.end_date
    return calendar.has_closed(last, at) and (end is None or last <= end)


def trained(engine: Engine, graph: GraphContext, month: date, *, force: bool = False) -> Rectangle:
    """Return the rectangle of a month's models, with every session on the grid that they are learnt from.

    ``force`` makes training sets and models again.
    """
    return _learnt(engine, graph, month, STAGES["models"], forced=STAGES["models"] if force else ())


def valued(engine: Engine, graph: GraphContext, month: date, *, force: bool = False) -> Rectangle:
    """Return the rectangle of what the news was worth on a month, with the training sets of it and of those before it.

    News is taken as it is stored: no source is asked. ``force`` measures again, and learns from the same training sets.
    """
    return _learnt(engine, graph, month, (SETS, VALUE), forced=(VALUE,) if force else ())


def _learnt(
    engine: Engine, graph: GraphContext, month: date, names: Sequence[str], *, forced: Sequence[str]
) -> Rectangle:
    """Return the rectangle of the month assets among ``names``, with what their training sets are made of."""
    nodes, everyone = asset_nodes(engine.repository), graph.settings.universe.everyone
    models = tuple(key for key in nodes if key.path[-1] in names and nodes[key].is_monthly)
    alone = Rectangle(
        days=sessions_of(month)[:1],
        symbols=everyone,
        all_symbols=everyone,
        assets=models,
        forced=frozenset(key for key in models if key.path[-1] in forced),
        first_day=graph.grid.first_day,
        months=(month,),
    )
    asked = engine.months_asked(alone)
    sets = [key for key in models if key in asked.looked_back_on]
    taught = sorted({partition.day for key in sets for partition in asked.of(key, alone.days)})
    days = [day for first in taught for day in sessions_of(first) if day >= graph.settings.data.start_date]
    read = sorted({dep for key in sets for dep in nodes[key].deps if not nodes[dep].is_monthly})
    if not days:
        return alone  # the grid's first month: there is nothing before it, which the models will say
    below = rectangle(graph, nodes, days=days, assets=_names(read))
    return replace(below, assets=(*below.assets, *models), forced=alone.forced, named=frozenset(), months=alone.months)


def _names(keys: list[AssetKey]) -> tuple[str, ...]:
    return tuple(key.path[-1] for key in keys)
