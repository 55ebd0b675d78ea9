"""What forecasters give back: rows of the answers tables and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from timegpt_assets.core.forecasts.framing import Frame
from timegpt_assets.core.forecasts.local.answers import BACKEND, Answered


@dataclass(frozen=True, kw_only=True)
class ForecastResult:
    """ANSWERS rows of one day with the requests sent for them, those found in the cache, and who was left out."""

    rows: pl.DataFrame
    sent: int = 0
    cached: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    bytes_sent: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    """Request hash -> calls sent for it; of what was found in the cache none."""
    seconds: tuple[float, ...] = ()
    """What each call took, whatever came back."""
    price_per_call: float | None = None
    ladder: Mapping[str, str] = field(default_factory=dict)
    """Of the ladder, word -> which artifact answered, or why the control arm stood in for it."""

    @property
    def notes(self) -> dict[str, Any]:
        """Return what a person should see beside the day's materialisation."""
        asked = self.sent + self.cached
        hits = f"{self.cached / asked:.0%}" if asked else "nothing was asked"
        counts = {"calls_sent": self.sent, "calls_cached": self.cached, "bytes_sent": self.bytes_sent}
        spent = "unknown: no price_per_call" if self.price_per_call is None else self.sent * self.price_per_call
        return counts | {"cache_hits": hits, "money_spent": spent, "left_out": dict(self.left_out)}


NOTES = ("calls_sent", "calls_cached", "bytes_sent", "cache_hits", "money_spent", "left_out")


Parameters = Mapping[str, float | int | str]
"""Everything that shapes a forecaster's answers beside what it is shown."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What a seat's rows say of who made them."""

    model: str
    score_source: str = BACKEND
    data_regime: str = "maintenance_replay"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one seat on this machine says to a day's frames.

    ``shown``: snapshot -> digest of what it saw beside the frame. ``note``: what a person should know of how it came to
    answer; empty for most.
    """

    parameters: Parameters
    answered: Answered
    marks: Marks
    shown: Mapping[datetime, str] = field(default_factory=dict)
    note: str = ""


class LeftOut(Exception):
    """Raised by a seat that has nothing to say on a day; the message is the reason, with what helps."""


class Forecaster(Protocol):
    """A forecaster on this machine, of any package: an entry point of timegpt_assets.forecasters makes one."""

    @property
    def parameters(self) -> Parameters:
        """Return what shapes its answers: part of the hash that stands beside each of them."""
        ...

    def answers(self, frames: Sequence[Frame], levels: Sequence[int]) -> pl.DataFrame:
        """Return snapshot_ts, symbol, step, mean, lo_<level> and hi_<level> of each level, at most one row a question.

        ``frames`` are one day's, earliest first; a question is one of a frame's symbols (those of its ``sigma``), step
        its ``horizon_min``. Numbers are in the units of the frame's y, bands hold the mean and nest. Whoever has no
        row is left out. The same frames give the same rows, whichever others are asked about beside them.
        """
        ...


class HostedForecaster(Protocol):
    """Answers a day's frames for money."""

    def answers(self, frames: Sequence[Frame], *, budget_run_id: str, reask: bool = False) -> ForecastResult:
        """Return the answers to the frames of one day, sending nothing that was answered before unless ``reask``."""
        ...


def left_out(frames: Sequence[Frame]) -> dict[str, str]:
    """Return every symbol some frame left out, with its (last) reason."""
    return {symbol: reason for frame in frames for symbol, reason in frame.left_out.items()}
