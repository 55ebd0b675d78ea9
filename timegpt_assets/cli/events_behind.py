"""What the command line says of the events behind forecasts: headline, source, tier, moment, place of the bytes.

Belongs here: what is looked up and printed. Each event's share of a feature is core/news/attribute.py's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from timegpt_assets.adapters.news.origin import Origin, origins
from timegpt_assets.adapters.news.raw_store import RawStore
from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.config import core_inputs
from timegpt_assets.core.calendar import ZONE
from timegpt_assets.core.features import news
from timegpt_assets.core.news.attribute import added
from timegpt_assets.core.tables.features import PANEL
from timegpt_assets.core.tables.news import EVENT_ATTRIBUTION
from timegpt_assets.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Event:
    """One event behind one part of a forecast: (forecaster, snapshot, part), what it added, and by which features."""

    forecast: tuple[str, datetime, str]
    added: float
    features: Sequence[str]
    origin: Origin

    def as_json(self) -> dict[str, Any]:
        """Return everything but the forecast, as plain values."""
        return {"added": self.added, "features": self.features, **asdict(self.origin)}


@dataclass(frozen=True, slots=True)
class Behind:
    """What is told beside what moved the forecasts of one symbol and day.

    ``events``: of each forecast who added most first. ``lost``: why events are not told; empty: all are. ``flags``:
    snapshot_ts and what the panel says is missing around the symbol then, a column for each flag.
    """

    events: Sequence[Event]
    lost: str
    flags: pl.DataFrame

    def of(self, forecast: tuple[Any, ...]) -> list[dict[str, Any]]:
        """Return the events behind one part of a forecast, as JSON holds them."""
        return [one.as_json() for one in self.events if one.forecast == forecast]


def behind(runtime: Runtime, moved: pl.DataFrame, made_by: str) -> Behind:
    """Return what is stored about ATTRIBUTION rows of one symbol and day; ``made_by``: the command for what is not."""
    store, (day, symbol) = ParquetStore(runtime.storage), moved.select("day", "symbol").row(0)
    nothing = EVENT_ATTRIBUTION.empty()
    stored, facts = store.contents("news/event_attribution", {str(day): [symbol]}, missing="ok", empty=nothing)
    rows = added(moved, stored)
    told = {one.event_id: one for one in origins(store, RawStore(runtime.storage), day, rows["event_id"].unique())}
    events = [
        Event((forecaster, at, part), total, features, told[event])
        for forecaster, at, part, event, total, features in rows.iter_rows()
        if event in told
    ]
    is_read = not {f.name for f in news.FEATURES}.isdisjoint(moved["feature"])
    is_lost = (is_read and not facts) or rows["event_id"].n_unique() > len(told)
    lost = f"events behind {symbol} on {day} are not stored: {made_by}" if is_lost else ""
    return Behind(events, lost, _flags(runtime, store, moved))


def _flags(runtime: Runtime, store: ParquetStore, moved: pl.DataFrame) -> pl.DataFrame:
    day, symbol = moved.select("day", "symbol").row(0)
    panel, _ = store.contents("features/panel", {str(day): None}, missing="ok", empty=PANEL.empty())
    spec = core_inputs.feature_spec(runtime.settings, core_inputs.event_calendar(runtime.settings))
    names = [f.name for f in spec.features if f.dtype == pl.Boolean and not f.counts and f.name in panel.columns]
    at = moved["snapshot_ts"].unique().sort()
    own = panel.filter(pl.col("symbol") == symbol, pl.col("known_at").is_in(at.implode()))
    return own.select(pl.col("known_at").alias("snapshot_ts"), *names).sort("snapshot_ts")


def show(whose: str, told: Behind) -> None:
    """Print the events of each forecaster and part, then the flags; nothing where there is neither."""
    out = Terminal()
    for forecaster, part in dict.fromkeys((one.forecast[0], one.forecast[2]) for one in told.events):
        columns = ("at", "added", "headline", "source", "tier", "known", "by way of", "bytes")
        table = Table(columns, title=f"{forecaster}: events behind the {part}, {whose}, in volatilities")
        for one in (one for one in told.events if (one.forecast[0], one.forecast[2]) == (forecaster, part)):
            origin, known = one.origin, _clock(one.origin.known_at, "%Y-%m-%d %H:%M:%S")
            cells = _clock(one.forecast[1], "%H:%M"), f"{one.added:+.4f}", origin.title, origin.source, origin.tier
            lies_at = origin.lies_at or f"gone: sha256 {origin.content_hash}"
            table.add(*cells, known, ", ".join(one.features), lies_at)
        out.print(table)
    if told.lost:
        out.print(told.lost)
    if told.flags.width > 1 and told.flags.height:
        table = Table(("at", *told.flags.columns[1:]), title=f"flags, {whose}")
        for at, *values in told.flags.iter_rows():
            table.add(_clock(at, "%H:%M"), *("not known" if v is None else "yes" if v else "no" for v in values))
        out.print(table)


def _clock(at: datetime, form: str) -> str:
    return at.astimezone(ZoneInfo(ZONE)).strftime(form)
