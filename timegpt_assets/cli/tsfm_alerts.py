"""The feed of alerts: which prices left their band on a UTC day, and what speaks for each.

Belongs here: what is printed. What an alert is stands in core/tsfm/alerts.py.
"""

import sys
from datetime import date
from typing import Any

import orjson

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.tables.tsfm import ALERTS
from timegpt_assets.runtime import Runtime

ASSET = "tsfm/alerts"


def feed(runtime: Runtime, day: date | None, *, as_json: bool) -> None:
    """Print a day's alerts, oldest first: a table, or a line of JSON for each with its evidence."""
    store = ParquetStore(runtime.storage)
    days = [str(day)] if day else store.files(ASSET)[-1:]
    empty = ALERTS.empty()
    found = store.read(ASSET, days, missing="ok", columns=empty.columns, empty=empty).sort("ts", "market_id")
    if as_json:
        for row in found.select(empty.columns).iter_rows(named=True):
            told = row | {"evidence": orjson.loads(row["evidence"])}
            sys.stdout.write(orjson.dumps(told).decode() + "\n")
        return
    _show(days[0] if days else "", found.to_dicts())


def _show(day: str, rows: list[dict[str, Any]]) -> None:
    out = Terminal()
    if not rows:
        said = f"no alerts on {day}." if day else "no day has alerts yet. Make one: timegpt-assets tsfm cycle"
        out.print(said, soft_wrap=True)
        return
    table = Table(
        ("time", "severity", "market", "price", "band", "source", "gates", "fallback"), title=f"{day}: alerts"
    )
    for row in rows:
        source = f"{row['lower']:.3f}-{row['upper']:.3f}"
        own = (f"{row['ts']:%H:%M}", row["severity"], row["market_id"], f"{row['price']:.3f}", source)
        table.add(*own, row["band_source"], row["gates"], (row["reason"] or "yes") if row["fallback_used"] else "-")
    out.print(table)
