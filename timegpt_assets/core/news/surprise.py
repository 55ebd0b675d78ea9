"""How far a value of an economic series lies from what its own history, as it was known then, let expect.

Belongs here: the surprise of a value. Nobody's consensus is asked: what economists expected is sold, not published.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
import polars as pl

Known = Mapping[date, float | None]
"""Period -> its value as known at one moment; None: withdrawn, or never there."""
_NOISE = 1e-9  # of the values' own size: what is left of a constant change by rounding


def surprises(values: pl.DataFrame, *, changes: int) -> pl.DataFrame:
    """Return [event_id, surprise] of each event among the values; null where its history is too short or stood still.

    ``values``: [event_id (null: history alone), series, period, vintage: dates, value], one row per new value. The
    change of a first value against the period before is expected to be the mean of the ``changes`` changes before it,
    all as known with it, so that a series on a new base is compared with itself; that of a revised one, what it was
    before. The distance is in standard deviations (ddof 1) of those changes.
    """
    rows = values.select("series", "vintage", "period", "event_id", "value").sort("series", "vintage", "period").rows()
    found = [one for _, own in groupby(rows, key=itemgetter(0)) for one in _of_series(own, changes)]
    return pl.DataFrame(found, schema={"event_id": pl.String, "surprise": pl.Float64}, orient="row")


def _of_series(
    rows: Iterable[tuple[str, date, date, str | None, float | None]], n: int
) -> Iterator[tuple[str, float | None]]:
    known: dict[date, float | None] = {}
    for _, vintage in groupby(rows, key=itemgetter(1)):
        before, new = dict(known), list(vintage)
        known.update((period, value) for _, _, period, _, value in new)
        events = [(event, period) for _, _, period, event, _ in new if event is not None]
        if not events:
            continue
        was, now = _changes(before), _changes(known)
        for event, period in events:
            had = before.get(period) is not None
            yield event, _distance(known, now, period, n, expected=was.get(period) if had else _mean(now, period, n))


def _changes(known: Known) -> dict[date, float]:
    """Return period -> change against the period before it, where both have a value, oldest first."""
    periods = sorted(known)
    pairs = pairwise(periods)
    return {b: after - before for a, b in pairs if (before := known[a]) is not None and (after := known[b]) is not None}


def _before(changes: Mapping[date, float], period: date, n: int) -> np.ndarray:
    """Return the ``n`` changes before the period; none where there are fewer."""
    own = [change for at, change in changes.items() if at < period][-n:]
    return np.array(own if len(own) == n else [])


def _mean(changes: Mapping[date, float], period: date, n: int) -> float | None:
    own = _before(changes, period, n)
    return float(own.mean()) if own.size else None


def _distance(known: Known, now: Mapping[date, float], period: date, n: int, *, expected: float | None) -> float | None:
    own = _before(now, period, n)
    if own.size < 2 or expected is None or period not in now:
        return None
    deviation = float(own.std(ddof=1))
    size = max(abs(value) for value in known.values() if value is not None)
    return (now[period] - expected) / deviation if deviation > _NOISE * size else None
