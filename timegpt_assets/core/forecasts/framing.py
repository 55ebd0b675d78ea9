"""What a forecaster is shown of one snapshot: every symbol's known returns on one minute axis that ends there.

Belongs here: what may enter a frame, on which axis, and who is left out and why. Returns stand at the time they
became known; the day of the snapshot is cut at the snapshot before anything is computed from it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import polars as pl

from timegpt_assets.core import calendar as trading_calendar
from timegpt_assets.core import targets
from timegpt_assets.core.forecasts.exogenous import NOTHING, STEP, Exogenous
from timegpt_assets.core.schema import TIME
from timegpt_assets.core.targets import Target

PAST_MINUTES = (1, 5, 30)
"""Past returns kept beside y, in minutes; in the session's first minutes they reach back to its first price."""
HISTORY: dict[str, pl.DataType | type[pl.DataType]] = {
    "symbol": pl.String,
    "day": pl.Date,
    "known_at": TIME,
    "ds": TIME,
    "y": pl.Float64,
    "target_scale": pl.Float64,
    "sigma": pl.Float64,
    "minute": pl.Int64,
    **dict.fromkeys((f"past_{k}m" for k in PAST_MINUTES), pl.Float64),
}
_KEY = ["symbol", "day", "known_at"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """What is known of all symbols at one snapshot of one day.

    ``history`` (HISTORY, sorted by symbol and ds): y in scaled target units, stamped ``known_at``; ``ds`` is the same
    minutes joined without gaps (compressed sessions, UTC), the last of every symbol the snapshot itself;
    ``y * target_scale`` is a log return, ``sigma`` the volatility of that moment in its scale (null: not known),
    ``minute`` counts from the open, ``past_<k>m`` are log returns over the last k minutes.
    ``sigma``: symbol, sigma, target_scale at the snapshot. ``left_out``: symbol -> reason, both disjoint.
    ``exogenous`` names further columns of ``history``.
    ``windows``: the snapshots of one session that this frame, known at its last target_ts, asks about in bulk.
    """

    day: date
    snapshot_ts: datetime
    horizon_min: int
    history: pl.DataFrame
    sigma: pl.DataFrame
    left_out: Mapping[str, str]
    windows: "tuple[Frame, ...]" = ()
    exogenous: Exogenous = NOTHING

    @property
    def ahead(self) -> pl.DataFrame:
        """Return symbol, ds and what is told of the minutes of the horizon."""
        return self.exogenous.ahead(
            self.history, day=self.day, snapshot_ts=self.snapshot_ts, horizon_min=self.horizon_min
        )

    @property
    def windows_asked(self) -> int:
        """Return how many windows of one horizon each lie between the first snapshot in bulk and the last target."""
        return int((self.snapshot_ts - self.windows[0].snapshot_ts) / timedelta(minutes=self.horizon_min))

    def of(self, symbols: Collection[str]) -> "Frame":
        """Return the frame of some of its symbols."""
        if {*self.sigma["symbol"], *self.left_out} <= set(symbols):
            return self
        ours = pl.col("symbol").is_in(sorted(symbols))
        return replace(
            self,
            history=self.history.filter(ours),
            sigma=self.sigma.filter(ours),
            left_out={symbol: why for symbol, why in self.left_out.items() if symbol in symbols},
            windows=tuple(window.of(symbols) for window in self.windows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSpec:
    """Who is shown to a forecaster, in which units, how far back, and what a symbol needs to be shown at all."""

    symbols: Collection[str]
    target: Target
    history_days: int
    sigma_column: str
    min_history_samples: int = 25
    provider_min_samples: int | None = None
    """What the provider needs; the larger of the two counts."""
    max_stale_min: int = 5
    exogenous: Exogenous = NOTHING

    @property
    def least_rows(self) -> int:
        """Return the fewest rows of a symbol that may be shown."""
        return max(self.min_history_samples, self.provider_min_samples or 0)


def frames(panel: pl.DataFrame, snapshots: pl.DataFrame, spec: FrameSpec, *, day: date) -> tuple[Frame, ...]:
    """Return one frame per asked snapshot of ``day``, earliest first, from PANEL rows known at its snapshot_ts.

    History is the ``history_days`` sessions before the day and the day itself. Left out with a reason: a symbol
    without rows, without a print for more than ``max_stale_min`` minutes, whose return, volatility or a further column
    is not known at the snapshot, or with fewer rows than ``min_history_samples`` (``provider_min_samples`` where it is
    larger).
    Raises ValueError for a panel without the volatility asked for.
    """
    asked = snapshots.filter((pl.col("day") == day) & pl.col("asked")).sort("snapshot_ts")
    first = trading_calendar.shifted(day, -spec.history_days)
    ours = _read(panel, spec).filter(
        pl.col("symbol").is_in(sorted(spec.symbols)) & pl.col("day").is_between(first, day)
    )
    moments = partial(_moments, spec=spec)
    earlier, today = moments(ours.filter(pl.col("day") < day)), ours.filter(pl.col("day") == day)
    made = []
    for snapshot_ts, horizon_min in asked.select("snapshot_ts", "horizon_min").iter_rows():
        # Cut first, computed afterwards: whatever _moments does, it cannot look beyond the snapshot.
        known = today.filter(pl.col("known_at") <= snapshot_ts)
        placed = _on_axis(pl.concat([earlier, moments(known)]), snapshot_ts)
        history = spec.exogenous.stepped(placed, day=day, snapshot_ts=snapshot_ts, horizon_min=horizon_min)
        facts = _facts(known, history, spec.symbols, snapshot_ts)
        left_out = {fact["symbol"]: why for fact in facts if (why := _reason(fact, spec))}
        kept = history.filter(~pl.col("symbol").is_in(list(left_out)))
        frame = Frame(
            day=day,
            snapshot_ts=snapshot_ts,
            horizon_min=horizon_min,
            history=kept,
            sigma=kept.filter(pl.col("known_at") == snapshot_ts).select("symbol", "sigma", "target_scale"),
            left_out=left_out,
            exogenous=spec.exogenous,
        )
        made.append(frame)
    return tuple(made)


def series(frame: Frame, *, input_rows: int | None = None) -> pl.DataFrame:
    """Return what is sent: symbol, ds, y (Float32, scaled target) and the exogenous columns, by symbol, oldest first.

    ``input_rows``: only the last rows of each symbol, where the provider reads no more (equal inputs, equal request).
    """
    # The SDK sends float32 whatever it is given: what differs only beyond that is the same question.
    numbers = (pl.col(name).cast(pl.Float32) for name in ("y", *frame.exogenous.names))
    sent = frame.history.select("symbol", "ds", *numbers).sort("symbol", "ds")
    return sent if input_rows is None else sent.group_by("symbol", maintain_order=True).tail(input_rows)


def _read(panel: pl.DataFrame, spec: FrameSpec) -> pl.DataFrame:
    """Return the columns of the panel that a frame is made of; a panel may carry dozens more."""
    of_panel = spec.exogenous.of_panel
    named = {spec.sigma_column, *targets.target_scale(spec.target).meta.root_names()}
    if missing := sorted(named - set(panel.columns)):
        raise ValueError(
            f"the panel has no column {', '.join(missing)}. Name a volatility feature in forecast.sigma_column and "
            "forecast.target.volatility_column, for example sigma_60m or vol_ewm_60m."
        )
    if missing := sorted(set(of_panel) - set(panel.columns)):
        raise ValueError(
            f"the panel has no column {', '.join(missing)}. Name features of the panel in forecast.exogenous."
        )
    read = ("day", "symbol", "ts", "known_at", "clock_price", "clock_open", "is_filled")
    return panel.select(*read, *sorted((named | set(of_panel)) - set(read)))


def _moments(panel: pl.DataFrame, spec: FrameSpec) -> pl.DataFrame:
    """Return HISTORY without ds of the panel rows whose numbers are all known and finite, by symbol and known_at."""
    exogenous = spec.exogenous
    opens = trading_calendar.sessions_frame(panel["day"].unique()).select("day", "open", "close")
    returns = targets.known_returns(panel, horizon_min=spec.target.label_horizon_min)
    prices = panel.sort(_KEY).with_columns(
        _past_return(k).over("symbol", "day").alias(f"past_{k}m") for k in PAST_MINUTES
    )
    rows = (
        prices.join(returns, on=_KEY)
        .join(opens, on="day")
        .with_columns(
            target_scale=targets.target_scale(spec.target),
            sigma=pl.col(spec.sigma_column).cast(pl.Float64),
            minute=(pl.col("known_at") - pl.col("open")).dt.total_minutes(),
        )
    )
    scaled = rows.with_columns(
        *exogenous.known(),
        *(pl.col(name).cast(pl.Float64) for name in exogenous.of_panel),
        y=targets.scaled(pl.col("y"), pl.col("target_scale")),
    )
    beside = [name for name in exogenous.names if name != STEP]
    numbers = pl.all_horizontal(pl.col(name).is_finite().fill_null(False) for name in ("y", *beside))
    kept = [name for name in HISTORY if name != "ds"]
    return scaled.filter(numbers).select(*kept, *(name for name in beside if name not in kept)).sort(_KEY)


def _past_return(minutes: int) -> pl.Expr:
    """Return ln P(t) - ln P(t - minutes), or since the session's first known price when that is nearer."""
    # backward_fill finds the first price known; rows before it have no price, so nothing looks ahead through it.
    first = pl.coalesce(pl.col("clock_open"), pl.col("clock_price").backward_fill()).first()
    return pl.col("clock_price").log() - pl.coalesce(pl.col("clock_price").shift(minutes), first).log()


def _on_axis(moments: pl.DataFrame, snapshot_ts: datetime) -> pl.DataFrame:
    # Nights are left out of the axis: the SDK refuses a series with gaps, overnight ones too.
    back = pl.len().over("symbol") - 1 - pl.int_range(pl.len(), dtype=pl.Int64).over("symbol")
    # days come in order already: a stable sort by symbol alone costs a third of one by the whole key
    placed = moments.sort("symbol", maintain_order=True).with_columns(
        ds=(pl.lit(snapshot_ts, TIME) - pl.duration(minutes=back)).cast(TIME)
    )
    return placed.select(*HISTORY, *(name for name in placed.columns if name not in HISTORY))


def _facts(
    known: pl.DataFrame, history: pl.DataFrame, symbols: Collection[str], snapshot_ts: datetime
) -> list[dict[str, Any]]:
    printed = known.filter(~pl.col("is_filled") & pl.col("clock_price").is_not_null())
    stale = (pl.lit(snapshot_ts, TIME) - pl.col("known_at").max()).dt.total_minutes().alias("stale_min")
    now = history.filter(pl.col("known_at") == snapshot_ts).select("symbol", "sigma", "y")
    return (
        pl.DataFrame({"symbol": sorted(set(symbols))}, schema={"symbol": pl.String})
        .join(printed.group_by("symbol").agg(stale), on="symbol", how="left")
        .join(history.group_by("symbol").agg(samples=pl.len()), on="symbol", how="left")
        .join(now, on="symbol", how="left")
        .sort("symbol")
        .to_dicts()
    )


def _reason(fact: Mapping[str, Any], spec: FrameSpec) -> str:
    if fact["stale_min"] is None:
        return "no print of the day is known"
    if fact["stale_min"] > spec.max_stale_min:
        return f"stale: no print for {fact['stale_min']} minutes, at most {spec.max_stale_min}"
    if fact["y"] is None:
        beside = " or ".join(("no scaled return", *(f"no {name}" for name in spec.exogenous.of_panel)))
        return f"{beside} is known at the snapshot"
    if not fact["sigma"] or not 0 < fact["sigma"] < float("inf"):
        return f"no_variance: {spec.sigma_column} is null or zero at the snapshot"
    if fact["samples"] < spec.least_rows:
        return f"short history: {fact['samples']} samples, at least {spec.least_rows}"
    return ""
