"""The day by itself: which sessions a trigger has to look at, and what became of each.

Belongs here: sessions that are not finished or were missed, for schedule, sensor, UI and command line alike. When a
trigger fires is automation/day.py; what is there is inventory.py; what waits for money or bars is pending.py.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import date

import orjson
from dagster import AssetKey

from timegpt_assets.core import calendar
from timegpt_assets.engine import pending
from timegpt_assets.engine.deliveries import BARS, RAW_BARS, Deliveries, named, stored_facts
from timegpt_assets.engine.engine import Engine, Outcome
from timegpt_assets.engine.inventory import DELIVERED, OVERDUE, Inventory
from timegpt_assets.engine.plans import PartitionRef
from timegpt_assets.engine.stages import EVERYDAY, NEWS
from timegpt_assets.runtime import Runtime

COMPLETE = "complete"
ANSWERS, PORTFOLIO = AssetKey(["forecasts", "answers"]), AssetKey(["backtest", "portfolio"])
"""The portfolio is made last of a session's own assets, and without the answers where the hosted forecaster failed:
where both were made the session was asked for, and made."""


def due(engine: Engine, newest: date) -> list[date]:
    """Return the sessions a daily run up to ``newest`` makes, oldest first; none when they are all finished.

    From the first recent one that is not finished, or was missed since the last that was made, every session: a late
    one is part of what later ones look back on. Where nothing was made lately only the newest is due.
    """
    recent = _recent(engine, newest)
    inventory = engine.inventory(recent)
    made = _made(inventory)
    # since the last that was made: of a machine that was off for days every session is made up
    missed = [day for day in recent if day > max(made, default=calendar.shifted(newest, -1)) and day not in made]
    there = inventory.there(PORTFOLIO) & inventory.there(ANSWERS)
    unmade = [newest] if PartitionRef(newest) not in there else []
    first = min([*_unfinished(engine, inventory, made), *missed, *unmade], default=None)
    # every later one too: a day that arrives late is part of what they look back on
    return [day for day in recent if first and day >= first]


def looked_at_again(engine: Engine, days: Sequence[date], newest: date) -> list[date]:
    """Return the days that are asked for, with the recent sessions before the last that were and are not finished."""
    recent = [day for day in _recent(engine, newest) if day <= days[-1]]
    if days[-1] not in recent:
        return list(days)
    inventory = engine.inventory(recent)
    made = _made(inventory)
    unfinished = _unfinished(engine, inventory, made)
    asked = made | set(unfinished)  # a session in between that nobody asked for is not made, nor paid for
    return sorted({*days, *(day for day in recent if day in asked and day >= min(unfinished, default=days[-1]))})


def standing(engine: Engine, newest: date) -> dict[date, str]:
    """Return how each recent session that is expected stands, oldest first: complete, or why it is not.

    Expected are those that wait, and every one from the first recent one that was made on; the newest in any case.
    """
    recent = _recent(engine, newest)
    made = _made(engine.inventory(recent))
    why = {
        session.day: entry.why
        for entry in pending.waiting(engine.instance)
        if {*entry.assets} - {*NEWS} == {*EVERYDAY} and not entry.symbols
        for session in calendar.sessions(entry.first, entry.last)
    }
    first = min([*made, *(day for day in recent if day in why), newest])
    return {day: why.get(day) or (COMPLETE if day in made else "not made") for day in recent if day >= first}


def state(runtime: Runtime, days: Sequence[date]) -> str:
    """Return what changes when there may be more to make of these sessions: files of the source, and deadlines."""
    deliveries = Deliveries.of(runtime)
    files = deliveries.states(PartitionRef(day, symbol) for day in days for symbol in deliveries.symbols)
    # deadlines are part of the state: bars that never come change no file, and the day must still end
    passed = [[str(day), deliveries.is_due(day), deliveries.is_over(day)] for day in days]
    return hashlib.sha256(orjson.dumps([files, passed], option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def _recent(engine: Engine, newest: date) -> list[date]:
    data = engine.runtime.settings.data
    first = calendar.shifted(newest, 1 - data.recent_sessions)
    return [s.day for s in calendar.sessions(max(first, data.start_date), newest)]


def _made(inventory: Inventory) -> set[date]:
    return {partition.day for partition in inventory.of(PORTFOLIO).keys() & inventory.of(ANSWERS).keys()}


def _unfinished(engine: Engine, inventory: Inventory, made: Iterable[date]) -> list[date]:
    """Return the sessions that wait, and those that were made before all their bars had come, and have come now."""
    waiting = {
        session.day
        for entry in pending.waiting(engine.instance)
        if {*entry.assets} - {*NEWS} == {*EVERYDAY} and not entry.symbols
        for session in calendar.sessions(entry.first, entry.last)
    }
    came = {p.day for p, why in inventory.of(RAW_BARS).items() if why == DELIVERED}
    given_up = {p.day for p, why in inventory.of(BARS).items() if why == OVERDUE}
    return sorted(inventory.days & (waiting | ((came | given_up) & set(made))))


def sessions(engine: Engine, days: Sequence[date], outcome: Outcome) -> dict[str, str]:
    """Return what became of each session: complete, or with what left out, or why it is not."""
    deliveries = Deliveries.of(engine.runtime)
    # asked of what is stored and not of the outcome: most of a day may have been there before
    facts = stored_facts(deliveries.store, BARS, {PartitionRef(d, s) for d in days for s in deliveries.symbols})
    absent: dict[tuple[date, str], list[str]] = {}
    for partition, fact in sorted(facts.items()):
        absent.setdefault((partition.day, str(fact.get("verdict"))), []).append(partition.symbol)
    return {
        str(day): _unmade(day, outcome)
        or _lacking(absent.get((day, "late"), []), f" so far, their bars are awaited until {deliveries.until(day)}")
        or _lacking(absent.get((day, "no_data"), []), ": the source has none")
        or COMPLETE
        for day in days
    }


def _unmade(day: date, outcome: Outcome) -> str:
    if why := outcome.held.get(day):
        return why
    if day in outcome.pending:
        return f"waits for the call budget: {outcome.why}"
    if lacking := [name for name, days in outcome.incomplete.items() if str(day) in days]:
        return f"left out for lack of what they read: {', '.join(lacking)}"
    return ""


def _lacking(symbols: Sequence[str], why: str) -> str:
    return f"{COMPLETE} without bars of {named(symbols)}{why}" if symbols else ""
