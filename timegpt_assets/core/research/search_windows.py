"""The sessions of a search's stages: two before gates.oos_start that never meet, and those after it.

Belongs here: which sessions each stage may see. What it does with them is search.py.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from timegpt_assets.core import calendar

COARSE, REFINE, CONFIRM = STAGES = ("coarse", "refine", "confirm")


class WindowError(ValueError):
    """Raised for stages whose sessions meet, or lie where they must not; names the setting and the remedy."""

    def __init__(self, key: str, allowed: str, remedy: str) -> None:
        super().__init__(f"{key}: allowed is {allowed}. {remedy}")
        self.key, self.allowed, self.remedy = key, allowed, remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How many sessions a stage sees, and its last one; None: the last that it may."""

    sessions: int
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The first and the last session of a stage."""

    first: date
    last: date

    @property
    def days(self) -> tuple[date, ...]:
        """Return its sessions."""
        return tuple(one.day for one in calendar.sessions(self.first, self.last))


def spans(coarse: Window, refine: Window, *, oos_start: date) -> tuple[Span, Span]:
    """Return the sessions of coarse and refine, whole. Raises WindowError for such as meet or lie after ``oos_start``.

    Sessions after ``oos_start`` are out of sample: a search that had seen one could not be judged on it.
    """
    for stage, asked in ((COARSE, coarse), (REFINE, refine)):
        if asked.until and asked.until > oos_start:
            raise WindowError(
                f"search.stages.{stage}.until",
                f"{oos_start} (gates.oos_start) or earlier: sessions after it are out of sample",
                f"Set it to {oos_start} or earlier, or to null.",
            )
    second = _back(REFINE, refine, refine.until or oos_start)
    first = _back(COARSE, coarse, coarse.until or second.first - timedelta(days=1))
    if first.last >= second.first and first.first <= second.last:
        raise WindowError(
            f"search.stages.{COARSE}.until",
            f"earlier than {second.first}, where refine begins: what both see confirms nothing",
            f"Set it to {calendar.shifted(second.first, -1)} or earlier, or to null.",
        )
    return first, second


def after(oos_start: date, sessions: int, *, as_of: date) -> Span | None:
    """Return the newest ``sessions`` sessions after ``oos_start`` up to ``as_of``; None: there is none yet."""
    if as_of <= oos_start:
        return None
    return Span(max(calendar.shifted(as_of, 1 - sessions), oos_start + timedelta(days=1)), as_of)


def _back(stage: str, window: Window, last: date) -> Span:
    try:
        end = calendar.sessions(last - timedelta(days=14), last)[-1].day
        return Span(calendar.shifted(end, 1 - window.sessions), end)
    except ValueError as error:
        raise WindowError(
            f"search.stages.{stage}.sessions",
            f"as many as the calendar holds up to {last}",
            f"Lower it, or set search.stages.{stage}.until to another day.",
        ) from error
