"""Ranges that wait for money: written down when a range outran the budget, taken up again when the budget day turns.

Belongs here: the note on the Dagster instance itself, so that command line, daemon and UI read the same one. Only what
somebody asked for is ever noted: nothing is paid for because it happens to be missing.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import dagster as dg
import orjson

from timegpt_assets.engine.engine import Outcome

_KEY = "timegpt_assets/pending"
_DAMAGED = f"{_KEY}/damaged"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Sessions from ``first`` to ``last`` that were asked for and could not be paid, with what was to be made."""

    first: date
    last: date
    assets: tuple[str, ...]
    symbols: tuple[str, ...]
    why: str


def waiting(instance: dg.DagsterInstance) -> list[Pending]:
    """Return what waits, in the order it was asked for. What cannot be read is set aside and said, never raised."""
    noted = instance.daemon_cursor_storage.get_cursor_values({_KEY}).get(_KEY) or "[]"
    read = [_read(entry) for entry in _entries(noted)]
    good = [entry for entry in read if entry is not None]
    if len(good) < len(read):
        _keep(instance, good, damaged=noted)
        _LOG.warning(
            "%d notes of what waits could not be read: set aside under %s, %d are left. Ask for those days again.",
            len(read) - len(good),
            _DAMAGED,
            len(good),
        )
    return good


def note(
    instance: dg.DagsterInstance,
    days: Sequence[date],
    outcome: Outcome,
    *,
    assets: Sequence[str],
    symbols: Sequence[str] = (),
) -> None:
    """Note what an outcome of these days left unpaid, in place of what was noted of the same days before."""
    first, last = min(days), max(days)
    same = (tuple(assets), tuple(symbols))
    kept = [p for p in waiting(instance) if (p.assets, p.symbols) != same or not (first <= p.first and p.last <= last)]
    if outcome.pending:
        unpaid = (min(outcome.pending), max(outcome.pending))
        kept.append(Pending(first=unpaid[0], last=unpaid[1], assets=same[0], symbols=same[1], why=outcome.why))
    if kept != waiting(instance):
        _keep(instance, kept)


def forget(instance: dg.DagsterInstance) -> int:
    """Forget everything that waits and return how many ranges that were."""
    count = len(waiting(instance))
    instance.daemon_cursor_storage.set_cursor_values({_KEY: "[]"})
    return count


def _keep(instance: dg.DagsterInstance, entries: Sequence[Pending], *, damaged: str = "") -> None:
    if damaged:  # in a call of its own: Dagster changes what is there or adds what is not, never both
        instance.daemon_cursor_storage.set_cursor_values({_DAMAGED: damaged})
    text = orjson.dumps([asdict(entry) for entry in entries]).decode()
    instance.daemon_cursor_storage.set_cursor_values({_KEY: text})


def _entries(noted: str) -> list[Any]:
    """Return the notes as they are stored; something that is no list of them is one that cannot be read."""
    try:
        found = orjson.loads(noted)
    except orjson.JSONDecodeError:
        return [None]
    return found if isinstance(found, list) else [None]


def _read(entry: Any) -> Pending | None:
    """Return the note, None for one of another shape."""
    try:
        first, last = (date.fromisoformat(entry[name]) for name in ("first", "last"))
        assets, symbols = (tuple(entry[name]) for name in ("assets", "symbols"))
        note = Pending(first=first, last=last, assets=assets, symbols=symbols, why=str(entry["why"]))
    except (TypeError, KeyError, ValueError):
        return None
    return note if all(isinstance(name, str) for name in (*assets, *symbols)) and first <= last else None
