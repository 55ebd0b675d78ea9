"""Ranges that wait for money: written down when a range outran the budget, taken up again when the budget day turns.

Belongs here: the note on the Dagster instance itself, so that command line, daemon and UI read the same one. Only what
somebody asked for is ever noted: nothing is paid for because it happens to be missing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import dagster as dg
import orjson

from timegpt_assets.engine.engine import Outcome

_KEY = "timegpt_assets/pending"


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Sessions from ``first`` to ``last`` that were asked for and could not be paid, with what was to be made."""

    first: date
    last: date
    assets: tuple[str, ...]
    symbols: tuple[str, ...]
    why: str


def waiting(instance: dg.DagsterInstance) -> list[Pending]:
    """Return what waits, in the order it was asked for."""
    noted = instance.daemon_cursor_storage.get_cursor_values({_KEY}).get(_KEY)
    return [_read(entry) for entry in orjson.loads(noted or "[]")]


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
        instance.daemon_cursor_storage.set_cursor_values({_KEY: orjson.dumps([asdict(p) for p in kept]).decode()})


def forget(instance: dg.DagsterInstance) -> int:
    """Forget everything that waits and return how many ranges that were."""
    count = len(waiting(instance))
    instance.daemon_cursor_storage.set_cursor_values({_KEY: "[]"})
    return count


def _read(entry: dict[str, Any]) -> Pending:
    first, last = (date.fromisoformat(str(entry[name])) for name in ("first", "last"))
    assets, symbols = (tuple(map(str, entry[name])) for name in ("assets", "symbols"))
    return Pending(first=first, last=last, assets=assets, symbols=symbols, why=str(entry["why"]))
