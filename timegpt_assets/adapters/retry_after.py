"""How long a server asks to be left alone: its header Retry-After.

Belongs here: reading it. Whether it is granted say those who ask.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def asked_to_wait(headers: Mapping[str, str], now: datetime) -> float:
    """Return the seconds that Retry-After asks for, as a number or as a date by the server's own clock; 0: nothing.

    ``headers``: by lower-case name.
    """
    said = headers.get("retry-after", "").strip()
    with suppress(ValueError):
        seconds = float(said)
        return max(0.0, seconds) if math.isfinite(seconds) else 0.0
    until, its_now = _date(said), _date(headers.get("date", "")) or now
    return max(0.0, (until - its_now).total_seconds()) if until else 0.0


def _date(said: str) -> datetime | None:
    """Return an HTTP date, None for what is none."""
    try:
        found = parsedate_to_datetime(said)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
