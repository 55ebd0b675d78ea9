"""What a partition got from the source, as one short text that changes whenever that does.

Belongs here: the digest of delivered rows and of what is known at the door. Who compares it is revisions.py.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from timegpt_assets.core.bars.vendor_columns import NUMBERS

_MISSING = float("nan")


def content_hashes(bars: pl.DataFrame, keys: Sequence[str], facts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return ``YYYY-MM-DD|SYMBOL`` -> digest of what the source gave for it: its RAW_BARS rows and its facts.

    Counted are times, prices, volumes, the close before, and which rules the file breaks on how many rows. Where in
    the file a row stood, and what an error says in words, are not: a day inserted before it changes nothing of a day.
    """
    ordered = bars.select("day", "symbol", "ts", *NUMBERS).sort("day", "symbol", "ts", *NUMBERS)
    columns = [ordered["ts"].to_physical(), *(ordered[name].fill_null(_MISSING) for name in NUMBERS)]
    values = [memoryview(column.to_numpy().tobytes()) for column in columns]
    spans = _spans(ordered)
    return {key: _digest(values, spans.get(key), facts.get(key, {})) for key in keys}


def data_version(quality: pl.DataFrame) -> str:
    """Return 16 hex digits that change with anything the source delivered for these QUALITY rows, or their days."""
    rows = quality.select(pl.col("day").cast(pl.String), "symbol", "content").sort("day", "symbol").rows()
    return hashlib.sha256(orjson.dumps(rows)).hexdigest()[:16]


def _spans(ordered: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """Return key -> the bytes of its rows in a column of eight bytes a value: first, and one past the last."""
    runs = ordered.group_by("day", "symbol", maintain_order=True).len().with_columns(end=pl.col("len").cum_sum())
    return {f"{day}|{symbol}": (8 * (end - rows), 8 * end) for day, symbol, rows, end in runs.iter_rows()}


def _digest(values: Sequence[memoryview], span: tuple[int, int] | None, facts: Mapping[str, Any]) -> str:
    broken = sorted([rule, count] for rule, count, *_ in facts.get("faults", ()))
    digest = hashlib.sha256(orjson.dumps([broken, facts.get("previous_close")]))
    if span is not None:
        for column in values:
            digest.update(column[slice(*span)])
    return digest.hexdigest()[:16]
