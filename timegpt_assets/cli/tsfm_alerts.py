"""The feed of alerts: which prices left their band on a UTC day, what speaks for each, and what bands lost their share.

Belongs here: what is printed. What an alert is stands in core/tsfm/alerts.py, what a rollback is in
engine/tsfm_rollout.py.
"""

import sys
from datetime import date, datetime
from typing import Any

import orjson

from timegpt_assets.adapters.storage.parquet_store import ParquetStore
from timegpt_assets.adapters.storage.rollout_record import TSFM_NAME, RolloutRecord
from timegpt_assets.cli.tables import Table
from timegpt_assets.cli.terminal import Terminal
from timegpt_assets.core.rollout.phases import ROLLBACK
from timegpt_assets.core.tables.tsfm import ALERTS
from timegpt_assets.runtime import Runtime

ASSET = "tsfm/alerts"
TOLD = ("what", "phase", "who", "why", "evidence")
"""What a line of JSON holds of a rollback."""


def feed(runtime: Runtime, day: date | None, *, as_json: bool) -> None:
    """Print a day's alerts and rollbacks, oldest first: a table, or a line of JSON for each with its evidence."""
    store = ParquetStore(runtime.storage)
    days = [str(day)] if day else store.files(ASSET)[-1:]
    empty = ALERTS.empty()
    found = store.read(ASSET, days, missing="ok", columns=empty.columns, empty=empty).sort("ts", "market_id")
    record = RolloutRecord(runtime.storage, TSFM_NAME)
    back = [one for one in record.entries() if one["what"] == ROLLBACK and one["time"][:10] in days]
    if as_json:
        alerts = [row | {"evidence": orjson.loads(row["evidence"])} for row in found.select(empty.columns).to_dicts()]
        rollbacks = [{name: one[name] for name in TOLD} | {"ts": datetime.fromisoformat(one["time"])} for one in back]
        for line in sorted([*alerts, *rollbacks], key=lambda one: one["ts"]):
            sys.stdout.write(orjson.dumps(line).decode() + "\n")
        return
    _show(days[0] if days else "", found.to_dicts())
    for one in back:
        said = f"{one['time'][11:16]} the bands of the model were taken back to {one['phase']} by {one['who']}: "
        Terminal().print(said + one["why"], soft_wrap=True)


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
