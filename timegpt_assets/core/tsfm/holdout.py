"""What is held out of an evaluation: the latest days, and events that are left out whole.

Belongs here: which days and which events. How bands fare on them is evaluation.py.
"""

import math
from collections.abc import Mapping
from datetime import date, timedelta
from hashlib import sha256

import polars as pl


def first_held_day(outcomes: pl.DataFrame, share: float) -> date | None:
    """Return the first UTC day of the latest share of the days between the first and the last; None without rows.

    Whole days: at least the share of them is held out.
    """
    first, last = outcomes["day"].min(), outcomes["day"].max()
    if not isinstance(first, date) or not isinstance(last, date):
        return None
    days = (last - first).days + 1
    return last - timedelta(days=math.ceil(round(days * share, 9)) - 1)


def held_events(outcomes: pl.DataFrame, share: float) -> frozenset[str]:
    """Return the events that are held out: of each category its share, at least one where there are two, by hash.

    An event is of the category that its first row by market and time has. Which events of a category are held out
    hangs on their names alone: not on the order of rows, nor on the other categories.
    """
    ordered = outcomes.sort("market_id", "as_of", "step").unique("event_id", keep="first", maintain_order=True)
    found: set[str] = set()
    for _, events in ordered.group_by("category"):
        names = sorted(events["event_id"], key=_place)
        found.update(names[: _count(len(names), share)])
    return frozenset(found)


def _count(events: int, share: float) -> int:
    return min(max(1, round(events * share)), events - 1)


def _place(event: str) -> tuple[str, str]:
    return sha256(event.encode()).hexdigest(), event


def of_categories(outcomes: pl.DataFrame, held: frozenset[str]) -> Mapping[str, tuple[int, int]]:
    """Return category -> events, and how many of them are held out."""
    told = outcomes.group_by("category").agg(pl.col("event_id").unique()).sort("category")
    return {name: (len(events), len(held.intersection(events))) for name, events in told.iter_rows()}
