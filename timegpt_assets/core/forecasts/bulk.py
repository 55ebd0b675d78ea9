"""Snapshots of a session that one cross-validation can answer: those on one step grid, up to the last one's target.

Belongs here: which snapshots form a bulk window, and its frame. A bulk window lies inside one session, where every
minute of the compressed axis is a real one; across a night the provider's windows would end where nobody asked.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import polars as pl

from timegpt_assets.core.forecasts import framing
from timegpt_assets.core.forecasts.framing import Frame, FrameSpec

GAP = "not every minute of the bulk window is known"


@dataclass(frozen=True, slots=True)
class BulkWindow:
    """Snapshots of one day and horizon, ascending, a whole number of horizons apart."""

    day: date
    horizon_min: int
    snapshots: tuple[datetime, ...]

    @property
    def as_of(self) -> datetime:
        """Return when everything the bulk window asks about is known: the last snapshot's target_ts."""
        return self.snapshots[-1] + timedelta(minutes=self.horizon_min)


def bulk_windows(snapshots: pl.DataFrame) -> list[BulkWindow]:
    """Return the asked SNAPSHOTS rows as bulk windows, earliest day first, each snapshot in exactly one."""
    grids: dict[tuple[date, int, int], list[datetime]] = defaultdict(list)
    asked = snapshots.filter("asked").sort("day", "snapshot_ts")
    for day, at, horizon in asked.select("day", "snapshot_ts", "horizon_min").iter_rows():
        # Minutes since 1970 modulo the horizon: windows of one cross-validation lie a whole horizon apart.
        grids[day, horizon, int(at.timestamp()) // 60 % horizon].append(at)
    return [BulkWindow(day, horizon, tuple(times)) for (day, horizon, _), times in grids.items()]


def frames(panel: pl.DataFrame, snapshots: pl.DataFrame, spec: FrameSpec, *, day: date) -> tuple[Frame, ...]:
    """Return one frame per bulk window of the day: everything known at ``as_of``, with its snapshots' own as windows.

    Arguments as of framing.frames. A symbol whose returns do not cover every minute from the bulk window's first
    snapshot to its end is left out with a reason: its windows would be about other minutes.
    """
    made = []
    for bulk_window in bulk_windows(snapshots.filter(pl.col("day") == day)):
        own = pl.col("snapshot_ts").is_in(list(bulk_window.snapshots)) & (
            pl.col("horizon_min") == bulk_window.horizon_min
        )
        asked = snapshots.filter((pl.col("day") == day) & own)
        windows = framing.frames(panel, asked, spec, day=day)
        end = asked.tail(1).with_columns(snapshot_ts=pl.lit(bulk_window.as_of, asked.schema["snapshot_ts"]))
        (whole,) = framing.frames(panel, end, spec, day=day)
        told = spec.exogenous.as_projected(
            whole.history, since=bulk_window.snapshots[0], horizon_min=bulk_window.horizon_min
        )
        made.append(replace(_covered(replace(whole, history=told), bulk_window), windows=windows))
    return tuple(_only_together(frame) for frame in made)


def _covered(frame: Frame, bulk_window: BulkWindow) -> Frame:
    minutes = int((bulk_window.as_of - bulk_window.snapshots[0]) / timedelta(minutes=1)) + 1
    known = frame.history.filter(pl.col("known_at") >= bulk_window.snapshots[0]).group_by("symbol").len()
    gaps = sorted(known.filter(pl.col("len") != minutes)["symbol"])
    return without(frame, dict.fromkeys(gaps, GAP))


def _only_together(frame: Frame) -> Frame:
    """Return the frame with windows that hold no symbol the bulk window itself leaves out."""
    windows = tuple(without(window, dict(frame.left_out)) for window in frame.windows)
    return replace(frame, windows=windows)


def without(frame: Frame, reasons: dict[str, str]) -> Frame:
    """Return the frame with these symbols left out too."""
    gone = pl.col("symbol").is_in(sorted(reasons))
    new = {symbol: why for symbol, why in reasons.items() if symbol not in frame.left_out}
    return replace(
        frame,
        history=frame.history.filter(~gone),
        sigma=frame.sigma.filter(~gone),
        left_out={**frame.left_out, **new},
    )


def calls_a_year(snapshots: Sequence[datetime], *, horizon_min: int, sessions: int = 252) -> dict[str, int]:
    """Return the calls of a year of full sessions at these times of day, asked singly and in bulk."""
    grids: Collection[int] = {int(at.timestamp()) // 60 % horizon_min for at in snapshots}
    return {"single": len(set(snapshots)) * sessions, "cross_validation": len(grids) * sessions}
