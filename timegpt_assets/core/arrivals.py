"""What a partition got from the source, as one short text that changes whenever that does.

Belongs here: the digest of delivered rows and of what is known at the door. Who compares it is revisions.py.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from timegpt_assets.core.contract import NUMBERS

_MISSING = float("nan")


def content_hashes(bars: pl.DataFrame, keys: Sequence[str], facts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return ``YYYY-MM-DD|SYMBOL`` -> digest of what the source gave for it: its RAW_BARS rows and its facts.

    Counted are times, prices, volumes, the close before, and which rules the file breaks on how many rows. Where in
    the file a row stood, and what an error says in words, are not: a day inserted before it changes nothing of a day.
    """
    parts = {
        f"{day}|{symbol}": part for (day, symbol), part in bars.partition_by("day", "symbol", as_dict=True).items()
    }
    return {key: _digest(parts.get(key), facts.get(key, {})) for key in keys}


def _digest(rows: pl.DataFrame | None, facts: Mapping[str, Any]) -> str:
    broken = sorted([rule, count] for rule, count, *_ in facts.get("faults", ()))
    digest = hashlib.sha256(orjson.dumps([broken, facts.get("previous_close")]))
    if rows is not None:
        ordered = rows.select("ts", *NUMBERS).sort("ts", *NUMBERS)
        digest.update(ordered["ts"].cast(pl.Int64).to_numpy().tobytes())
        for name in NUMBERS:
            digest.update(ordered[name].fill_null(_MISSING).to_numpy().tobytes())
    return digest.hexdigest()[:16]
