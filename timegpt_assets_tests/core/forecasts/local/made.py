"""Frames that local forecasters are tried on, and the six forecasters as they are tried."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from functools import cache
from typing import Any

import polars as pl
import pytest

from timegpt_assets.core import calendar
from timegpt_assets.core.events import EventCalendar
from timegpt_assets.core.forecasts.framing import PAST_MINUTES, Frame, FrameSpec, frames
from timegpt_assets.core.forecasts.local.answers import Answered, Local, answered
from timegpt_assets.core.forecasts.local.climatology import Climatology
from timegpt_assets.core.forecasts.local.evidence import known
from timegpt_assets.core.forecasts.local.persistence import Persistence
from timegpt_assets.core.forecasts.local.ridge import Ridge
from timegpt_assets.core.forecasts.local.size import Size
from timegpt_assets.core.forecasts.local.statistical import Statistical
from timegpt_assets.core.forecasts.local.zero import Zero
from timegpt_assets.core.forecasts.snapshots import Preset, SnapshotSpec, snapshots
from timegpt_assets.core.targets import Target
from timegpt_assets_tests.core.panels import panel

DAYS = (calendar.month_sessions("2025-03") + calendar.month_sessions("2025-04"))[:25]
DAY, SYMBOLS, LEVELS = DAYS[10], ("AAA", "BBB"), (50, 80, 95)
HOURS = Preset(name="p", times=tuple(time(h) for h in range(10, 16)))
HALF_HOURS = Preset(name="p", times=tuple(time(h, m) for h in range(9, 16) for m in (0, 15, 30, 45)))
PANEL = panel(DAYS[:11], SYMBOLS, momentum=0.3)
FIVE: tuple[Local, ...] = (
    Ridge(ridge=0.25, residual_window_min=30, min_residuals=120),
    Zero(window_min=30, min_residuals=120),
    Climatology(sessions=8, min_sessions=5),
    Persistence(window_min=30, min_residuals=120),
    Size(ridge=1.0, least_scale=0.25, window_min=60, min_residuals=120),
)
SIX = (*FIVE, Statistical(model="ses", window_min=60, min_residuals=40))
RETURNS = ["y", *(f"past_{k}m" for k in PAST_MINUTES)]


def framed(
    rows: pl.DataFrame = PANEL, *, day: date = DAY, preset: Preset = HALF_HOURS, **changed: Any
) -> tuple[Frame, ...]:
    """Return the day's frames of a panel, ten days of history before them."""
    asked = snapshots([day], SnapshotSpec(preset=preset, horizon_min=15, calendar=EventCalendar({})))
    usual = {"symbols": SYMBOLS, "target": Target(), "history_days": 10, "sigma_column": "sigma_60m"}
    return frames(rows, asked, FrameSpec(**(usual | changed)), day=day)


@cache
def frames_in(mode: str) -> tuple[Frame, ...]:
    """Return three frames of one day in a target's unit."""
    return framed(preset=HOURS, target=Target(mode=mode))[::2]


@cache
def usual_frames() -> tuple[Frame, ...]:
    """Return 25 frames of one day."""
    return framed()


def said(
    frames: Iterable[Frame], forecaster: Local = FIVE[0], *, levels: Sequence[int] = LEVELS, **changed: Any
) -> Answered:
    """Return what one of them, by other settings where some are given, says to the frames."""
    # they are frozen dataclasses all, which a protocol cannot say
    return answered(known(frames), replace(forecaster, **changed) if changed else forecaster, levels=levels)  # type: ignore[type-var]


def answers(frames: Iterable[Frame], forecaster: Local = FIVE[0], **asked: Any) -> pl.DataFrame:
    """Return the rows of ``said``."""
    return said(frames, forecaster, **asked).rows


def with_history(frame: Frame, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Frame:
    """Return the frame with its history changed, and sigma as the changed history says."""
    history = change(frame.history).sort("symbol", "ds")
    now = history.filter(pl.col("known_at") == frame.snapshot_ts).select("symbol", "sigma", "target_scale")
    return replace(frame, history=history, sigma=now)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One earlier minute of a symbol, by plain loops: past returns in volatilities, and what came."""

    day: date
    minute: int
    sigma: float
    past: list[float]
    came: float

    @property
    def z(self) -> float:
        """Return what came in volatilities."""
        return self.came / self.sigma


def in_sigma(row: dict[str, Any]) -> list[float]:
    """Return the past returns of a row of a frame's history in units of its volatility."""
    returns = [row["y"] * row["target_scale"], *(row[f"past_{k}m"] for k in PAST_MINUTES)]
    return [value / row["sigma"] for value in returns]


def lessons(frame: Frame, symbol: str) -> tuple[list[Lesson], dict[str, Any]]:
    """Return what the earlier days of a frame teach of a symbol, oldest first, and its row at the snapshot."""
    rows = frame.history.filter(pl.col("symbol") == symbol).sort("ds").to_dicts()
    by_time = {row["known_at"]: row for row in rows}
    found = []
    for row in rows:
        came = by_time.get(row["known_at"] + timedelta(minutes=frame.horizon_min))
        if row["day"] < frame.day and came is not None and row["sigma"]:
            own = {"day": row["day"], "minute": row["minute"], "sigma": row["sigma"], "past": in_sigma(row)}
            found.append(Lesson(**own, came=came["y"] * came["target_scale"]))
    return found, rows[-1]


def agree(forecaster: Local, oracle: Callable[[Frame, str], tuple[float, ...]]) -> None:
    """Assert that mean, lo_50 and hi_50 are the oracle's (log returns), in every unit they may be asked in."""
    for mode in ("log_return_15m", "bp", "volatility_z"):
        made = frames_in(mode)
        rows = answers(made, forecaster, levels=(50,))
        assert rows.height == len(made) * len(SYMBOLS)
        for frame in made:
            for symbol, scale in frame.sigma.select("symbol", "target_scale").iter_rows():
                row = rows.row(by_predicate=(pl.col("snapshot_ts") == frame.snapshot_ts) & (pl.col("symbol") == symbol))
                expected = [value / scale for value in oracle(frame, symbol)]
                assert row == (
                    frame.snapshot_ts,
                    symbol,
                    15,
                    *(pytest.approx(value, rel=1e-9, abs=1e-12) for value in expected),
                )
