"""core/xnys.py as the installed exchange_calendars has it; run it to write the file anew after another is locked."""

from collections.abc import Iterable
from datetime import date, timedelta
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from textwrap import fill

from timegpt_assets.core import calendar, xnys
from timegpt_assets.core.calendar import FIRST_DAY, LAST_DAY, Session

HEAD = '''"""What one version of exchange_calendars says of {exchange}, {first} to {last}: asking it takes a second.

Belongs here: nothing written by hand. `python -m timegpt_assets_tests.core.xnys_text` writes it; calendar.py reads it.
"""

from datetime import time

VERSION = "{version}"
"""Whose days these are: with another version installed, that one is asked."""
OPEN, CLOSE, EARLY_CLOSE = time(9, 30), time(16), time(13)
"""New York time."""
'''


def xnys_text(sessions: Iterable[Session]) -> str:
    """Return the file's text: weekdays without a session, and sessions of 210 minutes."""
    by_day = {session.day: session for session in sessions}
    every = (FIRST_DAY + timedelta(days=n) for n in range((LAST_DAY - FIRST_DAY).days + 1))
    holidays = [day for day in every if day.weekday() < 5 and day not in by_day]
    early = [day for day, session in by_day.items() if session.minutes == 210]
    head = HEAD.format(
        exchange=calendar.EXCHANGE, first=FIRST_DAY, last=LAST_DAY, version=version("exchange_calendars")
    )
    return head + _listed("HOLIDAYS", holidays) + _listed("EARLY_CLOSES", early)


def _listed(name: str, days: Iterable[date]) -> str:
    years = (
        fill(" ".join(map(str, of_year)), 120, break_on_hyphens=False)
        for _, of_year in groupby(days, key=lambda day: day.year)
    )
    return f'{name} = """\n' + "\n".join(years) + '\n"""\n'


if __name__ == "__main__":
    Path(xnys.__file__).write_text(xnys_text(calendar.exchange_sessions()))
