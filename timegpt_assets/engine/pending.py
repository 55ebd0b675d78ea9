"""Ranges that wait: written down when a range outran the budget or its bars, taken up again when there are some.

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
from timegpt_assets.engine.stages import NEWS
from timegpt_assets.instance.internals import keep_text, kept_text

_KEY = "timegpt_assets/pending"
_DAMAGED = f"{_KEY}/damaged"
_LOG = logging.getLogger(__name__)
CALLS, BARS, RETRY = "calls", "bars", "retry"


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Sessions from ``first`` to ``last`` that were asked for and not made, with what was to be made.

    ``on``: what they wait for: calls of the budget, bars of the source, or another try after a run that failed.
    """

    first: date
    last: date
    assets: tuple[str, ...]
    symbols: tuple[str, ...]
    why: str
    on: str = CALLS


def waiting(instance: dg.DagsterInstance) -> list[Pending]:
    """Return what waits, in the order it was asked for. What cannot be read is set aside and said, never raised."""
    noted = kept_text(instance, _KEY) or "[]"
    read = [_read(entry) for entry in _entries(noted)]
    good = [entry for entry in read if entry is not None]
    if len(good) < len(read):
        # set aside with its text: a note that cannot be read may be the only trace of what somebody asked for
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
    """Note what an outcome of these days left unmade, in place of what was noted of the same days before."""
    held = sorted(outcome.held)
    left = [(CALLS, outcome.pending, outcome.why), (BARS, held, outcome.held[held[0]] if held else "")]
    _note(instance, days, left, assets=assets, symbols=symbols)


def note_failed(instance: dg.DagsterInstance, days: Sequence[date], why: str, *, assets: Sequence[str]) -> None:
    """Note that a run of these days failed, and is to be tried again."""
    _note(instance, days, [(RETRY, days, why)], assets=assets, symbols=())


def _note(
    instance: dg.DagsterInstance,
    days: Sequence[date],
    left: Sequence[tuple[str, Sequence[date], str]],
    *,
    assets: Sequence[str],
    symbols: Sequence[str],
) -> None:
    first, last = min(days), max(days)
    asked = _asked(assets, symbols)
    # a range is replaced only by one that holds it whole: of a part, the rest would still wait
    kept = [
        noted
        for noted in waiting(instance)
        if _asked(noted.assets, noted.symbols) != asked or not (first <= noted.first and noted.last <= last)
    ]
    kept += [
        Pending(first=min(of), last=max(of), assets=tuple(assets), symbols=tuple(symbols), why=why, on=on)
        for on, of, why in left
        if of
    ]
    if kept != waiting(instance):
        _keep(instance, kept)


def _asked(assets: Sequence[str], symbols: Sequence[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return what two notes of one request have in common: news never waits, and may be listed in between."""
    return frozenset(assets) - {*NEWS}, tuple(symbols)


def forget(instance: dg.DagsterInstance) -> int:
    """Forget everything that waits and return how many ranges that were."""
    count = len(waiting(instance))
    keep_text(instance, _KEY, "[]")
    return count


def _keep(instance: dg.DagsterInstance, entries: Sequence[Pending], *, damaged: str = "") -> None:
    if damaged:  # in a call of its own: Dagster changes what is there or adds what is not, never both
        keep_text(instance, _DAMAGED, damaged)
    keep_text(instance, _KEY, orjson.dumps([asdict(entry) for entry in entries]).decode())


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
        why, on = str(entry["why"]), str(entry.get("on", CALLS))
        note = Pending(first=first, last=last, assets=assets, symbols=symbols, why=why, on=on)
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
    return note if all(isinstance(name, str) for name in (*assets, *symbols)) and first <= last else None
