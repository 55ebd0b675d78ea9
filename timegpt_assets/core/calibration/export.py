"""The newest day's models as one JSON document, for readers that know neither parquet nor Dagster."""

from datetime import date
from typing import Any

import orjson
import polars as pl

from timegpt_assets.core.tables.columns import MAKER_KEY

FORMAT = 2
"""1 said nothing of the maker."""
_SHARED = ("window_first", "window_last", "embargo_days")
_KEY = ("symbol", "snapshot_time", *MAKER_KEY, "level")


def newest(current: bytes | None, models: pl.DataFrame, *, day: date, profile: str) -> bytes:
    """Return the document of the models of ``day``, or ``current`` when that is of a newer day."""
    if current is not None and orjson.loads(current)["day"] > day.isoformat():
        return current
    return document(models, day=day, profile=profile)


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
