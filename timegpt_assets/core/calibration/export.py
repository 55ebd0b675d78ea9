"""The newest day's models as one JSON document, for readers that know neither parquet nor Dagster."""

from datetime import date
from typing import Any

import orjson
import polars as pl

from timegpt_assets.core.tables.columns import MAKER_KEY

FORMAT = 2
"""1 said nothing of the maker; its rows are replaced, never merged with."""
_SHARED = ("window_first", "window_last", "embargo_days")
_KEY = ("symbol", "snapshot_time", *MAKER_KEY, "level")


def merged(current: bytes | None, models: pl.DataFrame, *, day: date, profile: str) -> bytes:
    """Return the document with the models of ``day`` in it; unchanged when it is of a newer day.

    Symbols of the same day that ``models`` lacks stay: a run may make some of them only.
    """
    new = document(models, day=day, profile=profile)
    if current is None:
        return new
    there, made = orjson.loads(current), orjson.loads(new)
    if there["format"] != FORMAT or there["day"] != made["day"]:
        return current if there["day"] > made["day"] else new
    rows = {tuple(row[name] for name in _KEY): row for row in (*there["models"], *made["models"])}
    return _bytes(made | {"models": [rows[key] for key in sorted(rows)]})


def document(models: pl.DataFrame, *, day: date, profile: str) -> bytes:
    """Return the models of ``day`` as JSON: what is true of all of them once, then one entry per row.

    How a row is applied: centre = slope x q50 + offset x unit, unless it has knots: then unit x their curve at
    q50 / unit; a band is centre -/+ half_width x unit. ``score`` names the unit.
    """
    own = models.filter(pl.col("day") == day).sort(_KEY).drop("lineage_id", strict=False)
    head: dict[str, Any] = {"format": FORMAT, "profile": profile, "day": day}
    head |= {name: own[name][0] if own.height else None for name in _SHARED}
    return _bytes(head | {"models": own.drop("day", *_SHARED).rows(named=True)})


def _bytes(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
