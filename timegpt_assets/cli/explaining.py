"""What the command line says of why a forecast of the ladder came out as it did.

Belongs here: what is looked up, refused and printed. How it is worked out is core/models/attribution.py; the events
behind its news are events_behind.py.
"""

import sys
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import polars as pl

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli import events_behind
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.calendar import ZONE
from timegpt_assets.core.models.manifests import SHOWN
from timegpt_assets.core.tables.columns import LADDER, WILDCARD
from timegpt_assets.core.tables.models import ATTRIBUTION
from timegpt_assets.engine.stages import Refused, symbols_asked
from timegpt_assets.runtime import Runtime

PARTS = {"centre": "centre", "size": "half the width of the narrowest band"}
_FORECAST = ["forecaster", "snapshot_ts", "part"]


def explain(runtime: Runtime, day: date, symbol: str, forecaster: str, *, as_json: bool) -> None:
    """Print what moved the ladder's forecasts of a symbol on a day. Raises Refused where nothing is stored of it."""
    symbols_asked(runtime.settings, [symbol])
    rows = _stored(runtime, day).filter(symbol=symbol)
    answered = [word for word in LADDER if word in set(rows["forecaster"])]
    if not answered or (forecaster and forecaster not in answered):
        there = f"{', '.join(answered)} did" if answered else "nobody of the ladder did"
        raise Refused(
            f"{forecaster or 'the ladder'} did not answer for {symbol} on {day} by itself: {there}. Why stands in the "
            f"notes of base_answers; once it has answered, {_made_by(runtime, day)}"
        )
    own = rows if not forecaster else rows.filter(forecaster=forecaster)
    told = _told(own)
    beside = events_behind.behind(runtime, own, _made_by(runtime, day, "event_attribution"))
    if as_json:
        events = [{"events": beside.of(tuple(one[name] for name in _FORECAST))} for one in told]
        said = {"day": day, "symbol": symbol, "flags": beside.flags.to_dicts(), "events_lost": beside.lost}
        said |= {"forecasts": [one | own_events for one, own_events in zip(told, events, strict=True)]}
        sys.stdout.write(orjson.dumps(said).decode() + "\n")
        return
    _show(day, symbol, told)
    events_behind.show(f"{symbol} on {day}", beside)


def _stored(runtime: Runtime, day: date) -> pl.DataFrame:
    nothing = ATTRIBUTION.empty()
    rows = ParquetStore(runtime.storage).read("models/attribution", [str(day)], missing="ok", empty=nothing)
    if rows.is_empty():
        seated = runtime.settings.forecast.ladder
        why = "nothing is stored of what moved it" if seated else "nobody of the ladder is seated"
        seat = "" if seated else "Add lightgbm to forecast.challengers, then "
        told = _made_by(runtime, day)
        raise Refused(f"no forecast of {day} is explained: {why}. {seat}{told if seat else told[0].upper() + told[1:]}")
    return rows


def _made_by(runtime: Runtime, day: date, asset: str = "attribution") -> str:
    """Return the command that makes the table."""
    asked = f"--start {day} --end {day} --assets {asset} --force --profile {runtime.settings.profile}"
    return f"make it: timegpt-assets backfill {asked}"


def _told(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """Return each forecast's parts, each with what moved it, by forecaster (the lowest rung first) and time."""
    order = pl.col("forecaster").replace_strict({word: place for place, word in enumerate(LADDER)})
    named = ["feature", "value", "missing", "contribution"]
    ordered = rows.sort(order, "snapshot_ts", "part", "rank")
    found = []
    for (forecaster, snapshot_ts, part), own in ordered.group_by(_FORECAST, maintain_order=True):
        about = own.select("base", "forecast", "method", "policy", "digest").row(0, named=True)
        key = {"forecaster": forecaster, "snapshot_ts": snapshot_ts, "part": part}
        found.append(key | about | {"moved_by": own.select(named).to_dicts()})
    return found


def _show(day: date, symbol: str, told: list[dict[str, Any]]) -> None:
    """Print a table for each forecaster and part: a row for each forecast and what moved it, New York time."""
    out = Terminal()
    seen = dict.fromkeys((one["forecaster"], one["part"], one["policy"], one["digest"]) for one in told)
    for forecaster, part, policy, digest in seen:
        by = f", {policy}" if policy else ""
        title = f"{forecaster}{by}: {PARTS[part]}, {symbol} on {day}, in volatilities (artifact {digest[:SHOWN]})"
        table = Table(("at", "moved by", "was", "added", "forecast"), title=title)
        for one in (one for one in told if (one["forecaster"], one["part"]) == (forecaster, part)):
            at = f"{one['snapshot_ts'].astimezone(ZoneInfo(ZONE)):%H:%M}"
            table.add(at, "nothing known", "", f"{one['base']:+.4f}", f"{one['forecast']:+.4f}", style="bold")
            for moved in one["moved_by"]:
                table.add("", *_moved(moved), "")
        out.print(table)


def _moved(row: dict[str, Any]) -> tuple[str, str, str]:
    if row["feature"] == WILDCARD:
        return "all others", "", f"{row['contribution']:+.4f}"
    was = "not known" if row["missing"] else f"{row['value']:.6g}"
    return row["feature"], was, f"{row['contribution']:+.4f}"
