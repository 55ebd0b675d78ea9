"""Features of events: whether something scheduled falls on the day.

Belongs here: flags of what is known beforehand. Which days carry which event is core/events.py.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.features.feature import Feature
from timegpt_assets.core.features.windows import Floats

VERSION = 1


def features_of(calendar: EventCalendar) -> tuple[Feature, ...]:
    """Return one flag per event of the calendar, names sorted: of the day first, then of the symbol."""
    days = [(name, "the event falls on the day") for name in sorted(calendar.days)]
    own = "the symbol's own event falls on the day, or came after the last close"
    symbols = [(name, own) for name in sorted(calendar.symbols)]
    return tuple(
        Feature(name, f"1: {formula}", "none", "0 or 1", "event calendar", pl.Int8) for name, formula in days + symbols
    )


def columns(calendar: EventCalendar, days: Sequence[date], symbols: Sequence[str]) -> dict[str, Floats]:
    """Return each flag as 1 or 0, of shape (days, symbols, 1)."""
    shape = (len(days), len(symbols), 1)
    found = {}
    for name in sorted(calendar.days):
        own = set(calendar.days[name])
        today = np.array([day in own for day in days], dtype=np.float64)
        found[name] = np.broadcast_to(today[:, None, None], shape)
    for name in sorted(calendar.symbols):
        dated = {symbol: set(calendar.symbols[name].get(symbol, ())) for symbol in symbols}
        flags = [[day in dated[symbol] for symbol in symbols] for day in days]
        found[name] = np.array(flags, dtype=np.float64).reshape(shape)
    return found
